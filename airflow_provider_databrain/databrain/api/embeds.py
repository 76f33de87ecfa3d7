"""Databrain's HTTP API: endpoints, request and answer models, and one function per operation.

Each function returns a call (see ``core.Call``) that a transport runs. Facts are from the vendor's API
reference (docs.usedatabrain.com, developer-docs/helpers/api-reference); each endpoint names its page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import JsonValue, create_model

from airflow_provider_databrain.client.call import (
    Call,
    Endpoint,
    ModelT,
    Received,
    Request,
    Resend,
    Sent,
    Token,
    reader,
    walk_pages,
)
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    ErrorDialect,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.models import Extensible, Name, filled, json_body, wire

CLOUD_URL = "https://api.usedatabrain.com"

API_KEY = Token("data app API key", "Password")
SERVICE_TOKEN = Token("service token", "Service token (extra 'service_token')")

_CODES: dict[str, type[ApiError]] = {
    # The vendor's pages spell the authentication code in several ways, with status 400, 401 or 403.
    "AUTHENTICATION_ERROR": AuthenticationError,
    "AUTHENTICATION_ERR": AuthenticationError,
    "AUTH_ERROR": AuthenticationError,
    "INVALID_DATA_APP_API_KEY": AuthenticationError,
    "INVALID_SERVICE_TOKEN": AuthenticationError,
    "WORKSPACE_ID_ERROR": NotFoundError,
    "INVALID_WORKSPACE_NAME": NotFoundError,
    "WORKSPACE_DOES_NOT_EXIST": NotFoundError,
    "TEMPLATE_DASHBOARD_ERROR": NotFoundError,
    "INVALID_EMBED_ID": NotFoundError,
    "EMBED_NOT_FOUND": NotFoundError,  # ours, see _find_error
    "INVALID_REQUEST_BODY": InvalidRequestError,
    "CLIENT_ID_ERROR": InvalidRequestError,
    "INVALID_DASHBOARD_DATA": InvalidRequestError,
    "DASHBOARD_CREATE_ERROR": ServerError,
    "INTERNAL_SERVER_ERROR": ServerError,
    "INVALID_SERVER_ERROR": ServerError,
}
_PLAIN_WORDS: dict[str, type[ApiError]] = {
    # ``error`` as a plain string, seen where callers guard for it.
    "INVALID_KEY": AuthenticationError,
    "INVALID_TOKEN": AuthenticationError,
    "UNAUTHORIZED": AuthenticationError,
}


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``error``: an object with code and message, a plain string, null or absent.

    Deleting an embed that is not there is answered with the code of a wrong body, and only the message says so; it
    gets the code EMBED_NOT_FOUND here.
    """
    if not isinstance(payload, Mapping):
        return None
    error = payload.get("error")
    if error is None or error == "" or error is False:
        return None
    if isinstance(error, Mapping):
        code = error.get("code")
        message = str(error.get("message") or code or "no message")
        if code == "INVALID_REQUEST_BODY" and "embed not found" in message.lower():
            code = "EMBED_NOT_FOUND"
        return (str(code) if code else None, message)
    text = str(error)
    return (text if len(text) <= 40 else None, text)


DATABRAIN = ErrorDialect("Databrain", _CODES | _PLAIN_WORDS, _find_error)


def endpoint(name: str, method: str, path: str, token: Token, **more: Any) -> Endpoint:
    """An endpoint below ``/api/v2``; unless told otherwise, it may always be sent again."""
    more.setdefault("resend", Resend.ALWAYS)
    return Endpoint(name, method, f"/api/v2{path}", token, dialect=DATABRAIN, **more)


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
# The vendor's page prints no full path for this one; it is inferred from its sibling below.
FETCH_WORKSPACE_METRICS = endpoint("fetch workspace metrics", "POST", "/workspace/metrics", SERVICE_TOKEN)
# Page cloud-databrain-endpoint.
FETCH_WORKSPACE_DASHBOARDS = endpoint("fetch workspace dashboards", "POST", "/workspace/dashboards", SERVICE_TOKEN)
# Page list-workspaces.
LIST_WORKSPACES = endpoint("list workspaces", "GET", "/workspace", SERVICE_TOKEN)


class TableTenancy(Sent):
    """A table and the column in it that holds the client id."""

    name: Name
    client_column: Name


