"""The emulated Databrain API.

Written from the vendor's reference and apart from the client's models, so that each checks the other. Where the
reference is silent, the choice is ours: an unknown field is refused; checks come in the order token, body,
workspace, client, dashboard id, template; a token of the wrong kind is 401.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.state import DATA_APP, EmbedRow, State

PAGE_SIZE = 10
TokenKind = Literal["api_key", "service_token"]

_CREATE = {
    "dashboardId": str,
    "workspaceName": str,
    "clientId": str,
    "accessSettings": dict,
    "templateDashboardId": str,
    "metadata": dict,
    "isAllowPrivateMetricsByDefault": bool,
    "name": str,
    "embedDescription": str,
    "isImportMetrics": bool,
    "importDashboardData": dict,
    "isRenameDashboard": bool,
    "metricImportMode": str,
    "schemaPairs": list,
}
_CREATE_REQUIRED = ("dashboardId", "workspaceName", "clientId", "accessSettings")
_ACCESS = {
    "datamartName": str,
    "isAllowEmailReports": bool,
    "isAllowManageMetrics": bool,
    "isAllowMetricCreation": bool,
    "isAllowMetricDeletion": bool,
    "isAllowMetricLayoutChange": bool,
    "isAllowMetricUpdate": bool,
    "isAllowUnderlyingData": bool,
    "isAllowCreateDashboardView": bool,
    "metricCreationMode": str,
    "isAllowAiPilot": bool,
    "joinModel": str,
    "isIncrementalJoin": bool,
    "tableTenancySettings": list,
}
_ACCESS_REQUIRED = tuple(_ACCESS)[:10]
_CHOICES = {
    "metricImportMode": ("GALLERY", "METRIC"),
    "metricCreationMode": ("DRAG_DROP", "CHAT"),
    "joinModel": ("single", "multi"),
}
_LIST = {"workspaceName": str, "isPagination": bool, "pageNumber": int}
_WORDS = {str: "a string", dict: "of type object", bool: "a boolean", list: "an array", int: "a number"}


class RefusalError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> JSONResponse:
        """The answer's JSON."""
        return JSONResponse({"error": {"code": self.code, "message": str(self)}}, self.status)


