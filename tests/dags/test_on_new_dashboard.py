"""The example Dag that an asset watcher starts."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import WORKSPACE

DAG_ID = "on_new_dashboard"


def test_two_runs_embed_the_dashboard_once_with_the_examples_access_settings(
    connection: Emulator, run_example: Callable[..., Ran]
) -> None:
    connection.state.add_workspace(WORKSPACE, dashboards=["sales"])
    connection.catalog.put_datamart("customer-analytics", "warehouse", {"tableList": []})
    for _ in range(2):
        assert run_example(DAG_ID).state == "success"
        [row] = connection.state.embeds()
        assert row.dashboard_id == "sales"
        settings = connection.state.access_settings(row.embed_id)
        assert (settings["isAllowEmailReports"], settings["isAllowUnderlyingData"]) == (True, False)
