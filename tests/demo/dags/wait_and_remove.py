"""Eight sensors wait on the triggerer at the same time; then inactive tenants are removed, and a dashboard is created.

``tests/demo/test_demo.py`` runs it on a real triggerer. There, each poll of each sensor reads the connection.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain import CreateDashboardEmbedOperator, EmbedSensor, RemoveTenantDashboardsOperator

EMBEDS = [f"client-late-{number}" for number in range(8)]


ACCESS = {
    "datamart_name": "customer-analytics",
    "is_allow_email_reports": False,
    "is_allow_manage_metrics": True,
    "is_allow_metric_creation": True,
    "is_allow_metric_deletion": False,
    "is_allow_metric_layout_change": True,
    "is_allow_metric_update": True,
    "is_allow_underlying_data": False,
    "is_allow_create_dashboard_view": True,
    "metric_creation_mode": "DRAG_DROP",
}


# The retries are for Airflow 3.0.0 and 3.0.1, which can lose a task if many of them start at the same time on SQLite.
@dag(schedule=None, catchup=False, default_args={"retries": 3, "retry_delay": timedelta(seconds=1)})
def wait_and_remove() -> None:
    """Eight deferred sensors, then one removal and one creation."""
    wait = EmbedSensor.partial(task_id="wait", poke_interval=1, timeout=300, deferrable=True).expand(embed_id=EMBEDS)
    remove = RemoveTenantDashboardsOperator(
        task_id="remove",
        sql_conn_id="warehouse",
        table="tenants",
        key_column="tenant_id",
        active_column="is_active",
        ledger_conn_id="warehouse",
        mode="incremental",
        delete="dashboard",
        max_deletions=5,
        max_deletion_fraction=1.0,
    )
    create = CreateDashboardEmbedOperator(
        task_id="create", dashboard_id="client-last", client_id="last", access_settings=ACCESS
    )
    wait >> remove >> create


wait_and_remove()
