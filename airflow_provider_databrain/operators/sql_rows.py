"""Rows of an API into an existing SQL table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

PARTITION = 1000
"""Rows that are inserted with one statement."""


def replace_rows(
    engine: Engine,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    constants: Mapping[str, Any],
    columns: Mapping[str, str | None],
    subject: str,
) -> None:
    """Delete the rows that have these constants and insert ``rows`` with them, in one transaction.

    Texts become dates and times where the table's column holds such; an API's JSON has none.

    :param table: name, optionally with schema.
    :param constants: at least one column and its value.
    :param columns: column of the rows to column of the table, None to leave it out; same name where not given.
    :param subject: what the rows are, for errors.
    :raises ValueError: rows, constants and table do not fit; nothing was written.
    """
    *schema, name = table.split(".")
    with engine.begin() as connection:
        try:
            known = sa.Table(name, sa.MetaData(), schema=".".join(schema) or None, autoload_with=connection)
        except NoSuchTableError:
            raise ValueError(f"{subject}: there is no table {table!r}. Nothing was written.") from None
        places = {column: columns.get(column, column) for row in rows for column in row}
        _check(known, table, places, constants, subject)
        same = {column: _fit(known, column, value, subject) for column, value in constants.items()}
        connection.execute(sa.delete(known).where(*(known.c[column] == value for column, value in same.items())))
        filled = [
            {place: _fit(known, place, row.get(column), subject) for column, place in places.items() if place} | same
            for row in rows
        ]
        for start in range(0, len(filled), PARTITION):
            connection.execute(sa.insert(known), filled[start : start + PARTITION])


def _check(
    known: sa.Table, table: str, places: Mapping[str, str | None], constants: Mapping[str, Any], subject: str
) -> None:
    taken = [place for place in places.values() if place]
    problems = {
        f"table {table!r} has no column": {*taken, *constants} - set(known.c.keys()),
        "constants and rows both fill": set(taken) & set(constants),
        "two columns go into": {place for place in taken if taken.count(place) > 1},
        "constants cannot be null:": {column for column, value in constants.items() if value is None},
    }
    for problem, names in problems.items():
        if names:
            raise ValueError(f"{subject}: {problem} {', '.join(sorted(names))}. Nothing was written.")


def _fit(known: sa.Table, column: str, value: Any, subject: str) -> Any:
    """A value as the column holds it."""
    if not isinstance(value, str):
        return value
    try:
        kind = known.c[column].type.python_type
    except NotImplementedError:  # A type of the database's own.
        return value
    if kind not in (date, datetime, time):
        return value
    try:
        # A date's column also takes the date of a time.
        return datetime.fromisoformat(value).date() if kind is date else kind.fromisoformat(value)
    except ValueError:
        raise ValueError(
            f"{subject}: column {column} of the table holds a {kind.__name__}, and {value!r} is none in ISO 8601. "
            "Nothing was written."
        ) from None
