"""Operators of Databrain's embeds. All need the data app API key.

The operator that creates a client's own dashboard together with its embed is in ``client_dashboards``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import write_file
from airflow_provider_databrain.databrain.operators.base import (
    DatabrainOperator,
    ListOperator,
    without_blanks,
)

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received


class EmbedOperator(DatabrainOperator):
    """Embed an existing dashboard, or one of its metrics, if it is not embedded yet; returns the embed's id.

    An existing embed of the same dashboard or metric (and of the same ``name``, if you set one) is left unchanged, even
    if its access settings differ.

    Further parameters: see ``DatabrainOperator``.

    :param dashboard_id: the dashboard to show, or the dashboard that contains the metric (templated).
    :param metric_id: the metric to show; None shows the whole dashboard (templated).
    :param workspace_name: the workspace; the connection's default if not set (templated).
    :param access_settings: what a client may do; see ``databrain.api.access.AccessSettings``. Required for a dashboard,
        optional for a metric (templated).
    :param name: the embed's name (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "dashboard_id",
        "metric_id",
        "workspace_name",
        "access_settings",
        "name",
        "extra",
    )
    template_fields_renderers = {"access_settings": "json"}

    def __init__(
        self,
        *,
        dashboard_id: str,
        metric_id: str | None = None,
        workspace_name: str | None = None,
        access_settings: Mapping[str, Any] | None = None,
        name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.metric_id = metric_id
        self.workspace_name = workspace_name
        self.access_settings = access_settings
        self.name = name
        self.extra = extra

    def execute(self, context: Context) -> str:
        """Find or create the embed; returns its id.

        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        :raises NotFoundError: the dashboard, the metric or the workspace does not exist.
        """
        from airflow_provider_databrain.databrain.api.embeds import DashboardEmbed, MetricEmbed

        fields = without_blanks(
            dashboard_id=self.dashboard_id,
            metric_id=self.metric_id,
            workspace_name=self.hook.workspace(self.workspace_name),
            access_settings=self.access_settings,
            name=self.name,
        )
        model = MetricEmbed if self.metric_id else DashboardEmbed
        embed = model.model_validate({**fields, "extra": dict(self.extra or {})})
        embed_id, created = self.hook.find_or_create_embed(embed)
        self.log.info("Embed %r: %s", embed_id, "created" if created else "exists already")
        return embed_id


class _OneEmbedOperator(DatabrainOperator):
    """Base of the operators that act on one embed.

    :param embed_id: the embed's id (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "embed_id")

    def __init__(self, *, embed_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id


class UpdateEmbedOperator(_OneEmbedOperator):
    """Change an embed's access settings, its name, or both; returns the embed's id.

    Further parameters: see ``DatabrainOperator``.

    :param embed_id: the embed's id (templated).
    :param access_settings: the settings to change; see ``databrain.api.access.AccessSettings``. The others stay as they
        are (templated).
    :param name: the embed's new name (templated).
    :param is_rename_dashboard: also show ``name`` as the dashboard's title.
    """

    template_fields: Sequence[str] = (*_OneEmbedOperator.template_fields, "access_settings", "name")
    template_fields_renderers = {"access_settings": "json"}

    def __init__(
        self,
        *,
        access_settings: Mapping[str, Any] | None = None,
        name: str | None = None,
        is_rename_dashboard: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.access_settings = access_settings
        self.name = name
        self.is_rename_dashboard = is_rename_dashboard

    def execute(self, context: Context) -> str:
        """Update the embed; returns its id.

        :raises ValueError: ``access_settings`` and ``name`` are both blank, or a setting is wrong; nothing was sent.
        :raises NotFoundError: the embed does not exist.
        """
        if not self.access_settings and not self.name:
            raise ValueError("set access_settings, name, or both. Nothing was sent.")
        if self.access_settings:
            self.hook.update_embed(self.embed_id, self.access_settings)
        if self.name:
            self.hook.rename_embed(self.embed_id, self.name, is_rename_dashboard=self.is_rename_dashboard)
        return self.embed_id


class DeleteEmbedOperator(_OneEmbedOperator):
    """Delete an embed; returns nothing. Succeeds if the embed is already gone. Its guest tokens stop working.

    Further parameters: see ``DatabrainOperator``.

    :param embed_id: the embed's id (templated).
    :param is_delete_dashboard: also delete the dashboard that it shows.
    """

    def __init__(self, *, is_delete_dashboard: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_delete_dashboard = is_delete_dashboard

    def execute(self, context: Context) -> None:
        """Delete the embed.

        :raises ValueError: ``embed_id`` is blank; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import NotFoundError

        try:
            self.hook.delete_embed(self.embed_id, is_delete_dashboard=self.is_delete_dashboard)
        except NotFoundError as error:
            error.raise_unless_from_api()
            self.log.info("Embed %r is already gone", self.embed_id)


class ListEmbedsOperator(ListOperator):
    """List the data app's embeds; returns rows with ``embedId``.

    Further parameters: see ``RowsOperator``.

    :param client_id: ask for this client's embeds only. A server that does not know this filter returns the embeds of
        all clients (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "client_id")

    def __init__(self, *, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_embeds(client_id=self.client_id or None, page="all")


class ExportEmbedOperator(_OneEmbedOperator):
    """Export the dashboard of an embed to a JSON file; returns the file's path.

    Further parameters: see ``DatabrainOperator``.

    :param embed_id: the embed's id (templated).
    :param output_path: the file to write: a path, or an object storage URL such as ``s3://conn@bucket/export.json``
        (templated).
    """

    template_fields: Sequence[str] = (*_OneEmbedOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path

    def execute(self, context: Context) -> str:
        """Export the dashboard; returns the path.

        :raises ValueError: ``embed_id`` is blank; nothing was sent.
        """
        import json

        document = self.hook.export_embed(self.embed_id).as_row()
        write_file(self.output_path, json.dumps(document, ensure_ascii=False).encode())
        return self.output_path
