"""The ledger's table: made once, kept in order, and never taken from somebody else."""

from __future__ import annotations

import logging
import multiprocessing
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from airflow_provider_databrain.tenants.engine import ledger as ledgers
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.report import Action
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.databases import Database, ledger_on, numbered, open_a_ledger
from tests.support import ODD_IDS

TABLE = "tenant_dashboards"
COLUMNS = [
    "system",
    "scope",
    "tenant",
    "dashboard_id",
    "embed_id",
    "spec_hash",
    "input_hash",
    "status",
    "last_error",
    "attempts",
    "first_change",
    "last_change",
    "dag_id",
    "run_id",
]
"""All there is: which dashboard is whose, and nothing that opens one."""
NOW = datetime(2026, 1, 2, 3, 4, 5)


def entry(tenant: str, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "tenant": tenant,
        "dashboard_id": f"client-{tenant}",
        "embed_id": f"embed-{tenant}",
        "spec_hash": "a.b.c",
        "input_hash": "e295dc90",
        "status": "created",
        "last_error": None,
        "attempts": 1,
        "first_change": NOW,
        "last_change": NOW,
        "dag_id": "dag",
        "run_id": "run",
    }
    return Entry(**{**fields, **changes})


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """An open ledger."""
    made = ledger_on(database)
    made.open()
    return made


# Its table


def test_both_tables_are_made_on_first_use(database: Database) -> None:
    ledger_on(database).open()
    assert database.tables() == [TABLE, f"{TABLE}_version"]
    assert database.columns(TABLE) == COLUMNS
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]
    # The second time changes nothing.
    ledger_on(database).open()
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]


@pytest.mark.parametrize("name", ["Odd Name", 'quo"ted', "100%", "a:b", "select", "客户"])
def test_a_tables_name_is_quoted(database: Database, name: str) -> None:
    made = ledger_on(database, table=name)
    made.open()
    made.write([entry("acme")])
    assert database.tables() == sorted([name, f"{name}_version"])
    assert made.entries(["acme"]) == {"acme": entry("acme")}


def test_a_table_may_be_in_another_schema(database: Database, tmp_path: Path) -> None:
    if database.kind == "postgresql":
        database.run("CREATE SCHEMA crm")
    else:
        attach = f"ATTACH '{tmp_path}/crm.db' AS crm"
        sa.event.listen(database.own, "connect", lambda raw, _: raw.execute(attach))
        database.own.dispose()
    made = ledger_on(database, table="crm.ledger")
    made.open()
    made.write([entry("acme")])
    assert list(made.live()) == [entry("acme")]
    assert database.tables() == []
    if database.kind == "postgresql":
        database.run("DROP SCHEMA crm CASCADE")


def test_a_schema_that_is_not_there_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "CREATION_SECONDS", 0)
    with pytest.raises(LedgerError, match=r"the ledger, table 'nowhere.ledger', cannot be opened: .*nowhere"):
        ledger_on(database, table="nowhere.ledger").open()


def together(work: Callable[[], object], threads: int = 8) -> None:
    """Do the same in several threads at the same moment."""
    start = threading.Barrier(threads)

    def one(_number: int) -> None:
        start.wait()
        work()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads)))


def test_threads_that_open_it_at_once_make_one_table(database: Database) -> None:
    made: list[Ledger] = []

    def work() -> None:
        opened = ledger_on(database, engine=database.engine())
        opened.open()
        opened.write([entry(f"tenant-{threading.get_ident()}")])
        made.append(opened)

    together(work)
    assert database.tables() == [TABLE, f"{TABLE}_version"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]
    assert len(list(made[0].live())) == 8


