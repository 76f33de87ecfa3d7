"""The emulated Databrain's embeds: list, create, update, rename, delete and export.

``client_dashboards`` creates the embeds of clients' own dashboards.

It is written from the vendor's reference and does not use the client's models. Our choices:

- The checks come in the order token, body, workspace, dashboard, metric, datamart, tables.
- An export of an embed that does not exist is ``INVALID_REQUEST_BODY``.

``Behaviour`` plays each possible answer if a client might rely on it: the order of the list, its length without paging,
how soon it has a new embed, whether it names what an embed shows, and the code if the embed to change does not exist.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.checks import (
    check,
    delete_query,
    embed_body,
    rename_body,
    update_body,
)
from airflow_provider_databrain.emulator.databrain.dashboards import attachment
from airflow_provider_databrain.emulator.databrain.request import data_app_of, new_embed_id, window
from airflow_provider_databrain.emulator.databrain.state import EmbedRow, State
from airflow_provider_databrain.emulator.faults import Behaviour, Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes


class _Disorder:
    """Which embeds an answer of the list has, and in which order, if the server is late or has no order."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str]] = Counter()
        self._chance = random.Random(0)

    def of(self, rows: list[EmbedRow], behaviour: Behaviour) -> list[EmbedRow]:
        """Return the rows of one answer.

        :param rows: all embeds, in order of creation.
        """
        if behaviour.late_embeds:
            for row in rows:
                self._answers[row.embed_id, row.created_at] += 1
            rows = [row for row in rows if self._answers[row.embed_id, row.created_at] > behaviour.late_embeds]
        return self._chance.sample(rows, len(rows)) if behaviour.shuffles_embeds else rows


class EmbedsApi:
    """The routes that list, create, update, rename, delete and export embeds."""

    def __init__(self, state: State, control: Control, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self._catalog = catalog
        self._disorder = _Disorder()
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/embeds", self.create, changes=True)
            self.router.add("GET", f"{prefix}/embeds", self.list)
            self.router.add("PUT", f"{prefix}/embeds", self.update, changes=True)
            self.router.add("PUT", f"{prefix}/embeds/rename", self.rename, changes=True)
            self.router.add("DELETE", f"{prefix}/embeds", self.delete, changes=True)
            self.router.add("GET", f"{prefix}/embeds/export", self.export)

    async def create(self, request: Request) -> dict[str, Any]:
        """Embed a dashboard or a metric. The server makes up the embed's id."""
        data_app = data_app_of(request, self._account)
        body = await embed_body(request)
        self._check_references(body)
        self._check_datamart(body.get("accessSettings", {}))
        embed_id = new_embed_id(body["dashboardId"])
        self._state.add_embed(embed_id, body, name=body.get("name", embed_id), data_app=data_app)
        return {"id": embed_id, "error": None}

    async def list(self, request: Request) -> dict[str, Any]:
        """List the embeds of one client or of all clients."""
        data_app = data_app_of(request, self._account)
        query = request.query_params
        behaviour = self._control.behaviour
        client = None if behaviour.ignores_client_filter else query.get("clientId")
        paged = query.get("isPagination") == "true" and not behaviour.ignores_paging
        limit, offset = window(query.get("pageNumber", "1")) if paged else (behaviour.embed_list_limit or -1, 0)
        if behaviour.late_embeds or behaviour.shuffles_embeds:
            every = self._disorder.of(self._state.embeds(client, data_app=data_app), behaviour)[offset:]
            rows = every if limit < 0 else every[:limit]
        else:
            rows = self._state.embeds(client, limit, offset, data_app=data_app)
        shown = _older if behaviour.older_embed_list else _embed
        return {"data": [shown(row) for row in rows], "error": None}

    async def update(self, request: Request) -> dict[str, Any]:
        """Change some of an embed's access settings. The others stay."""
        data_app = data_app_of(request, self._account)
        body = await update_body(request)
        if self._state.data_app_of(body["embedId"]) != data_app:
            raise self._no_embed()
        self._state.update_embed(body["embedId"], body["accessSettings"])
        return {"id": body["embedId"], "error": None}

    async def rename(self, request: Request) -> dict[str, Any]:
        """Rename an embed and, if requested, its dashboard."""
        data_app = data_app_of(request, self._account)
        body = await rename_body(request)
        if self._state.data_app_of(body["embedId"]) != data_app:
            raise self._no_embed()
        self._state.rename_embed(body["embedId"], body["name"], dashboard=body.get("isRenameDashboard", False))
        return {"id": body["embedId"], "name": body["name"], "error": None}

    async def delete(self, request: Request) -> dict[str, Any]:
        """Delete an embed and, if requested, its dashboard. The id of a dashboard that stays cannot be used again."""
        data_app = data_app_of(request, self._account)
        query = delete_query(request)
        if self._state.data_app_of(query["embedId"]) != data_app:
            raise invalid("Embed not found")
        self._state.delete_embed(query["embedId"], dashboard=query.get("isDeleteDashboard") == "true")
        return {"id": query["embedId"], "error": None}

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

    def _no_embed(self) -> RefusalError:
        code = self._control.behaviour.missing_embed_code
        return RefusalError(400, code, "Embed not found" if code == "INVALID_REQUEST_BODY" else "Invalid embed id")

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


def _older(row: EmbedRow) -> dict[str, Any]:
    """Return an embed as older pages of the reference show it."""
    embed = _embed(row)
    dashboard, metric = embed["externalDashboard"], embed["externalMetric"]
    return {
        "embedId": embed["embedId"],
        "embedType": embed["embedType"],
        "externalDashboard": dashboard and {"name": dashboard["name"], "metadata": dashboard["metadata"]},
        "externalMetric": metric and {"name": metric["name"]},
    }
