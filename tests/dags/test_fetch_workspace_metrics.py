"""The example Dag that waits for metrics and fetches them."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import METRICS


def test_the_metrics_are_in_xcom_under_the_apis_field_names(
    connection: Emulator, run_example: Callable[..., Ran]
) -> None:
    ran = run_example("fetch_workspace_metrics")
    assert ran.state == "success"
    [rows] = ran.values("fetch")
    assert [row["metricId"] for row in rows] == METRICS
    assert {"metricId": "revenue", "name": "Revenue"} in rows


def test_a_deferred_wait_ends_when_the_metrics_appear(
    connection: Emulator, run_example: Callable[..., Ran], late_metrics: None
) -> None:
    ran = run_example("fetch_workspace_metrics")
    assert ran.state == "success"
    assert ran.task_states[("wait", -1)] == "success"
    [rows] = ran.values("fetch")
    assert {"revenue", "churn-rate"} <= {row["metricId"] for row in rows}
