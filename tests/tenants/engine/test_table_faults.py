"""Tenant tables that cannot be used: the error says what is wrong, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from airflow_provider_databrain.tenants.engine.batches import plan_batches
from airflow_provider_databrain.tenants.engine.table import (
    TenantSource,
    TenantTableError,
    read_batch,
    read_keys,
)
from tests.databases import Database

TENANTS = TenantSource("tenant_id", table="tenants")
EVERYTHING: Mapping[str, Any] = {}
Fill = Callable[[Iterable[object]], Engine]


@pytest.fixture
def fill(database: Database) -> Fill:
    """Adds keys to the table ``tenants``; returns an engine."""

    def add(keys: Iterable[object]) -> Engine:
        keys = list(keys)
        if not database.tables():
            types = {int: "INTEGER", float: "DOUBLE PRECISION", bytes: "BYTEA"}
            kind = next((types[type(key)] for key in keys if type(key) in types), "VARCHAR(9)")
            database.run(f"CREATE TABLE tenants (tenant_id {kind}, region VARCHAR(9))")
        database.insert("tenants", [{"tenant_id": key, "region": "EU"} for key in keys])
        return database.own

    return add


def plan_and_read(engine: Engine, source: TenantSource = TENANTS, size: int = 2) -> list[str]:
    batches = plan_batches(engine, source, batch_size=size, max_batches=100)
    return [key for batch in batches for key in read_all(engine, source, batch)]


def read_all(engine: Engine, source: TenantSource = TENANTS, batch: Mapping[str, Any] = EVERYTHING) -> list[str]:
    return [row.tenant for row in read_batch(engine, source, batch)]


def read_all_keys(engine: Engine, source: TenantSource = TENANTS) -> list[str]:
    return [row.tenant for row in read_keys(engine, source)]


@pytest.mark.parametrize("use", [plan_and_read, read_all, read_all_keys])
@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (["a", None, "b"], "a null tenant_id|1 row\\(s\\) with a null tenant_id"),
        ([None, None, None], "a null tenant_id|3 row\\(s\\) with a null tenant_id"),
        (["a", "", "b"], "a row with an empty tenant_id"),
        (["a", " \t", "b"], "a row with an empty tenant_id"),
        (["a", "b  "], r"tenant 'b  ' begins or ends with a blank \(trim it in a query\)"),
        (["a", "b", "c", "b"], "tenant 'b' has more than one row"),
        ([1, 2, 2], "tenant '2' has more than one row"),
    ],
)
def test_bad_keys_are_named(fill: Fill, keys: list[object], problem: str, use: Callable[[Engine], object]) -> None:
    with pytest.raises(TenantTableError, match=problem) as caught:
        use(fill(keys))
    assert str(caught.value).startswith("table 'tenants' cannot be used. ")
    assert "Nothing was sent." in str(caught.value)


@pytest.mark.parametrize("use", [plan_and_read, read_all, read_all_keys])
def test_ten_bad_keys_are_named_and_the_rest_is_counted(fill: Fill, use: Callable[[Engine], object]) -> None:
    with pytest.raises(TenantTableError) as caught:
        use(fill(2 * [f"t{number:02}" for number in range(15)]))
    assert str(caught.value).count("has more than one row") == 10
    assert "and 5 more" in str(caught.value)


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("keys", "kind"), [([1.5, 2.5, 3.5], "float"), ([b"a", b"b", b"c"], "(bytes|memoryview)")])
def test_keys_of_a_type_without_a_plain_string_are_refused(
    fill: Fill, keys: list[object], kind: str, size: int
) -> None:
    with pytest.raises(TenantTableError, match=f"tenant_id holds values of type {kind}.*cast it in a query"):
        plan_and_read(fill(keys), size=size)


@pytest.mark.parametrize(("late", "problem"), [(None, "a null tenant_id"), ("a", "tenant 'a' has more than one row")])
def test_a_bad_row_added_after_the_plan_stops_the_first_batch_only(fill: Fill, late: str | None, problem: str) -> None:
    engine = fill("abcd")
    first, second = plan_batches(engine, TENANTS, batch_size=2, max_batches=10)
    fill([late])
    with pytest.raises(TenantTableError, match=f"(?s)Nothing was sent.*{problem}"):
        read_all(engine, batch=first)
    assert read_all(engine, batch=second) == ["c", "d"]


def test_a_null_key_added_after_a_plan_of_one_batch_is_an_error(fill: Fill) -> None:
    engine = fill("ab")
    [only] = plan_batches(engine, TENANTS, batch_size=2, max_batches=10)
    fill([None])
    with pytest.raises(TenantTableError, match="a null tenant_id"):
        read_all(engine, batch=only)


@pytest.mark.parametrize("use", [plan_and_read, read_all, read_all_keys])
@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (TenantSource("tenant_id", table="nowhere"), "table 'nowhere' cannot be read: .*nowhere"),
        (TenantSource("tenant_id", table="crm.tenants"), "table 'crm.tenants' cannot be read: .*crm"),
        (TenantSource("client", table="tenants"), "table 'tenants' .*client"),
        # SQLite reads a quoted name that is not a column as a string.
        (
            TenantSource("Client Id", table="tenants"),
            "table 'tenants' .*(has no column|no such column|column).*Client Id",
        ),
        (TenantSource("client", query="SELECT * FROM tenants"), "the tenant query .*client"),
        (TenantSource("tenant_id", query="SELECT wrong FROM tenants"), "the tenant query cannot be read: .*wrong"),
        (TenantSource("tenant_id", query="SELEKT"), "the tenant query cannot be read: .+"),
    ],
)
def test_what_is_missing_is_named(
    fill: Fill, source: TenantSource, shown: str, use: Callable[[Engine, TenantSource], object]
) -> None:
    with pytest.raises(TenantTableError, match=shown):
        use(fill("ab"), source)


def test_a_column_in_another_case_is_missing_and_the_columns_are_listed(fill: Fill) -> None:
    with pytest.raises(TenantTableError, match="no column 'TENANT_ID'; it has tenant_id, region"):
        read_all_keys(fill("ab"), TenantSource("TENANT_ID", table="tenants"))


@pytest.mark.parametrize(("table", "query"), [(None, None), ("", ""), ("tenants", "SELECT 1 AS tenant_id")])
def test_either_table_or_query_is_needed(table: str | None, query: str | None) -> None:
    with pytest.raises(TenantTableError, match="give either table or query"):
        TenantSource("tenant_id", table=table, query=query)


def test_the_key_column_is_needed() -> None:
    with pytest.raises(TenantTableError, match="key_column is empty"):
        TenantSource("", table="tenants")


@pytest.mark.parametrize(("size", "most"), [(0, 10), (-1, 10), (10, 0)])
def test_sizes_below_one_are_refused(fill: Fill, size: int, most: int) -> None:
    with pytest.raises(TenantTableError, match="must be 1 or more"):
        plan_batches(fill("ab"), TENANTS, batch_size=size, max_batches=most)


@pytest.fixture
def ignoring_case(sqlite: Database) -> Database:
    """A tenant table whose key column treats "Acme" and "acme" as equal."""
    sqlite.run("CREATE TABLE tenants (tenant_id VARCHAR(9) COLLATE NOCASE, times INTEGER, place INTEGER)")
    return sqlite


@pytest.mark.parametrize("size", [1, 2, 5])
def test_keys_that_only_the_collation_treats_as_equal_are_different(ignoring_case: Database, size: int) -> None:
    keys = ["Acme", "acme", "ACME", "b", "B", "c"]
    ignoring_case.insert("tenants", [{"tenant_id": key} for key in keys])
    assert sorted(plan_and_read(ignoring_case.own, size=size)) == sorted(keys)


@pytest.mark.parametrize("use", [plan_and_read, read_all, read_all_keys])
def test_a_key_is_repeated_if_it_is_exactly_the_same(ignoring_case: Database, use: Callable[[Engine], object]) -> None:
    ignoring_case.insert("tenants", [{"tenant_id": key} for key in ["Acme", "acme", "Acme", "b", "B", "b", "c", "C"]])
    with pytest.raises(TenantTableError) as caught:
        use(ignoring_case.own)
    problems = [line for line in str(caught.value).splitlines() if line.startswith("- ")]
    assert problems == [f"- tenant '{key}' has more than one row" for key in ("Acme", "b")]


@pytest.mark.parametrize("column", ["place", "times", "n"])
def test_a_repeated_key_is_found_whatever_its_column_is_called(sqlite: Database, column: str) -> None:
    sqlite.run(f"CREATE TABLE tenants ({column} INTEGER)")
    sqlite.insert("tenants", [{column: key} for key in (1, 2, 2)])
    with pytest.raises(TenantTableError, match="tenant '2' has more than one row"):
        plan_batches(sqlite.own, TenantSource(column, table="tenants"), batch_size=2, max_batches=9)


@pytest.mark.parametrize("use", [read_all, read_all_keys])
def test_a_key_that_no_other_database_can_store_is_refused(sqlite: Database, use: Callable[[Engine], object]) -> None:
    sqlite.run("CREATE TABLE tenants (tenant_id VARCHAR(9))", "INSERT INTO tenants VALUES ('a' || char(0) || 'b')")
    with pytest.raises(TenantTableError, match=r"tenant 'a\\x00b' has a character that other databases cannot store"):
        use(sqlite.own)
