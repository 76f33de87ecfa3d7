"""The emulated PostHog's endpoints that move tiles, stream tiles, and create and update insights."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from airflow_provider_databrain.emulator.faults import STREAM_FAULT, Control
from airflow_provider_databrain.emulator.posthog.checks import (
    INSIGHT_FIELDS,
    Call,
    checked,
    forbidden,
    invalid,
    not_found,
    number,
    required,
    server_error,
)
from airflow_provider_databrain.emulator.posthog.contents import InsightRow, TileRow
from airflow_provider_databrain.emulator.posthog.dashboards import NO_EDIT, dashboard_of, editable
from airflow_provider_databrain.emulator.posthog.state import DashboardRow, PostHogState
from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.posthog.tags import tag_names
from airflow_provider_databrain.emulator.posthog.views import Views

FIRST_TILES = 2
"""Number of tiles in a stream's first event."""


class Tiles:
    """Moves a tile and streams a dashboard's tiles."""

    def __init__(self, state: PostHogState, control: Control, views: Views) -> None:
        self._state = state
        self._control = control
        self._views = views

    def move(self, call: Call) -> dict[str, Any]:
        """Move a tile to another dashboard. The answer is the dashboard that it was on."""
        version = self._control.behaviour.posthog_version
        if version == "2025-08":
            return self._move_unchecked(call)
        row = editable(self._state, self._views, call, "Not found.")
        key, target = (_named if version >= "2026-07" else _assumed)(call.data())
        tile = self._state.contents.tile(key, row.id)
        rows = self._state.found(target)
        if tile is None or not rows or rows[0].project != call.project or rows[0].deleted:
            raise not_found()
        if not self._views.may_edit(rows[0], call.member):
            raise forbidden(NO_EDIT)
        if self._is_on(tile, target):
            raise server_error()
        self._state.contents.move_tile(tile.id, target)
        return self._views.full(row, call.member)

    def _move_unchecked(self, call: Call) -> dict[str, Any]:
        """Move a tile as the oldest version does: it checks nothing, and what does not exist is a server error."""
        key, target = _assumed(call.data())
        tile, source = self._state.contents.tile(key, call.key()), self._state.found(call.key())
        if tile is None or not source or not self._state.found(target) or self._is_on(tile, target):
            raise server_error()
        self._state.contents.move_tile(tile.id, target)
        return self._views.full(source[0], call.member)

    def stream(self, call: Call) -> Response:
        """Stream a dashboard's tiles as server-sent events."""
        row = dashboard_of(self._state, call, "Not found.")
        self._state.change_dashboard(row.id, last_accessed_at=now())
        query = call.request.query_params
        size = "xs" if "xs" in (query.get("layoutSize"), query.get("layout_size")) else "sm"
        [row] = self._state.found(row.id)
        events = self._events(row, call, size)
        fault = call.request.scope.get(STREAM_FAULT)
        # Given as a header, because Starlette adds a charset to a media type.
        return StreamingResponse(_frames(_spoiled(events, fault)), headers={"content-type": "text/event-stream"})

    def _events(self, row: DashboardRow, call: Call, size: str) -> list[dict[str, Any]]:
        first = self._views.full(row, call.member, size, FIRST_TILES)
        rest = self._views.tiles(row, call.member, size)[FIRST_TILES:]
        return [
            {"type": "metadata", "dashboard": first},
            *({"type": "tile", "order": tile["order"], "tile": tile} for tile in rest),
            {"type": "complete"},
        ]

    def _is_on(self, tile: TileRow, dashboard: int) -> bool:
        """Whether the tile's insight is already on the dashboard."""
        if tile.insight_id is None:
            return False
        return any(place == dashboard for _, place in self._state.contents.places(tile.insight_id))


