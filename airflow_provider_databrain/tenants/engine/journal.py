"""Outcomes into the ledger while a batch runs, in small transactions beside the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger, LedgerError

if TYPE_CHECKING:
    from typing import Self

BACKLOG = 500
"""Entries that may wait for the transaction before them; then whoever brings one waits too."""
LINGER_SECONDS = 0.1
"""How long a first entry waits for company: a transaction costs much the same for one entry as for many."""


class Journal:
    """Writes entries in the order they come: whatever came during one transaction makes the next.

    Use it as an async context manager; at its end everything is written.

    :param on_error: told, once, that the ledger went on failing.
    """

    def __init__(self, ledger: Ledger, *, on_error: Callable[[LedgerError], None]) -> None:
        self._ledger = ledger
        self._on_error = on_error
        self._waiting: list[Entry] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = asyncio.Event()
        self.error: LedgerError | None = None
        # One thread, so that one transaction follows the other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._writer: asyncio.Task[None] | None = None

    async def record(self, entry: Entry) -> None:
        """Have an entry written soon."""
        self._waiting.append(entry)
        self._arrived.set()
        if len(self._waiting) >= BACKLOG and self.error is None:
            self._room.clear()
            await self._room.wait()

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._arrived.set()
        if self._writer is not None:
            await self._writer
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing.is_set() and not self._waiting):
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), LINGER_SECONDS)
            self._arrived.clear()
            entries, self._waiting = self._waiting, []
            self._room.set()
            if not entries or self.error is not None:
                # A ledger that went on failing is not waited for again and again; the next run finds what it lacks.
                continue
            try:
                await loop.run_in_executor(self._thread, self._ledger.write, entries)
            except Exception as failed:
                error = failed if isinstance(failed, LedgerError) else LedgerError(f"the ledger failed: {failed!r}")
                self.error = error
                self._room.set()
                self._on_error(error)
