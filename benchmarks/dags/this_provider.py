"""The same job with this provider's batch operator: plan, then one mapped task per batch of 250, four at a time.

Needs the connections ``warehouse``, with the table ``tenants``, and ``databrain_default``, whose password is the API
key. ``provision`` creates the ledger in the warehouse: the table ``tenant_dashboards``. A second run makes no call.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain import PlanTenantBatchesOperator, ProvisionTenantDashboardsOperator
from benchmarks.common import DASHBOARD

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}


@dag(schedule=None, catchup=False)
def this_provider() -> None:
    """Plan the batches, then provision each batch."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=250)
    ProvisionTenantDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        spec=DASHBOARD,
        ledger_conn_id="warehouse",
        concurrency=16,
        max_active_tis_per_dagrun=4,
    ).expand(batch=plan.output)


this_provider()
