"""The JSON of the emulated PostHog's dashboards, tiles and insights.

An insight has no result until ``run_insights`` calculates it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import invalid, server_error
from airflow_provider_databrain.emulator.posthog.contents import InsightRow, TextRow, TileRow
from airflow_provider_databrain.emulator.posthog.state import (
    COLLABORATORS,
    EVERYONE,
    DashboardRow,
    Member,
    PostHogState,
)

_UNKNOWN_YET = (
    "last_refresh",
    "cache_target_age",
    "next_allowed_client_refresh",
    "result",
    "hasMore",
    "columns",
    "timezone",
    "query_status",
    "hogql",
    "types",
    "derived_name",
    "order",
)
"""Fields of an insight that are null until it is calculated."""


class Views:
    """Turns rows into the API's JSON. The viewer is a member, or None for a person with the public link."""

    def __init__(self, state: PostHogState, control: Control) -> None:
        self._state = state
        self._control = control

    @property
    def _is_first(self) -> bool:
        """Whether the server is the oldest version, which shows fewer fields."""
        return self._control.behaviour.posthog_version == "2025-08"

    def may_edit(self, row: DashboardRow, member: Member) -> bool:
        """Whether a member may edit a dashboard."""
        return (
            self.effective_level(row) == EVERYONE
            or self.may_restrict(row, member)
            or any(name == member.name for _, name, _ in self._state.collaborators(row.id))
        )

    def may_restrict(self, row: DashboardRow, member: Member) -> bool:
        """Whether a member may change a dashboard's restriction, and so edit it without being a collaborator."""
        return member.admin or member.name == row.owner

    def effective_level(self, row: DashboardRow) -> int:
        """Return a dashboard's restriction level. Without the feature, everyone may edit."""
        return int(row.fields["restriction_level"]) if self._control.behaviour.advanced_permissions else EVERYONE

    def user(self, name: str | None) -> dict[str, Any] | None:
        """Return a member in short form."""
        if name is None:
            return None
        member = self._state.member(name)
        return {
            "id": member.id,
            "uuid": member.uuid,
            "distinct_id": member.uuid.replace("-", ""),
            "first_name": member.name.title(),
            "last_name": "",
            "email": member.email,
            "is_email_verified": True,
            "hedgehog_config": None,
            "role_at_organization": None,
        }

    def basic(self, row: DashboardRow, viewer: Member | None) -> dict[str, Any]:
        """Return a dashboard as in a list."""
        fields = row.fields
        named = ("name", "description", "pinned", "creation_mode", "last_accessed_at", "last_refresh")
        shown = {
            "id": row.id,
            **{name: fields[name] for name in named},
            "created_at": row.created_at,
            "created_by": self.user(row.owner),
            "is_shared": row.shared,
            "deleted": row.deleted,
            "restriction_level": fields["restriction_level"],
            "access_control_version": "v1" if fields["restriction_level"] > EVERYONE else "v2",
            "tags": fields["tags"] if viewer and self._control.behaviour.tagging else [],
            **self._access(row, viewer),
        }
        return shown if self._is_first else shown | {"last_viewed_at": None, "team_id": row.project}

    def full(
        self,
        row: DashboardRow,
        viewer: Member | None,
        size: str = "sm",
        most_tiles: int | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return a dashboard with its tiles.

        :param overrides: the request's parameters; ``filters_override`` and ``variables_override`` are shown.
        :param size: the screen whose layout orders the tiles, ``sm`` or ``xs``.
        :param most_tiles: maximum number of tiles; None means no limit.
        """
        fields = row.fields
        shown = {
            **self.basic(row, viewer),
            "filters": _overridden("filters", fields, overrides),
            "variables": self._known(_overridden("variables", fields, overrides)),
            "breakdown_colors": fields["breakdown_colors"],
            "data_color_theme_id": fields["data_color_theme_id"],
            "tiles": self.tiles(row, viewer, size)[:most_tiles],
        }
        if self._is_first:
            del shown["last_accessed_at"]
            return shown
        return shown | {
            "persisted_filters": fields["filters"] or None,
            "persisted_variables": fields["variables"] or None,
        }

    def _known(self, variables: Any) -> Any:
        """Return the variables whose code names the project has."""
        known = self._control.behaviour.insight_variables
        if known is None:
            return variables
        if not all(isinstance(variable, dict) for variable in variables.values()):
            raise server_error()
        return {key: variable for key, variable in variables.items() if variable.get("code_name") in known}

    def tiles(self, row: DashboardRow, viewer: Member | None, size: str = "sm") -> list[dict[str, Any]]:
        """Return a dashboard's tiles in order. A deleted dashboard has no tiles."""
        if row.deleted:
            return []
        rows = self._state.contents.tiles(row.id, size)
        return [self._tile(row, tile, order, viewer) for order, tile in enumerate(rows)]

    def tile(self, row: DashboardRow, tile: TileRow, viewer: Member | None) -> dict[str, Any]:
        """Return one tile of a dashboard, alone: without its place in the order."""
        return self._tile(row, tile, 0, viewer) | {"order": None}

    def insight(self, row: InsightRow, viewer: Member | None, on: DashboardRow | None = None) -> dict[str, Any]:
        """Return an insight.

        :param on: the dashboard that shows it; None if it is shown alone.
        """
        places = self._state.contents.places(row.id)
        filters_hash = "cache_" + hashlib.sha256(json.dumps(row.fields["query"]).encode()).hexdigest()[:32]
        level = {"effective_restriction_level": EVERYONE, "effective_privilege_level": COLLABORATORS}
        shown = {
            **dict.fromkeys(_UNKNOWN_YET),
            **row.fields,
            "id": row.id,
            "deleted": row.deleted,
            "dashboards": [dashboard for _, dashboard in places],
            "dashboard_tiles": [{"id": tile, "dashboard_id": dashboard, "deleted": None} for tile, dashboard in places],
            "created_at": row.created_at,
            "created_by": self.user(row.owner),
            "updated_at": row.updated_at,
            "last_modified_at": row.updated_at,
            "last_modified_by": self.user(row.owner),
            **(self._access(on, viewer) if on else level | {"user_access_level": "manager"}),
            "is_cached": False,
            "filters_hash": filters_hash,
        }
        # A person with only the public link cannot start a calculation, so the page has started one.
        return shown if viewer or on is None else shown | {"query_status": _requested(row, on, filters_hash)}

    def _access(self, row: DashboardRow, viewer: Member | None) -> dict[str, Any]:
        if viewer is None:
            return {
                "effective_restriction_level": COLLABORATORS,
                "effective_privilege_level": EVERYONE,
                "user_access_level": None,
            }
        return {
            "effective_restriction_level": self.effective_level(row),
            "effective_privilege_level": COLLABORATORS if self.may_edit(row, viewer) else EVERYONE,
            "user_access_level": "manager" if self.may_restrict(row, viewer) else "editor",
        }

    def _tile(self, dashboard: DashboardRow, tile: TileRow, order: int, viewer: Member | None) -> dict[str, Any]:
        insight = None if tile.insight_id is None else self._state.contents.insight(tile.insight_id)
        return {
            "id": tile.id,
            "insight": insight and self.insight(insight, viewer, dashboard),
            "text": tile.text and self._text(tile.text, dashboard.project),
            "layouts": tile.layouts,
            "color": tile.color,
            "order": order,
            "last_refresh": insight and insight.fields.get("last_refresh"),
            "is_cached": False,
        }

    def _text(self, text: TextRow, project: int) -> dict[str, Any]:
        return {
            "id": text.id,
            "created_by": self.user(text.owner),
            "last_modified_by": self.user(text.last_modified_by),
            "body": text.body,
            "last_modified_at": text.last_modified_at,
            "team": project,
        }


def _overridden(name: str, fields: Mapping[str, Any], overrides: Mapping[str, str] | None) -> Any:
    """Return filters or variables, with those of the request's JSON instead."""
    sent = (overrides or {}).get(f"{name}_override")
    if not sent:
        return fields[name]
    try:
        return {**fields[name], **json.loads(sent)}
    except ValueError:
        detail = f"Invalid JSON passed in {name}_override parameter"
        raise invalid(detail, f"{name}_override") from None
    except TypeError:
        raise server_error() from None


def _requested(insight: InsightRow, dashboard: DashboardRow, key: str) -> dict[str, Any]:
    """Return the status of a calculation that was requested and has not begun."""
    started = datetime.now(UTC)
    unknown = ("end_time", "error_message", "labels", "pickup_time", "query_progress", "results", "task_id")
    return {
        **dict.fromkeys(unknown),
        "id": key,
        "team_id": insight.project,
        "insight_id": insight.id,
        "dashboard_id": dashboard.id,
        "query_async": True,
        "complete": False,
        "error": False,
        "start_time": started.isoformat(),
        "expiration_time": (started + timedelta(minutes=20)).isoformat(),
    }
