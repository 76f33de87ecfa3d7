"""The example Dags that create a preview, release it, and delete it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import WORKSPACE

CREATE, RELEASE, END = "databrain_preview", "release_databrain_preview", "end_databrain_preview"
NAME = "preview-main"
PASSWORD = "s3cr3t-of-the-warehouse"


@pytest.fixture
def key_file(connection: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file for the preview's key; also sets the connection of the warehouse."""
    path = tmp_path / "key.json"
    monkeypatch.setenv("DATABRAIN_PREVIEW_KEY_FILE", str(path))
    warehouse = {
        "conn_type": "postgres",
        "host": "db.example.com",
        "login": "databrain",
        "password": PASSWORD,
        "schema": "sales",
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_FOR_DATABRAIN", json.dumps(warehouse))
    return path


def workspace_source(emulator: Emulator) -> dict[str, Any]:
    """The connection of the preview's workspace."""
    return emulator.state.workspace_connection(NAME) or {}


def data_apps(emulator: Emulator) -> list[str]:
    return sorted(app.name for app in emulator.account.apps())


def test_two_runs_create_each_part_once_and_show_no_secret(
    connection: Emulator, key_file: Path, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        ran = run_example(CREATE)
        assert ran.state == "success"
        [source] = connection.catalog.datasources()
        assert (source.name, source.type) == (NAME, "postgres")
        assert source.fields == ["database", "host", "name", "password", "port", "schema", "username"]
        [mart] = connection.catalog.datamarts()
        assert (mart.name, mart.datasource) == (NAME, NAME)
        assert mart.layer
        assert [table["name"] for table in mart.layer["tables"]] == ["orders"]
        assert connection.state.workspaces() == [WORKSPACE, NAME]
        assert workspace_source(connection)["datamartName"] == NAME
        assert data_apps(connection) == sorted([DATA_APP, NAME])
        key = json.loads(key_file.read_text())["databrain_preview"]["password"]
        created = connection.account.key(key)
        assert created
        assert (created.data_app, created.name) == (NAME, "airflow")
        shown = repr(ran.xcoms) + "".join(capfd.readouterr())
        assert key not in shown
        assert PASSWORD not in shown
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_a_release_changes_source_and_name_and_can_run_again(
    connection: Emulator, key_file: Path, run_example: Callable[..., Ran]
) -> None:
    assert run_example(CREATE).state == "success"
    for _ in range(2):
        assert run_example(RELEASE).state == "success"
        assert workspace_source(connection)["connectionType"] == "MULTI_DATASOURCE"
        assert data_apps(connection) == sorted([DATA_APP, "customer-portal"])


def test_the_end_dag_deletes_the_whole_preview_and_can_run_again(
    connection: Emulator, key_file: Path, run_example: Callable[..., Ran]
) -> None:
    assert run_example(CREATE).state == "success"
    for _ in range(2):
        assert run_example(END).state == "success"
        assert (connection.catalog.datasources(), connection.catalog.datamarts()) == ([], [])
        assert connection.state.workspaces() == [WORKSPACE]
        assert data_apps(connection) == [DATA_APP]
