"""Reading a tenant table in key ranges.

Bounds are found and compared by the database itself, so its own collation decides both times: whatever
order it has, each row that exists when the batches run is in exactly one of them.
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

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    # Their names differ between SQLAlchemy 1.4 and 2.
    Selectable = Any

_COLON = re.compile(r"(\\:\w*|(?<![:\w\\]):\w+)(?![:\w])")
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "active"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "inactive"), False),
}
PARTITION = 500
"""Rows that are fetched at a time."""
SHOWN = 10
"""Offending rows an error names at most."""


class TenantTableError(ValueError):
    """The tenant table cannot be read, or holds rows that no tenant can be made of."""


@dataclass(frozen=True)
class TenantSource:
    """Where the tenants are: a table, or a query that is used as one.

    :param key_column: the column that identifies a tenant; unique and never null.
    :param table: name, optionally with schema (``crm.tenants``).
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
        """What errors call it."""
        return f"table {self.table!r}" if self.table else "the tenant query"

    @property
    def key(self) -> sa.ColumnElement[Any]:
        """The key column."""
        return sa.column(self.key_column)

    def rows(self) -> Selectable:
        """What to select from."""
        if self.table:
            *schema, table = self.table.split(".")
            return sa.table(table, schema=".".join(schema) or None)
        query = re.sub(r"[;\s]+$", "", self.query or "")
        # SQLAlchemy takes a colon before a word for a parameter, unless a backslash (which it drops) stands before
        # it. The line break ends a comment.
        return sa.text(_COLON.sub(r"\\\1", query) + "\n").columns().subquery("tenants")


class TenantRow(NamedTuple):
    """One row of the tenant table.

    :param tenant: its key, as text.
    :param active: False where the table says that the tenant is no more.
    """

    tenant: str
    row: Mapping[str, Any]
    active: bool = True


def read_batch(
    engine: Engine, source: TenantSource, batch: Mapping[str, Any], *, active_column: str | None = None
) -> Iterator[TenantRow]:
    """The rows of one batch as they are now, in key order, streamed.

    A bad row is left out, and named at the end: use no row before all are read.

    :param active_column: the column that says whether a tenant still is one: a boolean, 0 or 1, or such a word.
    :raises TenantTableError: a null, blank or repeated key, or an unclear ``active_column``; says which.
    """
    key = source.key
    after = key > _literal(batch["after"]) if "after" in batch else None
    upto = key <= _literal(batch["upto"]) if "upto" in batch else None
    statement = sa.select(sa.text("*")).select_from(source.rows()).order_by(key)
    if after is not None:
        statement = statement.where(after)
    if upto is not None:
        # A null key is in no range; the first batch meets it, so that it is an error and not forgotten.
        statement = statement.where(upto if after is not None else sa.or_(upto, key.is_(None)))
    problems = Problems(source)
    with reading(engine, source) as connection:
        answer = connection.execution_options(stream_results=True).execute(statement)
        names = list(answer.keys())
        check_columns(source, names, *([active_column] if active_column else []))
        yield from _tenants(
            source, (dict(zip(names, row, strict=True)) for row in _streamed(answer)), active_column, problems
        )
    problems.raise_if_any()


def read_keys(engine: Engine, source: TenantSource, *, active_column: str | None = None) -> Iterator[TenantRow]:
    """As ``read_batch`` for the whole table, but of each row only the key and ``active_column``."""
    columns = [source.key_column, *([active_column] if active_column else [])]
    problems = Problems(source)
    with reading(engine, source) as connection:
        check_columns(
            source, connection.execute(sa.select(sa.text("*")).select_from(source.rows()).limit(1)).keys(), *columns
        )
        statement: Selectable = sa.select(*map(sa.column, columns)).select_from(source.rows()).order_by(source.key)
        answer = connection.execution_options(stream_results=True).execute(statement)
        yield from _tenants(
            source, (dict(zip(columns, row, strict=True)) for row in _streamed(answer)), active_column, problems
        )
    problems.raise_if_any()


class Problems:
    """What is wrong with a tenant table, collected so that one error names the first of it."""

    def __init__(self, source: TenantSource) -> None:
        self._source = source
        self._named: list[str] = []
        self._count = 0

    def add(self, problem: str) -> None:
        """Note one."""
        self._count += 1
        if len(self._named) < SHOWN:
            self._named.append(problem)

    def raise_if_any(self) -> None:
        """Raise ``TenantTableError`` where there is one."""
        raise_for(self._source, self._named, self._count)


def _streamed(answer: Any) -> Iterator[Any]:
    for part in answer.partitions(PARTITION):
        yield from part


def _tenants(
    source: TenantSource, rows: Iterable[dict[str, Any]], active_column: str | None, problems: Problems
) -> Iterator[TenantRow]:
    previous = None
    active = True
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
        if key == previous:
            problems.add(f"tenant {key!r} has more than one row")
            continue
        previous = key
        if active_column:
            told = truth(row[active_column])
            if told is None:
                problems.add(
                    f"tenant {key!r} has {row[active_column]!r} as {active_column}, which is neither true nor false"
                )
                continue
            active = told
        yield TenantRow(key, row, active)


def truth(value: object) -> bool | None:
    """Whether a value of an "is active" column means yes; None where that is not clear."""
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    if isinstance(value, bool | int | float | Decimal) and value in (0, 1):
        return bool(value)
    return None


def check_columns(source: TenantSource, columns: Iterable[str], *more: str) -> None:
    """Raise ``TenantTableError`` if the key column or another needed column does not exist."""
    columns = list(columns)
    for wanted in (source.key_column, *more):
        if wanted not in columns:
            raise TenantTableError(f"{source.name} has no column {wanted!r}; it has {', '.join(columns)}")


def raise_for(source: TenantSource, problems: list[str], total: int) -> None:
    """Raise ``TenantTableError`` if there is a problem; name the first ones."""
    if problems:
        more = f" and {total - SHOWN} more" if total > SHOWN else ""
        raise TenantTableError(
            f"{source.name} cannot be provisioned: {'; '.join(problems[:SHOWN])}{more}. "
            "Nothing was sent. Mend the rows, or select only good ones with a query."
        )


@contextmanager
def reading(engine: Engine, source: TenantSource) -> Iterator[Connection]:
    """A connection; a database error becomes a ``TenantTableError``."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise TenantTableError(f"{source.name} cannot be read: {getattr(error, 'orig', error)}") from None


def key_value(source: TenantSource, value: object) -> int | str:
    """A key as a batch bound: an integer, or the value's string."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime) and value.tzinfo:
        # Its text would follow the session's time zone.
        return str(value.astimezone(UTC))
    if isinstance(value, str | UUID | Decimal | date):
        return str(value)
    raise TenantTableError(
        f"{source.name}: {source.key_column} holds values of type {type(value).__name__}; "
        "a key is an integer, a text, a UUID, a decimal or a date (cast it in a query)"
    )


def _literal(value: int | str) -> sa.BindParameter[Any]:
    """A bound parameter without a type of its own, so that the database gives it the column's."""
    return sa.bindparam(None, value, type_=NullType(), unique=True)
