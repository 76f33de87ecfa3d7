"""Give each row of a tenant table a shared PostHog dashboard, and keep it as the table says.

1. ``plan`` splits the tenant table into key ranges of 250 tenants.
2. ``provision``, mapped over the ranges, creates, updates and shares each active tenant's dashboard. Its XCom is
   ``{tenant: dashboard id}``. One range runs at a time, at the pace that PostHog allows.
3. ``remove`` deletes the dashboards of inactive tenants, if all ranges succeeded. It deletes none if there are more
   than 25, or more than a tenth of the tenants in the ledger.

Needs:

- The connection ``warehouse``: any SQL database. It has the table ``tenants`` with the columns tenant_id (unique,
  never null), name, plan and is_active. ``provision`` creates the ledger in it: the table ``posthog_dashboards``,
  which records what each tenant has.
- The connection ``posthog_default``. Password: a personal API key with the scopes dashboard:write and
  sharing_configuration:write. Extras: ``region`` and ``project_id``.

If it runs again: unchanged tenants cost no call. Dashboards of changed rows are updated; ``use_template`` counts only
when a dashboard is created. New tenants get their dashboards.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain import (
    PlanTenantBatchesOperator,
    ProvisionPostHogDashboardsOperator,
    RemovePostHogDashboardsOperator,
)

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER = {"ledger_conn_id": "warehouse", "ledger_table": "posthog_dashboards", "active_column": "is_active"}

DASHBOARD = {
    "name": "{name}",
    "description": "How {name} uses the product",
    "tags": ["tenant", "{plan}"],
    "use_template": "DEFAULT_APP",
    "sharing": {"settings": {"whitelabel": True}},
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["posthog"],
    default_args={"retries": 2, "retry_delay": 30},
)
def provision_posthog_dashboards() -> None:
    """Plan key ranges, provision them one after the other, then delete the dashboards of inactive tenants."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=250)

    provision = ProvisionPostHogDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        **LEDGER,
        spec=DASHBOARD,
        # PostHog allows 480 calls per minute and 4,800 per hour, and a new tenant takes three. A deferrable task gives
        # the worker slot back during a long wait.
        deferrable=True,
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)

    remove = RemovePostHogDashboardsOperator(task_id="remove", **TENANTS, **LEDGER, max_deletions=25)
    provision >> remove


provision_posthog_dashboards()
