"""Reading a tenant table in key ranges: every row is in exactly one batch, for all types of keys and tables."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.tenants.engine.batches import Batch, plan_batches, shown_in_label
from airflow_provider_databrain.tenants.engine.spool import Spool
from airflow_provider_databrain.tenants.engine.table import (
    TenantRow,
    TenantSource,
    TenantTableError,
    key_value,
    parse_bool,
    read_batch,
    read_keys,
)
from tests.databases import Database, numbered
from tests.support import ODD_IDS

AIRFLOW_MAP_INDEX = 250
"""Characters of the column in which Airflow stores what ``map_index_template`` gives."""
TENANTS = TenantSource("tenant_id", table="tenants")
COUNT = 23
TEXTS = [*ODD_IDS, *"aBcDeFg", "Ä", "zz", "pad ded", "007"]
INTEGERS = [*range(-9, 12), 2**53 + 1, 2**63 - 1]
UUIDS = [str(UUID(int=number * 7**40)) for number in range(COUNT)]
DECIMALS = [f"{number}.10" for number in range(COUNT)]
DATES = [f"2026-01-{day:02}" for day in range(1, COUNT + 1)]
KEYS: dict[tuple[str, str], Sequence[object]] = {
    ("sqlite", "INTEGER"): INTEGERS,
    ("sqlite", "TEXT"): TEXTS,
    ("sqlite", "TEXT COLLATE NOCASE"): [
        f"{letter}-{number}" for number, letter in enumerate("aAbBcCdDeEfFgGhHiIjJkKl")
    ],
    ("sqlite", "TEXT_DATE"): DATES,
    ("sqlite", "TEXT_UUID"): UUIDS,
    ("sqlite", "TEXT_DECIMAL"): DECIMALS,
    ("postgresql", "BIGINT"): INTEGERS,
    ("postgresql", "VARCHAR(20)"): TEXTS,
    ("postgresql", "DATE"): DATES,
    ("postgresql", "UUID"): UUIDS,
    ("postgresql", "NUMERIC(6, 2)"): DECIMALS,
    ("postgresql", "TIMESTAMPTZ"): [f"2026-01-01 {hour:02}:00:00+00:00" for hour in range(COUNT)],
}
# Columns of these types come out of SQLite as Python objects, as they do from other databases.
sqlite3.register_converter("TEXT_UUID", lambda raw: UUID(raw.decode()))
sqlite3.register_converter("TEXT_DECIMAL", lambda raw: Decimal(raw.decode()))
sqlite3.register_converter("TEXT_DATE", lambda raw: date.fromisoformat(raw.decode()))


class Warehouse:
    """A database with a table ``tenants``, and an engine on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kind = database.kind
        typed = {"detect_types": sqlite3.PARSE_DECLTYPES} if database.kind == "sqlite" else {}
        self.engine = database.engine(connect_args=typed)

    def fill(self, keys: Iterable[object], kind: str = "VARCHAR(40)") -> None:
        self.database.run(f"CREATE TABLE tenants (tenant_id {kind}, region VARCHAR(10))")
        self.database.insert("tenants", [{"tenant_id": key, "region": "EU"} for key in keys])

    def add(self, *keys: object) -> None:
        self.database.insert("tenants", [{"tenant_id": key, "region": "US"} for key in keys])

    def plan(self, size: int, source: TenantSource = TENANTS, most: int = 1000) -> list[Batch]:
        """The plan as a mapped task receives it: through JSON."""
        planned = plan_batches(self.engine, source, batch_size=size, max_batches=most)
        batches: list[Batch] = json.loads(json.dumps(planned))
        assert batches == planned
        return batches

    def read(self, batches: Iterable[Batch], source: TenantSource = TENANTS) -> list[str]:
        """The keys of all batches, one after the other."""
        return [row.tenant for batch in batches for row in read_batch(self.engine, source, batch)]


@pytest.fixture
def warehouse(database: Database) -> Warehouse:
    return Warehouse(database)


