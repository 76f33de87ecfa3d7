"""The store behind every emulated system's state."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_databrain.emulator.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:", SCHEMA)
    yield opened
    opened.close()


def test_statements_of_a_failed_transaction_leave_no_trace(store: Store) -> None:
    store.insert("INSERT INTO things (name) VALUES (?)", "kept")

    def delete_and_fail() -> None:
        with store.transaction() as database:
            database.execute("DELETE FROM things")
            database.execute("INSERT INTO things (name) VALUES (NULL)")

    with pytest.raises(sqlite3.IntegrityError):
        delete_and_fail()
    assert store.rows("SELECT name FROM things") == [("kept",)]
    assert store.change("DELETE FROM things") == 1


def test_only_missing_columns_are_added_and_old_rows_get_their_default(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    old = Store(path, SCHEMA)
    old.insert("INSERT INTO things (name) VALUES (?)", "old")
    old.close()
    for _ in range(2):
        new = Store(path, SCHEMA)
        new.add_columns("things", {"name": "TEXT", "colour": "TEXT NOT NULL DEFAULT 'grey'"})
        assert new.rows("SELECT name, colour FROM things") == [("old", "grey")]
        new.close()


def test_an_id_beyond_sqlites_integers_has_no_rows(store: Store) -> None:
    assert store.rows("SELECT * FROM things WHERE id = ?", 10**30) == []


def test_a_reader_in_another_process_takes_nothing_from_two_stores_on_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    first, second = Store(path, SCHEMA), Store(path, SCHEMA)
    first.insert("INSERT INTO things (name) VALUES (?)", "before")
    read = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT COUNT(*) FROM things').fetchone()[0])"
    )
    for expected in ("1", "2", "3"):
        counted = subprocess.run([sys.executable, "-c", read, path], check=True, capture_output=True, text=True)
        assert counted.stdout.strip() == expected
        first.insert("INSERT INTO things (name) VALUES (?)", "after")
    assert second.rows("SELECT COUNT(*) FROM things") == [(4,)]
    first.close()
    second.close()
