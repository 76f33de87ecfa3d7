"""Rows are written into tables and columns with any name, with each driver."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.sql.elements import quoted_name

from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.sql.replace_rows import _Written, replace_rows
from tests.databases import Database
from tests.odd_names import odd_names, quoted


@odd_names
def test_a_table_and_its_columns_may_have_any_name(driver: Database, name: str) -> None:
    table, other = quoted(name), quoted(f"{name} 2")
    driver.run(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {quoted(name)} VARCHAR(60), {other} INTEGER)")
    # SQLAlchemy sends one row in another way than several.
    for count in (3, 1):
        rows = [{"id": number, f"{name} 2": str(number)} for number in range(count)]
        argument = table if "." in name else name
        replace_rows(driver.own, argument, rows, constants={name: name}, columns={}, subject="metric 'm'")
        assert driver.run(f"SELECT * FROM {table} ORDER BY id") == [(number, name, number) for number in range(count)]


@pytest.mark.parametrize(
    ("argument", "schema", "table"),
    [
        ("tenants", None, "tenants"),
        ("crm.tenants", "crm", "tenants"),
        ("db.crm.tenants", "db.crm", "tenants"),
        ('crm."tenants.2026"', "crm", "tenants.2026"),
        ('"a.b"."c.d"', "a.b", "c.d"),
        ('"a""b"', None, 'a"b'),
        ('"""a"""', None, '"a"'),
        ('a"b', None, 'a"b'),
        ('a"b.c"d', 'a"b', 'c"d'),
        ('"a', None, '"a'),
        ('"a"b', None, '"a"b'),
        ("a..b", "a.", "b"),
        ("a.", "a", ""),
        ("", None, ""),
    ],
)
def test_a_part_in_double_quotes_may_contain_dots(argument: str, schema: str | None, table: str) -> None:
    assert verbatim.split(argument) == (schema, table)


@pytest.mark.parametrize("quote", [True, None])
def test_a_name_that_the_database_gives_in_quotes_stays_in_quotes(quote: bool | None) -> None:
    # Oracle stores a name without quotes in upper case, so "mycol" and mycol are different columns.
    column, table, schema = (quoted_name(text, quote) for text in ("mycol", "mytable", "myschema"))
    known = sa.Table(table, sa.MetaData(), sa.Column(column, sa.Integer), sa.Column("other", sa.Integer), schema=schema)
    written = _Written(known)
    mark = '"' if quote else ""
    col, full = f"{mark}mycol{mark}", f"{mark}myschema{mark}.{mark}mytable{mark}"
    dialect = make_url("oracle://").get_dialect()()
    statements = {
        sa.insert(written.table): f"INSERT INTO {full} ({col}, other) VALUES",
        sa.delete(written.table).where(written.columns["mycol"] == 1): f"DELETE FROM {full} WHERE {full}.{col} =",
        sa.select(written.columns["mycol"]).select_from(written.table): f"SELECT {full}.{col} \nFROM {full}",
    }
    for statement, wanted in statements.items():
        assert str(statement.compile(dialect=dialect)).startswith(wanted)


@pytest.mark.parametrize("quote", [True, False, None])
def test_a_name_with_a_hidden_character_keeps_its_quoting(quote: bool | None) -> None:
    name = verbatim.name(quoted_name("a%[b", quote))
    assert isinstance(name, quoted_name)
    assert name.quote is quote
    assert verbatim.shown(name) == "a%[b"
