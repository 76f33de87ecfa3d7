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
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict
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
    with _reading(engine, source) as connection:
        answer = connection.execution_options(stream_results=True).execute(statement)
        names = list(answer.keys())
        _check_columns(source, names, *([active_column] if active_column else []))
        yield from _tenants(
            source, (dict(zip(names, row, strict=True)) for row in _streamed(answer)), active_column, problems
        )
    problems.raise_if_any()


def read_keys(engine: Engine, source: TenantSource, *, active_column: str | None = None) -> Iterator[TenantRow]:
    """As ``read_batch`` for the whole table, but of each row only the key and ``active_column``."""
    columns = [source.key_column, *([active_column] if active_column else [])]
    problems = Problems(source)
    with _reading(engine, source) as connection:
        _check_columns(
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
        _raise_for(self._source, self._named, self._count)


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
        key = value if type(value) is str else "" if value is None else str(_bound(source, value))
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


def _check_columns(source: TenantSource, columns: Iterable[str], *more: str) -> None:
    columns = list(columns)
    for wanted in (source.key_column, *more):
        if wanted not in columns:
            raise TenantTableError(f"{source.name} has no column {wanted!r}; it has {', '.join(columns)}")


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
