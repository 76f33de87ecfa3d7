"""One shared PostHog dashboard for each row of a tenant table, in batches, kept as the table says.

Needs two connections: ``warehouse`` (any SQL connection, with a table ``tenants`` of the columns tenant_id, name,
plan and is_active) and ``posthog_default``, whose key has the scopes dashboard:write and sharing_configuration:write.
What was provisioned is noted in the table ``posthog_dashboards`` of the warehouse, so a run costs what has changed.
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
    """Plan key ranges, provision them one after the other at PostHog's pace, delete what inactive tenants had."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=250)

    provision = ProvisionPostHogDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        **LEDGER,
        spec=DASHBOARD,
        # PostHog grants 480 calls a minute and 4,800 an hour, a tenant takes two: let the slot go on a long wait.
        deferrable=True,
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)

    remove = RemovePostHogDashboardsOperator(task_id="remove", **TENANTS, **LEDGER, max_deletions=25)
    provision >> remove


provision_posthog_dashboards()
