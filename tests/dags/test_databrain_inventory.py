"""The example Dag that records what an organization has."""

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
from tests.support import METRICS, WORKSPACE, embed, set_connection

DAG_ID = "databrain_inventory"


@pytest.fixture
def organization(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A Databrain with one of each object, and two embeds."""
    set_connection(monkeypatch, emulator, extra={"data_app_name": DATA_APP})
    emulator.catalog.add_datasource("warehouse")
    emulator.catalog.put_datamart("mart", "warehouse", {"tableList": [{"name": "orders", "columns": []}]})
    emulator.catalog.set_layer("mart", {"tables": [{"name": "orders", "description": "What was bought."}]})
    for client in ("acme", "globex"):
        DatabrainHook().create_dashboard_embed(embed(client))
        emulator.state.contents.add_metric(f"client-{client}", "revenue")
    return emulator


def test_the_lists_are_in_files_and_xcoms_and_no_key_is_shown(
    organization: Emulator, tmp_path: Path, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_example(DAG_ID, params={"folder": f"file://{tmp_path}"})
    assert ran.state == "success"
    written: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in tmp_path.rglob("*.json")}
    assert [row["name"] for row in written["workspaces"]] == [WORKSPACE]
    assert [row["name"] for row in written["data_apps"]] == [DATA_APP]
    assert [row["name"] for row in written["datasources"]] == ["warehouse"]
    assert {row["metricId"] for row in written["metrics"]} >= set(METRICS)
    assert {row["embedId"] for row in written["data_app_dashboards"]} == {"client-acme", "client-globex"}
    assert written["api_tokens"]
    assert written["client-acme"]["data"]
    assert ran.values("organization.semantic_layers") == [[{"name": "orders", "description": "What was bought."}]]
    assert [[row["metricId"] for row in rows] for rows in ran.values("data_app.embed_metrics")] == [["revenue"]] * 2
    assert ran.values("data_app.reports") == [[], []]
    assert any(ran.values("organization.dashboard_metrics"))
    shown = repr(ran.xcoms) + repr(written) + "".join(capfd.readouterr())
    assert organization.api_key not in shown
    assert organization.service_token not in shown
