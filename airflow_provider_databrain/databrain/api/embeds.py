"""Databrain's HTTP API: endpoints, request and answer models, and one function per operation.

Each function returns a call (see ``core.Call``) that a transport runs. Facts are from the vendor's API
reference (docs.usedatabrain.com, developer-docs/helpers/api-reference); each endpoint names its page.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, JsonValue

from airflow_provider_databrain.client.call import Call, Request, Resend, in_steps
from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, filled, json_body, reader, wire
from airflow_provider_databrain.databrain.api.access import AccessSettings, AccessSettingsChange
from airflow_provider_databrain.databrain.api.dashboards import DashboardExport, SchemaPair, read_export
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, ChangedEmbed, endpoint, read_id
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader

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


# Page create-dashboard-embed. The id is ours, so "already exists" after an unclear failure is detectable.
CREATE_DASHBOARD_EMBED = endpoint(
    "create dashboard embed",
    "POST",
    "/data-app/dashboard-embeds",
    API_KEY,
    legacy_path="/api/v2/dataApp/dashboard-embeds",
    resend=Resend.DETECTABLE,
    codes={"INVALID_DASHBOARD_ID": AlreadyExistsError},
)
# Page list-embed.
LIST_EMBEDS = endpoint("list embeds", "GET", "/data-app/embeds", API_KEY, legacy_path="/api/v2/dataApp/embeds")
# Page update-embed.
UPDATE_EMBED = endpoint("update embed", "PUT", "/data-app/embeds", API_KEY, legacy_path="/api/v2/dataApp/embeds")
# Page rename-embed.
RENAME_EMBED = endpoint(
    "rename embed", "PUT", "/data-app/embeds/rename", API_KEY, legacy_path="/api/v2/dataApp/embeds/rename"
)
# Page delete-embed. Its sample of the older form is a POST to this path, which is how an embed is created: never that.
DELETE_EMBED = endpoint(
    "delete embed",
    "DELETE",
    "/data-app/embeds",
    API_KEY,
    legacy_path="/api/v2/dataApp/embeds",
    resend=Resend.DETECTABLE,
)


class CreateDashboardEmbed(Extensible):
    """A new dashboard for one client.

    :param dashboard_id: unique in the data app; chosen by the caller.
    :param client_id: the owner; the key of row-level security.
    :param template_dashboard_id: dashboard whose filters, margins and layout are cloned.
    :param metadata: any JSON object, kept with the dashboard.
    :param name: the embed's name; the dashboard id where it is not given.
    :param is_import_metrics: also import the template's metrics.
    :param import_dashboard_data: the ``data`` object of a dashboard export, instead of the template's metrics.
    :param is_rename_dashboard: show ``name`` as the dashboard's title; otherwise the title is
        ``{dashboard_id}_{client_id}``.
    """

    dashboard_id: Name
    workspace_name: Name
    client_id: Name
    access_settings: AccessSettings
    template_dashboard_id: Name | None = None
    metadata: dict[str, JsonValue] | None = None
    is_allow_private_metrics_by_default: bool | None = None
    name: Name | None = None
    embed_description: str | None = None
    is_import_metrics: bool | None = None
    import_dashboard_data: dict[str, JsonValue] | None = None
    is_rename_dashboard: bool | None = None
    metric_import_mode: Literal["GALLERY", "METRIC"] | None = None
    schema_pairs: list[SchemaPair] | None = None


class CreatedEmbed(ChangedEmbed):
    """``id`` is the embed's id. The legacy path answers no ``name``."""

    name: str | None = None


class RenamedEmbed(ChangedEmbed):
    """``id`` is the embed's id, ``name`` its new name where the server repeats it."""

    name: str | None = None


class ExternalDashboard(Received):
    """The dashboard behind an embed. Older servers answer no id here."""

    external_dashboard_id: str | None = None
    name: str | None = None
    metadata: JsonValue = None


class ExternalMetric(Received):
    """The metric behind an embed. Older servers answer no id here."""

    metric_id: str | None = None
    name: str | None = None


class EmbedMetadata(Received):
    """What newer servers repeat about an embed."""

    dashboard_id: str | None = None
    metric_id: str | None = None


class Embed(Received):
    """An embed of the data app, with the dashboard or metric it shows."""

    embed_id: str
    embed_type: str | None = None
    name: str | None = None
    external_dashboard: ExternalDashboard | None = None
    external_metric: ExternalMetric | None = None
    embed_metadata: EmbedMetadata | None = None

    @property
    def dashboard_id(self) -> str:
        """The id of the dashboard shown; the embed's own id where the server names none."""
        dashboard = self.external_dashboard
        return (
            (dashboard and dashboard.external_dashboard_id)
            or (self.embed_metadata and self.embed_metadata.dashboard_id)
            or self.embed_id
        )


