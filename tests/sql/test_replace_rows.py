"""Rows of an API are written into a table, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from time import tzset
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.sql.replace_rows import PARTITION, replace_rows
from tests.databases import Database
from tests.support import ODD_IDS

TABLE = "CREATE TABLE sales (client TEXT NOT NULL, region TEXT, total NUMERIC CHECK (total IS NULL OR total >= 0))"
ROWS: list[dict[str, Any]] = [{"region": "north", "total": 1.5}, {"region": "south", "total": None}]


def put(database: Database, rows: list[dict[str, Any]], client: Any = "acme", **changes: Any) -> None:
    arguments = {"constants": {"client": client}, "columns": {}, "subject": "metric 'm'", **changes}
    replace_rows(database.own, arguments.pop("table", "sales"), rows, **arguments)


def sales(database: Database) -> list[tuple[Any, ...]]:
    rows = database.run("SELECT client, region, total FROM sales ORDER BY client, region")
    return [(client, region, None if total is None else float(total)) for client, region, total in rows]


def test_each_row_exists_once_after_any_number_of_runs(database: Database) -> None:
    database.run(TABLE)
    for _ in range(2):
        put(database, ROWS)
        assert sales(database) == [("acme", "north", 1.5), ("acme", "south", None)]
    put(database, [{"region": "east", "total": 3}])
    assert sales(database) == [("acme", "east", 3.0)]


def test_writing_no_rows_deletes_ours_and_keeps_other_rows(database: Database) -> None:
    database.run(TABLE)
    for client in ("acme", "globex"):
        put(database, ROWS, client)
    put(database, [])
    assert sales(database) == [("globex", "north", 1.5), ("globex", "south", None)]


def test_a_row_that_the_database_refuses_leaves_the_table_as_it_was(database: Database) -> None:
    database.run(TABLE)
    put(database, ROWS)
    before = sales(database)
    with pytest.raises(sa.exc.IntegrityError):
        put(database, [{"region": "east", "total": 1}, {"region": "west", "total": -1}])
    assert sales(database) == before


@pytest.mark.parametrize("odd", [*ODD_IDS, "x' OR '1'='1", "acme'; DROP TABLE sales; --"])
def test_odd_constants_are_values_and_not_sql(database: Database, odd: str) -> None:
    database.run(TABLE)
    put(database, ROWS)
    for _ in range(2):
        put(database, ROWS, odd)
    assert sorted({row[0] for row in sales(database)}) == sorted({"acme", odd})
    assert len(sales(database)) == 4


def test_rows_may_have_different_columns(database: Database) -> None:
    database.run(TABLE)
    put(database, [{"region": "north"}, {"total": 2}])
    assert sorted(sales(database), key=repr) == sorted([("acme", "north", None), ("acme", None, 2.0)], key=repr)


def test_more_rows_than_one_statement_inserts(database: Database) -> None:
    database.run(TABLE)
    put(database, [{"region": f"r{number}", "total": number} for number in range(2 * PARTITION + 500)])
    assert len(sales(database)) == 2 * PARTITION + 500


def test_columns_are_renamed_and_left_out(database: Database) -> None:
    database.run(TABLE)
    rows = [{"Sales Region": "north", "total": 1, "note": "x"}]
    put(database, rows, columns={"Sales Region": "region", "note": None})
    assert sales(database) == [("acme", "north", 1.0)]


def test_names_that_need_quotes_are_quoted(database: Database) -> None:
    database.run('CREATE TABLE "Odd Table" ("Client Id" TEXT, "a""b" TEXT, "50%" INTEGER, "x:y" TEXT)')
    rows = [{'a"b': "1", "50%": 2, "x:y": "3"}]
    put(database, rows, table="Odd Table", constants={"Client Id": "acme"})
    assert database.run('SELECT * FROM "Odd Table"') == [("acme", "1", 2, "3")]


@pytest.mark.parametrize("name", ["sum(total)", "a.b", "[x]", "x%(y)s", ":x", "Total", "select", "日"])
def test_a_column_may_have_any_name(database: Database, name: str) -> None:
    database.run(f'CREATE TABLE odd (client TEXT, "{name}" INTEGER)')
    put(database, [{name: 1}, {name: 2}], table="odd")
    assert database.run("SELECT * FROM odd") == [("acme", 1), ("acme", 2)]


def test_a_table_may_refer_to_a_table_that_does_not_exist(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE sales (client TEXT, region TEXT REFERENCES gone (id), total NUMERIC)")
    put(sqlite, ROWS)
    assert len(sales(sqlite)) == 2


def test_a_table_in_a_schema(postgresql: Database) -> None:
    postgresql.run("CREATE SCHEMA other", "CREATE TABLE other.sales (client TEXT, region TEXT, total NUMERIC)")
    try:
        put(postgresql, ROWS, table="other.sales")
        assert len(postgresql.run("SELECT * FROM other.sales")) == 2
    finally:
        postgresql.run("DROP SCHEMA other CASCADE")


def test_strings_become_values_of_the_columns_types(database: Database) -> None:
    database.run(
        "CREATE TABLE kinds (client INTEGER, day DATE, at TIMESTAMP, clock TIME, share FLOAT, exact NUMERIC(9, 2),"
        " flag BOOLEAN, word TEXT)"
    )
    row = {
        "day": "2026-02-03",
        "at": "2026-02-03T04:05:06+02:00",
        "clock": "07:08:09",
        "share": "0.5",
        "exact": "1.25",
        "flag": True,
        "word": "2026-02-03",
    }
    for _ in range(2):
        put(database, [row, {**row, "day": "2026-02-03T23:00:00", "at": "2026-02-03"}], "17", table="kinds")
    table = sa.Table("kinds", sa.MetaData(), autoload_with=database.own)
    with database.own.connect() as connection:
        rows = [tuple(stored) for stored in connection.execute(sa.select(table).order_by(table.c.at))]
    assert [stored[:2] for stored in rows] == [(17, date(2026, 2, 3))] * 2
    assert [stored[2] for stored in rows] == [datetime(2026, 2, 3), datetime(2026, 2, 3, 2, 5, 6)]
    assert rows[0][3:5] == (time(7, 8, 9), 0.5)
    assert (float(rows[0][5]), rows[0][6:]) == (1.25, (True, "2026-02-03"))


def test_a_time_without_a_zone_is_in_utc_if_the_column_has_a_zone(postgresql: Database) -> None:
    postgresql.run("CREATE TABLE moments (client TEXT, at TIMESTAMP WITH TIME ZONE)")
    put(postgresql, [{"at": "2026-02-03T04:05:06"}, {"at": "2026-02-03T04:05:06Z"}], table="moments")
    shown = "SELECT DISTINCT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM moments"
    assert postgresql.run(shown) == [("2026-02-03 04:05:06",)]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_time_without_a_zone_is_not_in_the_workers_zone(
    database: Database, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    database.run(f"CREATE TABLE moments (client TEXT, at {'DATETIME' if database.kind == 'sqlite' else 'TIMESTAMP'})")
    monkeypatch.setenv("TZ", zone)
    tzset()
    try:
        rows = [
            "2026-02-03T04:05:06",
            "2026-02-03T04:05:06Z",
            "2026-02-03T05:05:06+01:00",
            datetime(2026, 2, 3, 4, 5, 6),
        ]
        put(database, [{"at": at} for at in rows], table="moments")
    finally:
        monkeypatch.undo()
        tzset()
    with database.own.connect() as connection:
        moments = sa.Table("moments", sa.MetaData(), autoload_with=connection)
        stored = {moment for (moment,) in connection.execute(sa.select(moments.c.at))}
    assert stored == {datetime(2026, 2, 3, 4, 5, 6)}


def test_nested_values_go_into_a_json_column(postgresql: Database) -> None:
    postgresql.run("CREATE TABLE nested (client TEXT, info JSONB)")
    put(postgresql, [{"info": {"a": [1]}}], table="nested")
    assert postgresql.run("SELECT info FROM nested") == [({"a": [1]},)]


def test_none_in_a_json_column_is_null_for_the_database(database: Database) -> None:
    database.run("CREATE TABLE nested (client TEXT, info JSON)")
    put(database, [{"info": None}, {"info": [1]}], table="nested")
    assert database.run("SELECT count(*) FROM nested WHERE info IS NULL") == [(1,)]


MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "constant"),
    [
        ("TEXT", 17),
        ("TEXT", 1.5),
        ("TEXT", True),
        ("TEXT", ""),
        ("CHAR(9)", "acme"),
        ("DATE", MOMENT),
        ("DATE", "2026-02-03T04:05:06+00:00"),
        ("TIMESTAMP", MOMENT),
        ("TIMESTAMP", "2026-02-03T04:05:06.123456+00:00"),
        ("INTEGER", "17"),
        ("NUMERIC(9, 2)", "1.25"),
        ("BOOLEAN", "True"),
        ("BOOLEAN", False),
    ],
)
def test_the_next_run_finds_a_constant_of_any_type(database: Database, kind: str, constant: Any) -> None:
    database.run(f"CREATE TABLE kinds (client {kind}, word TEXT)")
    for word in ("old", "new"):
        put(database, [{"word": word}], constant, table="kinds")
        assert database.run("SELECT word FROM kinds") == [(word,)]


def test_a_number_in_a_text_column_becomes_a_string(database: Database) -> None:
    database.run(TABLE)
    put(database, [{"region": 17}, {"region": True}], client=17)
    assert [row[:2] for row in sales(database)] == [("17", "17"), ("17", "true")]


@pytest.mark.parametrize(
    ("kind", "constant"),
    [
        ("TIMESTAMP(0)", "2026-02-03T04:05:06.123456+00:00"),
        ("NUMERIC(9, 2)", "1.255"),
        ("REAL", 0.1),
        ("INTEGER", 1.5),
    ],
)
def test_a_constant_that_the_column_rounds_is_an_error_and_nothing_is_written(
    postgresql: Database, kind: str, constant: Any
) -> None:
    postgresql.run(f"CREATE TABLE kinds (client {kind}, word TEXT)")
    words = r"^metric 'm': rows inserted: 1; rows found by the constants client: 0\..*Nothing was written"
    with pytest.raises(ValueError, match=words):
        put(postgresql, [{"word": "x"}], constant, table="kinds")
    assert postgresql.run("SELECT * FROM kinds") == []


@pytest.mark.parametrize("clients", [["acme"], ["ACME", "acme"], ["acme", "ACME"]])
def test_rows_of_a_client_that_the_database_treats_as_equal_stay(sqlite: Database, clients: list[str]) -> None:
    sqlite.run("CREATE TABLE sales (client TEXT COLLATE NOCASE, region TEXT, total NUMERIC)")
    sqlite.insert("sales", [{"client": client, "region": "north", "total": 1} for client in clients])
    before = sales(sqlite)
    with pytest.raises(ValueError, match=r"treats 'acme' in column client as equal to 'ACME', .*Nothing was written"):
        put(sqlite, ROWS, "ACME")
    assert sales(sqlite) == before


@pytest.mark.parametrize(
    ("rows", "changes", "words"),
    [
        (ROWS, {"table": "saels"}, "table 'saels' does not exist"),
        ([{"regoin": "north"}], {}, "table 'sales' has no column regoin"),
        ([{"\ufeffregion": "north"}], {}, r"table 'sales' has no column '\\ufeffregion'\."),
        (ROWS, {"constants": {"klient": "acme"}}, "table 'sales' has no column klient"),
        ([{"client": "globex"}], {}, "constants and rows both fill client"),
        ([{"a": 1, "b": 2}], {"columns": {"a": "region", "b": "region"}}, "two columns go into region"),
        (ROWS, {"client": None}, "constants cannot be null: client"),
        ([{"region": {"a": 1}}], {}, "column region of the table is nested, and the column cannot hold a nested value"),
        ([{"region": ["a"]}], {}, "column region of the table is nested, and the column cannot hold a nested value"),
    ],
)
def test_what_does_not_fit_is_an_error_and_nothing_is_written(
    database: Database, rows: list[dict[str, Any]], changes: dict[str, Any], words: str
) -> None:
    database.run(TABLE)
    put(database, ROWS)
    before = sales(database)
    with pytest.raises(ValueError, match=rf"^metric 'm': .*{words}.*Nothing was written\.$"):
        put(database, rows, **changes)
    assert sales(database) == before


@pytest.mark.parametrize(
    ("kind", "value"),
    [("DATE", "soon"), ("TIMESTAMP", "2026-13-01"), ("INTEGER", "1.5"), ("NUMERIC", "x"), ("BOOLEAN", "y")],
)
def test_a_string_that_is_not_of_the_columns_type_is_an_error(database: Database, kind: str, value: str) -> None:
    database.run(f"CREATE TABLE dated (client TEXT, at {kind})")
    with pytest.raises(ValueError, match=rf"column at of the table takes a \w+, but the value is '{value}'"):
        put(database, [{"at": value}], table="dated")