class DatabrainApi:
    """The API's routes over a state.

    :param tokens: each accepted token and its kind.
    """

    def __init__(self, state: State, control: Control, tokens: Mapping[str, TokenKind]) -> None:
        self._state = state
        self._control = control
        self._tokens = tokens
        self.router = APIRouter(prefix="/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.post(f"{prefix}/dashboard-embeds")(self.create_embed)
            self.router.get(f"{prefix}/embeds")(self.list_embeds)
        self.router.get("/workspace")(self.list_workspaces)
        self.router.post("/workspace/metrics")(self.workspace_metrics)
        self.router.post("/workspace/dashboards")(self.workspace_dashboards)

    async def create_embed(self, request: Request) -> dict[str, Any]:
        """Create a client's dashboard. The legacy path answers no name."""
        self._authorize(request, "api_key")
        body = await _create_body(request)
        _check_create(body, self._control.behaviour.max_id_length)
        _check_references(body, self._state, self._control)
        dashboard = body["dashboardId"]
        renamed = body.get("isRenameDashboard") and body.get("name")
        name = body.get("name", dashboard)
        title = str(renamed or f"{dashboard}_{body['clientId']}")
        self._state.create_embed(body, dashboard_name=title, name=name)
        legacy = "/dataApp/" in request.url.path
        return {"id": dashboard, "error": None} | ({} if legacy else {"name": name})

    async def list_embeds(self, request: Request) -> dict[str, Any]:
        """List embeds, of one client or of all."""
        self._authorize(request, "api_key")
        query = request.query_params
        behaviour = self._control.behaviour
        client = None if behaviour.ignores_client_filter else query.get("clientId")
        paged = query.get("isPagination") == "true" and not behaviour.ignores_paging
        limit, offset = _window(query.get("pageNumber", "1")) if paged else (-1, 0)
        return {"data": [_embed(row) for row in self._state.embeds(client, limit, offset)], "error": None}

    async def list_workspaces(self, request: Request) -> dict[str, Any]:
        """List the organization's workspaces."""
        self._authorize(request, "service_token")
        query = request.query_params
        rows = [{"name": name} for name in self._state.workspaces()]
        return self._page(rows, query.get("isPagination") == "true", query.get("pageNumber", "1"))

    async def workspace_metrics(self, request: Request) -> dict[str, Any]:
        """List a workspace's metrics."""
        body = await self._workspace_body(request)
        rows = [{"metricId": key, "name": name} for key, name in self._state.metrics(body["workspaceName"])]
        return self._page(rows, body.get("isPagination"), body.get("pageNumber", 1))

    async def workspace_dashboards(self, request: Request) -> dict[str, Any]:
        """List a workspace's dashboards."""
        body = await self._workspace_body(request)
        found = self._state.dashboards(body["workspaceName"])
        rows = [{"externalDashboardId": key, "name": name} for key, name in found]
        return self._page(rows, body.get("isPagination"), body.get("pageNumber", 1))

    def _authorize(self, request: Request, kind: TokenKind) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise RefusalError(400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
        if self._tokens.get(token) != kind:
            raise RefusalError(401, "INVALID_DATA_APP_API_KEY", "API key is invalid or expired")

    async def _workspace_body(self, request: Request) -> dict[str, Any]:
        self._authorize(request, "service_token")
        body = _object(await request.body())
        _check(body, _LIST, ("workspaceName",))
        if not self._state.has_workspace(body["workspaceName"]):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        return body

    def _page(self, rows: list[dict[str, Any]], paged: object, number: object) -> dict[str, Any]:
        if paged and not self._control.behaviour.ignores_paging:
            limit, offset = _window(number)
            rows = rows[offset : offset + limit]
        return {"data": rows, "error": None}


async def _create_body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").split(";")[0]
    if kind != "multipart/form-data":
        return _object(await request.body())
    body: dict[str, Any] = {}
    async with request.form() as form:
        for name, value in form.items():
            if isinstance(value, str):
                body[name] = _parsed(value) if _CREATE.get(name, str) is not str else value
                continue
            document = _parsed((await value.read()).decode("utf-8", "replace"))
            if name != "importDashboardDataFile" or value.content_type != "application/json":
                raise _invalid(f'"{name}" is not allowed')
            if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
                raise RefusalError(400, "INVALID_DASHBOARD_DATA", "Uploaded JSON missing data")
            body["_file"] = document["data"]
    # The file wins over the field.
    if "_file" in body:
        body["importDashboardData"] = body.pop("_file")
    return body


def _check_create(body: Mapping[str, Any], max_id_length: int) -> None:
    _check(body, _CREATE, _CREATE_REQUIRED)
    for name in ("dashboardId", "clientId", "workspaceName"):
        if len(body[name]) > max_id_length:
            raise _invalid(f'"{name}" length must be less than or equal to {max_id_length} characters long')
    _check(body["accessSettings"], _ACCESS, _ACCESS_REQUIRED)
    for item in body["accessSettings"].get("tableTenancySettings", []):
        _check(item, {"name": str, "clientColumn": str}, ("name", "clientColumn"))


def _check_references(body: Mapping[str, Any], state: State, control: Control) -> None:
    if not state.has_workspace(body["workspaceName"]):
        raise RefusalError(400, "WORKSPACE_ID_ERROR", "Invalid workspace name")
    known = control.behaviour.known_clients
    if known is not None and body["clientId"] not in (*known, "None"):
        raise RefusalError(400, "CLIENT_ID_ERROR", "Invalid client id")
    if state.dashboard_exists(body["dashboardId"]):
        raise RefusalError(400, "INVALID_DASHBOARD_ID", "Dashboard already exists")
    template = body.get("templateDashboardId")
    if template is not None and not state.dashboard_exists(template, body["workspaceName"]):
        raise RefusalError(400, "TEMPLATE_DASHBOARD_ERROR", "Invalid template dashboard id")


def _check(body: object, fields: Mapping[str, type], required: tuple[str, ...]) -> None:
    if not isinstance(body, dict):
        raise _invalid('"value" must be of type object')
    for name in required:
        if name not in body:
            raise _invalid(f'"{name}" is required')
    for name, value in body.items():
        kind = fields.get(name)
        if kind is None:
            raise _invalid(f'"{name}" is not allowed')
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _invalid(f'"{name}" must be {_WORDS[kind]}')
        if kind is str and not value:
            raise _invalid(f'"{name}" is not allowed to be empty')
        if name in _CHOICES and value not in _CHOICES[name]:
            raise _invalid(f'"{name}" must be one of [{", ".join(_CHOICES[name])}]')


def _invalid(message: str) -> RefusalError:
    return RefusalError(400, "INVALID_REQUEST_BODY", message)


def _object(raw: bytes) -> dict[str, Any]:
    body = _parsed(raw.decode("utf-8", "replace"))
    if not isinstance(body, dict):
        raise _invalid("Request body validation failed")
    return body


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _invalid("Request body validation failed") from None


def _window(page: object) -> tuple[int, int]:
    """Limit and offset of a page."""
    try:
        number = int(str(page))
    except ValueError:
        raise _invalid('"pageNumber" must be a number') from None
    return PAGE_SIZE, max(0, number - 1) * PAGE_SIZE


def _embed(row: EmbedRow) -> dict[str, Any]:
    times = {"createdAt": row.created_at, "updatedAt": row.created_at}
    return {
        "embedId": row.embed_id,
        "embedType": "dashboard",
        "name": row.name,
        "externalDashboard": {
            "externalDashboardId": row.dashboard_id,
            "name": row.dashboard_name,
            "metadata": times | row.metadata,
        },
        "externalMetric": None,
        "embedMetadata": {
            "embedId": row.embed_id,
            "name": row.name,
            "embedType": "dashboard",
            "dataAppName": DATA_APP,
            "metricId": None,
            "dashboardId": row.dashboard_id,
            **times,
        },
    }
