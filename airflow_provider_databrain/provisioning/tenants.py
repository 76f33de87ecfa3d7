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
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    # Their names differ between SQLAlchemy 1.4 and 2.
    Selectable = Any

_COLON = re.compile(r"(\\:\w*|(?<![:\w\\]):\w+)(?![:\w])")
SHOWN = 10
"""Offending rows an error names at most."""


class TenantTableError(ValueError):
    """The tenant table cannot be read, or holds rows that no tenant can be made of."""


class Batch(TypedDict):
    """A key range, as it goes through XCom: ``after`` < key <= ``upto``; an absent bound is open.

    :param number: from 1 to ``of``.
    :param rows: rows in the range when it was planned.
    :param label: what a person reads in the grid view.
    """

    number: int
    of: int
    rows: int
    label: str
    after: NotRequired[int | str]
    upto: NotRequired[int | str]


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


def plan_batches(engine: Engine, source: TenantSource, *, batch_size: int, max_batches: int) -> list[Batch]:
    """Cut the tenants into key ranges of ``batch_size`` rows, or larger ones where there would be too many.

    :return: the batches in key order; none for an empty table.
    :raises TenantTableError: a null or repeated key, a missing column or table.
    """
    if batch_size < 1 or max_batches < 1:
        raise TenantTableError(f"batch_size ({batch_size}) and the most batches ({max_batches}) must be 1 or more")
    with _reading(engine, source) as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(source.rows())).scalar_one()
        _check_keys(connection, source)
        size = max(batch_size, -(-total // max_batches))
        number = sa.func.row_number().over(order_by=source.key).label("n")
        numbered = sa.select(source.key, number).select_from(source.rows()).subquery("numbered")
        every = sa.select(numbered.c[source.key_column]).where(numbered.c.n % size == 0).order_by(numbered.c.n)
        ends = [_bound(source, value) for value in connection.execute(every).scalars()]
    # The database may have changed between the count and the bounds; the bounds alone decide what is covered.
    ends = ends[: max(0, -(-total // size) - 1)]
    count = len(ends) + 1 if total else 0
    batches: list[Batch] = []
    for index in range(count):
        after = ends[index - 1] if index else None
        upto = ends[index] if index < count - 1 else None
        rows = min(size, total - index * size)
        label = f"{index + 1} of {count}: {'first' if after is None else f'after {after}'}, {rows} tenants"
        batch = Batch(number=index + 1, of=count, rows=rows, label=label)
        if after is not None:
            batch["after"] = after
        if upto is not None:
            batch["upto"] = upto
        batches.append(batch)
    return batches


def read_batch(engine: Engine, source: TenantSource, batch: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of one batch as they are now, by tenant key (as text), in key order.

    :raises TenantTableError: a null, blank or repeated key; says which.
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
    with _reading(engine, source) as connection:
        rows = [dict(row) for row in connection.execute(statement).mappings()]
    return _by_key(source, rows)


def _by_key(source: TenantSource, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    tenants: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for row in rows:
        _check_columns(source, row)
        value = row[source.key_column]
        key = "" if value is None else str(_bound(source, value))
        if not key.strip():
            problems.append(f"a row with {'a null' if value is None else 'an empty'} {source.key_column}")
        elif key != key.strip():
            problems.append(f"tenant {key!r} begins or ends with a blank (trim it in a query)")
        elif key in tenants:
            problems.append(f"tenant {key!r} has more than one row")
        else:
            tenants[key] = row
    _raise_for(source, problems, len(problems))
    return tenants


def _check_columns(source: TenantSource, columns: Iterable[str]) -> None:
    if source.key_column not in columns:
        raise TenantTableError(f"{source.name} has no column {source.key_column!r}; it has {', '.join(columns)}")


def _check_keys(connection: Connection, source: TenantSource) -> None:
    # Asked first, because some databases take an unknown quoted name for a text.
    _check_columns(source, connection.execute(sa.select(sa.text("*")).select_from(source.rows()).limit(1)).keys())
    key = source.key
    nulls = connection.execute(sa.select(sa.func.count()).select_from(source.rows()).where(key.is_(None))).scalar_one()
    doubled = (
        sa.select(key).select_from(source.rows()).where(key.is_not(None)).group_by(key).having(sa.func.count() > 1)
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(doubled.subquery("doubled"))).scalar_one()
    named = connection.execute(doubled.order_by(key).limit(SHOWN)).scalars() if count else ()
    problems = [f"{nulls} row(s) with a null {source.key_column}"] if nulls else []
    problems += [f"tenant {str(value)!r} has more than one row" for value in named]
    _raise_for(source, problems, len(problems) + max(0, count - SHOWN))


def _raise_for(source: TenantSource, problems: list[str], total: int) -> None:
    if problems:
        more = f" and {total - SHOWN} more" if total > SHOWN else ""
        raise TenantTableError(
            f"{source.name} cannot be provisioned: {'; '.join(problems[:SHOWN])}{more}. "
            "Nothing was sent. Mend the rows, or select only good ones with a query."
        )


@contextmanager
def _reading(engine: Engine, source: TenantSource) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise TenantTableError(f"{source.name} cannot be read: {getattr(error, 'orig', error)}") from None


def _bound(source: TenantSource, value: object) -> int | str:
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
