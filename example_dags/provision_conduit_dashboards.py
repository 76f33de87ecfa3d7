"""Give each row of a tenant table a Conduit workspace with a copy of one of your dashboards.

1. ``plan`` splits the tenant table into key ranges of 100 tenants.
2. ``provision``, mapped over the ranges, creates each active tenant's workspace and clones the dashboard into it. Its
   XCom is ``{tenant: dashboard id}``, and ``{tenant: workspace id}`` under the key ``workspaces``.
3. ``remove`` disables the workspaces of inactive tenants, if all ranges succeeded. It disables none if there are more
   than 5, or more than a tenth of the tenants in the ledger.

Needs:

- The connection ``warehouse``: any SQL database. It has the table ``tenants`` with the columns tenant_id (unique,
  never null), name and is_active. ``provision`` creates the ledger in it: the table ``conduit_dashboards``, which
  records what each tenant has.
- The connection ``conduit_default``. Password: the organization token.
- In Conduit: "Your company name" on the page "API", a white-label, and the dashboard whose number is
  ``source_dashboard``.

If it runs again: tenants in the ledger cost no call. New tenants get their workspaces. Nothing is updated, because
Conduit has no call for that.
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
    """Plan key ranges, provision each range, then disable the workspaces of inactive tenants."""
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
