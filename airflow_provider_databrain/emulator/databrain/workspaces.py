"""The emulated Databrain's workspaces: list, create, update, delete, and the lists of what is in one.

It is written from the vendor's reference and does not use the client's models. Our choices:

- A datasource or a datamart is refused if the connection type does not take it.
- Deleting a workspace that does not exist is ``WORKSPACE_DOES_NOT_EXIST``, as updating it is.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.checks import check, json_object, list_body
from airflow_provider_databrain.emulator.databrain.request import page, service_token
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_FIELDS = {"name": str, "connectionType": str, "datasourceName": str, "datamartName": str}
_SOURCES = {"DATASOURCE": "datasourceName", "DATAMART": "datamartName"}


class WorkspacesApi:
    """The routes of workspaces, and of the metrics and dashboards in one."""

    def __init__(self, state: State, control: Control, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2")
        self.router.add("GET", "/workspace", self.list)
        self.router.add("POST", "/workspace/metrics", self.metrics)
        self.router.add("POST", "/workspace/dashboards", self.dashboards)
        self.router.add("POST", "/workspace", self.create, changes=True)
        self.router.add("PUT", "/workspace", self.update, changes=True)
        self.router.add("DELETE", "/workspace", self.delete, changes=True)

    async def list(self, request: Request) -> dict[str, Any]:
        """List the organization's workspaces."""
        service_token(request, self._account)
        rows = [{"name": name} for name in self._state.workspaces()]
        return page(rows, request.query_params, self._control) | {"error": None}

    async def metrics(self, request: Request) -> dict[str, Any]:
        """List a workspace's metrics."""
        body = await self._named_workspace(request)
        rows = [{"metricId": key, "name": name} for key, name in self._state.metrics(body["workspaceName"])]
        return page(rows, body, self._control) | {"error": None}

    async def dashboards(self, request: Request) -> dict[str, Any]:
        """List a workspace's dashboards."""
        body = await self._named_workspace(request)
        dashboards = self._state.dashboards(body["workspaceName"])
        rows = [{"externalDashboardId": key, "name": name} for key, name in dashboards]
        return page(rows, body, self._control) | {"error": None}

    async def _named_workspace(self, request: Request) -> dict[str, Any]:
        service_token(request, self._account)
        body = await list_body(request)
        if not self._state.has_workspace(body["workspaceName"]):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        return body

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a workspace."""
        service_token(request, self._account)
        body = await self._body(request)
        if self._state.has_workspace(body["name"]):
            raise RefusalError(400, "WORKSPACE_NAME_ALREADY_EXISTS", "Workspace name already exists")
        self._check_source(body)
        self._state.add_workspace(body["name"])
        self._state.connect_workspace(body["name"], body)
        return {"data": {"name": body["name"]}, "error": None}

    async def update(self, request: Request) -> dict[str, Any]:
        """Replace the source of a workspace's data."""
        service_token(request, self._account)
        body = await self._body(request)
        if not self._state.has_workspace(body["name"]):
            raise _no_workspace()
        self._check_source(body)
        self._state.connect_workspace(body["name"], body)
        return {"data": {"name": body["name"]}, "error": None}

    async def delete(self, request: Request) -> dict[str, Any]:
        """Delete a workspace. The answer has no ``error``."""
        service_token(request, self._account)
        query = dict(request.query_params)
        check(query, {"name": str}, ("name",))
        if not self._state.delete_workspace(query["name"]):
            raise _no_workspace()
        return {"data": {"id": query["name"], "message": "Workspace deleted successfully"}}

    async def _body(self, request: Request) -> dict[str, Any]:
        body = await json_object(request)
        check(body, _FIELDS, ("name", "connectionType"))
        for kind, field in _SOURCES.items():
            if kind == body["connectionType"] and field not in body:
                raise invalid(f'"{field}" is required')
            if kind != body["connectionType"] and field in body:
                raise invalid(f'"{field}" is not allowed')
        return body

    def _check_source(self, body: dict[str, Any]) -> None:
        if "datasourceName" in body and self._catalog.datasource(name=body["datasourceName"]) is None:
            raise RefusalError(400, "INVALID_DATASOURCE_NAME", "Invalid datasource name")
        if "datamartName" in body and self._catalog.datamart(body["datamartName"]) is None:
            raise RefusalError(400, "INVALID_DATAMART_NAME", "Invalid datamart name")


def _no_workspace() -> RefusalError:
    return RefusalError(400, "WORKSPACE_DOES_NOT_EXIST", "Workspace does not exist")
