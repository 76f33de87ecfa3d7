"""What the emulated Databrain knows of data apps, keys and guest tokens, in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from airflow_provider_databrain.emulator.databrain.state import DATA_APP

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
    """A key that lives. ``data_app`` is None for a service token."""

    key: str
    kind: TokenKind
    data_app: str | None
    name: str
    description: str | None
    created_at: str


class GuestTokenRow(NamedTuple):
    """A guest token that lives, and what it was asked for with."""

    data_app: str
    request: dict[str, Any]


class AccountState:
    """The organization's data apps and all credentials.

    :param path: an SQLite file, made where it is not there, and shared with the other states; ``:memory:`` for none.
    :param given: keys that it is to accept whatever the file says, in the place of those of the last start; those of
        the kind ``api_key`` belong to the data app ``DATA_APP``, which is made.
    """

    def __init__(self, path: str = ":memory:", given: Mapping[str, TokenKind] | None = None) -> None:
        self.clock: Callable[[], float] = time.time
        """Unix seconds; a test may set its own."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(SCHEMA)
        self._change("DELETE FROM databrain_keys WHERE given")
        self.create_app(DATA_APP)
        for key, kind in (given or {}).items():
            app = DATA_APP if kind == "api_key" else None
            self._change(
                "INSERT OR REPLACE INTO databrain_keys VALUES (?, ?, ?, 'default', NULL, ?, NULL, 1)",
                *(key, kind, app, self._now()),
            )

    def create_app(self, name: str) -> bool:
        """Add a data app; False where there is one of that name."""
        now = self._now()
        return self._change("INSERT OR IGNORE INTO databrain_apps VALUES (?, ?, ?)", name, now, now)

    def rename_app(self, name: str, new_name: str) -> None:
        """Give a data app, and what belongs to it here, another name."""
        with self._lock, self._db:
            self._db.execute(
                "UPDATE databrain_apps SET name = ?, updated_at = ? WHERE name = ?", (new_name, self._now(), name)
            )
            for table in ("databrain_keys", "databrain_guest_tokens"):
                self._db.execute(f"UPDATE {table} SET data_app = ? WHERE data_app = ?", (new_name, name))  # noqa: S608 - the two above

    def delete_app(self, name: str) -> None:
        """Forget a data app with its keys and guest tokens."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM databrain_apps WHERE name = ?", (name,))
            for table in ("databrain_keys", "databrain_guest_tokens"):
                self._db.execute(f"DELETE FROM {table} WHERE data_app = ?", (name,))  # noqa: S608 - the two above

    def apps(self) -> list[AppRow]:
        """Data apps, in order of creation."""
        return [AppRow(*row) for row in self._all("SELECT * FROM databrain_apps ORDER BY rowid")]

    def has_app(self, name: str) -> bool:
        """Whether there is such a data app; names are case-sensitive."""
        return bool(self._all("SELECT 1 FROM databrain_apps WHERE name = ?", name))

    def add_key(self, data_app: str, name: str, description: str | None = None) -> str:
        """Make an API key for a data app."""
        return self._add_key("api_key", data_app, name, description)

    def live_keys(self, data_app: str | None = None) -> list[KeyRow]:
        """The keys that live, of one data app or all, in order of creation."""
        rows = self._all(
            "SELECT key, kind, data_app, name, description, created_at FROM databrain_keys"
            " WHERE coalesce(expires_at > ?1, 1) AND (?2 IS NULL OR data_app = ?2) ORDER BY rowid",
            self.clock(),
            data_app,
        )
        return [KeyRow(*row) for row in rows]

    def key(self, key: str) -> KeyRow | None:
        """A key that lives, None for any other."""
        rows = self._all(
            "SELECT key, kind, data_app, name, description, created_at FROM databrain_keys"
            " WHERE key = ? AND coalesce(expires_at > ?, 1)",
            key,
            self.clock(),
        )
        return KeyRow(*rows[0]) if rows else None

    def rotate(self, old: KeyRow, seconds: float) -> str:
        """Make a key like ``old``, which dies after so many seconds."""
        new = self._add_key(old.kind, old.data_app, old.name, old.description)
        self._change("UPDATE databrain_keys SET expires_at = ? WHERE key = ?", self.clock() + seconds, old.key)
        return new

    def add_guest_token(self, data_app: str, request: dict[str, Any]) -> str:
        """Make a guest token for what was asked."""
        token = str(uuid.uuid4())
        life = request.get("expiryTime")
        expires = None if life is None else self.clock() + life / 1000
        self._change(
            "INSERT INTO databrain_guest_tokens VALUES (?, ?, ?, ?)", token, data_app, json.dumps(request), expires
        )
        return token

    def guest_token(self, token: str) -> GuestTokenRow | None:
        """A guest token that lives, None for any other."""
        rows = self._all(
            "SELECT data_app, request FROM databrain_guest_tokens WHERE token = ? AND coalesce(expires_at > ?, 1)",
            token,
            self.clock(),
        )
        return GuestTokenRow(rows[0][0], json.loads(rows[0][1])) if rows else None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _add_key(self, kind: TokenKind, data_app: str | None, name: str, description: str | None) -> str:
        key = str(uuid.uuid4())
        self._change(
            "INSERT INTO databrain_keys VALUES (?, ?, ?, ?, ?, ?, NULL, 0)",
            *(key, kind, data_app, name, description, self._now()),
        )
        return key

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _change(self, statement: str, *values: object) -> bool:
        with self._lock, self._db:
            return self._db.execute(statement, values).rowcount > 0

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()
