"""The contents of the emulated Databrain's data apps: dashboards, metrics, the metrics' data and reports.

It is written from the vendor's reference and does not use the client's models. Our choices:

- An embed that does not exist is ``EMBED_PARAM_ERROR``: 404 in the list of a client's metrics, else 400.
- A filter compares a column with a value.
- A dashboard's metrics are read with a data app's API key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.contents import MetricRow
from airflow_provider_databrain.emulator.databrain.request import data_app_of, page
from airflow_provider_databrain.emulator.databrain.state import EmbedRow, State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes

_PAGING: dict[str, type] = {"isPagination": str, "pageNumber": str}
_QUERY = {
    "embedId": str,
    "metricId": str,
    "clientId": str,
    "dashboardFilter": dict,
    "metricFilter": dict,
    "datasourceName": str,
}


class DataApi:
    """The routes that read a data app, and the one that publishes a metric."""

    def __init__(self, state: State, control: Control, account: AccountState, catalog: CatalogState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("GET", f"{prefix}/dashboards", self.dashboards)
            self.router.add("GET", f"{prefix}/metrics", self.metrics)
            self.router.add("PUT", f"{prefix}/metrics/publish", self.publish, changes=True)
            self.router.add("POST", f"{prefix}/query", self.query)
            self.router.add("GET", f"{prefix}/embeds/reports", self.reports)
        self.router.add("POST", "/workspace/dashboard/metrics", self.dashboard_metrics)

    async def dashboards(self, request: Request) -> dict[str, Any]:
        """List the dashboards of a data app."""
        data_app = data_app_of(request, self._account)
        query = dict(request.query_params)
        check(query, _PAGING, ())
        rows = [
            {"name": row.dashboard_name, "externalDashboardId": row.dashboard_id, "embedId": row.embed_id}
            for row in self._state.embeds(data_app=data_app)
            if row.embed_type == "dashboard"
        ]
        return page(rows, query, self._control) | {"error": None}

    async def metrics(self, request: Request) -> dict[str, Any]:
        """List the metrics that a client sees in an embed."""
        data_app = data_app_of(request, self._account)
        query = dict(request.query_params)
        check(query, {**_PAGING, "embedId": str, "clientId": str, "isMetric": str}, ("embedId", "clientId"))
        embed = self._embed(query["embedId"], data_app, 404)
        rows = [
            {
                "name": row.name,
                "metricId": row.metric_id,
                "isPublished": row.published,
                "createdByUser": row.client_id,
            }
            for row in self._seen(embed, query["clientId"])
        ]
        return page(rows, query, self._control) | {"error": None}

    async def publish(self, request: Request) -> dict[str, Any]:
        """Publish a metric, or end its publication. The answer has no ``error``."""
        data_app = data_app_of(request, self._account)
        body = await json_object(request)
        fields = {"embedId": str, "metricId": str, "isPublished": bool}
        check(body, fields, tuple(fields))
        embed = self._embed(body["embedId"], data_app)
        self._check_metric(embed, body["metricId"])
        self._state.contents.publish(embed.dashboard_id, body["metricId"], body["isPublished"])
        return {"id": body["metricId"]}

    async def query(self, request: Request) -> dict[str, Any]:
        """Return a metric's data."""
        data_app = data_app_of(request, self._account)
        body = await json_object(request)
        check(body, _QUERY, ("embedId", "metricId", "clientId"))
        embed = self._embed(body["embedId"], data_app)
        self._check_metric(embed, body["metricId"], body["clientId"])
        source = body.get("datasourceName")
        if source is not None and self._catalog.datasource(name=source) is None:
            raise RefusalError(400, "DATASOURCE_NAME_ERROR", "Invalid datasource name")
        wanted = body.get("dashboardFilter", {}) | body.get("metricFilter", {})
        rows = [
            row
            for row in self._state.contents.data(embed.dashboard_id, body["metricId"])
            if all(row.get(column) == value for column, value in wanted.items())
        ]
        return _data(body["metricId"], rows)

    async def reports(self, request: Request) -> dict[str, Any]:
        """List the scheduled reports of an embed. The answer has no ``error``."""
        data_app = data_app_of(request, self._account)
        query = dict(request.query_params)
        check(query, {**_PAGING, "embedId": str, "clientId": str}, ("embedId",))
        embed = self._embed(query["embedId"], data_app)
        return page(self._state.contents.reports(embed.embed_id, query.get("clientId")), query, self._control)

    async def dashboard_metrics(self, request: Request) -> dict[str, Any]:
        """List the metrics of a dashboard in a workspace."""
        data_app_of(request, self._account)
        body = await json_object(request)
        fields = {"workspaceName": str, "dashboardId": str, "isPagination": bool, "pageNumber": int}
        check(body, fields, ("workspaceName", "dashboardId"))
        if not self._state.has_workspace(body["workspaceName"]):
            raise RefusalError(400, "WORKSPACE_ID_ERROR", "invalid workspace name, workspace name not found")
        if not self._state.dashboard_exists(body["dashboardId"], body["workspaceName"]):
            raise RefusalError(400, "DASHBOARD_PARAM_ERROR", "invalid dashboard id")
        metrics = self._state.contents.metrics(body["dashboardId"])
        rows = [{"name": row.name, "metricId": row.metric_id} for row in metrics]
        return page(rows, body, self._control) | {"error": None}

    def _embed(self, embed_id: str, data_app: str, status: int = 400) -> EmbedRow:
        row = self._state.embed(embed_id, data_app)
        if row is None:
            raise RefusalError(status, "EMBED_PARAM_ERROR", "Invalid embed id")
        return row

    def _seen(self, embed: EmbedRow, client_id: str | None) -> list[MetricRow]:
        rows = self._state.contents.metrics(embed.dashboard_id, client_id)
        return [row for row in rows if embed.metric_id in (None, row.metric_id)]

    def _check_metric(self, embed: EmbedRow, metric_id: str, client_id: str | None = None) -> None:
        if metric_id not in {row.metric_id for row in self._seen(embed, client_id)}:
            raise RefusalError(400, "INVALID_METRIC_ID", "Invalid metric id")


def _data(metric_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    first: Mapping[str, Any] = rows[0] if rows else {}
    columns = [
        {"name": name, "dataType": "number" if isinstance(value, int | float) else "string"}
        for name, value in first.items()
    ]
    return {
        "data": rows,
        "timeTaken": 1,
        "comparisonValue": None,
        "totalRecords": len(rows),
        "metaData": {"columns": columns, "groupbyColumnList": [column["name"] for column in columns][:1]},
        "metricid": metric_id,
        "error": None,
    }
