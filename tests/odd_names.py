"""Names that SQLAlchemy or a driver could misread, and drivers of every kind that read them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

from tests.databases import Database

MARKS = ["100%", "%(x)s", "a%(b)sc%d%%(e)s", ":x", "?", 'quo"ted', "__[POSTCOMPILE_x]", "a.b"]
"""Names with what a driver or SQLAlchemy could take for the mark of a parameter, a quote or a schema."""
ODD_NAMES = [
    *MARKS,
    "%",
    "%s",
    "é%(é)s",
    "a::b:c d",
    "\\:x",
    "$1",
    "{x}",
    '"',
    "o'neill",
    "`x`",
    "[x]",
    " two words ",
    "a\nb",
    "--x",
    "/*x",
    "x;",
    "日本",
    "😀",
    "select",
    "n",
    "Upper",
]


def quoted(name: str) -> str:
    """A name as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


def string(text: str) -> str:
    """A string as it is written in SQL."""
    return "'" + text.replace("'", "''") + "'"


class _Format(sqlite3.Cursor):
    """A cursor whose parameters are marked with ``%s``, as those of most drivers for MySQL are."""

    def execute(self, sql: str, parameters: Any = None) -> Self:
        if parameters is None:
            return super().execute(sql)
        # SQLAlchemy reads SQLite's own tables without regard to the way in which parameters are marked.
        if "sqlite_master" in sql or "sqlite_temp_master" in sql:
            return super().execute(sql, parameters)
        return super().execute(self.marked(sql, parameters), parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        many = list(parameters)
        return super().executemany(self.marked(sql, many[0]), many)

    def marked(self, sql: str, parameters: Any) -> str:
        """The statement with SQLite's own marks."""
        values: Sequence[Any] = parameters
        return sql % (("?",) * len(values))


class _Pyformat(_Format):
    """A cursor whose parameters are marked with ``%(x)s``, as psycopg2's are."""

    def marked(self, sql: str, parameters: Any) -> str:
        values: Mapping[str, Any] = parameters
        return sql % {name: f":{name}" for name in values}


class FormatConnection(sqlite3.Connection):
    """SQLite with the parameters of ``_Format``."""

    def cursor(self, factory: Any = _Format) -> Any:
        return super().cursor(factory)


class PyformatConnection(sqlite3.Connection):
    """SQLite with the parameters of ``_Pyformat``."""

    def cursor(self, factory: Any = _Pyformat) -> Any:
        return super().cursor(factory)


SQLITE: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "sqlite-named": {"paramstyle": "named"},
    "sqlite-format": {"paramstyle": "format", "connect_args": {"factory": FormatConnection}},
    "sqlite-pyformat": {"paramstyle": "pyformat", "connect_args": {"factory": PyformatConnection}},
}
# SQLAlchemy knows psycopg 3 since 2.0.
POSTGRESQL = ["psycopg2", *(["psycopg"] if find_spec("psycopg") and sa.__version__.startswith("2") else [])]


PAIRS = [
    (driver, name)
    for driver in (*SQLITE, *POSTGRESQL)
    for name in (ODD_NAMES if driver in ("sqlite", "psycopg2") else MARKS)
]
odd_names = pytest.mark.parametrize(("driver", "name"), PAIRS, indirect=["driver"])
"""Each odd name with the two usual drivers, and the most dangerous ones with the others."""


@pytest.fixture(params=[*SQLITE, *POSTGRESQL])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once for each driver and each way in which a driver marks parameters."""
    if request.param in SQLITE:
        database = Database("sqlite", f"sqlite:///{tmp_path}/test.db", **SQLITE[request.param])
    else:
        postgresql: Database = request.getfixturevalue("postgresql")
        database = Database("postgresql", postgresql.url.replace("psycopg2", request.param))
    yield database
    database.close()
