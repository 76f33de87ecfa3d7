"""The public links to the emulated PostHog's dashboards, and their passwords.

A dashboard has at most one present sharing configuration. A refresh replaces it; the old token still works for
``GRACE_SECONDS``.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.store import Store

GRACE_SECONDS = 300.0
"""Seconds for which a replaced token still works."""
_COLUMNS = "id, dashboard_id, access_token, created_at, enabled, password_required, settings, expires_at"


@dataclass(frozen=True)
class ShareRow:
    """A saved sharing configuration.

    :param expires_at: for a replaced configuration, the Unix time in seconds until which its token works; else None.
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
    """A password of a public link. The password itself is not stored, because nothing here checks it."""

    id: int
    note: str
    created_at: str
    created_by: str


class Shares:
    """Sharing configurations and their passwords in PostHog's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, dashboard: int) -> ShareRow | None:
        """Return a dashboard's present configuration, or None if it was never saved."""
        shares = self._shares("dashboard_id = ? AND expires_at IS NULL", dashboard)
        return shares[0] if shares else None

    def by_token(self, token: str) -> ShareRow | None:
        """Return the configuration with this token, or None if it is disabled or was replaced too long ago."""
        shares = self._shares(
            "access_token = ? AND enabled AND (expires_at IS NULL OR expires_at > ?)", token, time.time()
        )
        return shares[0] if shares else None

    def save(self, dashboard: int, **changes: Any) -> ShareRow:
        """Save changes to a dashboard's configuration. The first save sets its token and time.

        :param changes: any of ``enabled``, ``password_required`` and ``settings``.
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
        """Replace the token. The old one works for ``GRACE_SECONDS`` more. Passwords are copied and get new ids."""
        old = self.of(dashboard)
        if old is None:
            return self.save(dashboard)
        self._store.change("UPDATE posthog_shares SET expires_at = ? WHERE id = ?", time.time() + GRACE_SECONDS, old.id)
        key = self._insert(
            dashboard, enabled=old.enabled, password_required=old.password_required, settings=old.settings
        )
        # They are listed newest first, so the order of the copies' ids is reversed.
        for password in self.passwords(old.id):
            self.add_password(key, password.note, password.created_by)
        return self._shares("id = ?", key)[0]

    def forget(self, dashboard: int) -> None:
        """Delete a dashboard's configuration, as if it was never saved."""
        self._store.change("DELETE FROM posthog_shares WHERE dashboard_id = ?", dashboard)

    def expire_tokens(self) -> None:
        """End all replaced tokens now, as if ``GRACE_SECONDS`` had passed."""
        self._store.change("UPDATE posthog_shares SET expires_at = 0 WHERE expires_at IS NOT NULL")

    def passwords(self, share: int) -> list[PasswordRow]:
        """Return a configuration's passwords, newest first."""
        rows = self._store.rows(
            "SELECT id, note, created_at, created_by FROM posthog_passwords WHERE share_id = ? ORDER BY id DESC", share
        )
        return [PasswordRow(*row) for row in rows]

    def add_password(self, share: int, note: str, created_by: str) -> PasswordRow:
        """Add a password and return its row."""
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
        """Remove a password. Return False if the configuration has no password of this id."""
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
        rows = self._store.rows(f"SELECT {_COLUMNS} FROM posthog_shares WHERE {where}", *values)  # noqa: S608 - the condition is ours, the values are bound
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
    """Return a random token for a public link."""
    return secrets.token_urlsafe(22)
