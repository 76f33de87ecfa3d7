"""The journal: entries are written in order, and a ledger that fails is reported once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_databrain.tenants.engine import journal
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Entry, LedgerError
from tests.tenants.engine.entries import entry


class Book:
    """What a journal needs of a ledger.

    :param error: the error of each write.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.written: list[str] = []
        self.writes = 0
        self.error = error

    def write(self, entries: Sequence[Entry]) -> None:
        self.writes += 1
        if self.error is not None:
            raise self.error
        self.written += [each.tenant for each in entries]


async def record(book: Any, tenants: Sequence[str], *, one_by_one: bool = False) -> list[str]:
    """Record an entry for each tenant; return the errors that were reported."""
    errors: list[str] = []
    async with Journal(book, on_error=lambda error: errors.append(str(error))) as kept:
        for tenant in tenants:
            await asyncio.wait_for(kept.record(entry(tenant)), 30)
            if one_by_one:
                before = book.writes
                for _ in range(1000):
                    if errors or book.writes > before:
                        break
                    await asyncio.sleep(0.01)
    return errors


@pytest.mark.parametrize("backlog", [1, 2, 500])
async def test_every_entry_is_written_in_the_order_in_which_it_was_recorded(
    monkeypatch: pytest.MonkeyPatch, backlog: int
) -> None:
    monkeypatch.setattr(journal, "BACKLOG", backlog)
    monkeypatch.setattr(journal, "LINGER_SECONDS", 0.001)
    tenants = [f"t{number}" for number in range(20)]
    book = Book()
    assert await record(book, tenants) == []
    assert book.written == tenants


FAILURES = {
    "ledger": (LedgerError("the disk is full"), "the disk is full"),
    "bug": (RuntimeError("our fault"), "the ledger failed: RuntimeError('our fault')"),
}


@pytest.mark.parametrize(("error", "words"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("backlog", [1, 500])
async def test_a_ledger_that_fails_is_reported_once_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, backlog: int
) -> None:
    monkeypatch.setattr(journal, "BACKLOG", backlog)
    monkeypatch.setattr(journal, "LINGER_SECONDS", 0.001)
    book = Book(error)
    [shown] = await record(book, ["a", "b", "c"], one_by_one=True)
    assert words in shown
    assert book.writes == 1