class Insights:
    """Creates insights, updates them, and puts them on dashboards."""

    def __init__(self, state: PostHogState, views: Views) -> None:
        self._state = state
        self._views = views

    def create(self, call: Call) -> dict[str, Any]:
        """Create an insight and put it on the dashboards that are named."""
        data = call.data()
        fields = self._fields(data)
        fields.pop("deleted", None)
        targets = self._targets(call, data.get("dashboards", []))
        key = self._state.contents.add_insight(call.project, call.member.name, **fields)
        self._place(key, targets)
        return self._shown(key, call)

    def update(self, call: Call) -> dict[str, Any]:
        """Change the fields that are sent. ``dashboards`` replaces the whole set of dashboards."""
        row = self._state.contents.insight(call.key())
        data = call.data()
        if row is None or row.project != call.project or (row.deleted and data != {"deleted": False}):
            raise not_found()
        fields = self._fields(data)
        if "dashboards" in data:
            self._place(row.id, self._targets(call, data["dashboards"]))
        self._state.contents.change_insight(row, **fields)
        return self._shown(row.id, call)

    def _fields(self, data: dict[str, Any]) -> dict[str, Any]:
        fields = checked(data, INSIGHT_FIELDS)
        if "tags" in fields:
            fields["tags"] = tag_names(fields["tags"])
        return fields

    def _targets(self, call: Call, wanted: object) -> list[int]:
        """Return the ids of the named dashboards. Each must exist, and the member must be allowed to edit it."""
        if not isinstance(wanted, list):
            raise invalid(
                f'Expected a list of items but got type "{type(wanted).__name__}".', "dashboards", "not_a_list"
            )
        targets = []
        for item in wanted:
            rows = self._state.found(item) if isinstance(item, int) else []
            if not rows or rows[0].project != call.project or rows[0].deleted:
                raise invalid(f'Invalid pk "{item}" - object does not exist.', "dashboards", "does_not_exist")
            if not self._views.may_edit(rows[0], call.member):
                raise forbidden(f"You don't have permission to add insights to dashboard: {item}")
            targets.append(rows[0].id)
        return targets

    def _place(self, insight: int, targets: list[int]) -> None:
        contents = self._state.contents
        places = {dashboard: tile for tile, dashboard in contents.places(insight)}
        for dashboard, tile in places.items():
            if dashboard not in targets:
                contents.remove_tile(tile)
        for dashboard in dict.fromkeys(targets):
            if dashboard not in places:
                contents.add_tile(dashboard, insight=insight)

    def _shown(self, key: int, call: Call) -> dict[str, Any]:
        row = self._state.contents.insight(key)
        if not isinstance(row, InsightRow):
            raise not_found()
        return self._views.insight(row, call.member)


def _assumed(data: dict[str, Any]) -> tuple[int, int]:
    """Return tile and target. The method of August 2025 does not check them: a missing one is a server error."""
    try:
        return int(data["tile"]["id"]), int(data["toDashboard"])
    except (KeyError, TypeError, ValueError):
        raise server_error() from None


def _named(data: dict[str, Any]) -> tuple[int, int]:
    """Return tile and target, checked as the newest method does."""
    for name in ("tile", "to_dashboard"):
        if name not in data:
            raise required(name)
    if not isinstance(data["tile"], dict) or "id" not in data["tile"]:
        raise required("tile__id")
    tile, target = number("tile__id", data["tile"]["id"]), number("to_dashboard", data["to_dashboard"])
    if tile is None or target is None:
        raise invalid("This field may not be null.", "tile__id" if tile is None else "to_dashboard", "null")
    return int(tile), int(target)


def _spoiled(events: list[dict[str, Any]], fault: str | None) -> list[dict[str, Any]]:
    """Return a stream's events with a fault: cut, with an error instead of a tile, or with an error at the end."""
    if fault == "stream_cut":
        return events[:1]
    if fault == "stream_error":
        return [*events[:-1], {"type": "error", "error": "A server error occurred."}]
    if fault == "stream_tile_error" and len(events) > FIRST_TILES:
        failed = {"type": "error", "tile_id": events[1]["tile"]["id"], "error": "The tile could not be calculated."}
        return [events[0], failed, *events[2:]]
    return events


async def _frames(events: list[dict[str, Any]]) -> AsyncIterator[str]:
    for event in events:
        yield f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
