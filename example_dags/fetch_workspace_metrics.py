"""Wait until a workspace has the metrics a team counts on, then fetch the list of all of them.

Needs the connection ``databrain_default`` with a service token.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain import FetchWorkspaceMetricsOperator, WorkspaceMetricsSensor

WORKSPACE = "analytics"


@dag(schedule=None, catchup=False, tags=["databrain"])
def fetch_workspace_metrics() -> None:
    """Sensor, then fetch; the rows are in the XCom of ``fetch``."""
    wait = WorkspaceMetricsSensor(
        task_id="wait",
        workspace_name=WORKSPACE,
        metrics=["revenue", "churn-rate"],
        poke_interval=30,
        timeout=timedelta(hours=1).total_seconds(),
        deferrable=True,
    )
    fetch = FetchWorkspaceMetricsOperator(task_id="fetch", workspace_name=WORKSPACE)
    wait >> fetch


fetch_workspace_metrics()