class AccessSettings(Extensible):
    """What a tenant may do on its dashboard."""

    datamart_name: Name
    is_allow_email_reports: bool
    is_allow_manage_metrics: bool
    is_allow_metric_creation: bool
    is_allow_metric_deletion: bool
    is_allow_metric_layout_change: bool
    is_allow_metric_update: bool
    is_allow_underlying_data: bool
    is_allow_create_dashboard_view: bool
    metric_creation_mode: Literal["DRAG_DROP", "CHAT"]
    is_allow_ai_pilot: bool | None = None
    join_model: Literal["single", "multi"] | None = None
    is_incremental_join: bool | None = None
    table_tenancy_settings: list[TableTenancy] | None = None


_SETTINGS: dict[str, Any] = {
    # The field's own checks stay, so that None is refused where it is no value; left out, it is not sent.
    name: (Annotated[info.annotation, info], None)
    for name, info in AccessSettings.model_fields.items()
    if name not in Extensible.model_fields
}
AccessSettingsChange = create_model(
    "AccessSettingsChange",
    __base__=Extensible,
    __module__=__name__,
    __doc__="Some of the fields of ``AccessSettings``: those to be changed.",
    **_SETTINGS,
)


class SchemaPair(Sent):
    """A schema to be replaced on import, and by which."""

    replace_schema: Name
    target_schema: Name


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


class ChangedEmbed(Received):
    """``id`` is the embed's id."""

    id: Name


class CreatedEmbed(ChangedEmbed):
    """``id`` is the embed's id. The legacy path answers no ``name``."""

    name: str | None = None


class RenamedEmbed(ChangedEmbed):
    """``id`` is the embed's id, ``name`` its new name where the server repeats it."""

    name: str | None = None


class Metric(Received):
    """A metric of a workspace."""

    metric_id: str
    name: str | None = None


class WorkspaceDashboard(Received):
    """A dashboard of a workspace."""

    external_dashboard_id: str
    name: str | None = None


class Workspace(Received):
    """A workspace of the organization."""

    name: str


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


class _Rows(Received):
    data: list[Any]


_read_rows = reader(_Rows)


def rows_reader(model: type[ModelT]) -> Callable[[object], list[ModelT]]:
    """A function that reads the ``data`` of a list, each row as ``model``, or raises ``MalformedAnswerError``."""
    read = reader(model)
    return lambda payload: [read(row) for row in _read_rows(payload).data]


_read_created = reader(CreatedEmbed)
_read_changed = reader(ChangedEmbed)
_read_renamed = reader(RenamedEmbed)
read_metrics = rows_reader(Metric)
_read_dashboards = rows_reader(WorkspaceDashboard)
_read_workspaces = rows_reader(Workspace)
_read_embeds = rows_reader(Embed)

Row = TypeVar("Row")
Page = int | Literal["all"] | None
"""Which rows of a list: None for everything in one answer, a number (from 1) for one page of ten,
``"all"`` for everything page by page."""


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


def fetch_workspace_metrics(workspace_name: str, *, page: Page = None) -> Call[list[Metric]]:
    """The metrics of a workspace."""
    return pages(
        lambda number: Request(FETCH_WORKSPACE_METRICS, read_metrics, body=workspace_page(workspace_name, number)),
        page,
    )


def fetch_workspace_dashboards(workspace_name: str, *, page: Page = None) -> Call[list[WorkspaceDashboard]]:
    """The dashboards of a workspace."""
    return pages(
        lambda number: Request(
            FETCH_WORKSPACE_DASHBOARDS, _read_dashboards, body=workspace_page(workspace_name, number)
        ),
        page,
    )


def list_workspaces(*, page: Page = None) -> Call[list[Workspace]]:
    """The workspaces of the organization."""

    def request(number: int | None) -> Request[list[Workspace]]:
        return Request(LIST_WORKSPACES, _read_workspaces, query=page_query(number))

    return pages(request, page)


def pages(request: Callable[[int | None], Request[list[Row]]], page: Page) -> Call[list[Row]]:
    """The rows of a list, by the request for one page, or for everything (None)."""
    return walk_pages(request) if page == "all" else request(page)


def page_query(number: int | None) -> dict[str, str]:
    """A page's number as a GET takes it: as texts, and nothing where everything is asked for."""
    return {} if number is None else {"isPagination": "true", "pageNumber": str(number)}


def workspace_page(workspace_name: str, number: int | None, **more: str) -> bytes:
    """The body that asks for one page of what is in a workspace, or for everything (None)."""
    paging = {} if number is None else {"isPagination": True, "pageNumber": number}
    return json_body({"workspaceName": filled(workspace_name, "workspace_name"), **more} | paging)


def read_id(payload: object) -> str:
    """The ``id`` of what was made or changed."""
    return _read_changed(payload).id


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
