"""A Conduit workspace for each row of a tenant table, and in it a clone of the organization's dashboard.

Needs two connections: ``warehouse`` (any SQL connection, with a table ``tenants`` of the columns tenant_id, name and
is_active) and ``conduit_default``. What was provisioned is noted in the table ``conduit_dashboards`` of the warehouse.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain import (
    PlanTenantBatchesOperator,
    ProvisionConduitDashboardsOperator,
    RemoveConduitWorkspacesOperator,
)

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER = {"ledger_conn_id": "warehouse", "ledger_table": "conduit_dashboards", "active_column": "is_active"}

DASHBOARD = {
    "source_dashboard": 1,
    "name": "Overview",
    "ext_id": "{tenant_id}",
    "workspace_name": "{name}",
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["conduit"],
    default_args={"retries": 2, "retry_delay": 30},
)
def provision_conduit_dashboards() -> None:
    """Plan key ranges, provision them, disable the workspaces of inactive tenants."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=100)

    provision = ProvisionConduitDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        **LEDGER,
        spec=DASHBOARD,
        concurrency=4,
        max_active_tis_per_dagrun=2,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)

    remove = RemoveConduitWorkspacesOperator(task_id="remove", **TENANTS, **LEDGER, max_deletions=5)
    provision >> remove


provision_conduit_dashboards()
