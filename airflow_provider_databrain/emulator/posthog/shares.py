"""Public links to the emulated PostHog's dashboards."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.store import Store

GRACE_SECONDS = 300.0
"""How long a token works after it was replaced."""
_COLUMNS = "id, dashboard_id, access_token, created_at, enabled, password_required, settings, expires_at"


@dataclass(frozen=True)
class ShareRow:
    """A sharing configuration that was saved.

    :param expires_at: for one that was replaced: seconds since 1970 until its token works; else None.
    """

    id: int
    dashboard_id: int
    access_token: str
    created_at: str
    enabled: bool
    password_required: bool
    settings: dict[str, Any] | None
    expires_at: float | None


@dataclass(frozen=True)
class PasswordRow:
    """A password of a public link. The password itself is not kept: nothing here asks for it."""

    id: int
    note: str
    created_at: str
    created_by: str


class Shares:
    """Sharing configurations and their passwords in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, dashboard: int) -> ShareRow | None:
        """A dashboard's present configuration; None where none was ever saved."""
        found = self._shares("dashboard_id = ? AND expires_at IS NULL", dashboard)
        return found[0] if found else None

    def by_token(self, token: str) -> ShareRow | None:
        """The configuration whose public link this is, where it is enabled and not replaced too long ago."""
        found = self._shares(
            "access_token = ? AND enabled AND (expires_at IS NULL OR expires_at > ?)", token, time.time()
        )
        return found[0] if found else None

    def save(self, dashboard: int, **changes: Any) -> ShareRow:
        """Set a dashboard's configuration; a first one gets its token and time.

        :param changes: ``enabled``, ``password_required``, ``settings``.
        """
        row = self.of(dashboard)
        if row is None:
            self._insert(dashboard, enabled=False, password_required=False, settings=None)
            return self.save(dashboard, **changes)
        settings = changes.get("settings", row.settings)
        self._store.change(
            "UPDATE posthog_shares SET enabled = ?, password_required = ?, settings = ? WHERE id = ?",
            changes.get("enabled", row.enabled),
            changes.get("password_required", row.password_required),
            None if settings is None else json.dumps(settings),
            row.id,
        )
        return self._shares("id = ?", row.id)[0]

    def rotate(self, dashboard: int) -> ShareRow:
        """Replace the token. The old one works a while longer; passwords are copied under new ids."""
        old = self.of(dashboard)
        if old is None:
            return self.save(dashboard)
        self._store.change("UPDATE posthog_shares SET expires_at = ? WHERE id = ?", time.time() + GRACE_SECONDS, old.id)
        key = self._insert(
            dashboard, enabled=old.enabled, password_required=old.password_required, settings=old.settings
        )
        # Newest first, as they are listed: the copies' ids run the other way.
        for password in self.passwords(old.id):
            self.add_password(key, password.note, password.created_by)
        return self._shares("id = ?", key)[0]

    def expire_tokens(self) -> None:
        """End the time for which replaced tokens work, as if it had passed."""
        self._store.change("UPDATE posthog_shares SET expires_at = 0 WHERE expires_at IS NOT NULL")

    def passwords(self, share: int) -> list[PasswordRow]:
        """A configuration's passwords, newest first."""
        rows = self._store.rows(
            "SELECT id, note, created_at, created_by FROM posthog_passwords WHERE share_id = ? ORDER BY id DESC", share
        )
        return [PasswordRow(*row) for row in rows]

    def add_password(self, share: int, note: str, created_by: str) -> PasswordRow:
        """Add a password."""
        made = now()
        key = self._store.insert(
            "INSERT INTO posthog_passwords (share_id, note, created_at, created_by) VALUES (?, ?, ?, ?)",
            share,
            note,
            made,
            created_by,
        )
        return PasswordRow(key, note, made, created_by)

    def remove_password(self, share: int, key: int) -> bool:
        """Remove a password; False where the configuration has none of this id."""
        return bool(self._store.change("DELETE FROM posthog_passwords WHERE share_id = ? AND id = ?", share, key))

    def _insert(
        self, dashboard: int, *, enabled: bool, password_required: bool, settings: dict[str, Any] | None
    ) -> int:
        return self._store.insert(
            "INSERT INTO posthog_shares (dashboard_id, access_token, created_at, enabled, password_required, settings)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            dashboard,
            new_token(),
            now(),
            enabled,
            password_required,
            None if settings is None else json.dumps(settings),
        )

    def _shares(self, where: str, *values: object) -> list[ShareRow]:
        rows = self._store.rows(f"SELECT {_COLUMNS} FROM posthog_shares WHERE {where}", *values)  # noqa: S608
        return [
            ShareRow(
                id=key,
                dashboard_id=dashboard,
                access_token=token,
                created_at=created,
                enabled=bool(enabled),
                password_required=bool(password),
                settings=None if settings is None else json.loads(settings),
                expires_at=expires,
            )
            for key, dashboard, token, created, enabled, password, settings, expires in rows
        ]


def new_token() -> str:
    """A token of a public link."""
    return secrets.token_urlsafe(22)
