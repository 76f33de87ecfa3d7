"""The main job for ten thousand tenants and more: batches of 250, on workers that may die.

It needs two connections: ``warehouse`` (with a table ``tenants`` that has the columns tenant_id, name, region, plan and
is_active) and ``databrain_default``. The provisioned dashboards are recorded in the warehouse's table
``tenant_dashboards``.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain.databrain.operators.tenants import (
    PlanTenantBatchesOperator,
    ProvisionTenantDashboardsOperator,
)

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}

DASHBOARD = {
    "dashboard_id": "client-{tenant_id}",
    "client_id": "{tenant_id}",
    "workspace_name": "analytics",
    "template_dashboard_id": "template-{plan}",
    "is_import_metrics": True,
    "name": "{name}",
    "metadata": {"region": "{region}"},
    "access_settings": {
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
        "table_tenancy_settings": [{"name": "sales", "client_column": "customer_id"}],
    },
}


# A task that dies with its worker uses up one try.
@dag(schedule=None, catchup=False, default_args={"retries": 3, "retry_delay": timedelta(seconds=5)})
def provision_at_scale() -> None:
    """Plan ranges of keys and provision them in parallel."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=250)

    ProvisionTenantDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        active_column="is_active",
        ledger_conn_id="warehouse",
        spec=DASHBOARD,
        concurrency=16,
        max_active_tis_per_dagrun=8,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)


provision_at_scale()
