"""The example Dag that copies a dashboard from development to production."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import WORKSPACE

DAG_ID = "promote_dashboard"
DOCUMENT = {"layout": [], "filters": [{"schemaName": "dev"}], "metrics": [{"metricId": "total", "name": "Total"}]}


@pytest.fixture
def production(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A second Databrain as production; the first one has the dashboard to be promoted."""
    connection.state.contents.add_dashboard("sales", "Sales", WORKSPACE, DOCUMENT)
    with Emulator() as emulator:
        emulator.state.add_workspace("main")
        emulator.catalog.put_datamart("customer-analytics", "warehouse", {"tableList": []})
        fields = {
            "conn_type": "databrain",
            "host": emulator.url,
            "password": emulator.api_key,
            "extra": {"service_token": emulator.service_token, "workspace_name": "main"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_DATABRAIN_PRODUCTION", json.dumps(fields))
        yield emulator


def test_two_runs_leave_one_copy_and_one_embed_in_production(
    production: Emulator, run_example: Callable[..., Ran]
) -> None:
    for _ in range(2):
        ran = run_example(DAG_ID)
        assert ran.state == "success"
        [row] = production.state.embeds()
        assert (row.dashboard_id, row.dashboard_name, row.name) == ("sales-1", "Sales", "sales")
        assert ran.values("promote") == ["sales-1"]
        assert ran.values("embed") == [row.embed_id]
    document = production.state.contents.document("sales-1")
    assert document == {**DOCUMENT, "filters": [{"schemaName": "prod"}]}
