"""Every night, record what a Databrain organization has: to see what changed, and to keep a copy of each dashboard.

Two task groups run side by side:

- ``organization`` lists workspaces, data apps, API tokens, datasources, datamarts with their semantic layers, and the
  workspace's metrics and dashboards.
- ``data_app`` lists the data app's dashboards and embeds. For each embed, it exports the dashboard to a file and lists
  metrics and scheduled reports.

A list with an ``output_path`` is written to ``<folder>/<date>/`` as a JSON file; the other lists are in XCom. No file
and no XCom holds a key.

Needs:

- The connection ``databrain_default``. Password: the data app API key. Extras: ``service_token``, ``workspace_name``
  and ``data_app_name``.
- In Databrain: embed ids ``client-<client id>``, as ``provision_tenant_dashboards`` creates them.
- The param ``folder``: a path, or an object storage URL such as ``s3://conn@bucket/databrain``.

If it runs again: it only reads from Databrain. It overwrites the files of an earlier run on the same date.
"""

from __future__ import annotations

from airflow.sdk import dag, task_group

from airflow_provider_databrain import (
    ExportEmbedOperator,
    FetchDashboardMetricsOperator,
    FetchDataAppDashboardsOperator,
    FetchEmbedMetricsOperator,
    FetchSemanticLayerOperator,
    FetchWorkspaceDashboardsOperator,
    FetchWorkspaceMetricsOperator,
    ListApiTokensOperator,
    ListDataAppsOperator,
    ListDatamartsOperator,
    ListDatasourcesOperator,
    ListEmbedsOperator,
    ListScheduledReportsOperator,
    ListWorkspacesOperator,
)

FOLDER = "{{ params.folder }}/{{ dag_run.run_after | ds }}"


@task_group
def organization() -> None:
    """List what belongs to the organization and the workspace; only ``dashboard_metrics`` uses the data app API key."""
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
    """List what belongs to the data app, with the data app API key, and export each embed's dashboard."""
    FetchDataAppDashboardsOperator(task_id="dashboards", output_path=f"{FOLDER}/data_app_dashboards.json")
    embeds = ListEmbedsOperator(task_id="embeds", max_xcom_bytes=1_000_000)
    ExportEmbedOperator.partial(task_id="export").expand_kwargs(
        embeds.output.map(
            lambda embed: {"embed_id": embed["embedId"], "output_path": f"{FOLDER}/{embed['embedId']}.json"}
        )
    )
    # The list of embeds has no client ids. ``provision_tenant_dashboards`` puts the client id into the embed id.
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
    """Record the organization and the data app, side by side."""
    organization()
    data_app()


databrain_inventory()
