"""The batches run in a Celery queue of their own; the removal runs in a pod of its own.

Needs ``[core] executor = CeleryExecutor,KubernetesExecutor``, a Celery worker that listens to the queue ``databrain``,
the pool ``databrain``, and the connections ``warehouse`` and ``databrain_default``. Without Kubernetes, leave the line
with ``executor`` out; otherwise the Dag does not import.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain import (
    PlanTenantBatchesOperator,
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER = {"ledger_conn_id": "warehouse", "active_column": "is_active"}
DASHBOARD = {
    "dashboard_id": "client-{tenant_id}",
    "client_id": "{tenant_id}",
    "workspace_name": "analytics",
    "name": "{name}",
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
    },
}


@dag(schedule=None, catchup=False, max_active_runs=1, default_args={"retries": 2})
def tenant_dashboards_in_queues() -> None:
    """Plan in the default queue, provision in the queue ``databrain``, remove on Kubernetes."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=500)

    provision = ProvisionTenantDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        **LEDGER,
        spec=DASHBOARD,
        queue="databrain",
        pool="databrain",
        max_active_tis_per_dagrun=4,
    ).expand(batch=plan.output)

    remove = RemoveTenantDashboardsOperator(
        task_id="remove",
        **TENANTS,
        **LEDGER,
        mode="incremental",
        delete="dashboard",
        max_deletions=25,
        executor="KubernetesExecutor",
    )

    provision >> remove


tenant_dashboards_in_queues()
