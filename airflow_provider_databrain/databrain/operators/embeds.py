"""Operators of Databrain's embeds, other than those that create a client's dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import write_file
from airflow_provider_databrain.databrain.operators.base import (
    DatabrainOperator,
    ListOperator,
    raise_if_no_api_code,
    without_blanks,
)

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received


class EmbedOperator(DatabrainOperator):
    """Make an embed of a pre-built dashboard, or of one of its metrics, exist; returns the embed's id.

    One that shows the same is taken as it is, whatever its access settings. Needs the data app API key.

    :param dashboard_id: the dashboard that is shown, or that has the metric (templated).
    :param metric_id: the metric; None to show the whole dashboard (templated).
    :param workspace_name: the connection's default where it is not given (templated).
    :param access_settings: see ``api.databrain.AccessSettings``; a metric's may be left out (templated).
    :param name: the embed's name (templated).
    :param extra: further fields of the API (templated).
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
        """Find or create; returns the embed's id."""
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
        self.log.info("Embed %r: %s", embed_id, "created" if created else "was there")
        return embed_id


class _OneEmbedOperator(DatabrainOperator):
    """Base of what is done to one embed.

    :param embed_id: the embed (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "embed_id")

    def __init__(self, *, embed_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id


class UpdateEmbedOperator(_OneEmbedOperator):
    """Change what a client may do in an embed, its name, or both; returns the embed's id.

    :param embed_id: the embed (templated).
    :param access_settings: those settings that are to be changed (templated).
    :param name: its new name (templated).
    :param is_rename_dashboard: with ``name``: show it as the dashboard's title too.
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
        """Update; returns the embed's id."""
        if not self.access_settings and not self.name:
            raise ValueError("give access_settings, name, or both. Nothing was sent.")
        if self.access_settings:
            self.hook.update_embed(self.embed_id, self.access_settings)
        if self.name:
            self.hook.rename_embed(self.embed_id, self.name, is_rename_dashboard=self.is_rename_dashboard)
        return self.embed_id


class DeleteEmbedOperator(_OneEmbedOperator):
    """Delete an embed; one that is gone is no error. Its guest tokens end with it.

    :param embed_id: the embed (templated).
    :param is_delete_dashboard: delete the dashboard that it shows too.
    """

    def __init__(self, *, is_delete_dashboard: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_delete_dashboard = is_delete_dashboard

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import NotFoundError

        try:
            self.hook.delete_embed(self.embed_id, is_delete_dashboard=self.is_delete_dashboard)
        except NotFoundError as error:
            raise_if_no_api_code(error)
            self.log.info("Embed %r is gone already", self.embed_id)


class ListEmbedsOperator(ListOperator):
    """List the data app's embeds, as the API has them; see ``RowsOperator`` too.

    :param client_id: ask only for this client's; a server that does not know the filter answers everyone's (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "client_id")

    def __init__(self, *, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_embeds(client_id=self.client_id or None, page="all")


class ExportEmbedOperator(_OneEmbedOperator):
    """Export the dashboard of an embed to a file; returns its path.

    :param embed_id: the embed (templated).
    :param output_path: path or object storage URL (templated).
    """

    template_fields: Sequence[str] = (*_OneEmbedOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path

    def execute(self, context: Context) -> str:
        """Export; returns the path."""
        import json

        document = self.hook.export_embed(self.embed_id).as_row()
        write_file(self.output_path, json.dumps(document, ensure_ascii=False).encode())
        return self.output_path
