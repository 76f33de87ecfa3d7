"""The emulator that tests share is as good as a new one for each of them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Behaviour, Control, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from tests.shared_emulator import SharedEmulator, rows_by_table

PATH = "/api/v2/data-app/workspaces"


@pytest.fixture
def shared() -> Iterator[SharedEmulator]:
    with SharedEmulator() as shared:
        yield shared


def memory(emulator: Emulator) -> dict[str, Any]:
    """What the emulator keeps outside of its file, but for the open connections."""
    control = {field.name: getattr(emulator.control, field.name) for field in fields(Control)}
    del control["transports"]
    others = {
        "clock": emulator.account.clock,
        "conduit": emulator.conduit.behaviour,
        "keys": {key.replace(emulator.posthog_key, "own"): value for key, value in emulator.posthog_keys.items()},
    }
    return control | others


def in_file(shared: SharedEmulator) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(shared._path)) as database:
        return rows_by_table(database)


def fill_every_table(shared: SharedEmulator) -> None:
    with closing(sqlite3.connect(shared._path)) as database, database:
        for table in rows_by_table(database):
            columns = database.execute(f"PRAGMA table_info({table})").fetchall()
            values = [f"new {column[1]}" if column[2] == "TEXT" else 77 for column in columns]
            database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in values)})", values)


def test_every_table_is_as_after_the_start(shared: SharedEmulator) -> None:
    before = in_file(shared)
    assert len(before) > 20
    fill_every_table(shared)
    filled = in_file(shared)
    assert all(len(filled[table]) > len(rows) for table, rows in before.items())
    shared.fresh()
    assert in_file(shared) == before


def test_rows_of_the_start_that_were_changed_or_deleted_are_back(shared: SharedEmulator) -> None:
    before = in_file(shared)
    emulator = shared.fresh()
    for app in emulator.account.apps():
        emulator.account.delete_app(app.name)
    key = emulator.account.key(emulator.service_token)
    assert key is not None
    emulator.account.rotate(key, 0)
    assert emulator.account.live_keys() != []
    assert shared.fresh() is emulator
    assert in_file(shared) == before
    assert emulator.account.key(emulator.service_token) == key
    assert emulator.account.key(emulator.api_key) is not None


def test_what_is_not_in_the_file_is_as_after_the_start(shared: SharedEmulator) -> None:
    with Emulator() as new:
        expected = memory(new)
    emulator = shared.fresh()
    control = emulator.control
    control.set_faults([Fault(kind="error_before")])
    control.behaviour = Behaviour(rate_limit=1, window_seconds=60)
    control.random("tags")
    emulator.account.clock = lambda: 0.0
    emulator.conduit.behaviour = ConduitBehaviour(created_status=200)
    emulator.posthog_keys["other"] = Key(None)
    for _ in range(2):
        requests.get(emulator.url + PATH, timeout=5)
    dirty = memory(emulator)
    assert {name for name in expected if dirty[name] == expected[name]} == set()
    assert shared.fresh() is emulator
    assert memory(emulator) == expected


def test_a_request_that_does_not_end_gets_a_server_of_its_own(shared: SharedEmulator) -> None:
    emulator = shared.fresh()
    emulator.control.set_faults([Fault(kind="slow", seconds=30)])
    with contextlib.suppress(requests.Timeout):
        requests.get(emulator.url + PATH, timeout=0.05)
    other = shared.fresh()
    assert other is not emulator
    assert list(other.control.log) == []
    assert requests.get(other.url + "/_emulator/calls", timeout=5).json() == {}


def test_a_request_that_ends_soon_is_waited_for(shared: SharedEmulator) -> None:
    emulator = shared.fresh()
    emulator.control.behaviour = Behaviour(latency=0.1)
    with contextlib.suppress(requests.Timeout):
        requests.get(emulator.url + PATH, timeout=0.02)
    assert shared.fresh() is emulator
    assert list(emulator.control.log) == []
