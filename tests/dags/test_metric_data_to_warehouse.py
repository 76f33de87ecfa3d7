"""The example Dag that writes a metric's data to the warehouse."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import ODD_IDS, embed

DAG_ID = "metric_data_to_warehouse"
# The example uses the client id as a file name, in which a slash would mean a folder.
CLIENTS = ["acme", "globex", *(client for client in ODD_IDS if "/" not in client)]


def rows_of(client: str) -> list[dict[str, Any]]:
    """The metric's rows for a client."""
    return [{"month": f"2026-{month:02}", "revenue": month * len(client), "internal_note": "x"} for month in (1, 2, 3)]


@pytest.fixture
def warehouse(connection: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The warehouse's SQLite file with both tables; each client has an embed with the metric."""
    path = tmp_path / "warehouse.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE revenue_by_client (client_id TEXT, day DATE, month TEXT, revenue NUMERIC)")
        database.execute("CREATE TABLE tenants (tenant_id TEXT, is_active INTEGER)")
        database.executemany("INSERT INTO tenants VALUES (?, ?)", [(client, 1) for client in CLIENTS] + [("old", 0)])
        database.commit()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    hook = DatabrainHook()
    for client in CLIENTS:
        hook.create_dashboard_embed(embed(client))
        connection.state.contents.add_metric(f"client-{client}", "revenue", data=rows_of(client))
    return path


def table_rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT client_id, month, revenue FROM revenue_by_client ORDER BY 1, 2").fetchall()


def test_two_runs_leave_each_clients_rows_once_in_the_table_and_in_its_file(
    warehouse: Path, tmp_path: Path, run_example: Callable[..., Ran]
) -> None:
    for _ in range(2):
        ran = run_example(DAG_ID, params={"folder": f"file://{tmp_path}/metrics"})
        assert ran.state == "success"
        assert ran.values("to_table") == [3] * len(CLIENTS)
        assert table_rows(warehouse) == sorted(
            (client, row["month"], row["revenue"]) for client in CLIENTS for row in rows_of(client)
        )
    files = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metrics").rglob("*.json")}
    assert files == {client: rows_of(client) for client in CLIENTS}


def test_a_failing_client_does_not_stop_the_others(
    connection: Emulator, warehouse: Path, tmp_path: Path, run_example: Callable[..., Ran]
) -> None:
    connection.state.contents.add_metric("client-globex", "revenue", data=[{"surprise": 1}])
    ran = run_example(DAG_ID, params={"folder": f"file://{tmp_path}/metrics"})
    assert ran.state == "failed"
    assert {row[0] for row in table_rows(warehouse)} == set(CLIENTS) - {"globex"}
