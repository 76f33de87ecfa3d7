"""Write the rows of an API into an existing SQL table, in place of the rows that an earlier run wrote.

What always holds:

- Everything happens in one transaction. If anything fails, nothing is written.
- A run's rows are recognized by their constants (for example the client's id). Only rows with exactly these constants
  are deleted.
- After the run, the table has exactly the rows of this run for these constants, so that the next run can replace them.
- No value becomes part of an SQL statement: SQLAlchemy binds values and quotes names (see ``verbatim``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

from airflow_provider_databrain.printable import printable
from airflow_provider_databrain.sql import verbatim

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

PARTITION = 1000
"""Maximum rows that one statement inserts."""
_READERS: dict[type, Callable[[str], Any]] = {
    # A date column also takes a time's date.
    date: lambda string: datetime.fromisoformat(string).date(),
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    int: int,
    float: float,
    Decimal: Decimal,
    bool: lambda string: {"true": True, "false": False}[string.lower()],
}
"""How a string becomes a value of its column's type: JSON has no dates, and templating turns numbers into strings."""


def replace_rows(
    engine: Engine,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    constants: Mapping[str, Any],
    columns: Mapping[str, str | None],
    subject: str,
) -> None:
    """Delete the rows that have these constants, and insert ``rows`` with them, in one transaction.

    A string becomes a date, a time, a number or a boolean if the table's column has that type; a number becomes a
    string if the column is a text column. A time without a time zone is in UTC. If the column has no time zone, times
    are stored in UTC.

    :param table: the table's name, optionally with its schema; see ``verbatim.split``.
    :param constants: columns and their values; at least one.
    :param columns: column of the rows to column of the table; None leaves the column out. A column that is not named
        here has the same name in the table.
    :param subject: what the rows are, for messages.
    :raises ValueError: rows, constants and table do not fit together; nothing was written.
    """
    schema, name = verbatim.split(table)
    with verbatim.begin(engine) as connection:
        try:
            known = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
        except NoSuchTableError:
            raise ValueError(f"{subject}: table {table!r} does not exist. Nothing was written.") from None
        for column in known.c:
            if isinstance(column.type, sa.JSON):
                column.type.none_as_null = True
        targets = {column: columns.get(column, column) for row in rows for column in row}
        _check_columns(known, table, targets, constants, subject)
        fixed = {column: _convert(known, column, value, subject) for column, value in constants.items()}
        converted = [
            {target: _convert(known, target, row.get(column), subject) for column, target in targets.items() if target}
            | fixed
            for row in rows
        ]
        written = _Written(known)
        ours = [written.columns[column] == value for column, value in fixed.items()]
        _check_other_rows(connection, written, fixed, ours, subject)
        connection.execute(sa.delete(written.table).where(*ours))
        for start in range(0, len(converted), PARTITION):
            part = [written.keyed(row) for row in converted[start : start + PARTITION]]
            connection.execute(sa.insert(written.table), part)
        count = connection.execute(sa.select(sa.func.count()).select_from(written.table).where(*ours)).scalar_one()
        if count != len(converted):
            raise ValueError(
                f"{subject}: rows inserted: {len(converted)}; rows found by the constants {', '.join(sorted(fixed))}: "
                f"{count}. A later run could not replace them. Either a column rounds or cuts its constant, or another "
                "run writes the same rows. Nothing was written."
            )


class _Written:
    """A table in statements: its names as they are, and no parameter named after one of them.

    :param known: the table as the database describes it.
    """

    def __init__(self, known: sa.Table) -> None:
        self._keys = {column.name: f"c{number}" for number, column in enumerate(known.c)}
        self.table = sa.Table(
            verbatim.name(known.name),
            sa.MetaData(),
            *(sa.Column(verbatim.name(name), known.c[name].type, key=key) for name, key in self._keys.items()),
            schema=verbatim.name(known.schema) if known.schema else None,
        )
        self.columns = {name: self.table.c[key] for name, key in self._keys.items()}

    def keyed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as the parameters of an insert."""
        return {self._keys[name]: value for name, value in row.items()}


def _check_columns(
    known: sa.Table, table: str, targets: Mapping[str, str | None], constants: Mapping[str, Any], subject: str
) -> None:
    filled = [target for target in targets.values() if target]
    problems = {
        f"table {table!r} has no column": {*filled, *constants} - set(known.c.keys()),
        "constants and rows both fill": set(filled) & set(constants),
        "two columns go into": {target for target in filled if filled.count(target) > 1},
        "constants cannot be null:": {column for column, value in constants.items() if value is None},
    }
    for problem, names in problems.items():
        if names:
            raise ValueError(f"{subject}: {problem} {printable(', '.join(sorted(names)))}. Nothing was written.")


def _check_other_rows(
    connection: Connection, written: _Written, fixed: Mapping[str, Any], ours: Sequence[Any], subject: str
) -> None:
    """Refuse to delete rows of another client.

    A database may treat two different strings as equal, for example if they differ only in case. Then the rows that
    match our constants may belong to another client.
    """
    strings = [column for column, value in fixed.items() if isinstance(value, str)]
    if not strings:
        return
    # No DISTINCT, because it would treat the same strings as equal.
    for row in connection.execute(sa.select(*(written.columns[column] for column in strings)).where(*ours)):
        for column, other in zip(strings, row, strict=True):
            # CHAR columns are padded with blanks.
            if isinstance(other, str) and other.rstrip(" ") != fixed[column].rstrip(" "):
                raise ValueError(
                    f"{subject}: the database treats {other!r} in column {column} as equal to {fixed[column]!r}, so "
                    f"the rows of {other!r} would be deleted: set a collation on the column that distinguishes them. "
                    "Nothing was written."
                )


def _convert(known: sa.Table, column: str, value: Any, subject: str) -> Any:
    """Convert a value to the type of its column."""
    kind = known.c[column].type
    if isinstance(value, dict | list) and not isinstance(kind, sa.JSON | sa.ARRAY):
        raise ValueError(
            f"{subject}: the value for column {column} of the table is nested, and the column cannot hold a nested "
            "value: leave it out with 'columns', or change the column's type to JSON. Nothing was written."
        )
    wanted = _python_type(kind)
    converted = value
    if isinstance(value, str) and wanted in _READERS:
        try:
            converted = _READERS[wanted](value)
        except (ValueError, KeyError, InvalidOperation):
            raise ValueError(
                f"{subject}: column {column} of the table takes a {wanted.__name__}, but the value is "
                f"{value[:40]!r}. Nothing was written."
            ) from None
    elif wanted is str and value is not None and not isinstance(value, str | dict | list):
        # If compared with a number, some databases treat the strings '17' and '17a' as equal.
        converted = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(converted, datetime):
        return converted
    if wanted is date:
        return converted.date()
    return _in_zone(converted, with_zone=bool(getattr(kind, "timezone", False)))


def _python_type(kind: Any) -> type:
    try:
        python_type: type = kind.python_type
    except NotImplementedError:  # A type that only this database has.
        return object
    return python_type


def _in_zone(moment: datetime, *, with_zone: bool) -> datetime:
    """A time with its zone, or in UTC without one. A time that names no zone is in UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware if with_zone else aware.replace(tzinfo=None)
