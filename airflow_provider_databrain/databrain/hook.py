"""Databrain's hook: an Airflow connection becomes a client of Databrain's API.

Each function of ``databrain.api`` is a method here, twice: sync, and async with ``a`` in front. Both come from one
line. The methods that return or store tokens and keys are in ``databrain.keys``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.base.hook import ConnectionExtras, both
from airflow_provider_databrain.client.answer import without_quotes
from airflow_provider_databrain.client.call import Call, Token
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.api import (
    dashboards,
    data_apps,
    datamarts,
    datasources,
    embeds,
    endpoint,
    metrics,
    semantic_layers,
    workspaces,
)
from airflow_provider_databrain.databrain.keys import TokenMethods


class DatabrainExtras(ConnectionExtras):
    """The extras of a ``databrain`` connection.

    :param service_token: the organization's service token. The data app's API key is the connection's password.
    :param workspace_name: the workspace for operators that name none.
    :param data_app_name: the data app that the API key belongs to.
    :param legacy_paths: use the older ``/api/v2/dataApp/...`` paths if the vendor documents one.
    :param workspace_metrics_path: replaces the path of "fetch workspace metrics", which the vendor's reference does not
        print.
    """

    service_token: str | None = None
    workspace_name: str | None = None
    data_app_name: str | None = None
    legacy_paths: bool = False
    workspace_metrics_path: str | None = None


class DatabrainHook(TokenMethods[DatabrainExtras]):
    """A client of Databrain's API, sync and async.

    Each call uses the token that it needs: the data app API key (the connection's password) or the service token (extra
    ``service_token``).

    :param databrain_conn_id: an Airflow connection of type ``databrain``.
    :param connect_timeout: seconds; replaces the connection's value.
    :param read_timeout: seconds; replaces the connection's value.
    :param max_retry_seconds: seconds; replaces the connection's value.
    :param max_call_seconds: seconds; replaces the connection's value.
    """

    conn_name_attr = "databrain_conn_id"
    default_conn_name = "databrain_default"
    conn_type = "databrain"
    hook_name = "Databrain"
    extras_model = DatabrainExtras
    default_url = endpoint.CLOUD_URL
    api_path = "/api/v2$|/api/v2/(?:data-?[aA]pp|workspaces?|datasources?|guest-token|service-token)"
    page_path = r"/api/v\d+$"

    def __init__(self, databrain_conn_id: str = default_conn_name, **timeouts: float | None) -> None:
        super().__init__(databrain_conn_id, **timeouts)
        self.databrain_conn_id = databrain_conn_id

    def tokens(self, connection: Connection, extras: DatabrainExtras) -> Mapping[Token, str | None]:
        """The API key and the service token."""
        return {endpoint.API_KEY: connection.password, endpoint.SERVICE_TOKEN: extras.service_token}

    def options(self, extras: DatabrainExtras) -> Mapping[str, Any]:
        """Which paths the calls use."""
        path = extras.workspace_metrics_path
        return {
            "legacy_paths": extras.legacy_paths,
            "paths": {workspaces.FETCH_WORKSPACE_METRICS.name: path} if path else {},
        }

    @property
    def data_app_name(self) -> str | None:
        """The connection's data app; None if the connection names none."""
        return self.extras.data_app_name

    def workspace(self, name: str | None = None) -> str:
        """``name``, or the connection's default workspace.

        :raises ConfigurationError: neither is set.
        """
        return self._chosen(name, "workspace_name", "workspace", "Default workspace")

    def data_app(self, name: str | None = None) -> str:
        """``name``, or the connection's data app.

        :raises ConfigurationError: neither is set.
        """
        return self._chosen(name, "data_app_name", "data app", "Data app")

    def test_connection(self) -> tuple[bool, str]:
        """Test each token with one small read.

        :return: whether the connection has a token and each token works; and for each token, the result in words.
        """
        # A separate hook: this one may have settings and connections already, and those retry.
        hook = DatabrainHook(self.conn_id, **{**self._overrides, "max_retry_seconds": 0.0})
        try:
            tokens = hook.server.tokens
        except ConfigurationError as error:
            return False, str(error)
        works = bool(tokens)
        results: list[str] = []
        probes: tuple[tuple[Token, Call[Any]], ...] = (
            (endpoint.API_KEY, embeds.list_embeds(page=1)),
            (endpoint.SERVICE_TOKEN, workspaces.list_workspaces(page=1)),
        )
        for token, probe in probes:
            if token not in tokens:
                results.append(f"{token.name}: not set ({token.field})")
                continue
            try:
                hook.run(probe)
                results.append(f"{token.name}: works")
            except (ApiError, ConfigurationError) as error:
                works = False
                results.append(f"{token.name}: {without_quotes(error) if isinstance(error, ApiError) else error}")
        hook.close()
        return works, "; ".join(results)

    def _chosen(self, name: str | None, extra: str, what: str, title: str) -> str:
        chosen: str | None = name or getattr(self.extras, extra)
        if not chosen:
            raise ConfigurationError(
                f"No {what}: give {extra}, or fill {title!r} (extra {extra!r}) in connection {self.conn_id!r}."
            )
        return chosen

    # One group for each module of ``databrain.api``.
    create_dashboard_embed, acreate_dashboard_embed = both(embeds.create_dashboard_embed)
    create_embed, acreate_embed = both(embeds.create_embed)
    find_or_create_embed, afind_or_create_embed = both(embeds.find_or_create_embed)
    list_embeds, alist_embeds = both(embeds.list_embeds)
    update_embed, aupdate_embed = both(embeds.update_embed)
    rename_embed, arename_embed = both(embeds.rename_embed)
    delete_embed, adelete_embed = both(embeds.delete_embed)
    export_embed, aexport_embed = both(embeds.export_embed)

    list_workspaces, alist_workspaces = both(workspaces.list_workspaces)
    fetch_workspace_metrics, afetch_workspace_metrics = both(workspaces.fetch_workspace_metrics)
    fetch_workspace_dashboards, afetch_workspace_dashboards = both(workspaces.fetch_workspace_dashboards)
    create_workspace, acreate_workspace = both(workspaces.create_workspace)
    update_workspace, aupdate_workspace = both(workspaces.update_workspace)
    delete_workspace, adelete_workspace = both(workspaces.delete_workspace)

    export_dashboard, aexport_dashboard = both(dashboards.export_dashboard)
    import_dashboard, aimport_dashboard = both(dashboards.import_dashboard)

    fetch_data_app_dashboards, afetch_data_app_dashboards = both(metrics.fetch_data_app_dashboards)
    fetch_embed_metrics, afetch_embed_metrics = both(metrics.fetch_embed_metrics)
    fetch_dashboard_metrics, afetch_dashboard_metrics = both(metrics.fetch_dashboard_metrics)
    publish_metric, apublish_metric = both(metrics.publish_metric)
    fetch_metric_data, afetch_metric_data = both(metrics.fetch_metric_data)
    list_scheduled_reports, alist_scheduled_reports = both(metrics.list_scheduled_reports)

    create_data_app, acreate_data_app = both(data_apps.create_data_app)
    list_data_apps, alist_data_apps = both(data_apps.list_data_apps)
    update_data_app, aupdate_data_app = both(data_apps.update_data_app)
    delete_data_app, adelete_data_app = both(data_apps.delete_data_app)

    create_datasource, acreate_datasource = both(datasources.create_datasource)
    update_datasource, aupdate_datasource = both(datasources.update_datasource)
    list_datasources, alist_datasources = both(datasources.list_datasources)
    delete_datasource, adelete_datasource = both(datasources.delete_datasource)
    start_datasource_sync, astart_datasource_sync = both(datasources.start_datasource_sync)
    get_sync_progress, aget_sync_progress = both(datasources.get_sync_progress)

    create_datamart, acreate_datamart = both(datamarts.create_datamart)
    update_datamart, aupdate_datamart = both(datamarts.update_datamart)
    list_datamarts, alist_datamarts = both(datamarts.list_datamarts)
    delete_datamart, adelete_datamart = both(datamarts.delete_datamart)

    get_semantic_layer, aget_semantic_layer = both(semantic_layers.get_semantic_layer)
    create_semantic_layer, acreate_semantic_layer = both(semantic_layers.create_semantic_layer)
    update_semantic_layer, aupdate_semantic_layer = both(semantic_layers.update_semantic_layer)
    delete_semantic_layer, adelete_semantic_layer = both(semantic_layers.delete_semantic_layer)
