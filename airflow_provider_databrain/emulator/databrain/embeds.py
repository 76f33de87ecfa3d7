"""The emulated Databrain's embeds of existing dashboards and metrics, and their export.

It is written from the vendor's reference and does not use the client's models. Our choices:

- The checks come in the order token, body, workspace, dashboard, metric, datamart, tables.
- An export of an embed that does not exist is ``INVALID_REQUEST_BODY``.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.checks import check, embed_body
from airflow_provider_databrain.emulator.databrain.dashboards import attachment
from airflow_provider_databrain.emulator.databrain.request import data_app_of
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_ALPHABET = string.ascii_letters + string.digits


class EmbedsApi:
    """The routes that embed an existing dashboard or metric, and that export an embed."""

    def __init__(self, state: State, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/embeds", self.create, changes=True)
            self.router.add("GET", f"{prefix}/embeds/export", self.export)

    async def create(self, request: Request) -> dict[str, Any]:
        """Embed a dashboard or a metric. The server makes up the embed's id."""
        data_app = data_app_of(request, self._account)
        body = await embed_body(request)
        self._check_references(body)
        self._check_datamart(body.get("accessSettings", {}))
        embed_id = f"{body['dashboardId']}__{''.join(secrets.choice(_ALPHABET) for _ in range(8))}"
        self._state.add_embed(embed_id, body, name=body.get("name", embed_id), data_app=data_app)
        return {"id": embed_id, "error": None}

    async def export(self, request: Request) -> JSONResponse:
        """Export an embed's dashboard as a document."""
        data_app = data_app_of(request, self._account)
        query = dict(request.query_params)
        check(query, {"embedId": str}, ("embedId",))
        row = self._state.embed(query["embedId"], data_app)
        if row is None:
            raise invalid("Embed not found")
        meta = {
            "embedId": row.embed_id,
            "name": row.name,
            "embedType": row.embed_type,
            "dashboardId": row.dashboard_id,
            "embedDataAppAccessSetting": self._state.access_settings(row.embed_id),
        }
        return attachment(row.embed_id, meta, self._state.contents.document(row.dashboard_id))

    def _check_references(self, body: dict[str, Any]) -> None:
        if not self._state.has_workspace(body["workspaceName"]):
            raise RefusalError(400, "INVALID_WORKSPACE_NAME", "Invalid workspace name")
        if not self._state.dashboard_exists(body["dashboardId"], body["workspaceName"]):
            raise RefusalError(400, "INVALID_DASHBOARD_ID", "Invalid dashboard id")
        if body["embedType"] == "metric":
            metrics = {row.metric_id for row in self._state.contents.metrics(body["dashboardId"])}
            if body["metricId"] not in metrics:
                raise RefusalError(400, "INVALID_METRIC_ID", "Invalid metric id")

    def _check_datamart(self, settings: dict[str, Any]) -> None:
        name = settings.get("datamartName")
        datamart = None if name is None else self._catalog.datamart(name)
        if name is not None and datamart is None:
            raise RefusalError(400, "INVALID_DATAMART", "Invalid datamart name")
        tables = {table["name"] for table in datamart.contents["tableList"]} if datamart else set()
        if any(table["name"] not in tables for table in settings.get("tableTenancySettings", [])):
            raise RefusalError(400, "DATAMART_TABLE_NOT_FOUND", "Datamart table not found")
