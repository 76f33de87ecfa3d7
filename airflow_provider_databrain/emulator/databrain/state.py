"""The emulated Databrain's workspaces, dashboards, embeds and metrics, in an SQLite file.

An embed belongs to a data app. It shows a dashboard or a metric of a dashboard. A file of an earlier release still
opens: the columns that its tables lack are added.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.databrain import contents
from airflow_provider_databrain.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS workspaces (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS metrics (
    workspace TEXT NOT NULL, metric_id TEXT NOT NULL, name TEXT, PRIMARY KEY (workspace, metric_id));
CREATE TABLE IF NOT EXISTS dashboards (
    dashboard_id TEXT PRIMARY KEY, workspace TEXT NOT NULL, name TEXT NOT NULL,
    client_id TEXT, metadata TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS embeds (
    embed_id TEXT PRIMARY KEY, dashboard_id TEXT NOT NULL, client_id TEXT NOT NULL, name TEXT NOT NULL,
    request TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')));
CREATE INDEX IF NOT EXISTS embeds_client ON embeds (client_id);
CREATE TABLE IF NOT EXISTS workspace_connections (name TEXT PRIMARY KEY, connection TEXT NOT NULL);
"""
DATA_APP = "tenant-app"
"""The data app of an embed if no other is given."""
ADDED_COLUMNS = {
    "updated_at": "TEXT",
    "access_changes": "TEXT NOT NULL DEFAULT '{}'",
    "data_app": f"TEXT NOT NULL DEFAULT '{DATA_APP}'",
    "embed_type": "TEXT NOT NULL DEFAULT 'dashboard'",
    "metric_id": "TEXT",
}
"""Columns of ``embeds`` that a file of an earlier release lacks. An embed without ``updated_at`` was never changed."""


@dataclass(frozen=True)
class EmbedRow:
    """An embed, and the dashboard that it shows or that holds the metric it shows.

    :param client_id: the client that owns the dashboard; blank if no client does.
    """

    embed_id: str
    dashboard_id: str
    client_id: str
    name: str
    dashboard_name: str
    metadata: dict[str, Any]
    created_at: str
    updated_at: str
    workspace: str
    data_app: str
    embed_type: str = "dashboard"
    metric_id: str | None = None


