"""Take a dashboard from development to production, and embed it there.

Needs two connections with both tokens each: ``databrain_default`` for development and ``databrain_production``; the
extras of each name its workspace. A dashboard of the same id in production is never changed: the run fails where it is
another one, so name the release in the id.
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
    """Wait until it is there, copy and compare, then embed once."""
    there = WorkspaceDashboardsSensor(
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
    there >> promote
    EmbedOperator(
        task_id="embed",
        databrain_conn_id=PRODUCTION,
        dashboard_id=promote.output,
        access_settings=ACCESS,
        name="{{ params.dashboard_id }}",
    )


promote_dashboard()
