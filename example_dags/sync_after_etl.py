"""After an ETL changed a database schema, make Databrain read the schema again, then publish a metric that uses it.

1. ``etl`` is a placeholder for your ETL. It must end before the sync begins.
2. ``sync`` makes Databrain read the datasource's schema.
3. ``synced`` waits for at most an hour until the sync is done. It is for datasources on S3 only: their sync continues
   after Databrain has answered. Leave it out for other datasources.
4. ``publish`` publishes the metric in its embed.

Params: ``datasource_id``, ``embed_id`` and ``metric_id``. The datasource's id is in the URL of its page in Databrain;
no API call returns it.

Needs the connection ``databrain_default``. Password: the data app API key. Extra: ``service_token``.

If it runs again: the schema is read again, and a metric that is published stays published.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_databrain import DatasourceSyncSensor, PublishMetricOperator, SyncDatasourceOperator


@task
def etl() -> None:
    """Replace this with your ETL, which adds columns to the warehouse."""


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"datasource_id": "", "embed_id": "client-acme", "metric_id": "revenue-by-region"},
)
def sync_after_etl() -> None:
    """Run the ETL, sync the datasource, wait for the sync, then publish the metric."""
    sync = SyncDatasourceOperator(
        task_id="sync", datasource_id="{{ params.datasource_id }}", wait_seconds=1800, deferrable=True
    )
    # For a datasource on S3 only: its sync continues after Databrain has answered.
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
