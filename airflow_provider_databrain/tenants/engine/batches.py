"""Planning key ranges over a tenant table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

import sqlalchemy as sa

from airflow_provider_databrain.tenants.engine.table import (
    SHOWN,
    TenantSource,
    TenantTableError,
    check_columns,
    key_value,
    raise_for,
    reading,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine


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


def plan_batches(engine: Engine, source: TenantSource, *, batch_size: int, max_batches: int) -> list[Batch]:
    """Cut the tenants into key ranges of ``batch_size`` rows, or larger ones where there would be too many.

    :return: the batches in key order; none for an empty table.
    :raises TenantTableError: a null or repeated key, a missing column or table.
    """
    if batch_size < 1 or max_batches < 1:
        raise TenantTableError(f"batch_size ({batch_size}) and the most batches ({max_batches}) must be 1 or more")
    with reading(engine, source) as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(source.rows())).scalar_one()
        _check_keys(connection, source)
        size = max(batch_size, -(-total // max_batches))
        number = sa.func.row_number().over(order_by=source.key).label("n")
        numbered = sa.select(source.key, number).select_from(source.rows()).subquery("numbered")
        every = sa.select(numbered.c[source.key_column]).where(numbered.c.n % size == 0).order_by(numbered.c.n)
        ends = [key_value(source, value) for value in connection.execute(every).scalars()]
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


def _check_keys(connection: Connection, source: TenantSource) -> None:
    # Asked first, because some databases take an unknown quoted name for a text.
    check_columns(source, connection.execute(sa.select(sa.text("*")).select_from(source.rows()).limit(1)).keys())
    key = source.key
    nulls = connection.execute(sa.select(sa.func.count()).select_from(source.rows()).where(key.is_(None))).scalar_one()
    doubled = (
        sa.select(key).select_from(source.rows()).where(key.is_not(None)).group_by(key).having(sa.func.count() > 1)
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(doubled.subquery("doubled"))).scalar_one()
    named = connection.execute(doubled.order_by(key).limit(SHOWN)).scalars() if count else ()
    problems = [f"{nulls} row(s) with a null {source.key_column}"] if nulls else []
    problems += [f"tenant {str(value)!r} has more than one row" for value in named]
    raise_for(source, problems, len(problems) + max(0, count - SHOWN))