@pytest.mark.parametrize("size", [1, 3, 10, COUNT, COUNT + 1])
@pytest.mark.parametrize(("kind", "key_type"), KEYS)
def test_batches_hold_every_row_once(request: pytest.FixtureRequest, kind: str, key_type: str, size: int) -> None:
    warehouse = Warehouse(request.getfixturevalue(kind))
    keys = KEYS[kind, key_type]
    warehouse.fill(reversed(keys), key_type)
    batches = warehouse.plan(size)
    read = warehouse.read(batches)
    assert sorted(read) == sorted(map(str, keys))
    assert [len(warehouse.read([batch])) for batch in batches] == [batch["rows"] for batch in batches]
    assert all(batch["rows"] == size for batch in batches[:-1])
    assert [(batch["number"], batch["of"]) for batch in batches] == [
        (number, len(batches)) for number in range(1, len(batches) + 1)
    ]
    assert read == [row.tenant for row in read_batch(warehouse.engine, TENANTS, {})]
    assert read == [row.tenant for row in read_keys(warehouse.engine, TENANTS)]


def test_a_batch_says_its_range(warehouse: Warehouse) -> None:
    warehouse.fill("abcde")
    assert warehouse.plan(2) == [
        {"number": 1, "of": 3, "rows": 2, "label": "1 of 3: first, 2 tenants", "upto": "b"},
        {"number": 2, "of": 3, "rows": 2, "label": "2 of 3: after b, 2 tenants", "after": "b", "upto": "d"},
        {"number": 3, "of": 3, "rows": 1, "label": "3 of 3: after d, 1 tenants", "after": "d"},
    ]


@pytest.mark.parametrize("size", [100, 101, 245, 5000])
@pytest.mark.parametrize("letter", ["k", "é", "😀"])
def test_a_label_shows_so_much_of_a_key_that_airflow_can_store_it(warehouse: Warehouse, letter: str, size: int) -> None:
    key = letter * size
    warehouse.fill([key, letter * (size + 1)], "VARCHAR(6000)")
    first, last = warehouse.plan(1)
    shown = key if size == 100 else letter * 99 + "…"
    assert last["label"] == f"2 of 2: after {shown}, 1 tenants"
    # The column of Airflow for it; a template may add something.
    assert len(last["label"]) < AIRFLOW_MAP_INDEX - 100
    assert first["upto"] == last["after"] == key
    assert warehouse.read([last]) == [letter * (size + 1)]


@pytest.mark.parametrize("character", ["\0", "\n", "\x1b", "\u202e", "\ud800"])
def test_a_label_has_no_character_that_airflow_cannot_store_or_that_nobody_sees(character: str) -> None:
    assert shown_in_label(f"a{character}b") == "a\ufffdb"
    assert shown_in_label("Größe 客户 😀") == "Größe 客户 😀"


def test_the_column_for_a_label_is_as_long_as_the_tests_say() -> None:
    from airflow.models.taskinstance import TaskInstance

    assert TaskInstance.__table__.c["rendered_map_index"].type.length == AIRFLOW_MAP_INDEX


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
    assert list(read_batch(warehouse.engine, TENANTS, {})) == []
    assert list(read_keys(warehouse.engine, TENANTS)) == []


def test_a_row_keeps_all_its_columns(warehouse: Warehouse) -> None:
    warehouse.fill([7], "INTEGER")
    assert list(read_batch(warehouse.engine, TENANTS, {})) == [("7", {"tenant_id": 7, "region": "EU"}, True)]


@pytest.mark.parametrize(
    ("kind", "collation"), [("sqlite", "BINARY"), ("sqlite", "NOCASE"), ("postgresql", "C"), ("postgresql", "C.utf8")]
)
def test_rows_that_come_or_go_after_the_plan_are_read_once_or_not(
    request: pytest.FixtureRequest, kind: str, collation: str
) -> None:
    warehouse = Warehouse(request.getfixturevalue(kind))
    warehouse.fill("bdfhj", f'VARCHAR(9) COLLATE "{collation}"')
    batches = warehouse.plan(2)
    warehouse.add("a", "c", "e", "g", "z", "A-too", "Z-too")
    # "d" is a bound itself.
    warehouse.database.run("DELETE FROM tenants WHERE tenant_id IN ('d', 'j')")
    assert sorted(warehouse.read(batches)) == sorted(["a", "b", "c", "e", "f", "g", "h", "z", "A-too", "Z-too"])


def test_a_batch_whose_rows_have_all_gone_is_empty(warehouse: Warehouse) -> None:
    warehouse.fill("abcd")
    batches = warehouse.plan(2)
    warehouse.database.run("DELETE FROM tenants WHERE tenant_id > 'b'")
    assert [warehouse.read([batch]) for batch in batches] == [["a", "b"], []]


