"""Every night, what one metric says for each client into a table of the warehouse.

Needs the connections ``databrain_default`` with the data app API key, and ``warehouse`` with the table::

    CREATE TABLE revenue_by_client (client_id TEXT, day DATE, month TEXT, revenue NUMERIC);

A client's rows of a day are replaced as a whole, so that a task may be retried and cleared at will.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag

from airflow_provider_databrain.operators.databrain_data import FetchMetricDataOperator, MetricDataToSqlOperator
from airflow_provider_databrain.operators.databrain_embeds import ListEmbedsOperator

DAY = "{{ dag_run.run_after | ds }}"


def of_client(embed: dict[str, Any]) -> dict[str, Any]:
    """A mapped task's arguments."""
    client = embed["clientId"]
    return {"embed_id": embed["embedId"], "client_id": client, "constants": {"client_id": client, "day": DAY}}


@dag(
    schedule="@daily",
    catchup=False,
    tags=["databrain"],
    params={"metric_id": "revenue", "folder": "file:///var/lib/databrain-metrics"},
    default_args={"retries": 2, "retry_delay": 30},
)
def metric_data_to_warehouse() -> None:
    """One task a client into the table; one client's rows as a file too."""
    embeds = ListEmbedsOperator(task_id="embeds", max_xcom_bytes=1_000_000)
    MetricDataToSqlOperator.partial(
        task_id="to_table",
        sql_conn_id="warehouse",
        table="revenue_by_client",
        metric_id="{{ params.metric_id }}",
        columns={"internal_note": None},
        max_active_tis_per_dag=8,
    ).expand_kwargs(embeds.output.map(of_client))
    FetchMetricDataOperator.partial(
        task_id="to_files", metric_id="{{ params.metric_id }}", max_active_tis_per_dag=8
    ).expand_kwargs(
        embeds.output.map(
            lambda embed: {
                "embed_id": embed["embedId"],
                "client_id": embed["clientId"],
                "output_path": "{{ params.folder }}/" + DAY + f"/{embed['embedId']}.json",
            }
        )
    )


metric_data_to_warehouse()
