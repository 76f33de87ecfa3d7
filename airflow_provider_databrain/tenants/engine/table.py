"""Reading a tenant table: all of it, or one key range.

What always holds:

- The database finds and compares the bounds of a range, with its own collation and types. So each row that exists while
  the batches run is in exactly one of them.
- Only the columns that somebody asks for are read. If two columns have the name of one of them, nothing is read.
- Rows come in key order. All are read before a caller gets the first one, through a temporary file (``spool``), and the
  connection is then closed. So a slow caller holds no connection, and may open one to the ledger.
- Bad rows are left out, and an error at the end names them. A caller must therefore not use any row before it has read
  all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable
from airflow_provider_databrain.sql import columns as catalog
from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.tenants.engine import values
from airflow_provider_databrain.tenants.engine.problems import Problems
from airflow_provider_databrain.tenants.engine.spec import ONLY, SpecError
from airflow_provider_databrain.tenants.engine.spool import Spool

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    # Their names differ between SQLAlchemy 1.4 and 2.
    Selectable = Any

P = ParamSpec("P")
_BOOLEAN_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "active"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "inactive"), False),
}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CLOSING = re.compile(r"['\"`$\]]|\*/")
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
        return verbatim.query(self.select).columns().subquery("tenants")

    @property
    def select(self) -> str:
        """The query without the semicolon at its end, and without the comments after it."""
        query = self.query or ""
        end = len(query)
        while (place := query.rfind(";", 0, end)) > 0 and _is_comment(query[place + 1 : end]):
            end = place
        while end and (query[end - 1] == ";" or query[end - 1].isspace()):
            end -= 1
        # The line break ends a comment.
        return f"{query[:end]}\n"


class TenantRow(NamedTuple):
    """One row of the tenant table.

    :param tenant: its key, as a string.
    :param active: False if the table says that the tenant is not active.
    """

    tenant: str
    row: Mapping[str, Any]
    active: bool = True


def _read_first(stream: Callable[P, Iterator[TenantRow]]) -> Callable[P, Iterator[TenantRow]]:
    """Read all rows, then give them out: the connection is closed before the caller gets the first one."""

    @wraps(stream)
    def read(*args: P.args, **kwargs: P.kwargs) -> Iterator[TenantRow]:
        with Spool[TenantRow]() as rows:
            failure = None
            try:
                rows.extend(stream(*args, **kwargs))
            except TenantTableError as error:
                failure = error
            yield from rows
        if failure is not None:
            raise failure

    return read


@_read_first
def read_batch(
    engine: Engine,
    source: TenantSource,
    batch: Mapping[str, Any],
    *,
    active_column: str | None = None,
    columns: Sequence[str] | None = None,
    asked_by: str = "the spec",
) -> Iterator[TenantRow]:
    """Read the current rows of one batch, in key order.

    :param batch: a ``batches.Batch``; an empty mapping means the whole table.
    :param active_column: the column that says whether a tenant is active: a boolean, 0 or 1, or a word such as
        ``yes`` or ``inactive``.
    :param columns: the columns of a row beside the key and ``active_column``; None means all columns of the table.
    :param asked_by: who asks for ``columns``, for the message.
    :raises TenantTableError: a column that is read does not exist, or the table has two of its name. Or, after the last
        row: a key is null, blank or repeated, or a value of ``active_column`` is not clear; the message names the rows.
    :raises SpecError: one of ``columns`` does not exist.
    """
    key = source.key
    after = key > _literal(batch["after"]) if "after" in batch else None
    upto = key <= _literal(batch["upto"]) if "upto" in batch else None
    problems = Problems()
    with reading(engine, source) as connection:
        own = [source.key_column, *([active_column] if active_column else [])]
        known = check_columns(connection, source, *own, asked=columns, asked_by=asked_by)
        names = None if columns is None else list(dict.fromkeys([*own, *columns]))
        statement = _select(names).select_from(source.rows()).order_by(key)
        if after is not None:
            statement = statement.where(after)
        if upto is not None:
            # A null key is in no range. The first batch reads it, so that it becomes an error.
            statement = statement.where(upto if after is not None else sa.or_(upto, key.is_(None)))
        result = connection.execution_options(stream_results=True).execute(statement)
        if names is None:
            names = list(result.keys())
            if known is None:
                _check_names(connection, source, names, *own, *names)
        rows = (dict(zip(names, row, strict=True)) for row in _streamed(result))
        yield from _good_rows(source, rows, active_column, problems)
    raise_for_bad_rows(source, problems)


@_read_first
def read_keys(engine: Engine, source: TenantSource, *, active_column: str | None = None) -> Iterator[TenantRow]:
    """Read the whole table as ``read_batch`` does, but only the key and ``active_column`` of each row."""
    columns = list(dict.fromkeys([source.key_column, *([active_column] if active_column else [])]))
    problems = Problems()
    with reading(engine, source) as connection:
        check_columns(connection, source, *columns)
        statement = _select(columns).select_from(source.rows()).order_by(source.key)
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
    if isinstance(value, bytes | bytearray | memoryview):
        # MySQL gives a value of the type BIT as bytes.
        number = int.from_bytes(value, "big")
        return bool(number) if len(value) and number in (0, 1) else None
    return None


def check_columns(
    connection: Connection,
    source: TenantSource,
    *needed: str,
    asked: Sequence[str] | None = (),
    asked_by: str = "",
) -> list[str] | None:
    """Find the columns of the table, and check that each column that is read exists once. Reads no row.

    :param needed: the columns that the operator's arguments name.
    :param asked: the other columns that are read; None means all columns of the table.
    :return: the names of all columns; None if the database does not tell them. Then the statement that reads them fails
        if one does not exist.
    :raises TenantTableError: one of ``needed`` does not exist, or there are two columns with the name of one that is
        read.
    :raises SpecError: one of ``asked`` does not exist.
    """
    if source.table:
        names = catalog.of_table(connection, source.table)
    else:
        names = catalog.of_query(connection, source.select, source.rows())
    if names is not None:
        for wanted in asked or ():
            if wanted not in names:
                raise SpecError(
                    f"{asked_by} asks for {wanted!r}, which is not a column of {source.name}; it has "
                    f"{catalog.listed(names, wanted)}. {ONLY} Nothing was sent."
                )
        _check_names(connection, source, names, *needed, *(names if asked is None else asked))
    return names


def _check_names(connection: Connection, source: TenantSource, names: Sequence[str], *wanted: str) -> None:
    for column in dict.fromkeys(wanted):
        if column not in names:
            raise TenantTableError(f"{source.name} has no column {column!r}; it has {catalog.listed(names, column)}")
    for column in dict.fromkeys(wanted):
        found = catalog.same(names, column, connection.dialect.name)
        if len(found) > 1:
            raise TenantTableError(
                f"{source.name} has {len(found)} columns with the name {column!r} ({catalog.shown(found)}), and which "
                "of them is meant is not clear. Name the columns in a query, and give each of these a name of its own "
                f"(AS ...). Nothing was sent."
            )


def _select(columns: Sequence[str] | None) -> Selectable:
    if columns is None:
        return sa.select(sa.text("*"))
    return sa.select(*(sa.column(verbatim.name(column)) for column in columns))


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
        message = printable(verbatim.shown(str(getattr(error, "orig", error))))
        raise TenantTableError(f"{source.name} cannot be read: {message}") from None
    except (TenantTableError, SpecError):
        raise
    except (ValueError, ArithmeticError) as error:
        # A driver raises errors of Python for values that Python cannot hold, such as a year after 9999.
        message = printable(verbatim.shown(str(error)))
        raise TenantTableError(f"{source.name} cannot be read: {message}") from None


def key_value(source: TenantSource, value: object) -> int | str:
    """A key as the bound of a batch: an integer stays an integer, any other type becomes a string.

    :raises TenantTableError: the column's type has no string that is the same each time.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, bool | float) or not isinstance(value, values.PLAIN):
        raise TenantTableError(
            f"{source.name}: {source.key_column} holds values of type {type(value).__name__}; "
            "a key must be an integer, a string, a UUID, a decimal or a date (cast it in a query)"
        )
    try:
        return values.text(value)
    except ValueError as error:
        raise TenantTableError(
            f"{source.name}: {source.key_column} holds {error} (exclude this row with a query)"
        ) from None


def _is_comment(text: str) -> bool:
    """Whether what follows a semicolon of a query is nothing but comments.

    If the semicolon were inside a string, a name or a comment, the mark that closes it would follow.
    """
    lines = map(str.strip, text.splitlines())
    return not _CLOSING.search(text) and all(not line or line.startswith("--") for line in lines)


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
