"""The emulated Databrain's data apps, keys and guest tokens, in an SQLite file.

A key or a guest token that has expired is no longer accepted, but its row stays.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.store import Store

TokenKind = Literal["api_key", "service_token"]
SCHEMA = """
CREATE TABLE IF NOT EXISTS databrain_apps (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS databrain_keys (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, data_app TEXT, name TEXT NOT NULL, description TEXT,
    created_at TEXT NOT NULL, expires_at REAL, given INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS databrain_guest_tokens (
    token TEXT PRIMARY KEY, data_app TEXT NOT NULL, request TEXT NOT NULL, expires_at REAL);
"""


class AppRow(NamedTuple):
    """A data app."""

    name: str
    created_at: str
    updated_at: str


class KeyRow(NamedTuple):
    """A key that has not expired. ``data_app`` is None for a service token."""

    key: str
    kind: TokenKind
    data_app: str | None
    name: str
    description: str | None
    created_at: str


class GuestTokenRow(NamedTuple):
    """A guest token that has not expired, and the request body that created it."""

    data_app: str
    request: dict[str, Any]


class AccountState:
    """The organization's data apps and all credentials.

    :param path: an SQLite file, which is created if it does not exist and is shared with the other states; ``:memory:``
        keeps the data in memory.
    :param accepted: keys that it accepts in any case. They replace those of the last start. A key of the kind
        ``api_key`` belongs to the data app ``DATA_APP``, which always exists.
    """

    def __init__(self, path: str = ":memory:", accepted: Mapping[str, TokenKind] | None = None) -> None:
        self.clock: Callable[[], float] = time.time
        """Returns Unix seconds. A test may replace it."""
        self.store = Store(path, SCHEMA)
        self.store.change("DELETE FROM databrain_keys WHERE given")
        self.create_app(DATA_APP)
        for key, kind in (accepted or {}).items():
            app = DATA_APP if kind == "api_key" else None
            self.store.change(
                "INSERT OR REPLACE INTO databrain_keys VALUES (?, ?, ?, 'default', NULL, ?, NULL, 1)",
                *(key, kind, app, self._now()),
            )

    def create_app(self, name: str) -> bool:
        """Add a data app. Return False if one of this name exists."""
        now = self._now()
        return self.store.change("INSERT OR IGNORE INTO databrain_apps VALUES (?, ?, ?)", name, now, now) > 0

    def rename_app(self, name: str, new_name: str) -> None:
        """Rename a data app, for its keys and guest tokens too."""
        with self.store.transaction() as database:
            database.execute(
                "UPDATE databrain_apps SET name = ?, updated_at = ? WHERE name = ?", (new_name, self._now(), name)
            )
            for table in ("databrain_keys", "databrain_guest_tokens"):
                database.execute(f"UPDATE {table} SET data_app = ? WHERE data_app = ?", (new_name, name))  # noqa: S608 - the two above

    def delete_app(self, name: str) -> None:
        """Delete a data app with its keys and guest tokens."""
        with self.store.transaction() as database:
            database.execute("DELETE FROM databrain_apps WHERE name = ?", (name,))
            for table in ("databrain_keys", "databrain_guest_tokens"):
                database.execute(f"DELETE FROM {table} WHERE data_app = ?", (name,))  # noqa: S608 - the two above

    def apps(self) -> list[AppRow]:
        """Return the data apps in order of creation."""
        return [AppRow(*row) for row in self.store.rows("SELECT * FROM databrain_apps ORDER BY rowid")]

    def has_app(self, name: str) -> bool:
        """Whether a data app of this name exists. Names are case-sensitive."""
        return bool(self.store.rows("SELECT 1 FROM databrain_apps WHERE name = ?", name))

    def add_key(self, data_app: str, name: str, description: str | None = None) -> str:
        """Create an API key of a data app and return it."""
        return self._add_key("api_key", data_app, name, description)

    def live_keys(self, data_app: str | None = None) -> list[KeyRow]:
        """Return the keys that have not expired, in order of creation: one data app's or, without a data app, all."""
        rows = self.store.rows(
            "SELECT key, kind, data_app, name, description, created_at FROM databrain_keys"
            " WHERE coalesce(expires_at > ?, 1) AND (? IS NULL OR data_app = ?) ORDER BY rowid",
            *(self.clock(), data_app, data_app),
        )
        return [KeyRow(*row) for row in rows]

    def key(self, key: str) -> KeyRow | None:
        """Return the row of a key, or None if the key is unknown or has expired."""
        rows = self.store.rows(
            "SELECT key, kind, data_app, name, description, created_at FROM databrain_keys"
            " WHERE key = ? AND coalesce(expires_at > ?, 1)",
            key,
            self.clock(),
        )
        return KeyRow(*rows[0]) if rows else None

    def rotate(self, old: KeyRow, seconds: float) -> str:
        """Create a key like ``old`` and return it. The old key expires after ``seconds``."""
        new = self._add_key(old.kind, old.data_app, old.name, old.description)
        self.store.change("UPDATE databrain_keys SET expires_at = ? WHERE key = ?", self.clock() + seconds, old.key)
        return new

    def add_guest_token(self, data_app: str, request: dict[str, Any]) -> str:
        """Create a guest token from a request body and return it. Its ``expiryTime`` is in milliseconds."""
        token = str(uuid.uuid4())
        lifetime = request.get("expiryTime")
        expires = None if lifetime is None else self.clock() + lifetime / 1000
        self.store.change(
            "INSERT INTO databrain_guest_tokens VALUES (?, ?, ?, ?)", token, data_app, json.dumps(request), expires
        )
        return token

    def guest_token(self, token: str) -> GuestTokenRow | None:
        """Return the row of a guest token, or None if the token is unknown or has expired."""
        rows = self.store.rows(
            "SELECT data_app, request FROM databrain_guest_tokens WHERE token = ? AND coalesce(expires_at > ?, 1)",
            token,
            self.clock(),
        )
        return GuestTokenRow(rows[0][0], json.loads(rows[0][1])) if rows else None

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def _add_key(self, kind: TokenKind, data_app: str | None, name: str, description: str | None) -> str:
        key = str(uuid.uuid4())
        self.store.change(
            "INSERT INTO databrain_keys VALUES (?, ?, ?, ?, ?, ?, NULL, 0)",
            *(key, kind, data_app, name, description, self._now()),
        )
        return key

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
