"""The emulated Databrain's workspaces: create, update, delete. ``client_dashboards`` has the lists.

It is written from the vendor's reference and does not use the client's models. Our choices:

- A datasource or a datamart is refused if the connection type does not take it.
- Deleting a workspace that does not exist is ``WORKSPACE_DOES_NOT_EXIST``, as updating it is.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import service_token
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_FIELDS = {"name": str, "connectionType": str, "datasourceName": str, "datamartName": str}
_SOURCES = {"DATASOURCE": "datasourceName", "DATAMART": "datamartName"}


class WorkspacesApi:
    """The routes that create, update and delete workspaces."""

    def __init__(self, state: State, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2")
        self.router.add("POST", "/workspace", self.create, changes=True)
        self.router.add("PUT", "/workspace", self.update, changes=True)
        self.router.add("DELETE", "/workspace", self.delete, changes=True)

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
