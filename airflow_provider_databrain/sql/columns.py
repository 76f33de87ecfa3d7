"""The columns of a table or a query: their names, and which of them are the same to the database.

What always holds: no row is read to find the names. In PostgreSQL and SQLite, the names of a table's columns come from
the catalog, so a role that may read only some of the columns can find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_databrain.sql import verbatim

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_CATALOGS = {
    "postgresql": (
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(CAST(:path AS text)) "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    ),
    # The value 1 marks the arguments of a virtual table.
    "sqlite": "SELECT name FROM pragma_table_xinfo(:name) WHERE hidden <> 1 ORDER BY cid",
    "sqlite, a schema": "SELECT name FROM pragma_table_xinfo(:name, :schema) WHERE hidden <> 1 ORDER BY cid",
}
_TELLS_CASES_APART = ("postgresql", "oracle", "snowflake")
"""Dialects in which two quoted names that differ only in case are two columns."""


def of_table(connection: Connection, table: str) -> list[str] | None:
    """The names of a table's columns; None if the table does not exist or the database does not tell them.

    :param table: see ``verbatim.split``.
    """
    schema, name = verbatim.split(table)
    catalog = _CATALOGS.get(connection.dialect.name)
    if catalog is None:
        return _of_any_table(connection, schema, name)
    parts = [part.replace('"', '""') for part in (schema, name) if part]
    values = {"path": ".".join(f'"{part}"' for part in parts), "name": name, "schema": schema}
    if schema:
        catalog = _CATALOGS.get(f"{connection.dialect.name}, a schema", catalog)
    statement = sa.text(catalog)
    used = {key: value for key, value in values.items() if f":{key}" in catalog}
    return list(connection.execute(statement, used).scalars()) or None


def of_query(connection: Connection, query: str, rows: Any) -> list[str]:
    """The names of a query's columns. It is not run.

    :param rows: the query as FROM clause.
    """
    if connection.dialect.name == "duckdb":
        # As FROM clause, the second column ``id`` would have the name ``id_1``.
        return list(connection.execute(verbatim.query(f"DESCRIBE {query}")).scalars())
    names = _without_rows(connection, rows)
    if connection.dialect.name == "snowflake" and any(_number_taken_off(name) in names for name in names):
        # An emulator of Snowflake does the same as DuckDB. If the query has a LIMIT of its own, this is not possible.
        with suppress(SQLAlchemyError):
            result = connection.execute(verbatim.query(f"{query}LIMIT 0"))
            names = list(result.keys())
            result.close()
    return names


def same(names: Iterable[str], wanted: str, dialect: str) -> list[str]:
    """The columns that the database, or the reader of a row, could take for ``wanted``.

    SQLite renames the second of two columns ``id`` in a subquery: it is ``id:1`` there.
    """

    def plain(name: str) -> str:
        if dialect in _TELLS_CASES_APART:
            return name
        base, colon, number = name.rpartition(":")
        return (base if dialect == "sqlite" and colon and base and number.isdecimal() else name).lower()

    key = wanted if dialect in _TELLS_CASES_APART else wanted.lower()
    return [name for name in names if plain(name) == key or name == wanted]


def shown(names: Sequence[str]) -> str:
    """Names for a message. A name that is not what it looks like is shown with escapes, in quotes."""
    return ", ".join(name if _is_plain(name) else repr(name) for name in names)


def listed(names: Sequence[str], wanted: str) -> str:
    """All names for a message about a missing one, with advice if one of them differs only in case or in blanks."""
    near = [name for name in names if _letters(name) == _letters(wanted)]
    advice = f" (write {near[0]!r}: each character must be the same, also in case)" if near else ""
    return shown(names) + advice


def _letters(name: str) -> str:
    return "".join(character for character in name if character.isprintable()).strip().casefold()


def _is_plain(name: str) -> bool:
    return name.isprintable() and name == name.strip() and not set(name) & set(",;'\"")


def _number_taken_off(name: str) -> str | None:
    base, _, number = name.rpartition("_")
    return base if number.isdecimal() else None


def _of_any_table(connection: Connection, schema: str | None, name: str) -> list[str] | None:
    hidden = sa.table(verbatim.name(name), schema=verbatim.name(schema) if schema else None)
    try:
        return _without_rows(connection, hidden)
    except SQLAlchemyError:
        # The role may not read each column. Some databases refuse further statements until the transaction ends.
        connection.dialect.do_rollback(connection.connection)
    try:
        return [column["name"] for column in sa.inspect(connection).get_columns(name, schema=schema)] or None
    except (SQLAlchemyError, NotImplementedError):
        return None


def _without_rows(connection: Connection, rows: Any) -> list[str]:
    # LIMIT 0 is not possible in every database.
    result = connection.execute(sa.select(sa.text("*")).select_from(rows).where(sa.text("1 = 0")))
    names = list(result.keys())
    result.close()
    return names
