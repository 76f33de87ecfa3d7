"""What the ledger records of an outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.report import ERROR_LIMIT, Action
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.databases import Database, ledger_on
from tests.tenants.engine.entries import entry

EXISTING = Existing("client-acme", "embed-acme", "a.b.c")


def recorded(outcome: Outcome) -> Entry:
    return outcome.entry(dag_id="dag", run_id="run")


def test_an_outcome_becomes_an_entry() -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    made = recorded(Outcome("acme", Action.CREATED, existing=EXISTING, input_hash="h", wanted_id="other"))
    assert before <= made.first_change == made.last_change <= datetime.now(UTC).replace(tzinfo=None)
    assert made == entry(
        "acme", input_hash="h", first_change=made.first_change, last_change=made.last_change, status="created"
    )
    assert made.existing == EXISTING


def test_without_a_dashboard_the_wanted_id_is_recorded() -> None:
    made = recorded(Outcome.failure("acme", None, "client-acme", ValueError("no")))
    assert (made.dashboard_id, made.embed_id, made.spec_hash) == ("client-acme", None, None)
    assert made.existing is None


def test_tries_are_counted_until_one_is_successful() -> None:
    attempts = []
    last: Entry | None = None
    for action in (
        Action.FAILED,
        Action.FAILED,
        Action.CREATED,
        Action.UPDATED,
        Action.FAILED,
        Action.UPDATED,
        Action.DELETED,
    ):
        last = recorded(Outcome("acme", action, last, EXISTING, input_hash="h"))
        attempts.append(last.attempts)
    assert attempts == [1, 2, 3, 1, 1, 2, 1]


@pytest.mark.parametrize("ahead", [timedelta(hours=5), timedelta(0), -timedelta(hours=5)])
def test_a_clock_that_was_set_back_makes_no_entry_older(ahead: timedelta) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    old = entry("acme", first_change=now + ahead - timedelta(days=1), last_change=now + ahead)
    new = recorded(Outcome("acme", Action.UPDATED, old, EXISTING, input_hash="h"))
    assert new.first_change == old.first_change
    assert new.last_change >= max(old.last_change, now)
    assert new.last_change <= max(old.last_change, now + timedelta(minutes=1))


def test_times_do_not_depend_on_the_time_zone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"options": "-c timezone=Asia/Tokyo"} if database.kind == "postgresql" else {}
    made = ledger_on(database, engine=database.engine(connect_args=options))
    made.open()
    written = recorded(Outcome("acme", Action.CREATED, existing=EXISTING, input_hash="h"))
    assert abs(written.last_change - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    made.write([written])
    assert made.entries(["acme"]) == {"acme": written}


def test_a_long_error_is_cut(ledger: Ledger) -> None:
    made = recorded(Outcome.failure("acme", None, None, ValueError("é" * 5000)))
    assert made.last_error == "é" * ERROR_LIMIT
    ledger.write([made])
    assert ledger.entries(["acme"]) == {"acme": made}


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud800", "a\x1b[31m\r\n", "😀" * 1000], ids=["nul", "surrogate", "control", "wide"]
)
def test_an_error_that_a_database_cannot_store_is_changed_so_that_it_can(ledger: Ledger, text: str) -> None:
    made = recorded(Outcome.failure("acme", None, None, ValueError(text)))
    ledger.write([made])
    assert ledger.entries(["acme"]) == {"acme": made}
    assert made.last_error
