"""The emulated PostHog's endpoints for public links, and the public pages themselves."""

from __future__ import annotations

import secrets
from html import escape
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import (
    Call,
    PostHogRefusalError,
    boolean,
    checked,
    invalid,
    not_found,
    text,
)
from airflow_provider_databrain.emulator.posthog.dashboards import dashboard_of, editable
from airflow_provider_databrain.emulator.posthog.shares import PasswordRow, ShareRow, new_token
from airflow_provider_databrain.emulator.posthog.state import DashboardRow, PostHogState
from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.posthog.views import Views

SETTINGS = ("detailed", "hideExtraDetails", "legend", "noHeader", "showInspector", "whitelabel")
"""The settings that are stored. All are booleans; words like "yes" are accepted. One that is null is not stored."""
SHORTEST_PASSWORD = 8
_PASSWORD_FIELDS = {"raw_password": text(), "note": text(100)}


class Sharing:
    """Shows and changes a dashboard's sharing configuration."""

    def __init__(self, state: PostHogState, control: Control, views: Views) -> None:
        self._state = state
        self._control = control
        self._views = views

    def show(self, call: Call) -> dict[str, Any]:
        """Show the configuration. Before the first save, each answer has another token, which does not work."""
        row = self._dashboard(call)
        share = self._state.shares.of(row.id)
        if share is None:
            unsaved = {"created_at": None, "enabled": False, "access_token": new_token(), "settings": None}
            return unsaved | ({"password_required": False, "share_passwords": []} if self._has_passwords else {})
        return self._shown(share)

    def change(self, call: Call) -> dict[str, Any]:
        """Enable or disable the link, or change its settings."""
        row = self._editable(call)
        data = call.data()
        fields = {"enabled": boolean}
        if self._has_passwords:
            fields["password_required"] = boolean
            if data.get("password_required") and not self._control.behaviour.advanced_permissions:
                raise _no_feature("Sharing with password")
        changes: dict[str, Any] = checked(data, fields)
        if "settings" in data:
            changes["settings"] = _settings(data["settings"])
        return self._shown(self._state.shares.save(row.id, **changes))

    def refresh(self, call: Call) -> dict[str, Any]:
        """Replace the token."""
        return self._shown(self._state.shares.rotate(self._editable(call).id))

    def add_password(self, call: Call) -> dict[str, Any]:
        """Add a password. Only this answer shows it."""
        row = self._editable(call)
        share = self._state.shares.of(row.id)
        if share is None or not share.password_required:
            raise PostHogRefusalError(400, {"error": "Password protection must be enabled before creating passwords"})
        self._check_feature()
        fields = checked(call.data(), _PASSWORD_FIELDS)
        password = fields.get("raw_password") or secrets.token_urlsafe(12)
        if len(password) < SHORTEST_PASSWORD:
            raise invalid(f"Password must be at least {SHORTEST_PASSWORD} characters long.", "raw_password")
        made = self._state.shares.add_password(share.id, fields.get("note", ""), call.member.email)
        return {
            "id": made.id,
            "password": password,
            "note": made.note,
            "created_at": made.created_at,
            "created_by_email": made.created_by,
        }

    def remove_password(self, call: Call) -> Response:
        """Remove a password of the present configuration. Ids from before a refresh no longer exist."""
        share = self._state.shares.of(self._editable(call).id)
        self._check_feature()
        if share is None or not self._state.shares.remove_password(share.id, call.key("password")):
            raise not_found("Password not found")
        return Response(None, 204)

    def _check_feature(self) -> None:
        if not self._control.behaviour.advanced_permissions:
            raise _no_feature("Password management")

    @property
    def _has_passwords(self) -> bool:
        """Whether the server has sharing passwords. An older one ignores ``password_required``."""
        return self._control.behaviour.posthog_version >= "2026-01"

    def _dashboard(self, call: Call) -> DashboardRow:
        return dashboard_of(self._state, call, "Dashboard not found.")

    def _editable(self, call: Call) -> DashboardRow:
        return editable(self._state, self._views, call, "Dashboard not found.")

    def _shown(self, share: ShareRow) -> dict[str, Any]:
        shown = {
            "created_at": share.created_at,
            "enabled": share.enabled,
            "access_token": share.access_token,
            "settings": share.settings,
        }
        if self._has_passwords:
            shown["password_required"] = share.password_required
            shown["share_passwords"] = [_password(row) for row in self._state.shares.passwords(share.id)]
        return shown


class PublicPages:
    """The pages that a public link shows to anybody."""

    def __init__(self, state: PostHogState, views: Views) -> None:
        self._state = state
        self._views = views

    async def answer(self, request: Request) -> Response:
        """Return the dashboard as JSON or as a page. A link that does not work always answers with a page."""
        kind = request.url.path.split("/")[1]
        token, dot, _ = request.path_params["token"].partition(".json")
        share = self._state.shares.by_token(token)
        rows = self._state.found(share.dashboard_id) if share else []
        if share is None or not rows or rows[0].deleted:
            return HTMLResponse("<!doctype html><title>Page not found</title><h1>Page not found</h1>", 404)
        if share.password_required:
            locked = {"type": "unlock", "accessToken": token}
            return JSONResponse(locked) if dot else _page("This dashboard needs a password", "")
        self._state.change_dashboard(rows[0].id, last_accessed_at=now())
        return JSONResponse(self._exported(share, kind)) if dot else self._html(rows[0])

    def _exported(self, share: ShareRow, kind: str) -> dict[str, Any]:
        [row] = self._state.found(share.dashboard_id)
        theme = {
            "id": 1,
            "name": "Default Theme",
            "colors": ["#123456", "#654321"],
            "is_global": True,
            "created_at": row.created_at,
            "created_by": None,
        }
        return {
            "type": {"shared": "scene", "embedded": "embed"}[kind],
            "accessToken": share.access_token,
            "dashboard": self._views.full(row, None),
            "themes": [theme],
            **(share.settings or {}),
        }

    def _html(self, row: DashboardRow) -> Response:
        tiles = self._views.tiles(row, None)
        names = [(tile["insight"] or {}).get("name") or (tile["text"] or {}).get("body") or "" for tile in tiles]
        return _page(str(row.fields["name"] or "Untitled"), "".join(f"<li>{escape(str(name))}</li>" for name in names))


def _page(title: str, items: str) -> Response:
    return HTMLResponse(f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1><ul>{items}</ul>")


def _settings(value: object) -> dict[str, bool] | None:
    """Return the known settings. Unknown settings are ignored."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("Invalid settings format", "settings")
    kept = {name: value[name] for name in SETTINGS if value.get(name) is not None}
    try:
        return {name: boolean(name, setting) for name, setting in kept.items()}
    except PostHogRefusalError:
        raise invalid("Invalid settings format", "settings") from None


def _no_feature(what: str) -> PostHogRefusalError:
    return PostHogRefusalError(403, {"error": f"{what} requires the Advanced Permissions feature"})


def _password(row: PasswordRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "note": row.note,
        "created_by_email": row.created_by,
        "is_active": True,
    }
