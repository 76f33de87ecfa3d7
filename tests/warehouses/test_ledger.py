"""The ledger under several writers, with keys that the database's usual collation treats as equal."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.tenants.engine import ledger as ledger_module
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from tests.databases import Database, ledger_on, open_a_ledger
from tests.tenants.engine.entries import TABLE, entry, together
from tests.warehouses.conftest import Warehouse
from tests.warehouses.test_runs import KEYS

SERVERS = ("postgresql", "mariadb")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Database:
    """An empty database on a server."""
    database: Database = request.getfixturevalue(request.param)
    return database


def open_ledger(database: Database, **options: str) -> Ledger:
    made = ledger_on(database, engine=database.engine(), **options)
    made.open()
    return made


def test_keys_and_ids_are_compared_exactly(warehouse: Warehouse) -> None:
    ledger = open_ledger(warehouse.database)
    ledger.write([entry(key, dashboard_id=f"d-{key}", embed_id=f"e-{key}") for key in KEYS])
    ledger.write([entry("acme", dashboard_id="d-acme", embed_id="e-acme", status="updated")])
    entries = ledger.entries(KEYS)
    assert {key: found.dashboard_id for key, found in entries.items()} == {key: f"d-{key}" for key in KEYS}
    assert [key for key, found in entries.items() if found.status == "updated"] == ["acme"]
    assert ledger.tenants_by_dashboard(["d-Acme", "d-ACME", "d-aCME"]) == {"d-Acme": "Acme", "d-ACME": "ACME"}
    assert ledger.tenants_by_embed(["e-é", "e-e"]) == {"e-é": {"é"}}
    assert ledger.shared_embeds() == {}
    assert sorted(found.tenant for found in ledger.live()) == sorted(KEYS)


def test_blanks_at_the_end_of_an_id_count(warehouse: Warehouse) -> None:
    ledger = open_ledger(warehouse.database)
    ledger.write([entry("a", dashboard_id="d", embed_id="e"), entry("b", dashboard_id="d ", embed_id="e ")])
    assert ledger.tenants_by_dashboard(["d"]) == {"d": "a"}
    assert ledger.tenants_by_embed(["e "]) == {"e ": {"b"}}
    assert ledger.shared_embeds() == {}


def test_all_entries_are_read_page_by_page(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "CHUNK", 2)
    ledger = open_ledger(warehouse.database)
    ledger.write([entry(key) for key in KEYS])
    assert sorted(found.tenant for found in ledger.live()) == sorted(KEYS)


def test_the_longest_values_are_stored(warehouse: Warehouse) -> None:
    ledger = open_ledger(warehouse.database, scope="🦆" * 255)
    longest = "é🦆漢" * 85
    written = entry(longest, dashboard_id=longest, embed_id=longest, last_error="🦆" * 1000, run_id="r" * 250)
    ledger.write([written])
    assert ledger.entries([longest]) == {longest: written}


# Not fakesnow: it reports a conflict with an error of DuckDB, not with one of Snowflake's driver.
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "duckdb_file"])
def test_several_writers_at_once(request: pytest.FixtureRequest, kind: str) -> None:
    # Each has its own tenants, in one key range with the others', and all have one tenant in common.
    database: Database = request.getfixturevalue(kind)
    numbers = itertools.count()
    open_ledger(database)

    def write() -> None:
        number = next(numbers)
        ledger = open_ledger(database, run_id=f"run-{number}")
        for part in range(5):
            ledger.write([*(entry(f"t{part}-{index:02}-{number}") for index in range(10)), entry("shared")])

    together(write, threads=4)
    assert len(list(open_ledger(database).live())) == 4 * 5 * 10 + 1


def test_several_processes_create_the_ledger(server: Database) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=open_a_ledger, args=(server.url, f"t{number}", start)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(open_ledger(server).live())) == 3


def test_a_deadlock_is_tried_again(server: Database, caplog: pytest.LogCaptureFixture) -> None:
    ledger = open_ledger(server)
    ledger.write([entry("a"), entry("b"), *(entry(f"x{number:03}") for number in range(300))])
    other = server.engine()
    tenants = sa.table(TABLE, *map(sa.column, ("system", "scope", "tenant", "attempts")))
    # With the whole key, only the rows that are changed are locked.
    ours_only = [tenants.c.system == "databrain", tenants.c.scope == "app"]

    def change(connection: sa.engine.Connection, *condition: sa.ColumnElement[bool]) -> None:
        connection.execute(sa.update(tenants).where(*ours_only, *condition).values(attempts=tenants.c.attempts + 1))

    with ThreadPoolExecutor(1) as pool:
        with other.connect() as connection:
            # The server ends the transaction that has changed less, or the one that has waited longer: ours.
            change(connection, tenants.c.tenant.like("x%"))
            change(connection, tenants.c.tenant == "b")
            ours = threading.Event()

            @sa.event.listens_for(ledger._engine, "before_cursor_execute")
            def begin(*_: object) -> None:
                ours.set()

            writing = pool.submit(ledger.write, [entry("a", status="updated"), entry("b", status="updated")])
            assert ours.wait(30)
            deadlocked = threading.Event()
            sa.event.listen(ledger._engine, "handle_error", lambda _: deadlocked.set())
            with caplog.at_level(logging.WARNING):
                for _ in range(200):
                    # Ours holds "a" after a moment, and waits for "b".
                    if deadlocked.wait(0.05) or _waits(server):
                        break
                change(connection, tenants.c.tenant == "a")
            assert deadlocked.wait(30)
            connection.commit()
        writing.result(60)
    assert {key: found.status for key, found in ledger.entries(["a", "b"]).items()} == {"a": "updated", "b": "updated"}
    assert "eadlock" in caplog.text
    assert len(list(ledger.live())) == 302


def _waits(server: Database) -> bool:
    """Whether a transaction waits for a lock."""
    if server.kind == "postgresql":
        return bool(server.run("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0])
    return bool(int(server.run("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")[0][1]))


# MariaDB


def test_an_older_ledger_that_ignores_case_is_refused(mariadb: Database) -> None:
    open_ledger(mariadb)
    mariadb.run(f"ALTER TABLE {TABLE} MODIFY tenant VARCHAR(255) COLLATE utf8mb4_general_ci NOT NULL")
    for create in (True, False):
        with pytest.raises(LedgerError, match=r"column tenant has the collation utf8mb4_general_ci.* to utf8mb4_bin"):
            ledger_on(mariadb).open(create=create)
    mariadb.run(f"ALTER TABLE {TABLE} MODIFY tenant VARCHAR(255) COLLATE utf8mb4_bin NOT NULL")
    ledger_on(mariadb).open()


def test_a_connection_without_utf8_loses_no_character(mariadb: Database) -> None:
    # What a connection without an option for the charset has, depends on the driver's library.
    latin1 = mariadb.engine(mariadb.url.replace("charset=utf8mb4", "charset=latin1"))
    ledger = ledger_on(mariadb, engine=latin1)
    ledger.open()
    ledger.write([entry("émile")])
    assert list(open_ledger(mariadb).entries(["émile"])) == ["émile"]
    with pytest.raises(LedgerError, match=r"could not store the outcomes of 1 tenants: .*codec"):
        ledger.write([entry("🦆")])


def test_the_index_is_there(mariadb: Database) -> None:
    open_ledger(mariadb)
    assert [index["column_names"] for index in sa.inspect(mariadb.own).get_indexes(TABLE)] == [
        ["system", "scope", "dashboard_id"]
    ]


# Snowflake


def test_snowflake_gets_no_index(snowflake: Database) -> None:
    statements: list[str] = []
    sa.event.listen(snowflake.own, "before_cursor_execute", lambda *args: statements.append(args[2]))
    ledger_on(snowflake).open()
    created = [statement.split()[:2] for statement in statements if statement.split()[0] == "CREATE"]
    assert created == [["CREATE", "TABLE"]] * 2
