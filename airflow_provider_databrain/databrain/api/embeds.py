"""Databrain's embeds: how a browser shows a dashboard, or one metric, of a data app.

Two calls create one. ``create_dashboard_embed`` creates a client's dashboard together with its embed, under a dashboard
id that the caller chooses. ``create_embed`` embeds a dashboard or metric that exists already; the server chooses the
embed's id.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, reader, wire
from airflow_provider_databrain.databrain.api.access import AccessSettings, AccessSettingsChange, SomeAccessSettings
from airflow_provider_databrain.databrain.api.dashboards import DashboardExport, SchemaPair, read_export
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, WithId, endpoint, read_id
from airflow_provider_databrain.databrain.api.paging import Page, complete, page_query, pages, rows_reader

_LEGACY = "/api/v2/dataApp/embeds"

# Page create-dashboard-embed. The caller chooses the id, so after an ambiguous failure a second try finds the first
# one's work: the server answers that the id exists already.
CREATE_DASHBOARD_EMBED = endpoint(
    "create dashboard embed",
    "POST",
    "/data-app/dashboard-embeds",
    API_KEY,
    legacy_path="/api/v2/dataApp/dashboard-embeds",
    resend=Resend.DETECTABLE,
    codes={"INVALID_DASHBOARD_ID": AlreadyExistsError},
)
# Page create-embed. The server chooses the id, so a second try could create a second embed.
CREATE_EMBED = endpoint(
    "create embed",
    "POST",
    "/data-app/embeds",
    API_KEY,
    legacy_path=_LEGACY,
    resend=Resend.IF_UNPROCESSED,
    codes={
        "INVALID_DASHBOARD_ID": NotFoundError,
        "INVALID_METRIC_ID": NotFoundError,
        "DATAMART_TABLE_NOT_FOUND": NotFoundError,
    },
)
# Page list-embed.
LIST_EMBEDS = endpoint("list embeds", "GET", "/data-app/embeds", API_KEY, legacy_path=_LEGACY)
# Page update-embed.
UPDATE_EMBED = endpoint("update embed", "PUT", "/data-app/embeds", API_KEY, legacy_path=_LEGACY)
# Page rename-embed.
RENAME_EMBED = endpoint("rename embed", "PUT", "/data-app/embeds/rename", API_KEY, legacy_path=f"{_LEGACY}/rename")
# Page delete-embed. Its sample of the older form is a POST to this path, which creates an embed. It must not be used.
DELETE_EMBED = endpoint(
    "delete embed", "DELETE", "/data-app/embeds", API_KEY, legacy_path=_LEGACY, resend=Resend.DETECTABLE
)
# Page export-embed.
EXPORT_EMBED = endpoint("export embed", "GET", "/data-app/embeds/export", API_KEY)


class CreateDashboardEmbed(Extensible):
    """A new dashboard for one client.

    :param dashboard_id: unique in the data app; the caller chooses it.
    :param client_id: the owner; the key of row-level security.
    :param template_dashboard_id: the dashboard whose filters, margins and layout are copied.
    :param metadata: any JSON object; the server keeps it with the dashboard.
    :param name: the embed's name; without it, the dashboard id.
    :param is_import_metrics: also import the template's metrics.
    :param import_dashboard_data: the ``data`` object of a dashboard export, instead of the template's metrics.
    :param is_rename_dashboard: show ``name`` as the dashboard's title. Otherwise the title is
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


class _NewEmbed(Extensible):
    """The fields of both types of embed.

    :param dashboard_id: the dashboard to show, or the dashboard that has the metric.
    :param name: the embed's name.
    """

    dashboard_id: Name
    workspace_name: Name
    name: Name | None = None


class DashboardEmbed(_NewEmbed):
    """An embed of a whole dashboard that exists already."""

    embed_type: Literal["dashboard"] = "dashboard"
    access_settings: AccessSettings


class MetricEmbed(_NewEmbed):
    """An embed of one metric that exists already.

    :param access_settings: all settings or some (see ``AccessSettingsChange``), by Python names or the API's own.
    """

    embed_type: Literal["metric"] = "metric"
    metric_id: Name
    access_settings: SomeAccessSettings | None = None


NewEmbed: TypeAlias = DashboardEmbed | MetricEmbed


class CreatedEmbed(WithId):
    """A new embed. The legacy path answers without ``name``."""

    name: str | None = None


class RenamedEmbed(WithId):
    """A renamed embed; ``name`` is its new name, None if the server does not repeat it."""

    name: str | None = None


