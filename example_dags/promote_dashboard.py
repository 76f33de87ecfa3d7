"""Copy a Databrain dashboard from development to production, and embed it there.

Trigger it by hand. Its params are the dashboard's id and the release.

1. ``there`` waits for at most an hour until the development workspace has the dashboard.
2. ``promote`` copies it into the production workspace, under the id ``<dashboard>-<release>``. It replaces the
   database schema ``dev`` with ``prod``, and checks what arrived.
3. ``embed`` creates an embed of the copy in production.

Needs two connections of type ``databrain``:

- ``databrain_default``, for development. Extras: ``service_token`` and ``workspace_name``.
- ``databrain_production``. Password: the data app API key. Extras: ``service_token`` and ``workspace_name``.

In production, Databrain needs the datamart ``customer-analytics``.

If you run it again with the same release: if the two dashboards are the same, nothing is imported, and the embed that
exists is used. If they differ, the run fails and changes nothing; give another release.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain import EmbedOperator, PromoteDashboardOperator, WorkspaceDashboardsSensor

PRODUCTION = "databrain_production"
ACCESS = {
    "datamart_name": "customer-analytics",
    "is_allow_email_reports": True,
    "is_allow_manage_metrics": False,
    "is_allow_metric_creation": False,
    "is_allow_metric_deletion": False,
    "is_allow_metric_layout_change": False,
    "is_allow_metric_update": False,
    "is_allow_underlying_data": False,
    "is_allow_create_dashboard_view": False,
    "metric_creation_mode": "DRAG_DROP",
}


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"dashboard_id": "sales", "release": "1"},
    default_args={"retries": 2, "retry_delay": 30},
)
def promote_dashboard() -> None:
    """Wait for the dashboard in development, copy it to production, then embed the copy."""
    dashboard_exists = WorkspaceDashboardsSensor(
        task_id="there",
        dashboards=["{{ params.dashboard_id }}"],
        poke_interval=30,
        timeout=timedelta(hours=1).total_seconds(),
        deferrable=True,
    )
    promote = PromoteDashboardOperator(
        task_id="promote",
        dashboard_id="{{ params.dashboard_id }}",
        target_conn_id=PRODUCTION,
        target_dashboard_id="{{ params.dashboard_id }}-{{ params.release }}",
        target_dashboard_name="{{ params.dashboard_id | title }}",
        schema_pairs=[{"replace_schema": "dev", "target_schema": "prod"}],
    )
    dashboard_exists >> promote
    EmbedOperator(
        task_id="embed",
        databrain_conn_id=PRODUCTION,
        dashboard_id=promote.output,
        access_settings=ACCESS,
        name="{{ params.dashboard_id }}",
    )


promote_dashboard()