def test_processes_that_open_it_at_once_make_one_table(database: Database) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.databases", Ledger.__module__])
    start = context.Barrier(8)
    processes = [context.Process(target=open_a_ledger, args=(database.url, f"t{number}", start)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]
    opened = ledger_on(database)
    opened.open()
    assert [found.tenant for found in opened.live()] == [f"t{number}" for number in range(8)]


def test_without_creating_nothing_is_made_and_nothing_found(database: Database) -> None:
    made = ledger_on(database)
    made.open(create=False)
    assert database.tables() == []
    assert made.entries(["acme"]) == {}
    assert made.holders(["client-acme"]) == {}
    assert list(made.live()) == []


def test_without_creating_what_is_there_is_read(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme")])
    other = ledger_on(database)
    other.open(create=False)
    assert other.entries(["acme"]) == {"acme": entry("acme")}


FOREIGN = [
    "CREATE TABLE tenant_dashboards (tenant_id VARCHAR(9), dashboard_id VARCHAR(9))",
    # Even one that looks like ours.
    f"CREATE TABLE tenant_dashboards ({', '.join(f'{column} VARCHAR(9)' for column in COLUMNS)})",
]


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("statement", FOREIGN, ids=["other columns", "our columns"])
def test_somebody_elses_table_is_refused_and_left_as_it_is(database: Database, statement: str, create: bool) -> None:
    database.run(statement)
    columns = database.columns(TABLE)
    database.insert(TABLE, [dict.fromkeys(columns, "x")])
    with pytest.raises(LedgerError, match=r"is there, but is no ledger of ours.*give another ledger_table"):
        ledger_on(database).open(create=create)
    assert database.tables() == [TABLE]
    assert database.columns(TABLE) == columns
    assert database.run(f"SELECT * FROM {TABLE}") == [("x",) * len(columns)]


def test_a_table_without_our_columns_is_refused(database: Database, ledger: Ledger) -> None:
    database.run(f"ALTER TABLE {TABLE} DROP COLUMN run_id", f"ALTER TABLE {TABLE} DROP COLUMN last_error")
    with pytest.raises(LedgerError, match="lacks the columns last_error, run_id: give another ledger_table"):
        ledger_on(database).open()


def test_a_column_of_somebody_elses_that_must_be_filled_is_refused(database: Database) -> None:
    ledger_on(database).open()
    database.run(f"DROP TABLE {TABLE}")
    columns = ", ".join(f"{column} VARCHAR(250)" for column in COLUMNS)
    database.run(f"CREATE TABLE {TABLE} ({columns}, region VARCHAR(9) NOT NULL)")
    with pytest.raises(LedgerError, match=r"columns that are not ours and must be filled: region.*give them a default"):
        ledger_on(database).open()


@pytest.mark.parametrize("kind", ["VARCHAR(9)", "VARCHAR(9) DEFAULT 'EU'", "VARCHAR(9) DEFAULT 'EU' NOT NULL"])
def test_a_column_of_somebody_elses_that_may_be_left_out_is_borne(
    database: Database, ledger: Ledger, kind: str
) -> None:
    database.run(f"ALTER TABLE {TABLE} ADD COLUMN region {kind}")
    other = ledger_on(database)
    other.open()
    other.write([entry("acme")])
    assert other.entries(["acme"]) == {"acme": entry("acme")}
    assert database.run(f"SELECT region FROM {TABLE}") == [("EU" if "DEFAULT" in kind else None,)]


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_table_is_refused(database: Database, ledger: Ledger, create: bool) -> None:
    database.run(f"UPDATE {TABLE}_version SET version = 7")
    with pytest.raises(LedgerError, match="is of version 7, this provider knows up to 1: upgrade"):
        ledger_on(database).open(create=create)


def test_a_creation_that_was_broken_off_is_completed(database: Database) -> None:
    database.run(f"CREATE TABLE {TABLE}_version (version INTEGER PRIMARY KEY)")
    made = ledger_on(database)
    made.open()
    made.write([entry("acme")])
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]


@pytest.mark.parametrize("version", [0, 7])
def test_a_table_that_was_dropped_is_made_anew_whatever_version_it_had(database: Database, version: int) -> None:
    ledger_on(database).open()
    database.run(f"DROP TABLE {TABLE}", f"UPDATE {TABLE}_version SET version = {version}")
    made = ledger_on(database)
    made.open()
    assert list(made.live()) == []
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]


# Migration