class ExternalDashboard(Received):
    """The dashboard that an embed shows. Older servers answer without its id."""

    external_dashboard_id: str | None = None
    name: str | None = None
    metadata: JsonValue = None


class ExternalMetric(Received):
    """The metric that an embed shows. Older servers answer without its id."""

    metric_id: str | None = None
    name: str | None = None


class EmbedMetadata(Received):
    """What newer servers repeat about an embed."""

    dashboard_id: str | None = None
    metric_id: str | None = None


class Embed(Received):
    """An embed of the data app, with the dashboard or metric that it shows."""

    embed_id: str
    embed_type: str | None = None
    name: str | None = None
    external_dashboard: ExternalDashboard | None = None
    external_metric: ExternalMetric | None = None
    embed_metadata: EmbedMetadata | None = None

    @property
    def dashboard_id(self) -> str:
        """The id of the dashboard that it shows; the embed's own id if the server does not name the dashboard."""
        return self._named_dashboard() or self.embed_id

    def shown_id(self, embed_type: str) -> str | None:
        """The id of what it shows; None if the server does not name it.

        :param embed_type: ``dashboard`` or ``metric``.
        """
        if embed_type == "metric":
            metric = self.external_metric
            return (metric and metric.metric_id) or (self.embed_metadata and self.embed_metadata.metric_id) or None
        return self._named_dashboard()

    def _named_dashboard(self) -> str | None:
        dashboard = self.external_dashboard
        return (
            (dashboard and dashboard.external_dashboard_id)
            or (self.embed_metadata and self.embed_metadata.dashboard_id)
            or None
        )


_read_created = reader(CreatedEmbed)
_read_renamed = reader(RenamedEmbed)
_read_embeds = rows_reader(Embed)


def create_dashboard_embed(
    embed: CreateDashboardEmbed, *, import_dashboard_data_file: bytes | None = None
) -> Request[CreatedEmbed]:
    """Create a client's dashboard and its embed.

    :param import_dashboard_data_file: the content of a dashboard export file (JSON with a top-level ``data`` object).
        It is sent as multipart, and replaces ``import_dashboard_data``.
    :raises ValueError: the file holds no such JSON document.
    :raises MalformedAnswerError: it was created, but the server has changed the id.
    """
    fields = wire(embed)
    if import_dashboard_data_file is None:
        body, content_type = json_body(fields), "application/json"
    else:
        fields.pop("importDashboardData", None)
        body, content_type = _multipart(fields, import_dashboard_data_file)
    return Request(
        CREATE_DASHBOARD_EMBED,
        lambda payload: _read_answer_to(embed, payload),
        body=body,
        content_type=content_type,
        tenant=embed.client_id,
        dashboard=embed.dashboard_id,
    )


def create_embed(embed: NewEmbed) -> Request[str]:
    """Embed a dashboard or metric that exists already. The result is the embed's id, which the server chooses.

    An ambiguous failure is not tried again. ``find_or_create_embed`` looks at the list instead.

    :raises NotFoundError: the workspace, dashboard, metric or table does not exist.
    :raises InvalidRequestError: the datamart does not exist, or has another tenancy (``INVALID_DATAMART``).
    """
    return Request(CREATE_EMBED, read_id, body=json_body(wire(embed)), dashboard=embed.dashboard_id)


def find_or_create_embed(embed: NewEmbed) -> Generator[Request[Any], Any, tuple[str, bool]]:
    """Find an embed of the same dashboard or metric; if there is none, create one.

    If ``embed`` has a name, the embed must have the same name. An embed that is found keeps its access settings. After
    an ambiguous failure, the list shows whether the embed was created. Two tasks that do this at the same moment may
    create one each. A later task takes the older one if the server lists that first.

    :return: the embed's id, and whether it was created.
    :raises MalformedAnswerError: the list does not say what the embeds show. Older servers' lists do not.
    :raises ApiError: as ``create_embed``.
    """
    embed_id = yield from _find(embed)
    if embed_id is not None:
        return embed_id, False
    try:
        return (yield create_embed(embed)), True
    except ApiError as error:
        if not error.ambiguous:
            raise
        embed_id = yield from _find(embed)
        if embed_id is None:
            raise
        return embed_id, True


def list_embeds(*, client_id: str | None = None, page: Page = None) -> Call[list[Embed]]:
    """The embeds of the data app.

    :param client_id: ask for this client's embeds only. The filter's name is inferred. A server that ignores it answers
        with all clients' embeds, so this list does not prove who owns an embed.
    """
    return pages(_list_request(client_id), page)


