"""Planning batches: the tenant table is cut into key ranges, one for each mapped task.

What always holds: the ranges cover every key, without a gap and without an overlap. The first range has no lower bound,
the last one has no upper bound. The database finds the bounds here and compares them when a batch is read
(``table.read_batch``), so its own collation and types decide both times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NotRequired, TypedDict

import sqlalchemy as sa

from airflow_provider_databrain.tenants.engine.problems import Problems
from airflow_provider_databrain.tenants.engine.table import (
    FETCH_ROWS,
    TenantSource,
    TenantTableError,
    check_columns,
    key_value,
    raise_for_bad_rows,
    reading,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

LABEL_KEY_LIMIT = 100
"""Characters of a key in a label. Airflow stores 250 of what ``map_index_template`` gives, and refuses more: the task
would run, and Airflow could not store its end. A template may add something to the label."""


class Batch(TypedDict):
    """A key range, as it is stored in XCom: ``after`` < key <= ``upto``. A missing bound means no bound.

    :param number: from 1 to ``of``.
    :param rows: number of rows in the range at planning time.
    :param label: the name of the mapped task in Airflow's grid view. A long key is cut in it.
    :param source: what it was planned from, see ``planned.planned_from``.
    """

    number: int
    of: int
    rows: int
    label: str
    after: NotRequired[int | str]
    upto: NotRequired[int | str]
    source: NotRequired[dict[str, str]]


def plan_batches(engine: Engine, source: TenantSource, *, batch_size: int, max_batches: int) -> list[Batch]:
    """Cut the tenants into key ranges of ``batch_size`` rows, or of more rows if ``max_batches`` would be exceeded.

    :return: the batches in key order; an empty list for an empty table.
    :raises TenantTableError: a key is null or repeated, or a column or the table does not exist.
    """
    if batch_size < 1 or max_batches < 1:
        raise TenantTableError(f"batch_size ({batch_size}) and max_batches ({max_batches}) must be 1 or more")
    with reading(engine, source) as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(source.rows())).scalar_one()
        _check_keys(connection, source)
        size = max(batch_size, -(-total // max_batches))
        # PostgreSQL refuses two columns of the same name.
        label = "number" if source.key_column.lower() == "n" else "n"
        number = sa.func.row_number().over(order_by=source.key).label(label)
        numbered = sa.select(source.key, number).select_from(source.rows()).subquery("numbered")
        last_keys = (
            sa.select(numbered.c[source.key.name]).where(numbered.c[label] % size == 0).order_by(numbered.c[label])
        )
        ends = [key_value(source, value) for value in connection.execute(last_keys).scalars()]
    # The table may have changed between the count and the bounds. Only the bounds decide which keys are covered.
    ends = ends[: max(0, -(-total // size) - 1)]
    count = len(ends) + 1 if total else 0
    batches: list[Batch] = []
    for index in range(count):
        after = ends[index - 1] if index else None
        upto = ends[index] if index < count - 1 else None
        rows = min(size, total - index * size)
        begin = "first" if after is None else f"after {shown_in_label(str(after))}"
        label = f"{index + 1} of {count}: {begin}, {rows} tenants"
        batch = Batch(number=index + 1, of=count, rows=rows, label=label)
        if after is not None:
            batch["after"] = after
        if upto is not None:
            batch["upto"] = upto
        batches.append(batch)
    return batches


def shown_in_label(key: str) -> str:
    """A key as a label shows it: cut, and with a mark in place of each character that cannot be printed."""
    cut = key if len(key) <= LABEL_KEY_LIMIT else f"{key[: LABEL_KEY_LIMIT - 1]}…"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def _check_keys(connection: Connection, source: TenantSource) -> None:
    # The columns are checked first, because some databases read an unknown quoted name as a string.
    check_columns(connection, source, source.key_column)
    key = source.key
    nulls = connection.execute(sa.select(sa.func.count()).select_from(source.rows()).where(key.is_(None))).scalar_one()
    # The collation may treat different keys as equal, so this only says whether there is anything to compare.
    repeated = (
        sa.select(key).select_from(source.rows()).where(key.is_not(None)).group_by(key).having(sa.func.count() > 1)
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(repeated.subquery("repeated"))).scalar_one()
    problems = Problems()
    if nulls:
        problems.add(f"{nulls} row(s) with a null {source.key_column}")
    if count:
        for value in _repeated(connection, source):
            problems.add(f"tenant {value!r} has more than one row")
    raise_for_bad_rows(source, problems)


def _repeated(connection: Connection, source: TenantSource) -> Iterator[str]:
    """The keys that more than one row has, in key order, compared exactly."""
    key = source.key
    place, times = (name if source.key_column.lower() != name else f"{name}_" for name in ("place", "times"))
    numbered = (
        sa.select(
            key,
            # Keys that the database treats as equal have the same place.
            sa.func.rank().over(order_by=key).label(place),
            sa.func.count().over(partition_by=key).label(times),
        )
        .select_from(source.rows())
        .where(key.is_not(None))
        .subquery("numbered")
    )
    statement = (
        sa.select(numbered.c[place], numbered.c[source.key.name])
        .where(numbered.c[times] > 1)
        .order_by(numbered.c[place])
    )
    rows = connection.execution_options(stream_results=True).execute(statement)
    for _, equal in groupby((row for part in rows.partitions(FETCH_ROWS) for row in part), key=itemgetter(0)):
        keys = Counter(str(key_value(source, value)) for _, value in equal)
        yield from sorted(name for name, number in keys.items() if number > 1)
