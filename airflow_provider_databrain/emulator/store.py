"""The SQLite file in which the emulated systems keep their state.

Each state opens the file with its own store. Several threads may use one store; a lock lets in one at a time. SQLite
does not wait for the disk (``synchronous = OFF``), because the data is only test data.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Store:
    """One SQLite connection, for several threads.

    ``rows``, ``insert`` and ``change`` run one statement in its own transaction. ``transaction`` runs several in one.

    :param path: an SQLite file, which is created if it does not exist, and which only its owner may read, because it
        holds tokens; ``:memory:`` keeps the data in memory.
    :param schema: statements that create the tables that do not exist yet.
    """

    def __init__(self, path: str, schema: str) -> None:
        self._lock = threading.Lock()
        if path not in (":memory:", ""):
            _make_private(path)
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


def _make_private(path: str) -> None:
    """Let only the owner read and write the file, from its creation on. SQLite gives its other files the same mode.

    An existing file is not opened: to close it again would drop the locks of another store on it in this process, and
    then another process could delete the file's write-ahead log.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        Path(path).chmod(0o600)
    for other in (f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        with suppress(FileNotFoundError):
            Path(other).chmod(0o600)
