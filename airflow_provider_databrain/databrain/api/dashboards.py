"""Databrain's export and import of dashboards."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from pydantic import Field, JsonValue, model_validator

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.dialect import MESSAGE_LIMIT
from airflow_provider_databrain.client.errors import AlreadyExistsError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, Sent, filled, json_body, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint


class SchemaPair(Sent):
    """A schema to be replaced on import, and by which."""

    replace_schema: Name
    target_schema: Name


# Page export-dashboard. It takes the service token, although its path is a data app's.
EXPORT_DASHBOARD = endpoint(
    "export dashboard",
    "POST",
    "/data-app/export-dashboard",
    SERVICE_TOKEN,
    codes={"DATA_APP_NOT_FOUND": NotFoundError},
)
# Page import-dashboard. With an id of ours, a second try creates nothing; without, see ``import_dashboard``.
IMPORT_DASHBOARD = endpoint(
    "import dashboard", "POST", "/data-app/import-dashboard", SERVICE_TOKEN, resend=Resend.IF_UNPROCESSED
)


class DashboardExport(Received):
    """A dashboard as a document.

    :param meta: where it comes from and when.
    :param data: the dashboard itself (layout, filters, metrics): what an import takes.
    """

    meta: dict[str, JsonValue] = Field(default_factory=dict, alias="_meta")
    data: dict[str, JsonValue]


class ImportDashboard(Extensible):
    """A dashboard to be made from an export.

    :param import_dashboard_data: the ``data`` of an export.
    :param dashboard_id: the new dashboard's id. With one, an import can be sent again after an unclear failure.
    :param dashboard_name: its title.
    :param schema_pairs: database schemas to be replaced in it.
    """

    workspace_name: Name
    import_dashboard_data: dict[str, JsonValue]
    dashboard_id: Name | None = None
    dashboard_name: Name | None = None
    schema_pairs: list[SchemaPair] | None = None

    @model_validator(mode="after")
    def _is_the_inner_part(self) -> Self:
        if {"_meta", "data"} <= set(self.import_dashboard_data):
            raise ValueError("import_dashboard_data is a whole export; give its 'data'")
        return self


class ImportedDashboard(Received):
    """What the server says of an import. Older servers say nothing, and all fields are None."""

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
    """A dashboard of a workspace as a document.

    The code for a dashboard or workspace that is not there is not documented; with one that is not known from
    elsewhere, the error is an ``InvalidRequestError``.

    :param dashboard_id: the dashboard's id, not an embed's.
    :raises ValueError: an argument is blank.
    """
    body = {
        "dashboardId": filled(dashboard_id, "dashboard_id"),
        "workspaceName": filled(workspace_name, "workspace_name"),
    }
    return Request(EXPORT_DASHBOARD, read_export, body=json_body(body), dashboard=dashboard_id)


def import_dashboard(dashboard: ImportDashboard) -> Request[ImportedDashboard]:
    """Make a dashboard in a workspace from an export.

    The server may answer an id that is taken with a success whose message alone says so. So the answer is held
    against what was asked for. Older servers answer too little for that: then ``dashboard_id`` of the result is None,
    and only the workspace's list shows what is there.

    With ``dashboard_id``, unclear failures are tried again, so that an ``AlreadyExistsError`` with
    ``after_ambiguous`` may stand for an earlier try that did import it.

    :raises AlreadyExistsError: the answer names no dashboard, although it was to have ``dashboard_id``; its message is
        the server's.
    :raises MalformedAnswerError: the answer names another dashboard or workspace than was asked for. It is there.
    :raises NotFoundError: there is no such workspace.
    """
    asked = dashboard.dashboard_id
    return Request(
        IMPORT_DASHBOARD if asked is None else replace(IMPORT_DASHBOARD, resend=Resend.DETECTABLE),
        lambda payload: _as_asked(dashboard, payload),
        body=json_body(wire(dashboard)),
        dashboard=asked,
    )


def _as_asked(asked: ImportDashboard, payload: object) -> ImportedDashboard:
    data = _read_imported(payload).data
    if not isinstance(data, _Response):
        return ImportedDashboard()
    imported = data.response
    if asked.dashboard_id is not None and not imported.dashboard_id:
        message = (imported.message or "the answer names no dashboard")[:MESSAGE_LIMIT]
        raise AlreadyExistsError(message)
    for name, wanted, got in (
        ("dashboard", asked.dashboard_id, imported.dashboard_id),
        ("workspace", asked.workspace_name, imported.workspace_name),
    ):
        if wanted is not None and got is not None and wanted != got:
            raise MalformedAnswerError(f"imported, but the {name} is {got!r} instead of {wanted!r}", transient=False)
    return imported
