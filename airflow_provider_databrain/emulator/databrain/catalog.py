"""The emulated Databrain's datasources, datamarts and semantic layers, in an SQLite file.

Only the names of a datasource's credentials are stored. Nothing here needs their values.
"""

from __future__ import annotations

import json
import uuid
from typing import Any, NamedTuple

from airflow_provider_databrain.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS databrain_datasources (
    name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, fields TEXT NOT NULL,
    syncs INTEGER NOT NULL DEFAULT 0, progress TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS databrain_datamarts (
    name TEXT PRIMARY KEY, datasource TEXT NOT NULL, contents TEXT NOT NULL, layer TEXT);
"""


class DatasourceRow(NamedTuple):
    """A datasource.

    :param fields: the names of its credentials, sorted.
    :param syncs: the number of its syncs.
    :param progress: the progress of its sync, for example ``3/16``; blank before the first sync.
    """

    name: str
    id: str
    type: str
    fields: list[str]
    syncs: int
    progress: str
    error: str


class DatamartRow(NamedTuple):
    """A datamart.

    :param contents: its tables, tenancy settings and relationships, as in the API's request.
    :param layer: its semantic layer, or None.
    """

    name: str
    datasource: str
    contents: dict[str, Any]
    layer: dict[str, Any] | None


class CatalogState:
    """The datasources and datamarts of an emulated organization.

    :param path: an SQLite file, which is created if it does not exist and is shared with the other states; ``:memory:``
        keeps the data in memory.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._store = Store(path, SCHEMA)

    def put_datasource(self, name: str, kind: str, fields: list[str]) -> None:
        """Add a datasource, or replace the type and the credentials of an existing one."""
        self._store.change(
            "INSERT INTO databrain_datasources (name, id, type, fields) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET type = excluded.type, fields = excluded.fields",
            *(name, str(uuid.uuid4()), kind, json.dumps(sorted(fields))),
        )

    def add_datasource(self, name: str, kind: str = "postgres") -> str:
        """Add a datasource without credentials. Return its id."""
        self.put_datasource(name, kind, [])
        return next(row.id for row in self.datasources() if row.name == name)

    def datasources(self) -> list[DatasourceRow]:
        """Return the datasources in order of creation."""
        rows = self._store.rows(
            "SELECT name, id, type, fields, syncs, progress, error FROM databrain_datasources ORDER BY rowid"
        )
        return [
            DatasourceRow(name, key, kind, json.loads(fields), *others) for name, key, kind, fields, *others in rows
        ]

    def datasource(self, *, name: str | None = None, datasource_id: str | None = None) -> DatasourceRow | None:
        """Return the datasource with this name or this id, or None."""
        return next((row for row in self.datasources() if name == row.name or datasource_id == row.id), None)

    def delete_datasource(self, name: str) -> None:
        """Delete a datasource."""
        self._store.change("DELETE FROM databrain_datasources WHERE name = ?", name)

    def count_sync(self, name: str) -> None:
        """Count a finished sync."""
        self._store.change("UPDATE databrain_datasources SET syncs = syncs + 1 WHERE name = ?", name)

    def set_progress(self, name: str, progress: str, error: str = "") -> None:
        """Set the progress of a datasource's sync, and the error if it failed."""
        self._store.change(
            "UPDATE databrain_datasources SET progress = ?, error = ? WHERE name = ?", progress, error, name
        )

    def put_datamart(self, name: str, datasource: str, contents: dict[str, Any]) -> None:
        """Add a datamart, or replace the contents of an existing one."""
        self._store.change(
            "INSERT INTO databrain_datamarts (name, datasource, contents) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET contents = excluded.contents",
            *(name, datasource, json.dumps(contents)),
        )

    def datamarts(self) -> list[DatamartRow]:
        """Return the datamarts in order of creation."""
        rows = self._store.rows("SELECT name, datasource, contents, layer FROM databrain_datamarts ORDER BY rowid")
        return [
            DatamartRow(name, datasource, json.loads(contents), json.loads(layer or "null"))
            for name, datasource, contents, layer in rows
        ]

    def datamart(self, name: str) -> DatamartRow | None:
        """Return the datamart with this name, or None."""
        return next((row for row in self.datamarts() if row.name == name), None)

    def delete_datamart(self, name: str) -> bool:
        """Delete a datamart with its semantic layer. Return False if it does not exist."""
        return self._store.change("DELETE FROM databrain_datamarts WHERE name = ?", name) > 0

    def set_layer(self, name: str, layer: dict[str, Any] | None) -> None:
        """Set a datamart's semantic layer. None removes it."""
        text = None if layer is None else json.dumps(layer)
        self._store.change("UPDATE databrain_datamarts SET layer = ? WHERE name = ?", text, name)

    def close(self) -> None:
        """Close the file."""
        self._store.close()
