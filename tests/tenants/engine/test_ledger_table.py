"""The ledger's table: created once, migrated, and never taken over from somebody else."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from airflow_provider_databrain.tenants.engine import ledger_table
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from tests.databases import Database, ledger_on, open_a_ledger
from tests.tenants.engine.entries import TABLE, entry, together

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
"""All columns. They say which tenant has which dashboard, and hold nothing that opens one."""


# Its table


def test_both_tables_are_created_on_first_use(database: Database) -> None:
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


@pytest.mark.parametrize("create", [True, False])
def test_a_ledger_that_has_the_name_of_anothers_index_is_refused_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, create: bool
) -> None:
    ledger_on(database).open()
    monkeypatch.setattr(ledger_table, "CREATE_RETRY_SECONDS", 0)
    with pytest.raises(LedgerError, match=f"an index of table '{TABLE}' has this name: give another ledger_table"):
        ledger_on(database, table=f"{TABLE}_dashboard").open(create=create)
    assert database.tables() == [TABLE, f"{TABLE}_version"]


@pytest.mark.parametrize("create", [True, False])
def test_a_table_that_has_the_name_of_the_index_is_named_and_nothing_is_created(
    database: Database, create: bool
) -> None:
    database.run(f"CREATE TABLE {TABLE}_dashboard (n INTEGER)")
    with pytest.raises(LedgerError, match=f"table '{TABLE}_dashboard' has the name that its index needs: give another"):
        ledger_on(database).open(create=create)
    assert database.tables() == [f"{TABLE}_dashboard"]


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


def test_a_missing_schema_is_reported(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_table, "CREATE_RETRY_SECONDS", 0)
    with pytest.raises(LedgerError, match=r"the ledger, table 'nowhere.ledger', cannot be opened: .*nowhere"):
        ledger_on(database, table="nowhere.ledger").open()


def test_threads_that_open_it_at_once_create_one_table(database: Database) -> None:
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


def test_processes_that_open_it_at_once_create_one_table(database: Database) -> None:
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


def test_without_create_a_missing_table_stays_missing_and_counts_as_empty(database: Database) -> None:
    made = ledger_on(database)
    made.open(create=False)
    assert database.tables() == []
    assert made.entries(["acme"]) == {}
    assert made.tenants_by_dashboard(["client-acme"]) == {}
    assert made.tenants_by_embed(["embed-acme"]) == {}
    assert made.shared_embeds() == {}
    assert list(made.live()) == []


def test_without_create_an_existing_table_is_read(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme")])
    other = ledger_on(database)
    other.open(create=False)
    assert other.entries(["acme"]) == {"acme": entry("acme")}


FOREIGN = [
    "CREATE TABLE tenant_dashboards (tenant_id VARCHAR(9), dashboard_id VARCHAR(9))",
    # A table without our version table is refused even with our columns.
    f"CREATE TABLE tenant_dashboards ({', '.join(f'{column} VARCHAR(9)' for column in COLUMNS)})",
]


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("statement", FOREIGN, ids=["other columns", "our columns"])
def test_a_foreign_table_is_refused_and_left_unchanged(database: Database, statement: str, create: bool) -> None:
    database.run(statement)
    columns = database.columns(TABLE)
    database.insert(TABLE, [dict.fromkeys(columns, "x")])
    with pytest.raises(LedgerError, match=r"exists but is not a ledger of this provider.*give another ledger_table"):
        ledger_on(database).open(create=create)
    assert database.tables() == [TABLE]
    assert database.columns(TABLE) == columns
    assert database.run(f"SELECT * FROM {TABLE}") == [("x",) * len(columns)]


def test_a_table_without_our_columns_is_refused(database: Database, ledger: Ledger) -> None:
    database.run(f"ALTER TABLE {TABLE} DROP COLUMN run_id", f"ALTER TABLE {TABLE} DROP COLUMN last_error")
    with pytest.raises(LedgerError, match="lacks the columns last_error, run_id: give another ledger_table"):
        ledger_on(database).open()


def test_a_foreign_column_that_must_be_filled_is_refused(database: Database) -> None:
    ledger_on(database).open()
    database.run(f"DROP TABLE {TABLE}")
    columns = ", ".join(f"{column} VARCHAR(250)" for column in COLUMNS)
    database.run(f"CREATE TABLE {TABLE} ({columns}, region VARCHAR(9) NOT NULL)")
    with pytest.raises(LedgerError, match=r"columns that are not ours and must be filled: region.*give them a default"):
        ledger_on(database).open()


@pytest.mark.parametrize("kind", ["VARCHAR(9)", "VARCHAR(9) DEFAULT 'EU'", "VARCHAR(9) DEFAULT 'EU' NOT NULL"])
def test_a_foreign_column_that_need_not_be_filled_is_accepted(database: Database, ledger: Ledger, kind: str) -> None:
    database.run(f"ALTER TABLE {TABLE} ADD COLUMN region {kind}")
    other = ledger_on(database)
    other.open()
    other.write([entry("acme")])
    assert other.entries(["acme"]) == {"acme": entry("acme")}
    assert database.run(f"SELECT region FROM {TABLE}") == [("EU" if "DEFAULT" in kind else None,)]


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_table_is_refused(database: Database, ledger: Ledger, create: bool) -> None:
    database.run(f"UPDATE {TABLE}_version SET version = 7")
    with pytest.raises(LedgerError, match="has version 7, this provider knows versions up to 1: upgrade"):
        ledger_on(database).open(create=create)


def test_an_interrupted_creation_is_completed(database: Database) -> None:
    database.run(f"CREATE TABLE {TABLE}_version (version INTEGER PRIMARY KEY)")
    made = ledger_on(database)
    made.open()
    made.write([entry("acme")])
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]


@pytest.mark.parametrize("version", [0, 7])
def test_a_dropped_table_is_created_again_with_our_version(database: Database, version: int) -> None:
    ledger_on(database).open()
    database.run(f"DROP TABLE {TABLE}", f"UPDATE {TABLE}_version SET version = {version}")
    made = ledger_on(database)
    made.open()
    assert list(made.live()) == []
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(1,)]


# Migration


@pytest.fixture
def migrated(database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A ledger with one entry, and a provider that is two versions newer; returns the migrations that ran."""
    ledger.write([entry("acme")])
    steps: list[str] = []

    def add(column: str) -> Callable[[Connection, sa.Table], None]:
        def step(connection: Connection, table: sa.Table) -> None:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column} VARCHAR(9) DEFAULT 'new'")
            steps.append(column)

        return step

    monkeypatch.setattr(ledger_table, "VERSION", 3)
    monkeypatch.setattr(ledger_table, "MIGRATIONS", {1: add("one"), 2: add("two")})
    return steps


