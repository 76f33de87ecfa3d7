"""What the emulated Databrain knows, in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.databrain import contents as databrain_contents

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
"""The data app of whatever is not said to be of another."""
ADDED_COLUMNS = {
    "updated_at": "TEXT",
    "access_changes": "TEXT NOT NULL DEFAULT '{}'",
    "data_app": f"TEXT NOT NULL DEFAULT '{DATA_APP}'",
    "embed_type": "TEXT NOT NULL DEFAULT 'dashboard'",
    "metric_id": "TEXT",
}
"""Columns of ``embeds`` that files made by earlier releases lack. No ``updated_at`` means never changed."""


@dataclass(frozen=True)
class EmbedRow:
    """An embed with the dashboard it shows, or that has the metric it shows.

    :param client_id: blank where it is nobody's own.
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
    """The embeds of an emulated organization, and the workspaces with what is in them.

    :param path: an SQLite file, made where it is not there; ``:memory:`` for none.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.Lock()
        # Without autocommit of its own: each method is one statement or one ``with`` block.
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(SCHEMA)
        present = {column[1] for column in self._all("PRAGMA table_info(embeds)")}
        for column, kind in ADDED_COLUMNS.items():
            if column not in present:
                self._db.execute(f"ALTER TABLE embeds ADD COLUMN {column} {kind}")
        self._db.executescript(databrain_contents.SCHEMA)
        self.contents = databrain_contents.Contents(self)

    def add_workspace(self, name: str, *, metrics: Iterable[str] = (), dashboards: Iterable[str] = ()) -> None:
        """Add a workspace with metrics and pre-built dashboards, each named by its id."""
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO workspaces VALUES (?)", (name,))
            self._db.executemany(
                "INSERT OR IGNORE INTO metrics VALUES (?, ?, ?)",
                [(name, metric, metric.replace("-", " ").title()) for metric in metrics],
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO dashboards (dashboard_id, workspace, name) VALUES (?, ?, ?)",
                [(dashboard, name, dashboard.replace("-", " ").title()) for dashboard in dashboards],
            )

    def clear(self) -> None:
        """Forget everything."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM embeds")
            self._db.execute("DELETE FROM dashboards")
            self._db.execute("DELETE FROM metrics")
            self._db.execute("DELETE FROM workspaces")
            self._db.execute("DELETE FROM workspace_connections")

    def remove_metrics(self, workspace: str) -> None:
        """Take all metrics out of a workspace."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM metrics WHERE workspace = ?", (workspace,))

    def connect_workspace(self, name: str, connection: dict[str, Any]) -> None:
        """Say where a workspace's data come from, in place of what was said before."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO workspace_connections VALUES (?, ?)", (name, json.dumps(connection))
            )

    def workspace_connection(self, name: str) -> dict[str, Any] | None:
        """Where a workspace's data come from, None where nobody has said."""
        rows = self._all("SELECT connection FROM workspace_connections WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def delete_workspace(self, name: str) -> bool:
        """Delete a workspace with all that is in it, and the embeds of that; False where there is no such workspace."""
        with self._lock, self._db:
            self._db.execute(
                "DELETE FROM embeds WHERE dashboard_id IN (SELECT dashboard_id FROM dashboards WHERE workspace = ?)",
                (name,),
            )
            self._db.execute("DELETE FROM dashboards WHERE workspace = ?", (name,))
            self._db.execute("DELETE FROM metrics WHERE workspace = ?", (name,))
            self._db.execute("DELETE FROM workspace_connections WHERE name = ?", (name,))
            return self._db.execute("DELETE FROM workspaces WHERE name = ?", (name,)).rowcount > 0

    def workspaces(self) -> list[str]:
        """Names, sorted."""
        return [name for (name,) in self._all("SELECT name FROM workspaces ORDER BY name")]

    def has_workspace(self, name: str) -> bool:
        """Whether there is such a workspace; names are case-sensitive."""
        return bool(self._all("SELECT 1 FROM workspaces WHERE name = ?", name))

    def metrics(self, workspace: str) -> list[tuple[str, str]]:
        """Pairs of id and name."""
        return self._all("SELECT metric_id, name FROM metrics WHERE workspace = ? ORDER BY metric_id", workspace)

    def metric_exists(self, metric_id: str) -> bool:
        """Whether there is such a metric, in any workspace."""
        return bool(self._all("SELECT 1 FROM metrics WHERE metric_id = ?", metric_id))

    def dashboards(self, workspace: str) -> list[tuple[str, str]]:
        """Pairs of id and name, pre-built ones and clients' alike."""
        return self._all(
            "SELECT dashboard_id, name FROM dashboards WHERE workspace = ? ORDER BY dashboard_id", workspace
        )

    def dashboard_exists(self, dashboard_id: str, workspace: str | None = None) -> bool:
        """Whether there is such a dashboard, anywhere or in one workspace."""
        return bool(
            self._all(
                "SELECT 1 FROM dashboards WHERE dashboard_id = ? AND workspace = coalesce(?, workspace)",
                dashboard_id,
                workspace,
            )
        )

    def create_embed(self, body: dict[str, Any], *, dashboard_name: str, name: str, data_app: str = DATA_APP) -> None:
        """Add a client's dashboard and the embed of the same id."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO dashboards VALUES (?, ?, ?, ?, ?)",
                (
                    body["dashboardId"],
                    body["workspaceName"],
                    dashboard_name,
                    body["clientId"],
                    json.dumps(body.get("metadata", {})),
                ),
            )
            self._db.execute(
                "INSERT INTO embeds (embed_id, dashboard_id, client_id, name, request, data_app)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (body["dashboardId"], body["dashboardId"], body["clientId"], name, json.dumps(body), data_app),
            )

    def add_embed(self, embed_id: str, body: dict[str, Any], *, name: str, data_app: str = DATA_APP) -> None:
        """Add an embed of what is there already; it is nobody's own."""
        self.change(
            "INSERT INTO embeds (embed_id, dashboard_id, client_id, name, request, data_app, embed_type, metric_id)"
            " VALUES (?, ?, '', ?, ?, ?, ?, ?)",
            *(embed_id, body["dashboardId"], name, json.dumps(body), data_app),
            *(body["embedType"], body.get("metricId")),
        )

    def embed(self, embed_id: str, data_app: str) -> EmbedRow | None:
        """An embed of a data app, None where it has no such embed."""
        return next((row for row in self.embeds(data_app=data_app) if row.embed_id == embed_id), None)

    def update_embed(self, embed_id: str, access_settings: dict[str, Any]) -> bool:
        """Change some access settings; False where there is no such embed."""
        with self._lock, self._db:
            row = self._db.execute("SELECT access_changes FROM embeds WHERE embed_id = ?", (embed_id,)).fetchone()
            if row is None:
                return False
            self._db.execute(
                "UPDATE embeds SET access_changes = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE embed_id = ?",
                (json.dumps(json.loads(row[0]) | access_settings), embed_id),
            )
            return True

    def rename_embed(self, embed_id: str, name: str, *, dashboard: bool) -> bool:
        """Rename an embed and, where ``dashboard``, what it shows; False where there is no such embed."""
        with self._lock, self._db:
            found = self._db.execute(
                "UPDATE embeds SET name = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE embed_id = ?",
                (name, embed_id),
            )
            if dashboard:
                self._db.execute(
                    "UPDATE dashboards SET name = ?"
                    " WHERE dashboard_id = (SELECT dashboard_id FROM embeds WHERE embed_id = ?)",
                    (name, embed_id),
                )
            return found.rowcount > 0

    def delete_embed(self, embed_id: str, *, dashboard: bool) -> bool:
        """Delete an embed and, where ``dashboard``, what it shows; False where there is no such embed."""
        with self._lock, self._db:
            if dashboard:
                self._db.execute(
                    "DELETE FROM dashboards WHERE dashboard_id = (SELECT dashboard_id FROM embeds WHERE embed_id = ?)",
                    (embed_id,),
                )
            return self._db.execute("DELETE FROM embeds WHERE embed_id = ?", (embed_id,)).rowcount > 0

    def data_app_of(self, embed_id: str) -> str | None:
        """The data app that an embed is in, None where there is no such embed."""
        rows = self._all("SELECT data_app FROM embeds WHERE embed_id = ?", embed_id)
        return rows[0][0] if rows else None

    def rename_data_app(self, name: str, new_name: str) -> None:
        """Move a data app's embeds to its new name."""
        with self._lock, self._db:
            self._db.execute("UPDATE embeds SET data_app = ? WHERE data_app = ?", (new_name, name))

    def delete_data_app(self, name: str) -> None:
        """Delete a data app's embeds; the dashboards stay."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM embeds WHERE data_app = ?", (name,))

    def access_settings(self, embed_id: str) -> dict[str, Any]:
        """What the client may do now: the settings it was created with, and what was changed since."""
        [(created, changes)] = self._all("SELECT request, access_changes FROM embeds WHERE embed_id = ?", embed_id)
        settings: dict[str, Any] = json.loads(created).get("accessSettings", {}) | json.loads(changes)
        return settings

    def embeds(
        self, client_id: str | None = None, limit: int = -1, offset: int = 0, *, data_app: str | None = None
    ) -> list[EmbedRow]:
        """Embeds in order of creation, of one client or all, and of one data app or all."""
        rows = self._all(
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
        """How many embeds there are."""
        [(count,)] = self._all("SELECT count(*) FROM embeds")
        return int(count)

    def created_with(self, dashboard_id: str) -> dict[str, Any]:
        """The request body that made a client's dashboard."""
        [(request,)] = self._all("SELECT request FROM embeds WHERE dashboard_id = ?", dashboard_id)
        body: dict[str, Any] = json.loads(request)
        return body

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What a query finds."""
        return self._all(statement, *values)

    def change(self, statement: str, *values: object) -> bool:
        """Change rows; whether there were any."""
        with self._lock, self._db:
            return self._db.execute(statement, values).rowcount > 0

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()
