"""One Databrain dashboard for each row of a tenant table, in batches, kept as the table says.

Needs two connections: ``warehouse`` (any SQL connection, with a table ``tenants`` of the columns tenant_id, name,
region, plan and is_active) and ``databrain_default``; and, to bound the load on Databrain, a pool ``databrain``.
What was provisioned is noted in the table ``tenant_dashboards`` of the warehouse, so a run costs what has changed.
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
    """Plan key ranges, provision them side by side, hand the ids on, remove what inactive tenants had."""
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

    # One task for all batches, so that its bounds hold for the whole run.
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

    # Also where some tenants failed: the ids of the good ones are in XCom.
    @task(trigger_rule="all_done")
    def hand_on(batches: list[dict[str, str]], counts: list[dict[str, int]]) -> int:
        """Stands for what you do with the ids: each batch is a mapping from tenant to dashboard id."""
        total: Counter[str] = Counter()
        for one in counts:
            total.update(one)
        log.info("%s", ", ".join(f"{number} {action}" for action, number in total.items()))
        return sum(len(ids) for ids in batches if ids)

    hand_on(provision.output, XComArg(provision, key="counts"))
    provision >> remove


provision_tenant_dashboards()
