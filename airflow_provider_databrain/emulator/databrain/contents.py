"""The contents of the emulated Databrain's dashboards: metrics, the metrics' data, exported documents and reports.

They are deleted with their dashboard or embed: triggers of the database do that.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airflow_provider_databrain.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS databrain_documents (dashboard_id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS databrain_metrics (
    dashboard_id TEXT NOT NULL, metric_id TEXT NOT NULL, name TEXT NOT NULL, client_id TEXT,
    published INTEGER NOT NULL DEFAULT 0, data TEXT NOT NULL, PRIMARY KEY (dashboard_id, metric_id));
CREATE TABLE IF NOT EXISTS databrain_reports (embed_id TEXT NOT NULL, client_id TEXT NOT NULL, report TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS databrain_no_dashboard AFTER DELETE ON dashboards BEGIN
    DELETE FROM databrain_documents WHERE dashboard_id = OLD.dashboard_id;
    DELETE FROM databrain_metrics WHERE dashboard_id = OLD.dashboard_id;
END;
CREATE TRIGGER IF NOT EXISTS databrain_no_embed AFTER DELETE ON embeds BEGIN
    DELETE FROM databrain_reports WHERE embed_id = OLD.embed_id;
END;
"""


class MetricRow(NamedTuple):
    """A metric on a dashboard.

    :param client_id: the only client that sees it; None if all clients do.
    """

    metric_id: str
    name: str
    client_id: str | None
    published: bool


class Contents:
    """What is inside the dashboards.

    :param store: the state's, which has the tables of workspaces, dashboards and embeds too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_metric(
        self,
        dashboard_id: str,
        metric_id: str,
        *,
        name: str | None = None,
        client_id: str | None = None,
        data: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Add a metric to a dashboard and to the list of its workspace.

        :param client_id: the only client that sees it; None if all clients do.
        :param data: the metric's rows.
        """
        title = name or metric_id
        self._store.change(
            "INSERT OR REPLACE INTO databrain_metrics VALUES (?, ?, ?, ?, 0, ?)",
            *(dashboard_id, metric_id, title, client_id, json.dumps([dict(row) for row in data])),
        )
        self._store.change(
            "INSERT OR IGNORE INTO metrics SELECT workspace, ?, ? FROM dashboards WHERE dashboard_id = ?",
            *(metric_id, title, dashboard_id),
        )

    def metrics(self, dashboard_id: str, client_id: str | None = None) -> list[MetricRow]:
        """Return the metrics of a dashboard that a client sees, or, without a client, all of them."""
        rows = self._store.rows(
            "SELECT metric_id, name, client_id, published FROM databrain_metrics WHERE dashboard_id = ?"
            " AND (? IS NULL OR coalesce(client_id, ?) = ?) ORDER BY metric_id",
            *(dashboard_id, client_id, client_id, client_id),
        )
        return [MetricRow(metric, name, client, bool(published)) for metric, name, client, published in rows]

    def publish(self, dashboard_id: str, metric_id: str, published: bool) -> None:
        """Publish a metric, or end its publication."""
        self._store.change(
            "UPDATE databrain_metrics SET published = ? WHERE dashboard_id = ? AND metric_id = ?",
            *(published, dashboard_id, metric_id),
        )

    def data(self, dashboard_id: str, metric_id: str) -> list[dict[str, Any]]:
        """Return a metric's rows."""
        [(data,)] = self._store.rows(
            "SELECT data FROM databrain_metrics WHERE dashboard_id = ? AND metric_id = ?", dashboard_id, metric_id
        )
        rows: list[dict[str, Any]] = json.loads(data)
        return rows

    def document(self, dashboard_id: str) -> dict[str, Any]:
        """Return a dashboard as an exported document."""
        rows = self._store.rows("SELECT document FROM databrain_documents WHERE dashboard_id = ?", dashboard_id)
        document: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        metrics = [{"metricId": row.metric_id, "name": row.name} for row in self.metrics(dashboard_id)]
        return {"layout": [], "filters": [], **document, "metrics": metrics}

    def add_dashboard(self, dashboard_id: str, name: str, workspace: str, document: Mapping[str, Any]) -> int:
        """Create a dashboard from an exported document. Return the number of its metrics."""
        self._store.change(
            "INSERT INTO dashboards (dashboard_id, workspace, name) VALUES (?, ?, ?)", dashboard_id, workspace, name
        )
        others = {key: value for key, value in document.items() if key != "metrics"}
        self._store.change("INSERT INTO databrain_documents VALUES (?, ?)", dashboard_id, json.dumps(others))
        metrics = document.get("metrics", [])
        for metric in metrics:
            self.add_metric(dashboard_id, metric["metricId"], name=metric.get("name"))
        return len(metrics)

    def add_report(
        self, embed_id: str, client_id: str, subject: str, metrics: Iterable[str], *, identifier: str | None = None
    ) -> str:
        """Schedule a daily report at 08:00 UTC. Return its id."""
        report_id = str(uuid.uuid4())
        at = "2025-01-01T08:00:00.000Z"
        report = {
            "id": report_id,
            "subject": subject,
            "scheduleEmailReportCharts": [{"externalMetric": {"metricId": metric}} for metric in metrics],
            "timeConfigurations": {"frequency": "daily", "time": "08:00", "timezone": "UTC"},
            "createdAt": at,
            "updatedAt": at,
            "clientId": client_id,
            "embedId": embed_id,
            "createdByIdentifier": identifier,
        }
        self._store.change("INSERT INTO databrain_reports VALUES (?, ?, ?)", embed_id, client_id, json.dumps(report))
        return report_id

    def reports(self, embed_id: str, client_id: str | None = None) -> list[dict[str, Any]]:
        """Return the reports of an embed: one client's or, without a client, all."""
        rows = self._store.rows(
            "SELECT report FROM databrain_reports WHERE embed_id = ? AND client_id = coalesce(?, client_id)"
            " ORDER BY rowid",
            embed_id,
            client_id,
        )
        return [json.loads(report) for (report,) in rows]