def test_rows_deleted_while_the_plan_is_made_do_not_break_it(warehouse: Warehouse) -> None:
    warehouse.fill("abcdef")
    if warehouse.kind == "sqlite":
        # With a write-ahead log, writing need not wait for readers.
        warehouse.database.run("PRAGMA journal_mode = WAL")
    statements = 0

    def delete_after_the_first(*_event: object) -> None:
        nonlocal statements
        statements += 1
        if statements == 2:
            warehouse.database.run("DELETE FROM tenants WHERE tenant_id > 'b'")

    sa.event.listen(warehouse.engine, "before_cursor_execute", delete_after_the_first)
    batches = warehouse.plan(2)
    assert statements > 2
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
    plain, quoted = table.removeprefix("main.").replace('"', '""'), column.replace('"', '""')
    if warehouse.kind == "postgresql":
        table = table.replace("main.", "public.")
    warehouse.database.run(f'CREATE TABLE "{plain}" ("{quoted}" VARCHAR(9))')
    warehouse.database.run(f"INSERT INTO \"{plain}\" VALUES ('a'), ('b'), ('c')")
    source = TenantSource(column, table=table)
    assert warehouse.read(warehouse.plan(2, source), source) == ["a", "b", "c"]
    assert [row.tenant for row in read_keys(warehouse.engine, source)] == ["a", "b", "c"]


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
    if warehouse.kind == "postgresql":
        query = query.replace("char(92)", "chr(92)")
    source = TenantSource("tenant_id", query=query)
    batches = warehouse.plan(2, source)
    assert [batch["rows"] for batch in batches] == [2, 1]
    assert warehouse.read(batches, source) == ["a", "b", "c"]
    assert [row.tenant for row in read_keys(warehouse.engine, source)] == ["a", "b", "c"]


def test_the_text_of_a_point_in_time_does_not_follow_the_sessions_time_zone() -> None:
    source = TenantSource("key", table="t")
    utc = datetime(2024, 7, 1, tzinfo=UTC)
    berlin = utc.astimezone(timezone(timedelta(hours=2)))
    assert key_value(source, utc) == key_value(source, berlin) == "2024-07-01 00:00:00+00:00"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_point_in_time_as_key_is_the_same_tenant_in_each_time_zone(postgresql: Database, zone: str) -> None:
    warehouse = Warehouse(postgresql)
    warehouse.fill(["2026-01-01 00:00:00+00", "2026-01-01 01:00:00+00"], "TIMESTAMPTZ")
    warehouse.engine = postgresql.engine(connect_args={"options": f"-c timezone={zone}"})
    assert warehouse.read(warehouse.plan(1)) == ["2026-01-01 00:00:00+00:00", "2026-01-01 01:00:00+00:00"]


# Streaming


def test_rows_are_yielded_after_all_are_read_and_the_connection_is_closed(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY)")
    sqlite.insert("tenants", [{"tenant_id": tenant} for tenant in numbered(5000)])
    met: list[str] = []
    engine = sqlite.engine()
    sa.event.listen(engine, "connect", lambda connection, _: connection.create_function("met", 1, met.append))
    source = TenantSource("tenant_id", query="SELECT tenant_id, met(tenant_id) AS noted FROM tenants")
    rows = read_batch(engine, source, {})
    assert met == []
    closed: list[object] = []
    sa.event.listen(engine, "checkin", lambda *connection: closed.append(connection))
    assert next(rows).tenant == "t00000"
    assert len(met) == 5000
    assert len(closed) == 1
    assert [row.tenant for row in rows] == numbered(5000)[1:]
    assert len(met) == 5000


@pytest.mark.parametrize("read", [read_batch, read_keys])
def test_a_row_that_fails_in_mid_stream_is_an_error_after_those_before_it(warehouse: Warehouse, read: Any) -> None:
    rows = stream_that_breaks(warehouse, read)
    first = [next(rows).tenant for _ in range(100)]
    assert first == numbered(100)
    with pytest.raises(TenantTableError, match=r"the tenant query cannot be read: .*(overflow|out of range)"):
        list(rows)


