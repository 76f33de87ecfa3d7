"""Tables, columns and queries with any characters, with each driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle
from sqlalchemy.dialects import postgresql as postgres

from airflow_provider_databrain.tenants.engine import ledger_table
from airflow_provider_databrain.tenants.engine.batches import plan_batches
from airflow_provider_databrain.tenants.engine.ledger import LedgerError
from airflow_provider_databrain.tenants.engine.table import TenantSource, TenantTableError, read_batch, read_keys
from tests.databases import Database, ledger_on
from tests.odd_names import odd_names, quoted, string
from tests.tenants.engine.entries import entry

TENANTS = ["a", "b", "c"]


def fill(database: Database, table: str, key: str) -> None:
    """A table with three tenants, the second of which is not active. Each column has ``key`` in its name."""
    active, note = quoted(f"{key} on"), quoted(f"note {key}")
    database.run(
        f"CREATE TABLE {table} ({quoted(key)} VARCHAR(9), {active} VARCHAR(9), {note} VARCHAR(60))",
        *(f"INSERT INTO {table} VALUES ('{tenant}', '{tenant != 'b'}', {string(key)})" for tenant in reversed(TENANTS)),
    )


def check(database: Database, source: TenantSource) -> None:
    """Read the table of ``fill`` in every way."""
    key = source.key_column
    rows = [{key: tenant, f"{key} on": str(tenant != "b"), f"note {key}": key} for tenant in TENANTS]
    active = [(tenant, tenant != "b") for tenant in TENANTS]
    batches = plan_batches(database.own, source, batch_size=2, max_batches=9)
    assert [batch["rows"] for batch in batches] == [2, 1]
    read = [row for batch in batches for row in read_batch(database.own, source, batch, active_column=f"{key} on")]
    assert [row.row for row in read] == rows
    assert [(row.tenant, row.active) for row in read] == active
    keys = list(read_keys(database.own, source, active_column=f"{key} on"))
    assert [(row.tenant, row.active) for row in keys] == active


def as_argument(name: str) -> str:
    """A table's name as a user gives it."""
    return quoted(name) if "." in name or name.startswith('"') else name


@odd_names
def test_a_table_and_its_columns_may_have_any_name(driver: Database, name: str) -> None:
    fill(driver, quoted(name), name)
    check(driver, TenantSource(name, table=as_argument(name)))


@odd_names
def test_a_query_may_contain_anything(driver: Database, name: str) -> None:
    fill(driver, "tenants", name)
    driver.run("INSERT INTO tenants VALUES ('d', 'True', 'another')")
    query = f"SELECT t.* FROM tenants t WHERE t.{quoted(f'note {name}')} = {string(name)}"
    check(driver, TenantSource(name, query=query))
    comment = name.replace("\n", "")
    check(driver, TenantSource(name, query=f"{query} -- {comment};"))


@odd_names
def test_a_ledger_may_have_any_name(driver: Database, name: str) -> None:
    for create in (False, True, True):
        ledger = ledger_on(driver, table=as_argument(name))
        ledger.open(create=create)
    assert driver.tables() == sorted([name, f"{name}_version"])
    ledger.write([entry("acme"), entry("globex")])
    ledger.write([entry("acme", attempts=2)])
    acme, globex = entry("acme", attempts=2), entry("globex")
    assert ledger.entries(["acme", "globex"]) == {"acme": acme, "globex": globex}
    assert list(ledger.live()) == [acme, globex]
    assert ledger.shared_embeds() == {}
    assert ledger.tenants_by_dashboard(["client-acme"]) == {"client-acme": "acme"}
    assert ledger.tenants_by_embed(["embed-acme"]) == {"embed-acme": {"acme"}}


@contextmanager
def schema(database: Database, name: str, tmp_path: Path) -> Iterator[None]:
    """A schema in the database."""
    if database.kind == "postgresql":
        database.run(f"CREATE SCHEMA {quoted(name)}")
        yield
        database.close()
        database.run(f"DROP SCHEMA {quoted(name)} CASCADE")
        return
    attach = f"ATTACH '{tmp_path}/other.db' AS {quoted(name)}"
    sa.event.listen(database.own, "connect", lambda raw, _: raw.execute(attach))
    database.own.dispose()
    yield


