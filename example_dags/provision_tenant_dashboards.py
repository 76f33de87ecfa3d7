"""Give each row of a tenant table a Databrain dashboard, and keep it as the table says.

1. ``plan`` splits the tenant table into key ranges of 50 tenants.
2. ``provision``, mapped over the ranges, creates and updates each active tenant's dashboard. Its XCom has ``{tenant:
   dashboard id}``, and under the key ``counts`` how many tenants were created, updated and so on.
3. ``hand_on`` receives the ids of all ranges. Put your own code there.
4. ``remove`` deletes the dashboards of inactive tenants, if all ranges succeeded. It deletes none if there are more
   than 25, or more than a twentieth of the tenants in the ledger.

With the param ``dry_run``, ``provision`` and ``remove`` change nothing and return what they would do.

Needs:

- The connection ``warehouse``: any SQL database. It has the table ``tenants`` with the columns tenant_id (unique,
  never null), name, region, plan and is_active. ``provision`` creates the ledger in it: the table
  ``tenant_dashboards``, which records what each tenant has.
- The connection ``databrain_default``. Password: the data app API key.
- The pool ``databrain``, which limits how many ``provision`` tasks call Databrain at a time.
- In Databrain: the workspace ``analytics``, the datamart ``customer-analytics``, and a dashboard ``template-<plan>``
  for each plan.

If it runs again: unchanged tenants cost no call. If a row's name changed, its embed is renamed. New tenants get their
dashboards.
"""

from __future__ import annotations

import logging
from collections import Counter

from airflow.sdk import XComArg, dag, task

from airflow_provider_databrain import (
    PlanTenantBatchesOperator,
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)

log = logging.getLogger(__name__)

TENANTS = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER = {"ledger_conn_id": "warehouse", "ledger_table": "tenant_dashboards", "active_column": "is_active"}

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


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["databrain"],
    params={"dry_run": False},
    default_args={"retries": 2, "retry_delay": 30},
)
def provision_tenant_dashboards() -> None:
    """Plan key ranges, provision them side by side, pass the ids on, then remove inactive tenants' dashboards."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=50)

    provision = ProvisionTenantDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        **LEDGER,
        spec=DASHBOARD,
        concurrency=16,
        dry_run="{{ params.dry_run }}",
        pool="databrain",
        max_active_tis_per_dagrun=4,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)

    # One task for all batches, so that its limits hold for the whole run.
    remove = RemoveTenantDashboardsOperator(
        task_id="remove",
        **TENANTS,
        **LEDGER,
        mode="incremental",
        delete="dashboard",
        max_deletions=25,
        max_deletion_fraction=0.05,
        dry_run="{{ params.dry_run }}",
    )

    # Runs even if some tenants failed: the ids of the others are in XCom.
    @task(trigger_rule="all_done")
    def hand_on(batches: list[dict[str, str]], counts: list[dict[str, int]]) -> int:
        """Replace this with what you do with the ids. Each batch maps tenants to dashboard ids; returns how many."""
        total: Counter[str] = Counter()
        for batch_counts in counts:
            total.update(batch_counts)
        log.info("%s", ", ".join(f"{number} {action}" for action, number in total.items()))
        return sum(len(ids) for ids in batches if ids)

    hand_on(provision.output, XComArg(provision, key="counts"))
    provision >> remove


provision_tenant_dashboards()