class State:
    """The workspaces of an emulated organization, their contents, and the embeds.

    :param path: an SQLite file, which is created if it does not exist; ``:memory:`` keeps the data in memory.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._store = Store(path, SCHEMA + contents.SCHEMA)
        self._store.add_columns("embeds", ADDED_COLUMNS)
        self.contents = contents.Contents(self._store)

    def add_workspace(self, name: str, *, metrics: Iterable[str] = (), dashboards: Iterable[str] = ()) -> None:
        """Add a workspace with metrics and pre-built dashboards. The name of each is made from its id."""
        with self._store.transaction() as database:
            database.execute("INSERT OR IGNORE INTO workspaces VALUES (?)", (name,))
            database.executemany(
                "INSERT OR IGNORE INTO metrics VALUES (?, ?, ?)",
                [(name, metric, metric.replace("-", " ").title()) for metric in metrics],
            )
            database.executemany(
                "INSERT OR IGNORE INTO dashboards (dashboard_id, workspace, name) VALUES (?, ?, ?)",
                [(dashboard, name, dashboard.replace("-", " ").title()) for dashboard in dashboards],
            )

    def clear(self) -> None:
        """Delete everything."""
        with self._store.transaction() as database:
            for table in ("embeds", "dashboards", "metrics", "workspaces", "workspace_connections"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - the five above

    def remove_metrics(self, workspace: str) -> None:
        """Remove all metrics from a workspace."""
        self._store.change("DELETE FROM metrics WHERE workspace = ?", workspace)

    def connect_workspace(self, name: str, connection: dict[str, Any]) -> None:
        """Set the source of a workspace's data, in place of the previous one."""
        self._store.change("INSERT OR REPLACE INTO workspace_connections VALUES (?, ?)", name, json.dumps(connection))

    def workspace_connection(self, name: str) -> dict[str, Any] | None:
        """Return the source of a workspace's data, or None if it has no source."""
        rows = self._store.rows("SELECT connection FROM workspace_connections WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def delete_workspace(self, name: str) -> bool:
        """Delete a workspace, its contents and their embeds. Return False if the workspace does not exist."""
        with self._store.transaction() as database:
            database.execute(
                "DELETE FROM embeds WHERE dashboard_id IN (SELECT dashboard_id FROM dashboards WHERE workspace = ?)",
                (name,),
            )
            database.execute("DELETE FROM dashboards WHERE workspace = ?", (name,))
            database.execute("DELETE FROM metrics WHERE workspace = ?", (name,))
            database.execute("DELETE FROM workspace_connections WHERE name = ?", (name,))
            return database.execute("DELETE FROM workspaces WHERE name = ?", (name,)).rowcount > 0

    def workspaces(self) -> list[str]:
        """Return the workspaces' names, sorted."""
        return [name for (name,) in self._store.rows("SELECT name FROM workspaces ORDER BY name")]

    def has_workspace(self, name: str) -> bool:
        """Whether a workspace of this name exists. Names are case-sensitive."""
        return bool(self._store.rows("SELECT 1 FROM workspaces WHERE name = ?", name))

    def metrics(self, workspace: str) -> list[tuple[str, str]]:
        """Return the id and the name of each metric of a workspace."""
        return self._store.rows("SELECT metric_id, name FROM metrics WHERE workspace = ? ORDER BY metric_id", workspace)

    def metric_exists(self, metric_id: str) -> bool:
        """Whether a metric of this id exists in any workspace."""
        return bool(self._store.rows("SELECT 1 FROM metrics WHERE metric_id = ?", metric_id))

    def dashboards(self, workspace: str) -> list[tuple[str, str]]:
        """Return the id and the name of each dashboard of a workspace: pre-built ones and clients' ones."""
        return self._store.rows(
            "SELECT dashboard_id, name FROM dashboards WHERE workspace = ? ORDER BY dashboard_id", workspace
        )

    def dashboard_exists(self, dashboard_id: str, workspace: str | None = None) -> bool:
        """Whether a dashboard of this id exists, in one workspace or, without one, in any."""
        return bool(
            self._store.rows(
                "SELECT 1 FROM dashboards WHERE dashboard_id = ? AND workspace = coalesce(?, workspace)",
                dashboard_id,
                workspace,
            )
        )

    def create_embed(
        self,
        body: dict[str, Any],
        *,
        dashboard_name: str,
        name: str,
        data_app: str = DATA_APP,
        embed_id: str | None = None,
    ) -> None:
        """Add a client's dashboard and an embed, which has the same id if no other is given."""
        with self._store.transaction() as database:
            _add_dashboard(database, body, dashboard_name)
            database.execute(
                "INSERT INTO embeds (embed_id, dashboard_id, client_id, name, request, data_app)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    embed_id or body["dashboardId"],
                    body["dashboardId"],
                    body["clientId"],
                    name,
                    json.dumps(body),
                    data_app,
                ),
            )

    def add_client_dashboard(self, body: dict[str, Any], *, dashboard_name: str) -> None:
        """Add a client's dashboard without an embed."""
        with self._store.transaction() as database:
            _add_dashboard(database, body, dashboard_name)

    def remove_unembedded(self, dashboard_id: str) -> None:
        """Delete a client's dashboard that no embed shows, if there is one."""
        self._store.change(
            "DELETE FROM dashboards WHERE dashboard_id = ? AND client_id IS NOT NULL"
            " AND dashboard_id NOT IN (SELECT dashboard_id FROM embeds)",
            dashboard_id,
        )

    def metadata(self, dashboard_id: str) -> dict[str, Any]:
        """Return a dashboard's metadata."""
        [(metadata,)] = self._store.rows("SELECT metadata FROM dashboards WHERE dashboard_id = ?", dashboard_id)
        found: dict[str, Any] = json.loads(metadata)
        return found

    def add_embed(self, embed_id: str, body: dict[str, Any], *, name: str, data_app: str = DATA_APP) -> None:
        """Add an embed of an existing dashboard or metric. It belongs to no client."""
        self._store.change(
            "INSERT INTO embeds (embed_id, dashboard_id, client_id, name, request, data_app, embed_type, metric_id)"
            " VALUES (?, ?, '', ?, ?, ?, ?, ?)",
            *(embed_id, body["dashboardId"], name, json.dumps(body), data_app),
            *(body["embedType"], body.get("metricId")),
        )

    def embed(self, embed_id: str, data_app: str) -> EmbedRow | None:
        """Return an embed of a data app, or None if the data app has no embed of this id."""
        return next((row for row in self.embeds(data_app=data_app) if row.embed_id == embed_id), None)

    def update_embed(self, embed_id: str, access_settings: dict[str, Any]) -> bool:
        """Change some access settings. Return False if the embed does not exist."""
        with self._store.transaction() as database:
            row = database.execute("SELECT access_changes FROM embeds WHERE embed_id = ?", (embed_id,)).fetchone()
            if row is None:
                return False
            database.execute(
                "UPDATE embeds SET access_changes = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE embed_id = ?",
                (json.dumps(json.loads(row[0]) | access_settings), embed_id),
            )
            return True

    def rename_embed(self, embed_id: str, name: str, *, dashboard: bool) -> bool:
        """Rename an embed. Return False if it does not exist.

        :param dashboard: rename its dashboard too.
        """
        with self._store.transaction() as database:
            renamed = database.execute(
                "UPDATE embeds SET name = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE embed_id = ?",
                (name, embed_id),
            )
            if dashboard:
                database.execute(
                    "UPDATE dashboards SET name = ?"
                    " WHERE dashboard_id = (SELECT dashboard_id FROM embeds WHERE embed_id = ?)",
                    (name, embed_id),
                )
            return renamed.rowcount > 0

    def delete_embed(self, embed_id: str, *, dashboard: bool) -> bool:
        """Delete an embed. Return False if it does not exist.

        :param dashboard: delete its dashboard too.
        """
        with self._store.transaction() as database:
            if dashboard:
                database.execute(
                    "DELETE FROM dashboards WHERE dashboard_id = (SELECT dashboard_id FROM embeds WHERE embed_id = ?)",
                    (embed_id,),
                )
            return database.execute("DELETE FROM embeds WHERE embed_id = ?", (embed_id,)).rowcount > 0

    def data_app_of(self, embed_id: str) -> str | None:
        """Return the data app of an embed, or None if the embed does not exist."""
        rows = self._store.rows("SELECT data_app FROM embeds WHERE embed_id = ?", embed_id)
        return rows[0][0] if rows else None

    def rename_data_app(self, name: str, new_name: str) -> None:
        """Move a data app's embeds to its new name."""
        self._store.change("UPDATE embeds SET data_app = ? WHERE data_app = ?", new_name, name)

    def delete_data_app(self, name: str) -> None:
        """Delete a data app's embeds. Their dashboards stay."""
        self._store.change("DELETE FROM embeds WHERE data_app = ?", name)

    def access_settings(self, embed_id: str) -> dict[str, Any]:
        """Return an embed's access settings: those it was created with, and the changes since then."""
        statement = "SELECT request, access_changes FROM embeds WHERE embed_id = ?"
        [(created, changes)] = self._store.rows(statement, embed_id)
        settings: dict[str, Any] = json.loads(created).get("accessSettings", {}) | json.loads(changes)
        return settings

    def embeds(
        self, client_id: str | None = None, limit: int = -1, offset: int = 0, *, data_app: str | None = None
    ) -> list[EmbedRow]:
        """Return embeds in order of creation.

        :param client_id: only this client's embeds; None returns those of all clients.
        :param limit: maximum number of embeds; -1 means no limit.
        :param data_app: only this data app's embeds; None returns those of all data apps.
        """
        rows = self._store.rows(
            "SELECT e.embed_id, e.dashboard_id, e.client_id, e.name, d.name, d.metadata, e.created_at,"
            " coalesce(e.updated_at, e.created_at), d.workspace, e.data_app, e.embed_type, e.metric_id"
            " FROM embeds e JOIN dashboards d USING (dashboard_id) WHERE e.client_id = coalesce(?, e.client_id)"
            " AND e.data_app = coalesce(?, e.data_app) ORDER BY e.rowid LIMIT ? OFFSET ?",
            client_id,
            data_app,
            limit,
            offset,
        )
        return [
            EmbedRow(embed, dashboard, client, name, title, json.loads(metadata), *others)
            for embed, dashboard, client, name, title, metadata, *others in rows
        ]

    def count_embeds(self) -> int:
        """Return the number of embeds."""
        [(count,)] = self._store.rows("SELECT count(*) FROM embeds")
        return int(count)

    def created_with(self, dashboard_id: str) -> dict[str, Any]:
        """Return the request body that created a client's dashboard."""
        [(request,)] = self._store.rows("SELECT request FROM embeds WHERE dashboard_id = ?", dashboard_id)
        body: dict[str, Any] = json.loads(request)
        return body

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _add_dashboard(database: sqlite3.Connection, body: dict[str, Any], name: str) -> None:
    metadata = json.dumps(body.get("metadata", {}))
    database.execute(
        "INSERT INTO dashboards VALUES (?, ?, ?, ?, ?)",
        (body["dashboardId"], body["workspaceName"], name, body["clientId"], metadata),
    )
