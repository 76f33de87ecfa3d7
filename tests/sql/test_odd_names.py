"""Rows are written into tables and columns with any name, with each driver."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.sql.replace_rows import replace_rows
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