@pytest.fixture
def migrated(database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A ledger with one entry, and a provider of two versions later; gives the steps that were taken."""
    ledger.write([entry("acme")])
    steps: list[str] = []

    def add(column: str) -> Callable[[Connection, sa.Table], None]:
        def step(connection: Connection, table: sa.Table) -> None:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column} VARCHAR(9) DEFAULT 'new'")
            steps.append(column)

        return step

    monkeypatch.setattr(ledgers, "VERSION", 3)
    monkeypatch.setattr(ledgers, "MIGRATIONS", {1: add("one"), 2: add("two")})
    return steps


def test_an_older_table_is_brought_up_to_date_with_all_it_holds(database: Database, migrated: list[str]) -> None:
    made = ledger_on(database)
    made.open()
    assert migrated == ["one", "two"]
    assert database.columns(TABLE) == [*COLUMNS, "one", "two"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(3,)]
    assert made.entries(["acme"]) == {"acme": entry("acme")}
    ledger_on(database).open()
    assert migrated == ["one", "two"]


def test_those_who_open_it_at_once_bring_it_up_to_date_once(database: Database, migrated: list[str]) -> None:
    together(lambda: ledger_on(database, engine=database.engine()).open())
    assert migrated == ["one", "two"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(3,)]


def test_a_step_that_fails_leaves_the_table_as_it_was(
    database: Database, migrated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection, table: sa.Table) -> None:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN half VARCHAR(9)")
        connection.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN other VARCHAR(9)")

    with monkeypatch.context() as patched:
        patched.setitem(ledgers.MIGRATIONS, 2, fail)
        with pytest.raises(LedgerError, match=r"cannot be opened: .*nowhere"):
            ledger_on(database).open()
    assert database.columns(TABLE) == [*COLUMNS, "one"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(2,)]
    ledger_on(database).open()
    assert migrated == ["one", "two"]


def test_an_older_table_is_only_read_without_creating(database: Database, migrated: list[str]) -> None:
    made = ledger_on(database)
    made.open(create=False)
    assert migrated == []
    assert made.entries(["acme"]) == {"acme": entry("acme")}


# A database that may only be read


def read_only(database: Database) -> Engine:
    """An engine that may read, and nothing else."""
    if database.kind == "sqlite":
        return database.engine(f"{database.url.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true")
    database.run(
        "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "GRANT USAGE ON SCHEMA public TO reader",
    )
    return database.engine(database.url.replace("postgres@", "reader@"))


def test_a_ledger_that_cannot_be_written_is_told_when_it_is_opened(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme")])
    made = ledger_on(database, engine=read_only(database))
    with pytest.raises(LedgerError, match=r"cannot be opened: .*(readonly|permission denied)"):
        made.open()
    # A dry run only reads.
    made.open(create=False)
    assert made.entries(["acme"]) == {"acme": entry("acme")}


def test_a_ledger_that_cannot_be_made_is_told_when_it_is_opened(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "CREATION_SECONDS", 0)
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9))")
    with pytest.raises(LedgerError, match=r"cannot be opened: .*(readonly|permission denied)"):
        ledger_on(database, engine=read_only(database)).open()
    assert database.tables() == ["tenants"]


def test_checking_that_it_can_be_written_changes_nothing(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme"), entry("globex")])
    ledger_on(database).open()
    assert list(ledger.live()) == [entry("acme"), entry("globex")]


# Entries


def test_an_entry_comes_back_as_it_went(ledger: Ledger) -> None:
    entries = [
        entry("full", last_error="x" * 1000, attempts=2**31 - 1, last_change=NOW + timedelta(microseconds=123456)),
        entry("bare", dashboard_id=None, embed_id=None, spec_hash=None, input_hash=None, status="failed", run_id=""),
    ]
    ledger.write(entries)
    assert ledger.entries(["bare", "full", "unknown"]) == {found.tenant: found for found in entries}


def test_odd_ids_come_back_as_they_went(ledger: Ledger) -> None:
    odd = [*ODD_IDS, "x" * 255, "ä" * 255, "\\", "$$", ":x", "%s"]
    ledger.write([entry(tenant, dashboard_id=tenant, embed_id=tenant) for tenant in odd])
    assert set(ledger.entries(odd)) == set(odd)
    assert ledger.holders(odd) == {tenant: tenant for tenant in odd}
    assert sorted(found.tenant for found in ledger.live()) == sorted(odd)
    ledger.write([entry(tenant, dashboard_id=tenant, embed_id=tenant, status="updated") for tenant in odd])
    assert {found.status for found in ledger.entries(odd).values()} == {"updated"}


def test_writing_replaces(ledger: Ledger) -> None:
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
    monkeypatch.setattr(ledgers, "PATIENCE_SECONDS", 0)
    tenants = numbered(1200)
    ledger.write([entry(tenant) for tenant in tenants])
    later = [entry(tenant, status="updated") for tenant in tenants]
    bad: Any = None
    with pytest.raises(LedgerError, match="could not take the outcome of 1200 tenants"):
        ledger.write([*later[:-1], replace(later[-1], status=bad)])
    assert {found.status for found in ledger.live()} == {"created"}
    ledger.write(later)
    assert [found.tenant for found in ledger.live()] == tenants
    assert {found.status for found in ledger.live()} == {"updated"}


def test_those_who_write_at_once_lose_nothing(database: Database, ledger: Ledger) -> None:
    def work() -> None:
        own = ledger_on(database, engine=database.engine())
        own.open()
        for attempt in range(5):
            own.write([entry("shared", attempts=attempt), entry(f"own-{threading.get_ident()}", attempts=attempt)])

    together(work)
    found = list(ledger.live())
    assert len(found) == 9
    assert {one.attempts for one in found} == {4}


@pytest.mark.parametrize(("system", "scope"), [("databrain", "other"), ("other", "app"), ("app", "databrain")])
def test_scopes_and_systems_are_apart(database: Database, ledger: Ledger, system: str, scope: str) -> None:
    theirs = ledger_on(database, system=system, scope=scope)
    theirs.open()
    ledger.write([entry("acme"), entry("globex")])
    theirs.write([entry("acme", dashboard_id="theirs", embed_id="theirs")])
    assert list(ledger.live()) == [entry("acme"), entry("globex")]
    assert list(theirs.live()) == [entry("acme", dashboard_id="theirs", embed_id="theirs")]
    assert theirs.entries(["acme", "globex"]).keys() == {"acme"}
    assert theirs.holders(["client-acme", "client-globex", "theirs"]) == {"theirs": "acme"}
    theirs.write([entry("globex")])
    assert ledger.entries(["globex"]) == {"globex": entry("globex")}


def test_tables_are_apart(database: Database, ledger: Ledger) -> None:
    second = ledger_on(database, table="second")
    second.open()
    second.write([entry("acme")])
    assert list(ledger.live()) == []
    assert database.tables() == ["second", "second_version", TABLE, f"{TABLE}_version"]


def test_only_a_dashboard_that_is_there_has_a_holder(ledger: Ledger) -> None:
    ledger.write([entry("acme"), entry("gone", spec_hash=None, status="deleted"), *map(entry, numbered(600))])
    asked = ["client-gone", "client-unknown", "client-acme", *(f"client-{tenant}" for tenant in numbered(600))]
    assert ledger.holders(asked) == {
        "client-acme": "acme",
        **{f"client-{tenant}": tenant for tenant in numbered(600)},
    }
    assert ledger.holders([]) == {}


def test_every_live_entry_comes_once_though_they_change_meanwhile(ledger: Ledger) -> None:
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
    """Has the ledger's database fail, and lets it come back at the ledger's first warning."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder: sqlite3.Connection | None = None
        if database.kind == "postgresql":
            # Another database of the same server, from which the one can be shut.
            self._outside = database.engine(
                database.url.replace("/postgres?", "/template1?"), isolation_level="AUTOCOMMIT"
            )

    def go(self) -> None:
        """Shut the database, with all who are connected to it."""
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
    """Act at the ledger's first warning; gives all of them."""
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
    """An engine that does not itself wait for a lock."""
    return database.engine(connect_args={"timeout": 0} if database.kind == "sqlite" else {})


def test_a_database_that_comes_back_takes_what_waited(database: Database, failing: Failing) -> None:
    made = ledger_on(database, engine=impatient(database))
    made.open()
    failing.go()
    with at_the_first_warning(failing.come_back) as shown:
        made.write([entry("acme"), entry("globex")])
    assert len(shown) >= 1
    assert "next try in" in shown[0]
    assert list(made.live()) == [entry("acme"), entry("globex")]


def test_a_database_that_is_away_when_it_is_read_is_told(database: Database, failing: Failing) -> None:
    engine = impatient(database)
    ledger_on(database, engine=engine).open()
    opened = ledger_on(database, engine=engine)
    opened.open()
    failing.go()
    with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: ."):
        opened.entries(["acme"])
    with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be opened: ."):
        ledger_on(database, engine=engine).open()


def test_a_lost_connection_costs_no_outcome(postgresql: Database) -> None:
    made = ledger_on(postgresql)
    made.open()
    made.write([entry("acme")])
    postgresql.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    made.write([entry("globex")])
    assert [found.tenant for found in made.live()] == ["acme", "globex"]


def test_a_database_that_stays_away_is_told_without_what_was_to_be_written(
    database: Database, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "PATIENCE_SECONDS", 0.3)
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
    assert str(caught.value).startswith(f"the ledger, table '{TABLE}', could not take the outcome of 1 tenants: ")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_that_the_database_refuses_is_not_repeated_in_the_error(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "PATIENCE_SECONDS", 0)
    bad: Any = None
    with pytest.raises(LedgerError) as caught:
        ledger.write([entry("secret-tenant", status=bad)])
    assert "secret" not in str(caught.value)
    assert "status" in str(caught.value)


# SQLite takes a NUL.
@pytest.mark.parametrize(("kind", "text"), [("sqlite", "\ud800"), ("postgresql", "\ud800"), ("postgresql", "a\0b")])
def test_text_that_the_database_cannot_hold_is_told(request: pytest.FixtureRequest, kind: str, text: str) -> None:
    opened = ledger_on(request.getfixturevalue(kind))
    opened.open()
    for read in (opened.entries, opened.holders):
        with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: .*(NUL|codec)"):
            read([text])
    with pytest.raises(LedgerError, match=r"could not take the outcome of 2 tenants: .*(NUL|codec)"):
        opened.write([entry("acme"), entry(text)])
    assert list(opened.live()) == []


def test_a_ledger_that_cannot_be_read_is_told(database: Database, ledger: Ledger) -> None:
    database.run(f"DROP TABLE {TABLE}")
    for read in (lambda: ledger.entries(["acme"]), lambda: ledger.holders(["x"]), lambda: list(ledger.live())):
        with pytest.raises(LedgerError, match=f"the ledger, table '{TABLE}', cannot be read: .*{TABLE}"):
            read()


def test_a_database_that_says_nothing_is_told_by_the_kind_of_its_error() -> None:
    assert ledgers._words(sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError(""))) == "OperationalError"
    assert ledgers._words(sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError(" one\ntwo"))) == "one"


