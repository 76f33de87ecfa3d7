"""The SQLite file in which the emulated systems keep their state.

Each state opens the file with its own store. Several threads may use one store; a lock lets in one at a time. SQLite
does not wait for the disk (``synchronous = OFF``), because the data is only test data.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Store:
    """One SQLite connection, for several threads.

    ``rows``, ``insert`` and ``change`` run one statement in its own transaction. ``transaction`` runs several in one.

    :param path: an SQLite file, which is created if it does not exist; ``:memory:`` keeps the data in memory.
    :param schema: statements that create the tables that do not exist yet.
    """

    def __init__(self, path: str, schema: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(schema)

    def add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add the columns that a table of an earlier release lacks.

        :param columns: each column's name and its SQL definition.
        """
        with self.transaction() as database:
            present = {column[1] for column in database.execute(f"PRAGMA table_info({table})")}
            for name, definition in columns.items():
                if name not in present:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {definition}")

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Return the rows of a query. An id beyond SQLite's integers has no rows."""
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except OverflowError:
                return []

    def insert(self, statement: str, *values: object) -> int:
        """Insert one row and return its id."""
        with self.transaction() as database:
            return int(database.execute(statement, values).lastrowid or 0)

    def change(self, statement: str, *values: object) -> int:
        """Change rows and return their number."""
        with self.transaction() as database:
            return database.execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run several statements in one transaction, which is rolled back if one of them fails."""
        with self._lock, self._db:
            yield self._db

    def close(self) -> None:
        """Close the file."""
        self._db.close()
