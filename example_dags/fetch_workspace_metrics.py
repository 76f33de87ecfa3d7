"""Wait until a Databrain workspace has the metrics that a team needs, then fetch the list of all its metrics.

1. ``wait`` polls every 30 seconds, for at most an hour, until the workspace has the metrics ``revenue`` and
   ``churn-rate``. It waits on the triggerer and holds no worker slot.
2. ``fetch`` returns all metrics of the workspace. The rows are in its XCom, with the API's field names.

Needs:

- The connection ``databrain_default``. Extra: ``service_token``.
- In Databrain: the workspace ``analytics``.

If it runs again: it only reads. Each run fetches the list again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain import FetchWorkspaceMetricsOperator, WorkspaceMetricsSensor

WORKSPACE = "analytics"


@dag(schedule=None, catchup=False, tags=["databrain"])
def fetch_workspace_metrics() -> None:
    """Wait for the metrics, then fetch the list; the rows are in the XCom of ``fetch``."""
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