# What an outcome becomes

EXISTING = Existing("client-acme", "embed-acme", "a.b.c")


@pytest.fixture
def book(sqlite: Database) -> Ledger:
    """A ledger that notes what it is called with."""
    return ledger_on(sqlite)


def test_an_outcome_becomes_an_entry(book: Ledger) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    made = book.entry("acme", None, Action.CREATED, existing=EXISTING, input_hash="h", wanted_id="other")
    assert before <= made.first_change == made.last_change <= datetime.now(UTC).replace(tzinfo=None)
    assert made == entry(
        "acme", input_hash="h", first_change=made.first_change, last_change=made.last_change, status="created"
    )
    assert made.existing == EXISTING


def test_where_there_is_no_dashboard_the_wanted_id_is_kept(book: Ledger) -> None:
    made = book.entry("acme", None, Action.FAILED, existing=None, input_hash=None, wanted_id="client-acme", error="no")
    assert (made.dashboard_id, made.embed_id, made.spec_hash) == ("client-acme", None, None)
    assert made.existing is None


def test_tries_are_counted_until_one_goes_well(book: Ledger) -> None:
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
        last = book.entry("acme", last, action, existing=EXISTING, input_hash="h")
        attempts.append(last.attempts)
    assert attempts == [1, 2, 3, 1, 1, 2, 1]


