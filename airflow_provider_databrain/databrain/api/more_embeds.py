"""Databrain's embeds of dashboards and metrics that are there already; those of new dashboards are in ``databrain``."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator

from airflow_provider_databrain.client.call import Request, Resend, in_steps
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, filled, json_body, wire
from airflow_provider_databrain.databrain.api.dashboards import DashboardExport, read_export
from airflow_provider_databrain.databrain.api.embeds import (
    API_KEY,
    AccessSettings,
    AccessSettingsChange,
    Embed,
    endpoint,
    list_embeds,
    read_id,
)

# Page create-embed. The server chooses the id, so a second try could make a second embed.
CREATE_EMBED = endpoint(
    "create embed",
    "POST",
    "/data-app/embeds",
    API_KEY,
    legacy_path="/api/v2/dataApp/embeds",
    resend=Resend.IF_UNPROCESSED,
    codes={
        "INVALID_DASHBOARD_ID": NotFoundError,
        "INVALID_METRIC_ID": NotFoundError,
        "DATAMART_TABLE_NOT_FOUND": NotFoundError,
    },
)
# Page export-embed.
EXPORT_EMBED = endpoint("export embed", "GET", "/data-app/embeds/export", API_KEY)


def _settings(given: object) -> object:
    return AccessSettingsChange.model_validate(given) if isinstance(given, Mapping) else given


class _NewEmbed(Extensible):
    """What embeds of both types have.

    :param dashboard_id: the dashboard that is shown, or that has the metric.
    :param name: the embed's name.
    """

    dashboard_id: Name
    workspace_name: Name
    name: Name | None = None


class DashboardEmbed(_NewEmbed):
    """An embed of a whole dashboard."""

    embed_type: Literal["dashboard"] = "dashboard"
    access_settings: AccessSettings


class MetricEmbed(_NewEmbed):
    """An embed of one metric.

    :param access_settings: all settings or some (see ``AccessSettingsChange``); a mapping may have the API's own names.
    """

    embed_type: Literal["metric"] = "metric"
    metric_id: Name
    access_settings: Annotated[Extensible, BeforeValidator(_settings)] | None = None


NewEmbed: TypeAlias = DashboardEmbed | MetricEmbed


def create_embed(embed: NewEmbed) -> Request[str]:
    """Embed a dashboard or metric that is there already. The result is the embed's id, which the server chooses.

    An unclear failure is not tried again; ``find_or_create_embed`` looks instead.

    :raises NotFoundError: there is no such workspace, dashboard, metric or table.
    :raises InvalidRequestError: there is no such datamart, or its tenancy is another (``INVALID_DATAMART``).
    """
    return Request(CREATE_EMBED, read_id, body=json_body(wire(embed)), dashboard=embed.dashboard_id)


def find_or_create_embed(embed: NewEmbed) -> Generator[Request[Any], Any, tuple[str, bool]]:
    """The id of an embed of the same dashboard or metric, of the same name where it has one; a new embed otherwise.

    What is found keeps its access settings. After an unclear failure the list shows whether the embed was created.
    Two tasks that do this at the same moment may make one each; whoever comes next takes the older where the server
    lists that first.

    :return: the id, and whether it was created.
    :raises MalformedAnswerError: the list does not say what the embeds show, as older servers' lists do not.
    :raises ApiError: as ``create_embed``.
    """
    found = yield from _find(embed)
    if found is not None:
        return found, False
    try:
        return (yield create_embed(embed)), True
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = yield from _find(embed)
        if found is None:
            raise
        return found, True


def export_embed(embed_id: str) -> Request[DashboardExport]:
    """The dashboard of an embed as a document; its ``meta`` has the embed's access settings.

    :raises ValueError: ``embed_id`` is blank.
    """
    return Request(EXPORT_EMBED, read_export, query={"embedId": filled(embed_id, "embed_id")}, dashboard=embed_id)


def _find(embed: NewEmbed) -> Generator[Request[Any], Any, str | None]:
    wanted = embed.metric_id if isinstance(embed, MetricEmbed) else embed.dashboard_id
    for row in (yield from in_steps(list_embeds(page="all"))):
        if row.embed_type not in (embed.embed_type, None):
            continue
        if embed.name is not None and row.name not in (embed.name, None):
            continue
        shown = _shown(row, embed.embed_type)
        if shown == wanted:
            return row.embed_id
        if shown is None:
            raise MalformedAnswerError(
                f"the list does not say what embed {row.embed_id!r} shows, so it may be the one that is wanted",
                transient=False,
            )
    return None


def _shown(row: Embed, embed_type: str) -> str | None:
    """The id of the dashboard or metric that an embed shows, None where the server names none."""
    metadata = row.embed_metadata
    if embed_type == "metric":
        return (row.external_metric and row.external_metric.metric_id) or (metadata and metadata.metric_id) or None
    dashboard = row.external_dashboard
    return (dashboard and dashboard.external_dashboard_id) or (metadata and metadata.dashboard_id) or None
