"""The example Dag that rotates both keys of a connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran

DAG_ID = "rotate_databrain_keys"


@pytest.fixture
def connections(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The JSON file that holds the connections."""
    path = tmp_path / "connections.json"
    databrain = {
        "conn_type": "databrain",
        "host": emulator.url,
        "password": emulator.account.add_key(DATA_APP, "airflow"),
        "extra": {"service_token": emulator.service_token},
    }
    path.write_text(json.dumps({"databrain_default": databrain, "other": {"conn_type": "http", "host": "example.com"}}))
    monkeypatch.setenv("AIRFLOW_CONNECTIONS_FILE", str(path))
    return path


def load_connection(connections: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the connection from the file. Replaces the secrets backend, which Airflow sets up only once per process."""
    databrain = json.loads(connections.read_text())["databrain_default"]
    monkeypatch.setenv("AIRFLOW_CONN_DATABRAIN_DEFAULT", json.dumps(databrain))


def keys(connections: Path) -> tuple[str, str]:
    """The API key and the service token in the file."""
    databrain: dict[str, Any] = json.loads(connections.read_text())["databrain_default"]
    return databrain["password"], databrain["extra"]["service_token"]


def test_each_run_stores_two_new_keys_in_the_file_and_shows_none(
    emulator: Emulator,
    connections: Path,
    run_example: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known = [keys(connections)]
    for _ in range(2):
        load_connection(connections, monkeypatch)
        ran = run_example(DAG_ID)
        assert ran.state == "success"
        known.append(keys(connections))
        shown = repr(ran.xcoms) + "".join(capfd.readouterr())
        assert not [key for pair in known for key in pair if key in shown]
    assert len({key for pair in known for key in pair}) == 6
    assert json.loads(connections.read_text())["other"] == {"conn_type": "http", "host": "example.com"}
    assert connections.stat().st_mode & 0o777 == 0o600
    load_connection(connections, monkeypatch)
    assert DatabrainHook().test_connection() == (True, "data app API key: works; service token: works")