def stream_that_breaks(warehouse: Warehouse, read: Any) -> Any:
    """Rows of a query that the database cannot finish: its row 2,900 has no absolute value."""
    warehouse.database.run("CREATE TABLE tenants (tenant_id VARCHAR(9) PRIMARY KEY, number BIGINT)")
    lowest = -(2**63)
    warehouse.database.insert(
        "tenants",
        [{"tenant_id": tenant, "number": lowest if tenant == "t02900" else 1} for tenant in numbered(3000)],
    )
    source = TenantSource("tenant_id", query="SELECT tenant_id, abs(number) AS active FROM tenants")
    # PostgreSQL must use the index of the key, and not sort all rows before the first one.
    options = {"options": "-c enable_sort=off"} if warehouse.kind == "postgresql" else {}
    engine = warehouse.database.engine(connect_args=options)
    return (
        read(engine, source, active_column="active")
        if read is read_keys
        else read(engine, source, {}, active_column="active")
    )


def test_a_reader_that_stops_early_leaves_no_connection_open(warehouse: Warehouse) -> None:
    warehouse.fill("abcd")
    rows = read_batch(warehouse.engine, TENANTS, {})
    assert next(rows).tenant == "a"
    rows.close()  # type: ignore[attr-defined]
    # DROP would wait for a reader.
    timeout = "SET lock_timeout = '1s'; " if warehouse.kind == "postgresql" else ""
    warehouse.database.run(f"{timeout}DROP TABLE tenants")
    assert warehouse.database.tables() == []


def drained(rows: Iterable[TenantRow]) -> tuple[list[str], str]:
    """The tenants before the error of a stream, and the message of the error."""
    good: list[str] = []
    with pytest.raises(TenantTableError) as caught:
        good.extend(row.tenant for row in rows)
    return good, str(caught.value)


def test_bad_rows_are_reported_after_the_good_rows(warehouse: Warehouse) -> None:
    warehouse.fill(["a", "b", "b", "c ", "", None, "d"])
    for rows in (read_batch(warehouse.engine, TENANTS, {}), read_keys(warehouse.engine, TENANTS)):
        good, shown = drained(rows)
        assert good == ["a", "b", "d"]
        assert "tenant 'b' has more than one row" in shown
        assert "tenant 'c ' begins or ends with a blank" in shown
        assert "a row with an empty tenant_id" in shown
        assert "a row with a null tenant_id" in shown
        assert shown.startswith("table 'tenants' cannot be used. Nothing was sent.")
        assert "Nothing was sent" in shown


def test_each_further_row_of_a_tenant_is_counted(warehouse: Warehouse) -> None:
    warehouse.fill([*"aabbb", *(f"x{number:02}" for number in range(12) for _ in range(2))])
    good, shown = drained(read_batch(warehouse.engine, TENANTS, {}))
    assert good == ["a", "b", *(f"x{number:02}" for number in range(12))]
    assert shown.count("has more than one row") == 10
    assert "and 5 more" in shown


# Active or not


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (1.0, True),
        (Decimal(0), False),
        (Decimal("1.00"), True),
        ("yes", True),
        (" No ", False),
        ("TRUE", True),
        ("f", False),
        ("Active", True),
        ("inactive", False),
        ("1", True),
        ("0", False),
        (None, None),
        ("", None),
        ("maybe", None),
        ("2", None),
        (2, None),
        (-1, None),
        (0.5, None),
        (float("nan"), None),
        (b"1", None),
        (date(2026, 1, 1), None),
    ],
)
def test_only_clear_values_become_a_boolean(value: object, shown: bool | None) -> None:
    assert parse_bool(value) is shown


ACTIVE = {
    "BOOLEAN": (True, False),
    "INTEGER": (1, 0),
    "SMALLINT": (1, 0),
    "NUMERIC(1)": (1, 0),
    "DOUBLE PRECISION": (1.0, 0.0),
    "VARCHAR(9)": ("Yes", "no "),
    "CHAR(9)": ("active", "inactive"),
}