def list_all_embeds() -> Generator[Request[Any], Any, list[Embed]]:
    """The embeds of the data app, of all clients, each once. Checks that none is missing (see ``paging.complete``)."""
    return complete(_list_request(None), lambda embed: embed.embed_id)


def update_embed(embed_id: str, access_settings: Mapping[str, Any] | AccessSettings) -> Request[str]:
    """Change what a tenant may do on its dashboard, at once. The result is the embed's id.

    Unclear failures are tried again: the same values twice change nothing more.

    :param access_settings: all settings, or a mapping of those to change (see ``AccessSettingsChange``), by Python
        names or the API's own. A list in it replaces the present list as a whole.
    :raises ValueError: ``embed_id`` is blank, or a setting is unknown or has a wrong value.
    """
    settings: Extensible = (
        access_settings
        if isinstance(access_settings, AccessSettings)
        else AccessSettingsChange.model_validate(access_settings)
    )
    body = {"embedId": not_blank(embed_id, "embed_id"), "accessSettings": wire(settings)}
    return Request(UPDATE_EMBED, read_id, body=json_body(body), dashboard=embed_id)


def rename_embed(embed_id: str, name: str, *, is_rename_dashboard: bool | None = None) -> Request[RenamedEmbed]:
    """Rename an embed.

    Unclear failures are tried again: the same name twice changes nothing more.

    :param is_rename_dashboard: also show ``name`` as the dashboard's title. None and False keep the title.
    :raises ValueError: ``embed_id`` or ``name`` is blank.
    """
    body: dict[str, Any] = {"embedId": not_blank(embed_id, "embed_id"), "name": not_blank(name, "name")}
    if is_rename_dashboard is not None:
        body["isRenameDashboard"] = is_rename_dashboard
    return Request(RENAME_EMBED, _read_renamed, body=json_body(body), dashboard=embed_id)


def delete_embed(embed_id: str, *, is_delete_dashboard: bool = False) -> Request[str]:
    """Delete an embed; its guest tokens stop working. The result is the embed's id.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    deleted the embed.

    :param is_delete_dashboard: also delete the dashboard that it shows.
    :raises ValueError: ``embed_id`` is blank.
    """
    query = {
        "embedId": not_blank(embed_id, "embed_id"),
        "isDeleteDashboard": "true" if is_delete_dashboard else "false",
    }
    return Request(DELETE_EMBED, read_id, query=query, dashboard=embed_id)


def export_embed(embed_id: str) -> Request[DashboardExport]:
    """Export an embed's dashboard as a document; its ``meta`` has the embed's access settings.

    :raises ValueError: ``embed_id`` is blank.
    """
    return Request(EXPORT_EMBED, read_export, query={"embedId": not_blank(embed_id, "embed_id")}, dashboard=embed_id)


def _read_answer_to(embed: CreateDashboardEmbed, payload: object) -> CreatedEmbed:
    """Read a create's answer. Its id is the embed's: the dashboard's, or one that the server chose."""
    created = _read_created(payload)
    sent, stored = embed.dashboard_id, created.id
    if stored != sent and (same_but_for_case(stored, sent) or sent.startswith(stored)):
        raise MalformedAnswerError(
            f"the dashboard was created, but the server has changed its id to {stored!r}. Set dashboard_id to exactly "
            "that; or set another one, and delete this dashboard in Databrain",
            transient=False,
            ambiguous=False,
        )
    return created


def same_but_for_case(first: str, second: str) -> bool:
    """Whether two ids differ at most in case, and in blanks at their ends."""
    return first.strip().casefold() == second.strip().casefold()


def _list_request(client_id: str | None) -> Callable[[int | None], Request[list[Embed]]]:
    client = {} if client_id is None else {"clientId": client_id}
    return lambda number: Request(LIST_EMBEDS, _read_embeds, query=page_query(number) | client)


def _find(embed: NewEmbed) -> Generator[Request[Any], Any, str | None]:
    wanted = embed.metric_id if isinstance(embed, MetricEmbed) else embed.dashboard_id
    for row in (yield from list_all_embeds()):
        if row.embed_type not in (embed.embed_type, None):
            continue
        if embed.name is not None and row.name not in (embed.name, None):
            continue
        shown = row.shown_id(embed.embed_type)
        if shown == wanted:
            return row.embed_id
        if shown is None:
            raise MalformedAnswerError(
                f"the list does not say what embed {row.embed_id!r} shows, so it may be the wanted embed",
                transient=False,
            )
    return None


def _multipart(fields: Mapping[str, Any], file: bytes) -> tuple[bytes, str]:
    """A form with the fields and an export file: the body and its content type."""
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
