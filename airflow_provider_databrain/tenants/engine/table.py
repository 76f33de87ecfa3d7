"""Reading a tenant table: all of it, or one key range.

What always holds:

- The database finds and compares the bounds of a range, with its own collation and types. So each row that exists while
  the batches run is in exactly one of them.
- Rows are streamed in key order. Bad rows are left out, and an error at the end of the stream names them. A caller must
  therefore not use any row before it has read all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.tenants.engine.problems import Problems

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    # Their names differ between SQLAlchemy 1.4 and 2.
    Selectable = Any

_BOOLEAN_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "active"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "inactive"), False),
}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
FETCH_ROWS = 500
"""Rows that are fetched at a time."""


class TenantTableError(Portable, ValueError):
    """The tenant table cannot be read, or some of its rows cannot be used."""


@dataclass(frozen=True)
class TenantSource:
    """Where the tenants are: a table, or a query in place of a table.

    :param key_column: the column that identifies a tenant; unique and never null.
    :param table: its name, optionally with the schema (``crm.tenants``). If a part contains a dot, write it in double
        quotes (``crm."tenants.2026"``).
    :param query: a SELECT statement, instead of a table.
    """

    key_column: str
    table: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if not self.key_column:
            raise TenantTableError("key_column is empty: name the column that identifies a tenant")
        if bool(self.table) == bool(self.query):
            raise TenantTableError("give either table or query")

    @property
    def name(self) -> str:
        """The name in error messages."""
        return f"table {self.table!r}" if self.table else "the tenant query"

    @property
    def key(self) -> sa.ColumnElement[Any]:
        """The key column."""
        return sa.column(verbatim.name(self.key_column))

    def rows(self) -> Selectable:
        """The table or query, to be used as FROM clause."""
        if self.table:
            schema, table = verbatim.split(self.table)
            return sa.table(verbatim.name(table), schema=verbatim.name(schema) if schema else None)
        # The line break ends a comment.
        query = re.sub(r"[;\s]+$", "", self.query or "") + "\n"
        return verbatim.query(query).columns().subquery("tenants")


class TenantRow(NamedTuple):
    """One row of the tenant table.

    :param tenant: its key, as a string.
    :param active: False if the table says that the tenant is not active.
    """

    tenant: str
    row: Mapping[str, Any]
    active: bool = True


def read_batch(
    engine: Engine, source: TenantSource, batch: Mapping[str, Any], *, active_column: str | None = None
) -> Iterator[TenantRow]:
    """Stream the current rows of one batch, in key order.

    :param batch: a ``batches.Batch``; an empty mapping means the whole table.
    :param active_column: the column that says whether a tenant is active: a boolean, 0 or 1, or a word such as
        ``yes`` or ``inactive``.
    :raises TenantTableError: at the end of the stream: a key is null, blank or repeated, or a value of
        ``active_column`` is not clear. The message names the rows.
    """
    key = source.key
    after = key > _literal(batch["after"]) if "after" in batch else None
    upto = key <= _literal(batch["upto"]) if "upto" in batch else None
    statement = sa.select(sa.text("*")).select_from(source.rows()).order_by(key)
    if after is not None:
        statement = statement.where(after)
    if upto is not None:
        # A null key is in no range. The first batch reads it, so that it becomes an error.
        statement = statement.where(upto if after is not None else sa.or_(upto, key.is_(None)))
    problems = Problems()
    with reading(engine, source) as connection:
        result = connection.execution_options(stream_results=True).execute(statement)
        names = list(result.keys())
        check_columns(source, names, *([active_column] if active_column else []))
        rows = (dict(zip(names, row, strict=True)) for row in _streamed(result))
        yield from _good_rows(source, rows, active_column, problems)
    raise_for_bad_rows(source, problems)


def read_keys(engine: Engine, source: TenantSource, *, active_column: str | None = None) -> Iterator[TenantRow]:
    """Stream the whole table as ``read_batch`` does, but only the key and ``active_column`` of each row."""
    columns = [source.key_column, *([active_column] if active_column else [])]
    problems = Problems()
    with reading(engine, source) as connection:
        check_columns(
            source, connection.execute(sa.select(sa.text("*")).select_from(source.rows()).limit(1)).keys(), *columns
        )
        wanted: list[Any] = [sa.column(verbatim.name(column)) for column in columns]
        statement: Selectable = sa.select(*wanted).select_from(source.rows()).order_by(source.key)
        result = connection.execution_options(stream_results=True).execute(statement)
        rows = (dict(zip(columns, row, strict=True)) for row in _streamed(result))
        yield from _good_rows(source, rows, active_column, problems)
    raise_for_bad_rows(source, problems)


def parse_bool(value: object) -> bool | None:
    """A boolean from a column or an argument; None if the value is not clear."""
    if isinstance(value, str):
        return _BOOLEAN_WORDS.get(value.strip().lower())
    if isinstance(value, bool | int | float | Decimal) and value in (0, 1):
        return bool(value)
    return None


def check_columns(source: TenantSource, columns: Iterable[str], *more: str) -> None:
    """Raise ``TenantTableError`` if the key column or one of ``more`` does not exist."""
    columns = list(columns)
    for wanted in (source.key_column, *more):
        if wanted not in columns:
            raise TenantTableError(f"{source.name} has no column {wanted!r}; it has {', '.join(columns)}")


def raise_for_bad_rows(source: TenantSource, problems: Problems) -> None:
    """Raise ``TenantTableError`` if there is a problem."""
    problems.raise_if_any(
        TenantTableError,
        f"{source.name} cannot be used. Nothing was sent. Fix these rows, or exclude them with a query:",
    )


@contextmanager
def reading(engine: Engine, source: TenantSource) -> Iterator[Connection]:
    """A connection; an error of the database becomes a ``TenantTableError``."""
    try:
        with verbatim.connect(engine) as connection:
            # Otherwise SQLAlchemy cuts the name of an SQLite column at its last dot.
            yield connection.execution_options(sqlite_raw_colnames=True)
    except SQLAlchemyError as error:
        message = verbatim.shown(str(getattr(error, "orig", error)))
        raise TenantTableError(f"{source.name} cannot be read: {message}") from None


def key_value(source: TenantSource, value: object) -> int | str:
    """A key as the bound of a batch: an integer stays an integer, any other type becomes a string.

    :raises TenantTableError: the column's type has no string that is the same each time.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime) and value.tzinfo:
        # Otherwise the string would depend on the time zone of the database session.
        return str(value.astimezone(UTC))
    if isinstance(value, str | UUID | Decimal | date):
        return str(value)
    raise TenantTableError(
        f"{source.name}: {source.key_column} holds values of type {type(value).__name__}; "
        "a key must be an integer, a string, a UUID, a decimal or a date (cast it in a query)"
    )