_read_created = reader(CreatedEmbed)
_read_renamed = reader(RenamedEmbed)
_read_embeds = rows_reader(Embed)


def create_dashboard_embed(
    embed: CreateDashboardEmbed, *, import_dashboard_data_file: bytes | None = None
) -> Request[CreatedEmbed]:
    """Create a client's dashboard and its embed.

    :param import_dashboard_data_file: a dashboard export file's content (JSON with a top-level ``data``
        object); sent as multipart and used instead of ``import_dashboard_data``.
    :raises ValueError: the file is not such a JSON document.
    """
    fields = wire(embed)
    if import_dashboard_data_file is None:
        body, content_type = json_body(fields), "application/json"
    else:
        fields.pop("importDashboardData", None)
        body, content_type = _multipart(fields, import_dashboard_data_file)
    return Request(
        CREATE_DASHBOARD_EMBED,
        _read_created,
        body=body,
        content_type=content_type,
        tenant=embed.client_id,
        dashboard=embed.dashboard_id,
    )


def list_embeds(*, client_id: str | None = None, page: Page = None) -> Call[list[Embed]]:
    """The embeds of the data app.

    :param client_id: ask only for this client's. The name of this filter is inferred; a server that
        ignores it answers everyone's embeds, so it proves nothing about their owner.
    """
    client = {} if client_id is None else {"clientId": client_id}

    def request(number: int | None) -> Request[list[Embed]]:
        return Request(LIST_EMBEDS, _read_embeds, query=page_query(number) | client)

    return pages(request, page)


def update_embed(embed_id: str, access_settings: Mapping[str, Any] | AccessSettings) -> Request[str]:
    """Change what a tenant may do on its dashboard, at once. The result is the embed's id.

    Unclear failures are tried again: the same values twice change nothing more.

    :param access_settings: all settings, or a mapping of those to be changed (see ``AccessSettingsChange``), by their
        Python names or the API's own; a list in it replaces the present one as a whole.
    :raises ValueError: ``embed_id`` is blank, or a setting is unknown or has a wrong value.
    """
    settings: Extensible = (
        access_settings
        if isinstance(access_settings, AccessSettings)
        else AccessSettingsChange.model_validate(access_settings)
    )
    body = {"embedId": filled(embed_id, "embed_id"), "accessSettings": wire(settings)}
    return Request(UPDATE_EMBED, read_id, body=json_body(body), dashboard=embed_id)


def rename_embed(embed_id: str, name: str, *, is_rename_dashboard: bool | None = None) -> Request[RenamedEmbed]:
    """Give an embed another name.

    Unclear failures are tried again: the same name twice changes nothing more.

    :param is_rename_dashboard: show ``name`` as the dashboard's title too; None, as False, leaves the title.
    :raises ValueError: ``embed_id`` or ``name`` is blank.
    """
    body: dict[str, Any] = {"embedId": filled(embed_id, "embed_id"), "name": filled(name, "name")}
    if is_rename_dashboard is not None:
        body["isRenameDashboard"] = is_rename_dashboard
    return Request(RENAME_EMBED, _read_renamed, body=json_body(body), dashboard=embed_id)


def delete_embed(embed_id: str, *, is_delete_dashboard: bool = False) -> Request[str]:
    """Delete an embed; its guest tokens end with it. The result is the embed's id.

    Unclear failures are tried again, so that a ``NotFoundError`` with ``after_ambiguous`` may stand for an earlier
    try that did delete it.

    :param is_delete_dashboard: delete the dashboard it shows too.
    :raises ValueError: ``embed_id`` is blank.
    """
    query = {"embedId": filled(embed_id, "embed_id"), "isDeleteDashboard": "true" if is_delete_dashboard else "false"}
    return Request(DELETE_EMBED, read_id, query=query, dashboard=embed_id)


def _multipart(fields: Mapping[str, Any], file: bytes) -> tuple[bytes, str]:
    from urllib3.filepost import encode_multipart_formdata

    try:
        document = json.loads(file)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise ValueError("import_dashboard_data_file is not a dashboard export: JSON with a 'data' object")
    parts: dict[str, Any] = {
        key: value if isinstance(value, str) else json_body(value).decode() for key, value in fields.items()
    }
    parts["importDashboardDataFile"] = ("dashboard.json", file, "application/json")
    return encode_multipart_formdata(parts)
