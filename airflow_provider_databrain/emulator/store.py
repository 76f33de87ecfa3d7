"""Where the emulated systems keep their state."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any


class Store:
    """One connection for several threads; each method is one statement and its own transaction.

    :param path: an SQLite file, made where it is not there; ``:memory:`` for none.
    :param schema: statements that create missing tables.
    """

    def __init__(self, path: str, schema: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(schema)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What a query finds; for an id beyond SQLite's integers, nothing."""
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except OverflowError:
                return []

    def insert(self, statement: str, *values: object) -> int:
        """Insert one row; gives its id."""
        with self._lock, self._db:
            return int(self._db.execute(statement, values).lastrowid or 0)

    def change(self, statement: str, *values: object) -> int:
        """Change rows; gives how many."""
        with self._lock, self._db:
            return self._db.execute(statement, values).rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()
