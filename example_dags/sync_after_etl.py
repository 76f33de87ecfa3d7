"""After the ETL has changed a schema, make Databrain read it anew, and show a metric that counts on it.

Needs the connection ``databrain_default`` with both tokens. ``datasource_id`` is in the address of the datasource's
page in Databrain; no call of the API tells it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_databrain import DatasourceSyncSensor, PublishMetricOperator, SyncDatasourceOperator


@task
def etl() -> None:
    """Stands for what adds columns to the warehouse."""


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"datasource_id": "", "embed_id": "client-acme", "metric_id": "revenue-by-region"},
)
def sync_after_etl() -> None:
    """ETL, sync, then publish."""
    sync = SyncDatasourceOperator(
        task_id="sync", datasource_id="{{ params.datasource_id }}", wait_seconds=1800, deferrable=True
    )
    # For a datasource on S3, whose sync goes on after the answer; leave it out for others.
    synced = DatasourceSyncSensor(
        task_id="synced",
        datasource_id="{{ params.datasource_id }}",
        poke_interval=30,
        timeout=timedelta(hours=1).total_seconds(),
        deferrable=True,
    )
    publish = PublishMetricOperator(
        task_id="publish", embed_id="{{ params.embed_id }}", metric_id="{{ params.metric_id }}"
    )
    etl() >> sync >> synced >> publish


sync_after_etl()
