"""Every night, what one metric says for each client into a table of the warehouse, and as it came into a file.

Needs the connections ``databrain_default`` with the data app API key, and ``warehouse`` with the tenant table of
``provision_tenant_dashboards`` and with::

    CREATE TABLE revenue_by_client (client_id TEXT, day DATE, month TEXT, revenue NUMERIC);

A client's rows of a day are replaced as a whole, so that a task may be retried and cleared at will.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook, dag, task

from airflow_provider_databrain import FetchMetricDataOperator, MetricDataToSqlOperator

DAY = "{{ dag_run.run_after | ds }}"
COMMON: dict[str, Any] = {"metric_id": "{{ params.metric_id }}", "max_active_tis_per_dagrun": 8}


@task
def clients() -> list[str]:
    """Those that have a dashboard."""
    hook: Any = BaseHook.get_hook("warehouse")
    return [tenant for (tenant,) in hook.get_records("SELECT tenant_id FROM tenants WHERE is_active ORDER BY 1")]


def to_table(client: str) -> dict[str, Any]:
    """A client's arguments."""
    return {"embed_id": f"client-{client}", "client_id": client, "constants": {"client_id": client, "day": DAY}}


def to_file(client: str) -> dict[str, Any]:
    """A client's arguments."""
    path = f"{{{{ params.folder }}}}/{DAY}/{client}.json"
    return {"embed_id": f"client-{client}", "client_id": client, "output_path": path}


@dag(
    schedule="@daily",
    catchup=False,
    tags=["databrain"],
    params={"metric_id": "revenue", "folder": "file:///var/lib/databrain-metrics"},
    default_args={"retries": 2, "retry_delay": 30},
)
def metric_data_to_warehouse() -> None:
    """A task a client."""
    names = clients()
    MetricDataToSqlOperator.partial(
        task_id="to_table",
        sql_conn_id="warehouse",
        table="revenue_by_client",
        columns={"internal_note": None},
        **COMMON,
    ).expand_kwargs(names.map(to_table))
    FetchMetricDataOperator.partial(task_id="to_file", **COMMON).expand_kwargs(names.map(to_file))


metric_data_to_warehouse()
