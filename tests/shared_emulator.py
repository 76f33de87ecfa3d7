"""One running emulator for many tests.

Starting and stopping an emulator takes longer than most tests. ``fresh`` gives the running one back as it was after its
start: no test sees what another one left. Its state is in an SQLite file, so no table can be forgotten.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import fields
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import POSTHOG_SCOPES, Emulator

PATIENCE_SECONDS = 0.5
"""How long requests of earlier tests may take to end. After that a new emulator replaces the running one."""


class SharedEmulator:
    """An emulator that is made fresh for each test. Use it as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        self._count = 0

    def fresh(self) -> Emulator:
        """Return the emulator as it was after its start."""
        if self._is_idle():
            with self._database:
                restore(self._database, self._rows)
            self._reset_memory()
        else:
            self._stop()
            self._start()
        return self._emulator

    def __enter__(self) -> SharedEmulator:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def _start(self) -> None:
        self._count += 1
        self._path = Path(self._folder.name) / f"{self._count}.sqlite"
        self._emulator = Emulator(str(self._path)).__enter__()
        self._database = sqlite3.connect(self._path)
        self._rows = rows_by_table(self._database)

    def _stop(self) -> None:
        self._database.close()
        self._emulator.__exit__(None, None, None)

    def _is_idle(self) -> bool:
        """Whether every request of earlier tests has ended."""
        # The server answers this request after it has read all earlier ones.
        with closing(HTTPConnection(urlsplit(self._emulator.url).netloc, timeout=10)) as connection:
            connection.request("GET", "/_emulator/calls")
            connection.getresponse().read()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._emulator.server.server_state.tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def _reset_memory(self) -> None:
        """Reset what is not in the file."""
        emulator, new = self._emulator, Control()
        for field in fields(Control):
            # The server keeps its open connections there.
            if field.name != "transports":
                setattr(emulator.control, field.name, getattr(new, field.name))
        emulator.account.clock = time.time
        emulator.conduit.behaviour = ConduitBehaviour()
        emulator.posthog_keys.clear()
        emulator.posthog_keys[emulator.posthog_key] = Key(POSTHOG_SCOPES)


def rows_by_table(database: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, in order of creation."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return {table: database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() for (table,) in tables}


def restore(database: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """Replace the rows of all tables. SQLite's own table of the highest ids is one of them."""
    # Triggers delete rows of other tables, so the new rows come last.
    for table in rows:
        database.execute(f"DELETE FROM {table}")
    for table, kept in sorted(rows.items(), key=lambda item: item[0] == "sqlite_sequence"):
        if table == "sqlite_sequence":
            # The inserts above have written to it.
            database.execute(f"DELETE FROM {table}")
        for row in kept:
            database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in row)})", row)
