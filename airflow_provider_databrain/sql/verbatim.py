"""Names and queries of the user reach the database exactly as the user wrote them.

SQLAlchemy and the drivers mark parameters with ``%(x)s``, ``%s`` or ``:x``, and some find these marks also inside a
quoted name or a string. SQLAlchemy 2.0 does so for each driver whose parameters have no names, such as SQLite's.

What always holds:

- While SQLAlchemy builds a statement, the user's text has other characters in place of those of such marks: characters
  that Unicode reserves for programs, so no text has them. ``name`` and ``query`` replace them.
- A connection of ``connect`` or ``begin`` puts the original characters back, directly before the driver gets the
  statement. Where the driver wants a percent sign doubled, it is doubled.
- No parameter is named after a name of the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_PERCENT_IN_NAME, _PERCENT_IN_QUERY, _COLON, _BRACKET = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
# SQLAlchemy also has marks of its own with a bracket.
_HIDE_IN_NAME = str.maketrans({"%": _PERCENT_IN_NAME, "[": _BRACKET})
_HIDE_IN_QUERY = str.maketrans({"%": _PERCENT_IN_QUERY, ":": _COLON, "[": _BRACKET})
_SHOW: dict[str, str | int | None] = {_PERCENT_IN_NAME: "%", _PERCENT_IN_QUERY: "%", _COLON: ":", _BRACKET: "["}
_HIDDEN = re.compile(f"[{''.join(_SHOW)}]")
# No database has a name with NUL or with half a character.
_UNUSABLE = re.compile(f"[\0\ud800-\udfff{''.join(_SHOW)}]")
_PART = re.compile(r'(?:^|\.)(?:"((?:[^"]|"")+)"(?=\.|$)|([^.]*))')


def split(table: str) -> tuple[str | None, str]:
    """The schema (None if there is none) and the name of a table, from ``table`` or ``schema.table``.

    A part that contains a dot or begins with a double quote is written in double quotes, and each quote in it twice:
    ``crm."tenants.2026"``.
    """
    parts = [quoted.replace('""', '"') or plain for quoted, plain in _PART.findall(table)]
    return ".".join(parts[:-1]) or None, parts[-1]


def name(text: str) -> str:
    """A name of the user or of the database, as it goes into a statement.

    A name that the database described stays a ``quoted_name``: with some databases, the same name without quotes is
    another one.

    :raises ValueError: no database can have this name.
    """
    hidden = _usable(text, "the name").translate(_HIDE_IN_NAME)
    return quoted_name(hidden, text.quote) if isinstance(text, quoted_name) else hidden


def query(text: str) -> sa.TextClause:
    """A query of the user, as it goes into a statement.

    :raises ValueError: the query cannot be sent.
    """
    return sa.text(_usable(text, "the query").translate(_HIDE_IN_QUERY))


def shown(text: str) -> str:
    """A message of SQLAlchemy, with the user's own characters."""
    return text.translate(str.maketrans(_SHOW))


@contextmanager
def connect(engine: Engine) -> Iterator[Connection]:
    """A connection that puts the user's characters back."""
    with engine.connect() as connection:
        yield _verbatim(connection)


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """The same, in a transaction."""
    with engine.begin() as connection:
        yield _verbatim(connection)


def _usable(text: str, what: str) -> str:
    if found := _UNUSABLE.search(text):
        raise ValueError(
            f"{what} {text!r} contains the character U+{ord(found[0]):04X}, which cannot be sent to a database: "
            "remove it"
        )
    return text


def _verbatim(connection: Connection) -> Connection:
    sa.event.listen(connection, "before_cursor_execute", _put_back, retval=True)
    return connection


def _put_back(
    connection: Connection, _cursor: object, statement: str, parameters: object, *_more: object
) -> tuple[str, object]:
    if _HIDDEN.search(statement):
        dialect = connection.dialect
        in_name = "%%" if "%%" in dialect.identifier_preparer.quote_identifier("%") else "%"
        in_query = str(sa.text("%").compile(dialect=dialect))
        put_back = str.maketrans({**_SHOW, _PERCENT_IN_NAME: in_name, _PERCENT_IN_QUERY: in_query})
        statement = statement.translate(put_back)
    return statement, parameters