@odd_names
def test_a_schema_may_have_any_name(driver: Database, name: str, tmp_path: Path) -> None:
    with schema(driver, name, tmp_path):
        fill(driver, f"{quoted(name)}.{quoted(name)}", name)
        check(driver, TenantSource(name, table=f"{as_argument(name)}.{as_argument(name)}"))
        ledger = ledger_on(driver, table=f"{as_argument(name)}.ledger")
        ledger.open()
        ledger.write([entry("acme")])
        assert list(ledger.live()) == [entry("acme")]
        assert driver.tables() == []


@pytest.mark.parametrize("character", ["\0", "\ud800", "\ufdd0"])
def test_a_character_that_no_database_takes_is_named_before_anything_is_sent(sqlite: Database, character: str) -> None:
    shown = rf"contains the character U\+{ord(character):04X}, which cannot be sent to a database: remove it"
    for source in (TenantSource("key", table=f"a{character}b"), TenantSource("key", query=f"SELECT '{character}'")):
        with pytest.raises(ValueError, match=shown):
            plan_batches(sqlite.own, source, batch_size=2, max_batches=9)
    with pytest.raises(ValueError, match=shown):
        ledger_on(sqlite, table=f"a{character}b")


def test_an_error_shows_the_names_as_they_are(driver: Database) -> None:
    source = TenantSource("50%", table="a%(x)s:[b]")
    with pytest.raises(TenantTableError, match=r"cannot be read: .*a%\(x\)s:\[b\]"):
        plan_batches(driver.own, source, batch_size=2, max_batches=9)


@pytest.mark.parametrize(("name", "size"), [("é" * 27, 64), ("%" * 54, 64), ("x" * 63, 73)], ids=["é", "%", "x"])
def test_a_ledgers_name_that_the_database_would_cut_is_an_error_before_anything_is_created(
    postgresql: Database, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_table, "CREATE_RETRY_SECONDS", 0)
    message = (
        f"table '{name}' cannot be created: the name of its index, '{name}_dashboard', has {size} bytes, and the "
        "database allows 63: give a shorter ledger_table."
    )
    for create in (True, False):
        with pytest.raises(LedgerError, match=f"^{re.escape(message)}$"):
            ledger_on(postgresql, table=name).open(create=create)
    assert postgresql.tables() == []
    longest = ledger_on(postgresql, table="é" * 26)
    longest.open()
    longest.write([entry("acme")])
    assert list(longest.live()) == [entry("acme")]


@pytest.mark.parametrize(
    ("module", "longest", "unit", "limit"),
    [
        (mysql, 54, "characters", 64),
        (mssql, 118, "characters", 128),
        (oracle, 59, "bytes", 128),
        (postgres, 26, "bytes", 63),
    ],
    ids=["mysql", "mssql", "oracle", "postgresql"],
)
def test_each_database_has_its_own_limit_and_unit(module: Any, longest: int, unit: str, limit: int) -> None:
    ledger_table.check_length(module.dialect(), "é" * longest, "t")
    with pytest.raises(LedgerError, match=rf" has \d+ {unit}, and the database allows {limit}: give a shorter"):
        ledger_table.check_length(module.dialect(), "é" * (longest + 1), "t")


@pytest.mark.parametrize("create", [True, False])
def test_a_scope_that_the_ledger_cannot_store_is_an_error_before_anything_is_created(
    database: Database, create: bool
) -> None:
    with pytest.raises(LedgerError, match=r"'tenant_dashboards', stores at most 255 characters .*; here are 256: 'é"):
        ledger_on(database, scope="é" * 256).open(create=create)
    assert database.tables() == []
    longest = ledger_on(database, scope="é" * 255)
    longest.open()
    longest.write([entry("acme")])
    assert list(longest.live()) == [entry("acme")]
