"""One Databrain dashboard for each row of a tenant table, in batches, with the ids written back.

Needs two connections: ``warehouse`` (any SQL connection, with a table ``tenants`` of the columns tenant_id,
name, region, plan) and ``databrain_default``; and, to bound the load on Databrain, a pool ``databrain``.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from airflow.sdk import BaseHook, dag, task

from airflow_provider_databrain.operators.provisioning import (
    PlanTenantBatchesOperator,
    ProvisionTenantDashboardsOperator,
)

log = logging.getLogger(__name__)

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


@dag(schedule=None, catchup=False, tags=["databrain"], default_args={"retries": 2, "retry_delay": 30})
def provision_tenant_dashboards() -> None:
    """Plan key ranges, provision them side by side, write the dashboard ids back to the warehouse."""
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=50)

    provision = ProvisionTenantDashboardsOperator.partial(
        task_id="provision",
        **TENANTS,
        spec=DASHBOARD,
        concurrency=16,
        pool="databrain",
        max_active_tis_per_dagrun=4,
        map_index_template="{{ task.batch['label'] }}",
    ).expand(batch=plan.output)

    # The ids of the good tenants are written even where others failed.
    @task(trigger_rule="all_done")
    def write_back(batches: list[dict[str, str]]) -> int:
        """Note each tenant's dashboard id in the table ``tenant_dashboards``; returns how many."""
        rows = [{"tenant_id": tenant, "dashboard_id": ids[tenant]} for ids in batches if ids for tenant in ids]
        engine = BaseHook.get_hook(TENANTS["sql_conn_id"]).get_sqlalchemy_engine()
        table = sa.Table(
            "tenant_dashboards",
            sa.MetaData(),
            sa.Column("tenant_id", sa.String(255), primary_key=True),
            sa.Column("dashboard_id", sa.String(255), nullable=False),
        )
        table.create(engine, checkfirst=True)
        with engine.begin() as connection:
            if rows:
                doomed = table.c.tenant_id == sa.bindparam("tenant")
                connection.execute(sa.delete(table).where(doomed), [{"tenant": row["tenant_id"]} for row in rows])
                connection.execute(sa.insert(table), rows)
        return len(rows)

    # A run with a failed batch must not end green because the task after it ran.
    @task
    def all_provisioned(written: int) -> None:
        """Say how many tenants have their dashboard; runs only where every batch went well."""
        log.info("%d tenants have their dashboard", written)

    written = write_back(provision.output)
    provision >> all_provisioned(written)


provision_tenant_dashboards()