@pytest.mark.parametrize("kind", ACTIVE)
def test_a_column_says_which_tenants_are_active(warehouse: Warehouse, kind: str) -> None:
    yes, no = ACTIVE[kind]
    warehouse.database.run(f'CREATE TABLE tenants (tenant_id VARCHAR(9), "Is Active" {kind})')
    rows = [{"tenant_id": tenant, "Is Active": yes if tenant in "ac" else no} for tenant in "abcd"]
    warehouse.database.insert("tenants", rows)
    expected = [("a", True), ("b", False), ("c", True), ("d", False)]
    read = list(read_batch(warehouse.engine, TENANTS, {}, active_column="Is Active"))
    assert [(row.tenant, row.active) for row in read] == expected
    keys = list(read_keys(warehouse.engine, TENANTS, active_column="Is Active"))
    assert [(row.tenant, row.active) for row in keys] == expected


@pytest.mark.parametrize(("value", "shown"), [(None, "None"), ("perhaps", "'perhaps'"), ("", "''"), ("2", "'2'")])
def test_an_unclear_state_is_an_error_that_names_the_tenant(warehouse: Warehouse, value: object, shown: str) -> None:
    warehouse.database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), state VARCHAR(9))")
    warehouse.database.insert("tenants", [{"tenant_id": "a", "state": "yes"}, {"tenant_id": "o'b", "state": value}])
    for rows in (
        read_batch(warehouse.engine, TENANTS, {}, active_column="state"),
        read_keys(warehouse.engine, TENANTS, active_column="state"),
    ):
        with pytest.raises(TenantTableError) as caught:
            list(rows)
        assert f"""tenant "o'b" has {shown} as state, which is neither true nor false""" in str(caught.value)
        assert "tenant 'a'" not in str(caught.value)


def test_without_such_a_column_every_tenant_is_active(warehouse: Warehouse) -> None:
    warehouse.database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), active VARCHAR(9))")
    warehouse.database.insert("tenants", [{"tenant_id": "a", "active": "no"}])
    assert [row.active for row in read_batch(warehouse.engine, TENANTS, {})] == [True]
    assert [row.active for row in read_keys(warehouse.engine, TENANTS)] == [True]


@pytest.mark.parametrize("column", ["activ", "ACTIVE", "Active"])
def test_a_missing_active_column_is_named_and_the_columns_are_listed(warehouse: Warehouse, column: str) -> None:
    warehouse.database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), active VARCHAR(9))")
    warehouse.database.insert("tenants", [{"tenant_id": "a", "active": "no"}])
    for rows in (
        read_batch(warehouse.engine, TENANTS, {}, active_column=column),
        read_keys(warehouse.engine, TENANTS, active_column=column),
    ):
        with pytest.raises(TenantTableError, match=f"no column '{column}'; it has tenant_id, active"):
            list(rows)


def test_only_the_needed_columns_are_read(warehouse: Warehouse) -> None:
    warehouse.fill(["b", "a"])
    assert list(read_keys(warehouse.engine, TENANTS)) == [
        ("a", {"tenant_id": "a"}, True),
        ("b", {"tenant_id": "b"}, True),
    ]
    statements: list[str] = []
    sa.event.listen(
        warehouse.engine, "before_cursor_execute", lambda *event: statements.append(" ".join(event[2].split()))
    )
    source = TenantSource("region", query="SELECT DISTINCT region, 'yes' AS is_on FROM tenants")
    assert list(read_keys(warehouse.engine, source, active_column="is_on")) == [
        ("EU", {"region": "EU", "is_on": "yes"}, True)
    ]
    assert statements[-1].startswith("SELECT region, is_on FROM (")


def test_the_key_column_may_be_the_active_column(warehouse: Warehouse) -> None:
    warehouse.fill([0, 1], "INTEGER")
    rows = read_keys(warehouse.engine, TENANTS, active_column="tenant_id")
    assert [(row.tenant, row.active) for row in rows] == [("0", False), ("1", True)]


def test_the_rows_of_a_large_table_do_not_stay_in_memory(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY)")
    sqlite.insert("tenants", [{"tenant_id": tenant} for tenant in numbered(5000)])
    source = TenantSource("tenant_id", query=f"SELECT tenant_id, '{'x' * 2000}' || tenant_id AS wide FROM tenants")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_batch(sqlite.engine(), source, {})) == 5000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The rows have 10 MB.
    assert most < 7_000_000


def test_a_value_that_cannot_be_put_into_a_file_is_kept(sqlite: Database) -> None:
    spool = Spool[Any]()
    items = [memoryview(b"x") for _ in range(2500)]
    spool.extend(items)
    assert list(spool) == items
    spool.close()
