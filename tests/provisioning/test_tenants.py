"""Reading a tenant table in key ranges: every row is in exactly one batch, whatever the keys and the table are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.provisioning.tenants import (
    Batch,
    TenantSource,
    _bound,
    plan_batches,
    read_batch,
)
from tests.support import ODD_IDS

TENANTS = TenantSource("tenant_id", table="tenants")
COUNT = 23
KEYS = {
    "INTEGER": [*range(-9, 12), 2**53 + 1, 2**63 - 1],
    "TEXT": [*ODD_IDS, *"aBcDeFg", "Ä", "zz", "pad ded", "007"],
    "TEXT COLLATE NOCASE": [f"{letter}-{number}" for number, letter in enumerate("aAbBcCdDeEfFgGhHiIjJkKl")],
    "TEXT_DATE": [f"2026-01-{day:02}" for day in range(1, COUNT + 1)],
    "TEXT_UUID": [str(UUID(int=number * 7**40)) for number in range(COUNT)],
    "TEXT_DECIMAL": [f"{number}.10" for number in range(COUNT)],
}
# Columns of these types come out of SQLite as Python objects, as they do from other databases.
sqlite3.register_converter("TEXT_UUID", lambda raw: UUID(raw.decode()))
sqlite3.register_converter("TEXT_DECIMAL", lambda raw: Decimal(raw.decode()))
sqlite3.register_converter("TEXT_DATE", lambda raw: date.fromisoformat(raw.decode()))


class Warehouse:
    """An SQLite file and an engine on it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.engine = sa.create_engine(f"sqlite:///{path}", connect_args={"detect_types": sqlite3.PARSE_DECLTYPES})

    def run(self, statement: str, rows: Iterable[tuple[Any, ...]] = ((),)) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute("PRAGMA synchronous = OFF")
            database.executemany(statement, rows) if rows != ((),) else database.execute(statement)

    def fill(self, keys: Iterable[object], kind: str = "TEXT") -> None:
        self.run(f"CREATE TABLE tenants (tenant_id {kind}, region TEXT)")
        self.run("INSERT INTO tenants VALUES (?, 'EU')", [(key,) for key in keys])

    def add(self, *keys: object) -> None:
        self.run("INSERT INTO tenants VALUES (?, 'US')", [(key,) for key in keys])

    def plan(self, size: int, source: TenantSource = TENANTS, most: int = 1000) -> list[Batch]:
        """The plan as a mapped task gets it: through JSON."""
        planned = plan_batches(self.engine, source, batch_size=size, max_batches=most)
        batches: list[Batch] = json.loads(json.dumps(planned))
        assert batches == planned
        return batches

    def read(self, batches: Iterable[Batch], source: TenantSource = TENANTS) -> list[str]:
        """The keys of all batches, one after the other."""
        return [key for batch in batches for key in read_batch(self.engine, source, batch)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    made = Warehouse(tmp_path / "warehouse.db")
    yield made
    made.engine.dispose()


@pytest.mark.parametrize("size", [1, 3, 10, COUNT, COUNT + 1])
@pytest.mark.parametrize("kind", KEYS)
def test_batches_hold_every_row_once(warehouse: Warehouse, kind: str, size: int) -> None:
    warehouse.fill(reversed(KEYS[kind]), kind)
    batches = warehouse.plan(size)
    read = warehouse.read(batches)
    assert sorted(read) == sorted(map(str, KEYS[kind]))
    assert [len(read_batch(warehouse.engine, TENANTS, batch)) for batch in batches] == [row["rows"] for row in batches]
    assert all(batch["rows"] == size for batch in batches[:-1])
    assert [(batch["number"], batch["of"]) for batch in batches] == [
        (number, len(batches)) for number in range(1, len(batches) + 1)
    ]
    assert read == list(read_batch(warehouse.engine, TENANTS, {}))


def test_a_batch_says_its_range(warehouse: Warehouse) -> None:
    warehouse.fill("abcde")
    assert warehouse.plan(2) == [
        {"number": 1, "of": 3, "rows": 2, "label": "1 of 3: first, 2 tenants", "upto": "b"},
        {"number": 2, "of": 3, "rows": 2, "label": "2 of 3: after b, 2 tenants", "after": "b", "upto": "d"},
        {"number": 3, "of": 3, "rows": 1, "label": "3 of 3: after d, 1 tenants", "after": "d"},
    ]


def test_integer_keys_have_integer_bounds(warehouse: Warehouse) -> None:
    warehouse.fill([2, 10, 100], "INTEGER")
    assert [batch.get("upto") for batch in warehouse.plan(1)] == [2, 10, None]
    assert warehouse.read(warehouse.plan(1)) == ["2", "10", "100"]


@pytest.mark.parametrize(("most", "rows"), [(1, [23]), (4, [6, 6, 6, 5]), (5, [5, 5, 5, 5, 3]), (23, [1] * 23)])
def test_batches_grow_where_there_would_be_too_many(warehouse: Warehouse, most: int, rows: list[int]) -> None:
    warehouse.fill(range(COUNT), "INTEGER")
    batches = warehouse.plan(1, most=most)
    assert [batch["rows"] for batch in batches] == rows
    assert len(batches) <= most
    assert warehouse.read(batches) == [str(key) for key in range(COUNT)]


def test_an_empty_table_has_no_batches(warehouse: Warehouse) -> None:
    warehouse.fill([])
    assert warehouse.plan(10) == []
    assert read_batch(warehouse.engine, TENANTS, {}) == {}


def test_a_row_keeps_all_its_columns(warehouse: Warehouse) -> None:
    warehouse.fill([7], "INTEGER")
    assert read_batch(warehouse.engine, TENANTS, {}) == {"7": {"tenant_id": 7, "region": "EU"}}


@pytest.mark.parametrize("kind", ["TEXT", "TEXT COLLATE NOCASE"])
def test_rows_that_come_or_go_after_the_plan_are_read_once_or_not(warehouse: Warehouse, kind: str) -> None:
    warehouse.fill("bdfhj", kind)
    batches = warehouse.plan(2)
    warehouse.add("a", "c", "e", "g", "z", "A-too", "Z-too")
    # "d" is a bound itself.
    warehouse.run("DELETE FROM tenants WHERE tenant_id IN ('d', 'j')")
    assert sorted(warehouse.read(batches)) == sorted(["a", "b", "c", "e", "f", "g", "h", "z", "A-too", "Z-too"])


def test_a_batch_whose_rows_have_all_gone_is_empty(warehouse: Warehouse) -> None:
    warehouse.fill("abcd")
    batches = warehouse.plan(2)
    warehouse.run("DELETE FROM tenants WHERE tenant_id > 'b'")
    assert [list(read_batch(warehouse.engine, TENANTS, batch)) for batch in batches] == [["a", "b"], []]


def test_rows_deleted_while_the_plan_is_made_do_not_break_it(warehouse: Warehouse) -> None:
    warehouse.fill("abcdef")
    # With a write-ahead log, writing need not wait for readers.
    warehouse.run("PRAGMA journal_mode = WAL")
    statements = 0

    def delete_after_the_first(*_event: object) -> None:
        nonlocal statements
        statements += 1
        if statements == 2:
            warehouse.run("DELETE FROM tenants WHERE tenant_id > 'b'")

    sa.event.listen(warehouse.engine, "before_cursor_execute", delete_after_the_first)
    batches = warehouse.plan(2)
    assert warehouse.read(batches) == ["a", "b"]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("main.tenants", "TenantId"),
        ("main.order", "group"),
        ("Tenant List", "tenant id"),
        ('we"ird', 'k"ey'),
        ("100%", "50%(x)s"),
        ("a:b", "c:d"),
        ("客户", "ключ"),
        ("tenants", "100%"),
    ],
)
def test_names_are_quoted(warehouse: Warehouse, table: str, column: str) -> None:
    plain = table.removeprefix("main.").replace('"', '""')
    warehouse.run('CREATE TABLE "{}" ("{}" TEXT)'.format(plain, column.replace('"', '""')))
    warehouse.run(f'INSERT INTO "{plain}" VALUES (?)', [("a",), ("b",), ("c",)])
    source = TenantSource(column, table=table)
    assert warehouse.read(warehouse.plan(2, source), source) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT tenant_id, region FROM tenants WHERE region = 'EU'",
        "  SELECT * FROM tenants WHERE region = 'EU' ;  \n",
        "SELECT * FROM tenants WHERE region = 'EU' AND 'a:b' = 'a' || ':' || 'b' AND '10:30:00' LIKE '10:%'",
        "SELECT * FROM tenants WHERE region LIKE 'E%' AND tenant_id NOT LIKE '%%(x)s'",
        "SELECT * FROM tenants WHERE region = 'EU' AND length('x:y::z') = 6",
        "WITH good AS (SELECT * FROM tenants WHERE region = 'EU') SELECT * FROM good",
        "SELECT * FROM tenants WHERE region = 'EU' ORDER BY tenant_id DESC",
        "SELECT * FROM tenants WHERE region = 'EU' -- the good ones",
        "SELECT * FROM tenants WHERE region = 'EU' AND 'C:\\:x' = 'C:' || char(92) || ':x'",
    ],
)
def test_a_query_stands_for_a_table(warehouse: Warehouse, query: str) -> None:
    warehouse.fill("abc")
    warehouse.add("american")
    source = TenantSource("tenant_id", query=query)
    batches = warehouse.plan(2, source)
    assert [batch["rows"] for batch in batches] == [2, 1]
    assert warehouse.read(batches, source) == ["a", "b", "c"]


def test_the_text_of_a_point_in_time_does_not_follow_the_sessions_time_zone() -> None:
    source = TenantSource("key", table="t")
    utc = datetime(2024, 7, 1, tzinfo=UTC)
    berlin = utc.astimezone(timezone(timedelta(hours=2)))
    assert _bound(source, utc) == _bound(source, berlin) == "2024-07-01 00:00:00+00:00"
