"""The emulated Databrain's clients' dashboards with their embeds, and its lists of workspaces.

It is written from the vendor's reference and does not use the client's models, so that each checks the other. Where the
reference is silent, the choice is ours:

- The checks come in the order token, body, workspace, client, dashboard id, template. ``checks`` has those of the body.
- A token of the wrong kind is 401.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.checks import (
    create_body,
    delete_query,
    list_body,
    rename_body,
    update_body,
)
from airflow_provider_databrain.emulator.databrain.request import data_app_of, page, service_token, window
from airflow_provider_databrain.emulator.databrain.state import EmbedRow, State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes


class DatabrainApi:
    """The routes of clients' dashboards, and of the lists of workspaces, metrics and dashboards.

    :param account: has the keys that are accepted.
    """

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/dashboard-embeds", self.create_embed, changes=True)
            self.router.add("GET", f"{prefix}/embeds", self.list_embeds)
            self.router.add("PUT", f"{prefix}/embeds", self.update_embed, changes=True)
            self.router.add("PUT", f"{prefix}/embeds/rename", self.rename_embed, changes=True)
            self.router.add("DELETE", f"{prefix}/embeds", self.delete_embed, changes=True)
        self.router.add("GET", "/workspace", self.list_workspaces)
        self.router.add("POST", "/workspace/metrics", self.workspace_metrics)
        self.router.add("POST", "/workspace/dashboards", self.workspace_dashboards)

    async def create_embed(self, request: Request) -> dict[str, Any]:
        """Create a client's dashboard. The answer of the legacy path has no ``name``."""
        data_app = data_app_of(request, self._account)
        body = await create_body(request, self._control.behaviour.max_id_length)
        _check_references(body, self._state, self._control)
        dashboard = body["dashboardId"]
        renamed = body.get("isRenameDashboard") and body.get("name")
        name = body.get("name", dashboard)
        title = str(renamed or f"{dashboard}_{body['clientId']}")
        self._state.create_embed(body, dashboard_name=title, name=name, data_app=data_app)
        legacy = "/dataApp/" in request.url.path
        return {"id": dashboard, "error": None} | ({} if legacy else {"name": name})

    async def list_embeds(self, request: Request) -> dict[str, Any]:
        """List the embeds of one client or of all clients."""
        data_app = data_app_of(request, self._account)
        query = request.query_params
        behaviour = self._control.behaviour
        client = None if behaviour.ignores_client_filter else query.get("clientId")
        paged = query.get("isPagination") == "true" and not behaviour.ignores_paging
        limit, offset = window(query.get("pageNumber", "1")) if paged else (-1, 0)
        rows = self._state.embeds(client, limit, offset, data_app=data_app)
        return {"data": [_embed(row) for row in rows], "error": None}

    async def update_embed(self, request: Request) -> dict[str, Any]:
        """Change some of an embed's access settings. The others stay."""
        data_app = data_app_of(request, self._account)
        body = await update_body(request)
        if self._state.data_app_of(body["embedId"]) != data_app:
            raise _no_embed()
        self._state.update_embed(body["embedId"], body["accessSettings"])
        return {"id": body["embedId"], "error": None}

    async def rename_embed(self, request: Request) -> dict[str, Any]:
        """Rename an embed and, if requested, its dashboard."""
        data_app = data_app_of(request, self._account)
        body = await rename_body(request)
        if self._state.data_app_of(body["embedId"]) != data_app:
            raise _no_embed()
        self._state.rename_embed(body["embedId"], body["name"], dashboard=body.get("isRenameDashboard", False))
        return {"id": body["embedId"], "name": body["name"], "error": None}

    async def delete_embed(self, request: Request) -> dict[str, Any]:
        """Delete an embed and, if requested, its dashboard. The id of a dashboard that stays cannot be used again."""
        data_app = data_app_of(request, self._account)
        query = delete_query(request)
        if self._state.data_app_of(query["embedId"]) != data_app:
            raise invalid("Embed not found")
        self._state.delete_embed(query["embedId"], dashboard=query.get("isDeleteDashboard") == "true")
        return {"id": query["embedId"], "error": None}

    async def list_workspaces(self, request: Request) -> dict[str, Any]:
        """List the organization's workspaces."""
        service_token(request, self._account)
        rows = [{"name": name} for name in self._state.workspaces()]
        return page(rows, request.query_params, self._control) | {"error": None}

    async def workspace_metrics(self, request: Request) -> dict[str, Any]:
        """List a workspace's metrics."""
        body = await self._workspace_body(request)
        rows = [{"metricId": key, "name": name} for key, name in self._state.metrics(body["workspaceName"])]
        return page(rows, body, self._control) | {"error": None}

    async def workspace_dashboards(self, request: Request) -> dict[str, Any]:
        """List a workspace's dashboards."""
        body = await self._workspace_body(request)
        dashboards = self._state.dashboards(body["workspaceName"])
        rows = [{"externalDashboardId": key, "name": name} for key, name in dashboards]
        return page(rows, body, self._control) | {"error": None}

    async def _workspace_body(self, request: Request) -> dict[str, Any]:
        service_token(request, self._account)
        body = await list_body(request)
        if not self._state.has_workspace(body["workspaceName"]):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        return body


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


def _no_embed() -> RefusalError:
    return RefusalError(400, "INVALID_EMBED_ID", "Invalid embed id")


def _embed(row: EmbedRow) -> dict[str, Any]:
    times = {"createdAt": row.created_at, "updatedAt": row.updated_at}
    dashboard = {
        "externalDashboardId": row.dashboard_id,
        "name": row.dashboard_name,
        "metadata": times | row.metadata,
    }
    of_metric = row.embed_type == "metric"
    return {
        "embedId": row.embed_id,
        "embedType": row.embed_type,
        "name": row.name,
        "externalDashboard": None if of_metric else dashboard,
        "externalMetric": {"metricId": row.metric_id, "name": row.metric_id} if of_metric else None,
        "embedMetadata": {
            "embedId": row.embed_id,
            "name": row.name,
            "embedType": row.embed_type,
            "dataAppName": row.data_app,
            "metricId": row.metric_id,
            "dashboardId": None if of_metric else row.dashboard_id,
            **times,
        },
    }
