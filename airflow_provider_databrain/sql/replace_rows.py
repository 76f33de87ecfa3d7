"""Rows of an API into an existing SQL table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

PARTITION = 1000
"""Rows that are inserted with one statement."""
_READERS: dict[type, Callable[[str], Any]] = {
    # A date's column also takes the date of a time.
    date: lambda text: datetime.fromisoformat(text).date(),
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    int: int,
    float: float,
    Decimal: Decimal,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
}
"""What becomes of a text, by the kind of its column: JSON has no dates, and templating makes texts of numbers."""


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

    Texts become dates, times, numbers or booleans where the table's column holds such, and numbers texts. Times are in
    UTC where they name no zone and where the column has none.

    :param table: name, optionally with schema.
    :param constants: at least one column and its value.
    :param columns: column of the rows to column of the table, None to leave it out; same name where not given.
    :param subject: what the rows are, for errors.
    :raises ValueError: rows, constants and table do not fit; nothing was written.
    """
    *schema, name = table.split(".")
    with engine.begin() as connection:
        try:
            known = sa.Table(
                name, sa.MetaData(), schema=".".join(schema) or None, autoload_with=connection, resolve_fks=False
            )
        except NoSuchTableError:
            raise ValueError(f"{subject}: there is no table {table!r}. Nothing was written.") from None
        for column in known.c:
            if isinstance(column.type, sa.JSON):
                column.type.none_as_null = True
        places = {column: columns.get(column, column) for row in rows for column in row}
        _check(known, table, places, constants, subject)
        same = {column: _fit(known, column, value, subject) for column, value in constants.items()}
        filled = [
            {place: _fit(known, place, row.get(column), subject) for column, place in places.items() if place} | same
            for row in rows
        ]
        mine = [known.c[column] == value for column, value in same.items()]
        _check_others(connection, known, same, mine, subject)
        connection.execute(sa.delete(known).where(*mine))
        for start in range(0, len(filled), PARTITION):
            connection.execute(sa.insert(known), filled[start : start + PARTITION])
        found = connection.execute(sa.select(sa.func.count()).select_from(known).where(*mine)).scalar_one()
        if found != len(filled):
            raise ValueError(
                f"{subject}: of {len(filled)} rows, the table has {found} by the constants {', '.join(sorted(same))}, "
                "and a later run would not replace them: a column rounds or cuts its constant, or another run writes "
                "the same rows. Nothing was written."
            )


def _check_others(
    connection: Connection, known: sa.Table, same: Mapping[str, Any], mine: Sequence[Any], subject: str
) -> None:
    """A database may take texts for the same that differ, in case for example: those are another client's rows."""
    texts = [column for column, value in same.items() if isinstance(value, str)]
    if not texts:
        return
    # No DISTINCT: it would take the same texts for the same.
    for row in connection.execute(sa.select(*(known.c[column] for column in texts)).where(*mine)):
        for column, other in zip(texts, row, strict=True):
            # CHAR columns fill up with blanks.
            if isinstance(other, str) and other.rstrip(" ") != same[column].rstrip(" "):
                raise ValueError(
                    f"{subject}: the database takes {other!r} in column {column} for the same as {same[column]!r}, and "
                    "its rows would be deleted: give the column a collation that tells them apart. Nothing was written."
                )


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
    kind = known.c[column].type
    if isinstance(value, dict | list) and not isinstance(kind, sa.JSON | sa.ARRAY):
        raise ValueError(
            f"{subject}: column {column} of the table holds no nested value, and one came: leave it out with "
            "'columns', or make the column a JSON one. Nothing was written."
        )
    wanted = _python_type(kind)
    fitting = value
    if isinstance(value, str) and wanted in _READERS:
        try:
            fitting = _READERS[wanted](value)
        except (ValueError, KeyError, InvalidOperation):
            raise ValueError(
                f"{subject}: column {column} of the table holds a {wanted.__name__}, and {value[:40]!r} is none. "
                "Nothing was written."
            ) from None
    elif wanted is str and value is not None and not isinstance(value, str | dict | list):
        # Compared with a number, a text column's '17' and '17a' are the same to some databases.
        fitting = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(fitting, datetime):
        return fitting
    if wanted is date:
        return fitting.date()
    return _in_zone(fitting, with_zone=bool(getattr(kind, "timezone", False)))


def _in_zone(moment: datetime, *, with_zone: bool) -> datetime:
    """With a zone or, in UTC, without one; a moment that names none is in UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware if with_zone else aware.replace(tzinfo=None)


def _python_type(kind: Any) -> type:
    try:
        found: type = kind.python_type
    except NotImplementedError:  # A type of the database's own.
        return object
    return found
