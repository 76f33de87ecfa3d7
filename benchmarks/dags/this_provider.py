"""The batch operator at work: plan, then one mapped task for each batch of 500."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain.operators.provisioning import (
    PlanTenantBatchesOperator,
    ProvisionTenantDashboardsOperator,
)
from benchmarks.common import DASHBOARD

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}


@dag(schedule=None, catchup=False)
def this_provider() -> None:
    """Plan and provision."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=500)
    ProvisionTenantDashboardsOperator.partial(task_id="provision", **TENANTS, spec=DASHBOARD, concurrency=16).expand(
        batch=plan.output
    )


this_provider()