def test_an_older_table_is_migrated_and_keeps_its_entries(database: Database, migrated: list[str]) -> None:
    made = ledger_on(database)
    made.open()
    assert migrated == ["one", "two"]
    assert database.columns(TABLE) == [*COLUMNS, "one", "two"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(3,)]
    assert made.entries(["acme"]) == {"acme": entry("acme")}
    ledger_on(database).open()
    assert migrated == ["one", "two"]


def test_tasks_that_open_it_at_once_migrate_it_once(database: Database, migrated: list[str]) -> None:
    together(lambda: ledger_on(database, engine=database.engine()).open())
    assert migrated == ["one", "two"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(3,)]


def test_a_failed_migration_leaves_the_table_unchanged(
    database: Database, migrated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection, table: sa.Table) -> None:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN half VARCHAR(9)")
        connection.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN other VARCHAR(9)")

    with monkeypatch.context() as patched:
        patched.setitem(ledger_table.MIGRATIONS, 2, fail)
        with pytest.raises(LedgerError, match=r"cannot be opened: .*nowhere"):
            ledger_on(database).open()
    assert database.columns(TABLE) == [*COLUMNS, "one"]
    assert database.run(f"SELECT * FROM {TABLE}_version") == [(2,)]
    ledger_on(database).open()
    assert migrated == ["one", "two"]


def test_without_create_an_older_table_is_not_migrated(database: Database, migrated: list[str]) -> None:
    made = ledger_on(database)
    made.open(create=False)
    assert migrated == []
    assert made.entries(["acme"]) == {"acme": entry("acme")}


# A read-only database


def read_only(database: Database) -> Engine:
    """An engine that can only read."""
    if database.kind == "sqlite":
        return database.engine(f"{database.url.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true")
    database.run(
        "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "GRANT USAGE ON SCHEMA public TO reader",
    )
    return database.engine(database.url.replace("postgres@", "reader@"))


def test_a_ledger_that_cannot_be_written_is_reported_when_it_is_opened(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme")])
    made = ledger_on(database, engine=read_only(database))
    with pytest.raises(LedgerError, match=r"cannot be opened: .*(readonly|permission denied)"):
        made.open()
    # A dry run only reads.
    made.open(create=False)
    assert made.entries(["acme"]) == {"acme": entry("acme")}


def test_a_ledger_that_cannot_be_created_is_reported_when_it_is_opened(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_table, "CREATE_RETRY_SECONDS", 0)
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9))")
    with pytest.raises(LedgerError, match=r"cannot be opened: .*(readonly|permission denied)"):
        ledger_on(database, engine=read_only(database)).open()
    assert database.tables() == ["tenants"]


def test_the_check_for_write_access_changes_nothing(database: Database, ledger: Ledger) -> None:
    ledger.write([entry("acme"), entry("globex")])
    ledger_on(database).open()
    assert list(ledger.live()) == [entry("acme"), entry("globex")]


def test_a_scope_that_is_too_long_is_refused(database: Database) -> None:
    ledger_on(database, scope="s" * 255).open()
    with pytest.raises(LedgerError, match=r"at most 255 characters .* here are 256"):
        ledger_on(database, scope="s" * 256).open()
