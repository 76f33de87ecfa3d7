"""The emulated Databrain's export and import of dashboards.

Written from the vendor's reference and apart from the client's models. Our choices: a document's schemas are its values
named ``schemaName``; a dashboard that is not there is ``INVALID_REQUEST_BODY``; an id that is taken is answered with a
success whose message says so.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import service_token
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_REFUSED = (400, "AUTH_ERROR")
_IMPORT = {
    "workspaceName": str,
    "importDashboardData": dict,
    "dashboardId": str,
    "dashboardName": str,
    "schemaPairs": list,
}
_PAIR = {"replaceSchema": str, "targetSchema": str}


class TransferApi:
    """The routes of export and import."""

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/export-dashboard", self.export)
            self.router.add("POST", f"{prefix}/import-dashboard", self.import_, changes=True)

    async def export(self, request: Request) -> JSONResponse:
        """Tell a dashboard as a document."""
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        check(body, {"dashboardId": str, "workspaceName": str}, ("dashboardId", "workspaceName"))
        dashboard, workspace = body["dashboardId"], body["workspaceName"]
        if not self._state.dashboard_exists(dashboard, workspace):
            raise invalid("Dashboard not found")
        meta = {"workspaceName": workspace, "dashboardId": dashboard}
        return attachment(dashboard, meta, self._state.contents.document(dashboard))

    async def import_(self, request: Request) -> dict[str, Any]:
        """Make a dashboard of a document. The answer has no ``error``."""
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        _check_import(body)
        workspace = body["workspaceName"]
        if not self._state.has_workspace(workspace):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        dashboard = body.get("dashboardId") or secrets.token_hex(8)
        name = body.get("dashboardName", dashboard)
        if self._state.dashboard_exists(dashboard):
            told = {"message": "Dashboard id already exists"}
        else:
            pairs = {pair["replaceSchema"]: pair["targetSchema"] for pair in body.get("schemaPairs", [])}
            document = _in_schemas(body["importDashboardData"], pairs)
            count = self._state.contents.add_dashboard(dashboard, name, workspace, document)
            told = {
                "message": f"Imported Dashboard with {count} metrics",
                "dashboardId": dashboard,
                "dashboardName": name,
                "workspaceName": workspace,
            }
        return {"data": [] if self._control.behaviour.older_import_answer else {"response": told}}


def attachment(name: str, meta: dict[str, Any], document: dict[str, Any]) -> JSONResponse:
    """An answer that is a file."""
    exported = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # A header is ASCII.
    file = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)
    headers = {"Content-Disposition": f'attachment; filename="dashboard-{file}.json"'}
    return JSONResponse({"_meta": {"exportedAt": exported, **meta}, "data": document}, headers=headers)


def _check_import(body: dict[str, Any]) -> None:
    check(body, _IMPORT, ("workspaceName", "importDashboardData"))
    for pair in body.get("schemaPairs", []):
        check(pair, _PAIR, tuple(_PAIR))
    for metric in body["importDashboardData"].get("metrics", []):
        if not isinstance(metric, dict) or not isinstance(metric.get("metricId"), str):
            raise invalid('"importDashboardData" is not valid')


def _in_schemas(value: Any, pairs: dict[str, str]) -> Any:
    """A document with its schemas replaced."""
    if isinstance(value, list):
        return [_in_schemas(item, pairs) for item in value]
    if isinstance(value, dict):
        return {
            key: pairs.get(item, item) if key == "schemaName" and isinstance(item, str) else _in_schemas(item, pairs)
            for key, item in value.items()
        }
    return value