@pytest.mark.parametrize("ahead", [timedelta(hours=5), timedelta(0), -timedelta(hours=5)])
def test_a_clock_that_was_set_back_makes_no_entry_older(book: Ledger, ahead: timedelta) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    old = entry("acme", first_change=now + ahead - timedelta(days=1), last_change=now + ahead)
    new = book.entry("acme", old, Action.UPDATED, existing=EXISTING, input_hash="h")
    assert new.first_change == old.first_change
    assert new.last_change >= max(old.last_change, now)
    assert new.last_change <= max(old.last_change, now + timedelta(minutes=1))


def test_times_do_not_follow_the_machines_time_zone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"options": "-c timezone=Asia/Tokyo"} if database.kind == "postgresql" else {}
    made = ledger_on(database, engine=database.engine(connect_args=options))
    made.open()
    written = made.entry("acme", None, Action.CREATED, existing=EXISTING, input_hash="h")
    assert abs(written.last_change - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    made.write([written])
    assert made.entries(["acme"]) == {"acme": written}


def test_a_long_error_is_cut(ledger: Ledger) -> None:
    made = ledger.entry("acme", None, Action.FAILED, existing=None, input_hash=None, error="é" * 5000)
    assert made.last_error == "é" * ledgers.ERROR_LIMIT
    ledger.write([made])
    assert ledger.entries(["acme"]) == {"acme": made}


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud800", "a\x1b[31m\r\n", "😀" * 1000], ids=["nul", "surrogate", "control", "wide"]
)
def test_an_error_that_no_database_would_take_is_made_so_that_it_does(ledger: Ledger, text: str) -> None:
    made = ledger.entry("acme", None, Action.FAILED, existing=None, input_hash=None, error=text)
    ledger.write([made])
    assert ledger.entries(["acme"]) == {"acme": made}
    assert made.last_error
