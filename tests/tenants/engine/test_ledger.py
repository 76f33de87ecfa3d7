"""The ledger: entries are read as they were written, and a database that fails is tried again."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from airflow_provider_databrain.tenants.engine import ledger as ledgers
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.ledger_table import database_message
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.databases import Database, ledger_on, numbered
from tests.support import ODD_IDS
from tests.tenants.engine.entries import NOW, TABLE, entry, together

# Entries


def test_an_entry_is_read_as_it_was_written(ledger: Ledger) -> None:
    entries = [
        entry("full", last_error="x" * 1000, attempts=2**31 - 1, last_change=NOW + timedelta(microseconds=123456)),
        entry("bare", dashboard_id=None, embed_id=None, spec_hash=None, input_hash=None, status="failed", run_id=""),
    ]
    ledger.write(entries)
    assert ledger.entries(["bare", "full", "unknown"]) == {found.tenant: found for found in entries}


def test_odd_ids_are_read_as_they_were_written(ledger: Ledger) -> None:
    odd = [*ODD_IDS, "x" * 255, "ä" * 255, "\\", "$$", ":x", "%s"]
    ledger.write([entry(tenant, dashboard_id=tenant, embed_id=tenant) for tenant in odd])
    assert set(ledger.entries(odd)) == set(odd)
    assert ledger.tenants_by_dashboard(odd) == {tenant: tenant for tenant in odd}
    assert sorted(found.tenant for found in ledger.live()) == sorted(odd)
    ledger.write([entry(tenant, dashboard_id=tenant, embed_id=tenant, status="updated") for tenant in odd])
    assert {found.status for found in ledger.entries(odd).values()} == {"updated"}


def test_a_message_that_the_database_cannot_store_costs_no_entry(postgresql: Database) -> None:
    latin1 = postgresql.engine(client_encoding="latin1")
    ledger = ledger_on(postgresql, engine=latin1)
    ledger.open()
    ledger.write([entry("acme", last_error="é"), entry("globex", last_error="no… 🦆 é")])
    messages = {found.tenant: found.last_error for found in ledger.live()}
    assert messages == {"acme": "\\xe9", "globex": "no... \\U0001f986 \\xe9"}
    with pytest.raises(LedgerError, match="could not store the outcomes of 1 tenants"):
        ledger.write([entry("🦆", last_error="…")])


def test_writing_replaces_the_entry(ledger: Ledger) -> None:
    ledger.write([entry("acme"), entry("globex")])
    ledger.write([entry("acme", status="failed", last_error="no"), entry("initech")])
    assert list(ledger.live()) == [
        entry("acme", status="failed", last_error="no"),
        entry("globex"),
        entry("initech"),
    ]


def test_writing_nothing_changes_nothing(ledger: Ledger) -> None:
    ledger.write([entry("acme")])
    ledger.write([])
    assert list(ledger.live()) == [entry("acme")]


def test_of_two_entries_for_one_tenant_the_last_stays(ledger: Ledger) -> None:
    ledger.write([entry("acme", attempts=1), entry("globex"), entry("acme", attempts=2)])
    assert ledger.entries(["acme"])["acme"].attempts == 2


def test_many_entries_are_written_in_one_transaction(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "WRITE_RETRY_SECONDS", 0)
    tenants = numbered(1200)
    ledger.write([entry(tenant) for tenant in tenants])
    later = [entry(tenant, status="updated") for tenant in tenants]
    bad: Any = None
    with pytest.raises(LedgerError, match="could not store the outcomes of 1200 tenants"):
        ledger.write([*later[:-1], replace(later[-1], status=bad)])
    assert {found.status for found in ledger.live()} == {"created"}
    ledger.write(later)
    assert [found.tenant for found in ledger.live()] == tenants
    assert {found.status for found in ledger.live()} == {"updated"}


def test_writers_at_the_same_time_lose_nothing(database: Database, ledger: Ledger) -> None:
    def work() -> None:
        own = ledger_on(database, engine=database.engine())
        own.open()
        for attempt in range(5):
            own.write([entry("shared", attempts=attempt), entry(f"own-{threading.get_ident()}", attempts=attempt)])

    together(work)
    found = list(ledger.live())
    assert len(found) == 9
    assert {entry.attempts for entry in found} == {4}


@pytest.mark.parametrize(("system", "scope"), [("databrain", "other"), ("other", "app"), ("app", "databrain")])
def test_scopes_and_systems_are_apart(database: Database, ledger: Ledger, system: str, scope: str) -> None:
    theirs = ledger_on(database, system=system, scope=scope)
    theirs.open()
    ledger.write([entry("acme"), entry("globex")])
    theirs.write([entry("acme", dashboard_id="theirs", embed_id="theirs")])
    assert list(ledger.live()) == [entry("acme"), entry("globex")]
    assert list(theirs.live()) == [entry("acme", dashboard_id="theirs", embed_id="theirs")]
    assert theirs.entries(["acme", "globex"]).keys() == {"acme"}
    assert theirs.tenants_by_dashboard(["client-acme", "client-globex", "theirs"]) == {"theirs": "acme"}
    theirs.write([entry("initech", embed_id="embed-acme")])
    assert ledger.tenants_by_embed(["embed-acme"]) == {"embed-acme": {"acme"}}
    assert ledger.shared_embeds() == theirs.shared_embeds() == {}
    theirs.write([entry("globex")])
    assert ledger.entries(["globex"]) == {"globex": entry("globex")}


def test_tables_are_apart(database: Database, ledger: Ledger) -> None:
    second = ledger_on(database, table="second")
    second.open()
    second.write([entry("acme")])
    assert list(ledger.live()) == []
    assert database.tables() == ["second", "second_version", TABLE, f"{TABLE}_version"]


def test_only_an_existing_dashboard_belongs_to_a_tenant(ledger: Ledger) -> None:
    ledger.write([entry("acme"), entry("gone", spec_hash=None, status="deleted"), *map(entry, numbered(600))])
    asked = ["client-gone", "client-unknown", "client-acme", *(f"client-{tenant}" for tenant in numbered(600))]
    assert ledger.tenants_by_dashboard(asked) == {
        "client-acme": "acme",
        **{f"client-{tenant}": tenant for tenant in numbered(600)},
    }
    assert ledger.tenants_by_dashboard([]) == {}
    ledger.write([entry("gone", spec_hash=None, embed_id="embed-acme")])
    assert ledger.tenants_by_embed(["embed-acme", "embed-unknown"]) == {"embed-acme": {"acme"}}
    assert ledger.shared_embeds() == {}
    ledger.write([entry("globex", embed_id="embed-acme")])
    assert ledger.tenants_by_embed(["embed-acme"]) == ledger.shared_embeds() == {"embed-acme": {"acme", "globex"}}


def test_an_entry_without_an_embed_id_has_the_dashboards() -> None:
    assert entry("acme", embed_id=None).existing == Existing("client-acme", "client-acme", "a.b.c")


def test_every_live_entry_is_read_once_while_entries_change(ledger: Ledger) -> None:
    tenants = numbered(1300)
    ledger.write([entry(tenant) for tenant in tenants])
    ledger.write([entry("gone", spec_hash=None)])
    seen = []
    for found in ledger.live():
        seen.append(found.tenant)
        if len(seen) % 100 == 0:
            ledger.write([entry(tenant, spec_hash=None, status="deleted") for tenant in seen[-100:]])
    assert seen == tenants
    assert list(ledger.live()) == []


@pytest.mark.parametrize("count", [499, 500, 501, 1000])
def test_pages_end_where_the_entries_do(ledger: Ledger, count: int) -> None:
    ledger.write([entry(tenant) for tenant in numbered(count)])
    assert [found.tenant for found in ledger.live()] == numbered(count)
    assert ledger.entries(numbered(count)).keys() == set(numbered(count))


# A database that fails


class Failing:
    """Makes the ledger's database fail, and brings it back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder: sqlite3.Connection | None = None
        if database.kind == "postgresql":
            # A second database on the same server; from there the first one can be closed.
            self._outside = database.engine(
                database.url.replace("/postgres?", "/template1?"), isolation_level="AUTOCOMMIT"
            )

    def go(self) -> None:
        """Close the database and all its connections."""
        if self._database.kind == "sqlite":
            self._holder = sqlite3.connect(self._database.url.removeprefix("sqlite:///"), isolation_level=None)
            self._holder.execute("BEGIN EXCLUSIVE")
            return
        self._command("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        self._command("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")

    def come_back(self) -> None:
        """Open it again."""
        if self._holder is not None:
            self._holder.rollback()
            self._holder.close()
            self._holder = None
        elif self._database.kind == "postgresql":
            self._command("ALTER DATABASE postgres ALLOW_CONNECTIONS true")

    def _command(self, statement: str) -> None:
        with self._outside.connect() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def failing(database: Database) -> Iterator[Failing]:
    made = Failing(database)
    yield made
    made.come_back()
    database.close()


@contextmanager
def at_the_first_warning(act: Callable[[], None]) -> Iterator[list[str]]:
    """Act at the ledger's first warning; yields all warnings."""
    shown: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not shown:
                act()
            shown.append(record.getMessage())

    handler = Handler(logging.WARNING)
    ledgers.log.addHandler(handler)
    try:
        yield shown
    finally:
        ledgers.log.removeHandler(handler)


def impatient(database: Database) -> Engine:
    """An engine whose driver does not wait for a lock."""
    return database.engine(connect_args={"timeout": 0} if database.kind == "sqlite" else {})


def test_a_database_that_comes_back_gets_the_waiting_entries(database: Database, failing: Failing) -> None:
    made = ledger_on(database, engine=impatient(database))
    made.open()
    failing.go()
    with at_the_first_warning(failing.come_back) as shown:
        made.write([entry("acme"), entry("globex")])
    assert len(shown) >= 1
    assert "next try in" in shown[0]
    assert list(made.live()) == [entry("acme"), entry("globex")]


def test_a_database_that_is_away_is_reported_when_it_is_read(database: Database, failing: Failing) -> None:
    engine = impatient(database)
    ledger_on(database, engine=engine).open()
    opened = ledger_on(database, engine=engine)
    opened.open()
    failing.go()
    with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: ."):
        opened.entries(["acme"])
    with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be opened: ."):
        ledger_on(database, engine=engine).open()


def test_a_lost_connection_loses_no_entry(postgresql: Database) -> None:
    made = ledger_on(postgresql)
    made.open()
    made.write([entry("acme")])
    postgresql.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    made.write([entry("globex")])
    assert [found.tenant for found in made.live()] == ["acme", "globex"]


def test_a_database_that_stays_away_is_reported_without_the_values(
    database: Database, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "WRITE_RETRY_SECONDS", 0.3)
    made = ledger_on(database, engine=impatient(database))
    made.open()
    failing.go()
    with at_the_first_warning(lambda: None) as shown, pytest.raises(LedgerError) as caught:
        made.write([entry("secret-tenant", last_error="secret words")])
    assert len(shown) >= 1
    for text in (str(caught.value), *shown):
        assert "secret" not in text
        assert "INSERT" not in text.upper()
        assert "\n" not in text
    assert str(caught.value).startswith(f"the ledger, table '{TABLE}', could not store the outcomes of 1 tenants: ")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_that_the_database_refuses_is_not_repeated_in_the_error(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "WRITE_RETRY_SECONDS", 0)
    bad: Any = None
    with pytest.raises(LedgerError) as caught:
        ledger.write([entry("secret-tenant", status=bad)])
    assert "secret" not in str(caught.value)
    assert "status" in str(caught.value)


# SQLite can store a NUL.
@pytest.mark.parametrize(("kind", "text"), [("sqlite", "\ud800"), ("postgresql", "\ud800"), ("postgresql", "a\0b")])
def test_a_string_that_the_database_cannot_store_is_reported(
    request: pytest.FixtureRequest, kind: str, text: str
) -> None:
    opened = ledger_on(request.getfixturevalue(kind))
    opened.open()
    for read in (opened.entries, opened.tenants_by_dashboard):
        with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: .*(NUL|codec)"):
            read([text])
    with pytest.raises(LedgerError, match=r"could not store the outcomes of 2 tenants: .*(NUL|codec)"):
        opened.write([entry("acme"), entry(text)])
    assert list(opened.live()) == []


def test_a_ledger_that_cannot_be_read_is_reported(database: Database, ledger: Ledger) -> None:
    database.run(f"DROP TABLE {TABLE}")
    for read in (
        lambda: ledger.entries(["acme"]),
        lambda: ledger.tenants_by_dashboard(["x"]),
        lambda: list(ledger.live()),
    ):
        with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: .*{TABLE}"):
            read()


def test_an_error_without_a_message_is_reported_by_its_type() -> None:
    assert database_message(sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError(""))) == "OperationalError"
    assert database_message(sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError(" one\ntwo"))) == "one"
