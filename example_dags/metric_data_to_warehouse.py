"""Every night, write one metric's data for each active client to a table of the warehouse, and to a JSON file.

1. ``clients`` reads the ids of the active tenants from the warehouse.
2. ``to_table``, mapped over the clients, writes the metric's rows to the table, with the client's id and the date. It
   leaves out the metric's column ``internal_note``.
3. ``to_file``, mapped over the clients, writes the metric's rows to ``<folder>/<date>/<client>.json``, as the API
   returns them.

Needs:

- The connection ``databrain_default``. Password: the data app API key.
- The connection ``warehouse``: any SQL database. It has the table ``tenants`` with the columns tenant_id and
  is_active, as in ``provision_tenant_dashboards``, and this table::

      CREATE TABLE revenue_by_client (client_id TEXT, day DATE, month TEXT, revenue NUMERIC);

- In Databrain: for each active client, an embed ``client-<client>`` that has the metric.

If it runs again, or if a task is retried or cleared: one transaction replaces the client's rows of that date, and the
file is overwritten.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Connection, dag, task

from airflow_provider_databrain import FetchMetricDataOperator, MetricDataToSqlOperator

DAY = "{{ dag_run.run_after | ds }}"
COMMON: dict[str, Any] = {"metric_id": "{{ params.metric_id }}", "max_active_tis_per_dagrun": 8}


@task
def clients() -> list[str]:
    """Return the ids of the active tenants, which are the clients that have a dashboard."""
    hook: Any = Connection.get("warehouse").get_hook()
    return [tenant for (tenant,) in hook.get_records("SELECT tenant_id FROM tenants WHERE is_active ORDER BY 1")]


def to_table(client: str) -> dict[str, Any]:
    """Return the arguments of ``to_table`` for one client."""
    return {"embed_id": f"client-{client}", "client_id": client, "constants": {"client_id": client, "day": DAY}}


def to_file(client: str) -> dict[str, Any]:
    """Return the arguments of ``to_file`` for one client."""
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
    """Read the clients; then run two tasks for each client."""
    client_ids = clients()
    MetricDataToSqlOperator.partial(
        task_id="to_table",
        sql_conn_id="warehouse",
        table="revenue_by_client",
        columns={"internal_note": None},
        **COMMON,
    ).expand_kwargs(client_ids.map(to_table))
    FetchMetricDataOperator.partial(task_id="to_file", **COMMON).expand_kwargs(client_ids.map(to_file))


metric_data_to_warehouse()
