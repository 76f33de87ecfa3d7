"""Databrain's export and import of dashboards: how a dashboard moves from one workspace to another.

An import can fail although the server answers with a success. So its answer is compared with the request.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from pydantic import Field, JsonValue, model_validator

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.dialect import MESSAGE_LIMIT
from airflow_provider_databrain.client.errors import AlreadyExistsError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import (
    Extensible,
    Name,
    Received,
    Sent,
    json_body,
    not_blank,
    reader,
    wire,
)
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint

# Page export-dashboard. It takes the service token, although its path is below data-app.
EXPORT_DASHBOARD = endpoint(
    "export dashboard",
    "POST",
    "/data-app/export-dashboard",
    SERVICE_TOKEN,
    codes={"DATA_APP_NOT_FOUND": NotFoundError},
    resend=Resend.ALWAYS,
)
# Page import-dashboard. If the caller chooses the id, a second try creates nothing: see ``import_dashboard``.
IMPORT_DASHBOARD = endpoint(
    "import dashboard", "POST", "/data-app/import-dashboard", SERVICE_TOKEN, resend=Resend.IF_UNPROCESSED
)


class DashboardExport(Received):
    """A dashboard as a document.

    :param meta: where it comes from, and when it was exported.
    :param data: the dashboard itself (layout, filters, metrics). An import takes this part.
    """

    meta: dict[str, JsonValue] = Field(default_factory=dict, alias="_meta")
    data: dict[str, JsonValue]


class SchemaPair(Sent):
    """A database schema to replace on import, and the schema to replace it with."""

    replace_schema: Name
    target_schema: Name


class ImportDashboard(Extensible):
    """A new dashboard, made from an export.

    :param import_dashboard_data: the ``data`` of an export.
    :param dashboard_id: the new dashboard's id. With it, the import can be sent again after an ambiguous failure.
    :param dashboard_name: the new dashboard's title.
    :param schema_pairs: the database schemas to replace.
    """

    workspace_name: Name
    import_dashboard_data: dict[str, JsonValue]
    dashboard_id: Name | None = None
    dashboard_name: Name | None = None
    schema_pairs: list[SchemaPair] | None = None

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if {"_meta", "data"} <= set(self.import_dashboard_data):
            raise ValueError("import_dashboard_data is a whole export; give its 'data'")
        return self


class ImportedDashboard(Received):
    """The server's answer to an import. Older servers answer with nothing; then all fields are None."""

    message: str | None = None
    dashboard_id: str | None = None
    dashboard_name: str | None = None
    workspace_name: str | None = None


class _Response(Received):
    response: ImportedDashboard


class _Imported(Received):
    data: _Response | list[JsonValue]


read_export = reader(DashboardExport)
_read_imported = reader(_Imported)


def export_dashboard(dashboard_id: str, workspace_name: str) -> Request[DashboardExport]:
    """Export a workspace's dashboard as a document.

    The code for a dashboard or workspace that does not exist is not documented. If the server answers with a code that
    no page has, the error is an ``InvalidRequestError``.

    :param dashboard_id: the dashboard's id, not an embed's.
    :raises ValueError: an argument is blank.
    """
    body = {
        "dashboardId": not_blank(dashboard_id, "dashboard_id"),
        "workspaceName": not_blank(workspace_name, "workspace_name"),
    }
    return Request(EXPORT_DASHBOARD, read_export, body=json_body(body), dashboard=dashboard_id)


def import_dashboard(dashboard: ImportDashboard) -> Request[ImportedDashboard]:
    """Create a dashboard in a workspace from an export.

    If the id is taken, the server may answer with a success, and only its message says so. So the answer is compared
    with the request. Older servers answer too little for that: then the result's ``dashboard_id`` is None, and only the
    workspace's list shows whether the dashboard exists.

    With ``dashboard_id``, ambiguous failures are tried again. So an ``AlreadyExistsError`` with ``after_ambiguous`` may
    mean that an earlier try imported the dashboard.

    :raises AlreadyExistsError: the request has a ``dashboard_id``, but the answer names no dashboard. The message is
        the server's.
    :raises MalformedAnswerError: the dashboard was imported, but the answer names another dashboard or workspace than
        the request.
    :raises NotFoundError: the workspace does not exist.
    """
    wanted_id = dashboard.dashboard_id
    return Request(
        IMPORT_DASHBOARD if wanted_id is None else replace(IMPORT_DASHBOARD, resend=Resend.DETECTABLE),
        lambda payload: _read_answer_to(dashboard, payload),
        body=json_body(wire(dashboard)),
        dashboard=wanted_id,
    )


def _read_answer_to(request: ImportDashboard, payload: object) -> ImportedDashboard:
    """Read an import's answer, and compare it with the request."""
    data = _read_imported(payload).data
    if not isinstance(data, _Response):
        return ImportedDashboard()
    imported = data.response
    if request.dashboard_id is not None and not imported.dashboard_id:
        message = (imported.message or "the answer names no dashboard")[:MESSAGE_LIMIT]
        raise AlreadyExistsError(message)
    for name, wanted, actual in (
        ("dashboard", request.dashboard_id, imported.dashboard_id),
        ("workspace", request.workspace_name, imported.workspace_name),
    ):
        if wanted is not None and actual is not None and wanted != actual:
            raise MalformedAnswerError(f"imported, but the {name} is {actual!r} instead of {wanted!r}", transient=False)
    return imported
