"""The emulated Databrain's export and import of dashboards.

It is written from the vendor's reference and does not use the client's models. Our choices:

- The schemas of a document are its values named ``schemaName``.
- A dashboard that does not exist is ``INVALID_REQUEST_BODY``.
- An import to an id that is taken is answered with a success, whose message says so.
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
    """The routes that export and import dashboards."""

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/export-dashboard", self.export)
            self.router.add("POST", f"{prefix}/import-dashboard", self.import_, changes=True)

    async def export(self, request: Request) -> JSONResponse:
        """Export a dashboard as a document."""
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        check(body, {"dashboardId": str, "workspaceName": str}, ("dashboardId", "workspaceName"))
        dashboard, workspace = body["dashboardId"], body["workspaceName"]
        if not self._state.dashboard_exists(dashboard, workspace):
            raise invalid("Dashboard not found")
        meta = {"workspaceName": workspace, "dashboardId": dashboard}
        return attachment(dashboard, meta, self._state.contents.document(dashboard))

    async def import_(self, request: Request) -> dict[str, Any]:
        """Create a dashboard from a document. The answer has no ``error``."""
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        _check_import(body)
        workspace = body["workspaceName"]
        if not self._state.has_workspace(workspace):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        dashboard = body.get("dashboardId") or secrets.token_hex(8)
        name = body.get("dashboardName", dashboard)
        if self._state.dashboard_exists(dashboard):
            result = {"message": "Dashboard id already exists"}
        else:
            pairs = {pair["replaceSchema"]: pair["targetSchema"] for pair in body.get("schemaPairs", [])}
            document = _in_schemas(body["importDashboardData"], pairs)
            count = self._state.contents.add_dashboard(dashboard, name, workspace, document)
            result = {
                "message": f"Imported Dashboard with {count} metrics",
                "dashboardId": dashboard,
                "dashboardName": name,
                "workspaceName": workspace,
            }
        return {"data": [] if self._control.behaviour.older_import_answer else {"response": result}}


def attachment(name: str, meta: dict[str, Any], document: dict[str, Any]) -> JSONResponse:
    """Return a document as a file to download."""
    exported = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # A header must be ASCII.
    file = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
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
    """Return a document with its schemas replaced."""
    if isinstance(value, list):
        return [_in_schemas(item, pairs) for item in value]
    if isinstance(value, dict):
        return {
            key: pairs.get(item, item) if key == "schemaName" and isinstance(item, str) else _in_schemas(item, pairs)
            for key, item in value.items()
        }
    return value