def _streamed(result: Any) -> Iterator[Any]:
    for part in result.partitions(FETCH_ROWS):
        yield from part


def _good_rows(
    source: TenantSource, rows: Iterable[dict[str, Any]], active_column: str | None, problems: Problems
) -> Iterator[TenantRow]:
    # Keys that the database treats as equal come in any order: a key and its repetition may have others between them.
    seen: set[str] = set()
    for row in rows:
        value = row[source.key_column]
        key = value if type(value) is str else "" if value is None else str(key_value(source, value))
        stripped = key.strip()
        if not stripped:
            problems.add(f"a row with {'a null' if value is None else 'an empty'} {source.key_column}")
            continue
        if key != stripped:
            problems.add(f"tenant {key!r} begins or ends with a blank (trim it in a query)")
            continue
        if _UNSTORABLE.search(key):
            problems.add(f"tenant {key!r} has a character that other databases cannot store (replace it in a query)")
            continue
        if key in seen:
            problems.add(f"tenant {key!r} has more than one row")
            continue
        seen.add(key)
        active = parse_bool(row[active_column]) if active_column else True
        if active is None:
            problems.add(
                f"tenant {key!r} has {row[active_column or '']!r} as {active_column}, which is neither true nor false"
            )
            continue
        yield TenantRow(key, row, active)


def _literal(value: int | str) -> sa.BindParameter[Any]:
    """A bound parameter without a type, so that the database gives it the column's type."""
    return sa.bindparam(None, value, type_=NullType(), unique=True)
