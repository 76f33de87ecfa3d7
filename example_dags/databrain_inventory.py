"""Every night, write down all that the Databrain organization has: to see what changed, and to have a copy.

Needs the connection ``databrain_default`` with both tokens and, in its extras, workspace and data app. No key is
written down. ``folder`` is a path or an object storage URL such as ``s3://conn@bucket/databrain``.
"""

from __future__ import annotations

from airflow.sdk import dag, task_group

from airflow_provider_databrain.databrain.operators.data_apps import ListDataAppsOperator
from airflow_provider_databrain.databrain.operators.datamarts import ListDatamartsOperator
from airflow_provider_databrain.databrain.operators.datasources import ListDatasourcesOperator
from airflow_provider_databrain.databrain.operators.embeds import ExportEmbedOperator, ListEmbedsOperator
from airflow_provider_databrain.databrain.operators.metrics import (
    FetchDashboardMetricsOperator,
    FetchDataAppDashboardsOperator,
    FetchEmbedMetricsOperator,
    ListScheduledReportsOperator,
)
from airflow_provider_databrain.databrain.operators.semantic_layers import FetchSemanticLayerOperator
from airflow_provider_databrain.databrain.operators.tokens import ListApiTokensOperator
from airflow_provider_databrain.databrain.operators.workspaces import (
    FetchWorkspaceDashboardsOperator,
    FetchWorkspaceMetricsOperator,
    ListWorkspacesOperator,
)

FOLDER = "{{ params.folder }}/{{ dag_run.run_after | ds }}"


@task_group
def organization() -> None:
    """What the service token sees."""
    ListWorkspacesOperator(task_id="workspaces", output_path=f"{FOLDER}/workspaces.json")
    ListDataAppsOperator(task_id="data_apps", output_path=f"{FOLDER}/data_apps.json")
    ListApiTokensOperator(task_id="api_tokens", output_path=f"{FOLDER}/api_tokens.json")
    ListDatasourcesOperator(task_id="datasources", output_path=f"{FOLDER}/datasources.json")
    FetchWorkspaceMetricsOperator(task_id="metrics", output_path=f"{FOLDER}/metrics.json")
    marts = ListDatamartsOperator(task_id="datamarts", max_xcom_bytes=1_000_000)
    FetchSemanticLayerOperator.partial(task_id="semantic_layers").expand(
        name=marts.output.map(lambda mart: mart["name"])
    )
    dashboards = FetchWorkspaceDashboardsOperator(task_id="dashboards", page="all")
    FetchDashboardMetricsOperator.partial(task_id="dashboard_metrics").expand(
        dashboard_id=dashboards.output.map(lambda dashboard: dashboard["externalDashboardId"])
    )


@task_group
def data_app() -> None:
    """What the data app's key sees: each embed's dashboard as a document, its metrics and its reports."""
    FetchDataAppDashboardsOperator(task_id="dashboards", output_path=f"{FOLDER}/data_app_dashboards.json")
    embeds = ListEmbedsOperator(task_id="embeds", max_xcom_bytes=1_000_000)
    ExportEmbedOperator.partial(task_id="export").expand_kwargs(
        embeds.output.map(
            lambda embed: {"embed_id": embed["embedId"], "output_path": f"{FOLDER}/{embed['embedId']}.json"}
        )
    )
    # The list does not say whose an embed is; those of ``provision_tenant_dashboards`` have it in their ids.
    FetchEmbedMetricsOperator.partial(task_id="embed_metrics").expand_kwargs(
        embeds.output.map(
            lambda embed: {"embed_id": embed["embedId"], "client_id": embed["embedId"].removeprefix("client-")}
        )
    )
    ListScheduledReportsOperator.partial(task_id="reports").expand(
        embed_id=embeds.output.map(lambda embed: embed["embedId"])
    )


@dag(
    schedule="@daily",
    catchup=False,
    tags=["databrain"],
    params={"folder": "file:///var/lib/databrain-inventory"},
    default_args={"retries": 2, "retry_delay": 30},
)
def databrain_inventory() -> None:
    """Both halves, side by side."""
    organization()
    data_app()


databrain_inventory()
