"""The emulated Databrain's datasources.

It is written from the vendor's reference and does not use the client's models. A successful answer has no ``error``.
Our choices:

- An update of a datasource that does not exist is ``DATASOURCE_NAME_ERROR``.
- A sync ends at once. Its progress changes only if a test sets it.
- A datasource is in use if a datamart or a workspace names it.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState, DatasourceRow
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import page, service_token
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_REFUSED = (401, "AUTHENTICATION_ERROR")
_FIELDS = {"datasourceType": str, "credentials": dict, "tenancySettings": dict}
_TYPES = (
    "snowflake",
    "postgres",
    "redshift",
    "cockroachdb",
    "mysql",
    "mongodb",
    "clickhouse",
    "singlestore",
    "bigquery",
    "databricks",
    "elasticsearch",
    "opensearch",
    "mssql",
    "awss3",
    "csv",
    "firebolt",
    "athena",
    "trino",
)


class DatasourcesApi:
    """The routes of datasources."""

    def __init__(self, state: State, control: Control, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2/datasource")
        self.router.add("POST", "", self.create, changes=True)
        self.router.add("PUT", "", self.update, changes=True)
        self.router.add("GET", "", self.list_all)
        self.router.add("DELETE", "", self.delete, changes=True)
        self.router.add("POST", "/sync", self.sync, changes=True)
        self.router.add("POST", "/getDatasourceProgress", self.progress)

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a datasource."""
        body = await self._body(request)
        name = body["credentials"]["name"]
        if self._catalog.datasource(name=name):
            raise RefusalError(400, "DATASOURCE_NAME_ERROR", "Datasource name already exists")
        return self._connect(name, body)

    async def update(self, request: Request) -> dict[str, Any]:
        """Replace a datasource's credentials."""
        body = await self._body(request)
        name = body["credentials"]["name"]
        self._named(name)
        return self._connect(name, body)

    async def list_all(self, request: Request) -> dict[str, Any]:
        """List datasources. Only their names are shown."""
        service_token(request, self._account, _REFUSED)
        query = dict(request.query_params)
        check(query, {"isPagination": str, "pageNumber": str}, ())
        return page([{"name": row.name} for row in self._catalog.datasources()], query, self._control)

    async def delete(self, request: Request) -> dict[str, Any]:
        """Delete a datasource that is not in use."""
        service_token(request, self._account, _REFUSED)
        query = dict(request.query_params)
        check(query, {"datasourceName": str}, ("datasourceName",))
        row = self._named(query["datasourceName"])
        if self._in_use(row.name):
            raise RefusalError(400, "DATASOURCE_IN_USE", "Datasource is in use")
        self._catalog.delete_datasource(row.name)
        return {"id": row.id, "message": "Datasource deleted successfully"}

    async def sync(self, request: Request) -> dict[str, Any]:
        """Read a database's schema again."""
        row = await self._by_id(request)
        self._catalog.count_sync(row.name)
        return {"data": {"message": "Sync completed"}}

    async def progress(self, request: Request) -> dict[str, Any]:
        """Return the progress of a sync."""
        row = await self._by_id(request)
        return {"status": {"progress": row.progress, "error": row.error}}

    def _connect(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        credentials = body["credentials"]
        if self._control.behaviour.refuses_credentials:
            # Drivers of databases repeat credentials in their errors, and the server may pass such an error on.
            text = " ".join(f"{key}={value}" for key, value in credentials.items())
            raise RefusalError(400, "CREDENTIAL_TEST_FAILED", f"connection failed: {text}")
        self._catalog.put_datasource(name, body["datasourceType"], list(credentials))
        return {"name": name}

    async def _body(self, request: Request) -> dict[str, Any]:
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        check(body, _FIELDS, ("datasourceType", "credentials"))
        if body["datasourceType"] not in _TYPES:
            raise invalid(f'"datasourceType" must be one of [{", ".join(_TYPES)}]')
        check({"name": body["credentials"].get("name")}, {"name": str}, ("name",))
        return body

    async def _by_id(self, request: Request) -> DatasourceRow:
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        check(body, {"input": dict}, ("input",))
        check(body["input"], {"datasourceId": str}, ("datasourceId",))
        row = self._catalog.datasource(datasource_id=body["input"]["datasourceId"])
        if row is None:
            raise RefusalError(400, "DATASOURCE_ID_ERROR", "Invalid datasource id")
        return row

    def _named(self, name: str) -> DatasourceRow:
        row = self._catalog.datasource(name=name)
        if row is None:
            raise RefusalError(400, "DATASOURCE_NAME_ERROR", "Invalid datasource name")
        return row

    def _in_use(self, name: str) -> bool:
        connections = map(self._state.workspace_connection, self._state.workspaces())
        by_workspace = any(source and source.get("datasourceName") == name for source in connections)
        return by_workspace or any(row.datasource == name for row in self._catalog.datamarts())
