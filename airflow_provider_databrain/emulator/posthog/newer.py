"""The methods that the emulated PostHog has only as version ``2026-07``: tiles are copied, written, removed, arranged.

They were written from the source of a real PostHog. Nobody has compared them with its answers: no recording has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from airflow_provider_databrain.emulator.posthog.checks import (
    Call,
    PostHogRefusalError,
    invalid,
    not_found,
    number,
    required,
    text,
)
from airflow_provider_databrain.emulator.posthog.contents import InsightRow, TileRow
from airflow_provider_databrain.emulator.posthog.dashboards import dashboard_of, editable
from airflow_provider_databrain.emulator.posthog.edits import LONGEST_TEXT
from airflow_provider_databrain.emulator.posthog.state import DashboardRow, PostHogState
from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.posthog.views import Views

COLUMNS, WIDTH, HEIGHT = 12, 6, 5
"""The width of the grid, and the size of a tile that has none."""
LONGEST_COLOR = 400
FRESH = timedelta(hours=1)
"""``refresh=blocking`` calculates a result that is older. The real server has a limit for each query; this is ours."""
_SIZES = {"sm": ("x", "y", "w", "h"), "xs": ("x", "y", "w", "h")}
_NO_DATA = "No data"
"""The result of an insight in words."""


class NewerTiles:
    """Copies tiles, writes texts, removes and arranges tiles, and calculates insights."""

    def __init__(self, state: PostHogState, views: Views) -> None:
        self._state = state
        self._contents = state.contents
        self._views = views

    def copy(self, call: Call) -> dict[str, Any]:
        """Show a tile's insight or text on the dashboard in the path too. A second copy is refused."""
        row = editable(self._state, self._views, call, "Not found.")
        data = call.data()
        source, key = _integer(data, "fromDashboardId"), _integer(data, "tileId")
        if source == row.id:
            raise invalid("Destination must be a different dashboard than the source.")
        rows = self._state.found(source)
        tile = self._contents.tile(key, source)
        if not rows or rows[0].project != call.project or tile is None:
            raise not_found()
        what = "insight" if tile.text is None else "text card"
        if any(_content(other) == _content(tile) for other in self._contents.tiles(row.id)):
            raise invalid(f"This {what} is already on the destination dashboard.")
        self._contents.copy_tile(tile, row.id)
        return self._views.full(row, call.member)

    def add_text(self, call: Call) -> dict[str, Any]:
        """Add a text and return its tile."""
        row = editable(self._state, self._views, call, "Not found.")
        data = call.data()
        if "body" not in data:
            raise required("body")
        fields = _text_fields(data)
        body = self._contents.add_text(call.member.name, fields["body"])
        key = self._contents.add_tile(
            row.id, text=body, layouts=fields.get("layouts"), color=fields.get("color") or None
        )
        return self._shown(row, key, call)

    def change_text(self, call: Call) -> dict[str, Any]:
        """Change a text, its places or its color, and return its tile."""
        row, tile = self._named(call)
        if tile.text is None:
            raise invalid("Tile is not a text tile.")
        fields = _text_fields(call.data())
        body = fields.get("body", tile.text.body)
        self._contents.change_text(tile.text.id, tile.text.owner, call.member.name, body)
        self._contents.arrange_tile(
            tile.id, layouts=fields.get("layouts", tile.layouts), color=fields.get("color", tile.color) or None
        )
        return self._shown(row, tile.id, call)

    def remove(self, call: Call) -> Response:
        """Remove a tile. The real server also moves the tiles below it up; this one does not."""
        _, tile = self._named(call)
        self._contents.remove_tile(tile.id)
        return Response(None, 204)

    def reorder(self, call: Call) -> dict[str, Any]:
        """Arrange tiles in a new order. Two of its refusals have no envelope."""
        row = editable(self._state, self._views, call, "Not found.")
        data = call.data()
        order, layout = _order(data), data.get("layout", "preserve")
        if layout not in _ARRANGE:
            raise invalid(f'"{layout}" is not a valid choice.', "layout", "invalid_choice")
        if len(set(order)) < len(order):
            raise PostHogRefusalError(400, {"detail": "tile_order must contain unique tile IDs"})
        tiles = {tile.id: tile for tile in self._contents.tiles(row.id)}
        if missing := sorted(set(order) - set(tiles)):
            raise PostHogRefusalError(404, {"detail": f"Tile IDs not found on this dashboard: {missing}"})
        chosen = [tiles[key] for key in order]
        for tile, layouts in zip(chosen, _ARRANGE[layout](chosen), strict=True):
            self._contents.arrange_tile(tile.id, layouts=layouts, color=tile.color)
        return self._views.full(row, call.member)

    def run(self, call: Call) -> dict[str, Any]:
        """Return the results of all insights of a dashboard, and calculate them first if ``refresh`` says so.

        A result is an empty list. As on the real server, the answer does not say when it was calculated, and an insight
        without a query has no result.
        """
        row = dashboard_of(self._state, call, "Not found.")
        query = call.request.query_params
        refresh, words = query.get("refresh"), query.get("output_format", "optimized") == "optimized"
        results = []
        for order, tile in enumerate(self._contents.tiles(row.id)):
            insight = None if tile.insight_id is None else self._contents.insight(tile.insight_id)
            if insight is None or not insight.fields.get("query"):
                continue
            if refresh == "force_blocking" or (refresh == "blocking" and _is_stale(insight)):
                self._contents.change_insight(insight, last_refresh=now(), result=[])
                insight = self._contents.insight(insight.id) or insight
            shown = {name: insight.fields.get(name) for name in ("short_id", "name", "derived_name", "result")}
            if words:
                shown["result"] = _NO_DATA
            results.append(
                {
                    "id": tile.id,
                    "insight": {"id": insight.id, **shown},
                    "order": order,
                    "last_refresh": None,
                    "is_cached": False,
                }
            )
        return {"results": results}

    def _named(self, call: Call) -> tuple[DashboardRow, TileRow]:
        """Return the dashboard in the path, and its tile in the body."""
        row = editable(self._state, self._views, call, "Not found.")
        tile = self._contents.tile(_integer(call.data(), "tile_id"), row.id)
        if tile is None:
            raise not_found()
        return row, tile

    def _shown(self, row: DashboardRow, key: int, call: Call) -> dict[str, Any]:
        tile = self._contents.tile(key, row.id)
        if tile is None:
            raise not_found()
        return self._views.tile(row, tile, call.member)


def _content(tile: TileRow) -> tuple[int | None, int | None]:
    return tile.insight_id, tile.text.id if tile.text else None


def _is_stale(insight: InsightRow) -> bool:
    calculated = insight.fields.get("last_refresh")
    return calculated is None or datetime.fromisoformat(calculated) < datetime.now(UTC) - FRESH


def _integer(data: dict[str, Any], name: str) -> int:
    if name not in data:
        raise required(name)
    value = number(name, data[name])
    if value is None:
        raise invalid("This field may not be null.", name, "null")
    return int(value)


def _text_fields(data: dict[str, Any]) -> dict[str, Any]:
    """Return the checked fields of a text tile that were sent."""
    fields: dict[str, Any] = {}
    if "body" in data:
        fields["body"] = text()("body", data["body"])
        if not fields["body"]:
            raise invalid("This field may not be blank.", "body", "blank")
        if len(fields["body"]) > LONGEST_TEXT:
            raise invalid(f"Text body cannot exceed {LONGEST_TEXT} characters", "body", "max_length")
    if "layouts" in data:
        fields["layouts"] = _layouts(data["layouts"])
    if "color" in data:
        fields["color"] = text(null=True)("color", data["color"])
        if len(fields["color"] or "") > LONGEST_COLOR:
            raise invalid(f"Color cannot exceed {LONGEST_COLOR} characters", "color", "max_length")
    return fields


def _layouts(value: object) -> dict[str, Any]:
    """Return the known sizes of layouts, each with its known numbers."""
    if not isinstance(value, dict):
        raise invalid(f"Invalid data. Expected a dictionary, but got {type(value).__name__}.", "layouts")
    return {
        size: {axis: number(f"layouts__{size}__{axis}", value[size][axis]) for axis in axes if axis in value[size]}
        for size, axes in _SIZES.items()
        if isinstance(value.get(size), dict)
    }


def _order(data: dict[str, Any]) -> list[int]:
    if "tile_order" not in data:
        raise required("tile_order")
    order = data["tile_order"]
    if not isinstance(order, list):
        detail = f'Expected a list of items but got type "{type(order).__name__}".'
        raise invalid(detail, "tile_order", "not_a_list")
    if not order:
        raise invalid("Ensure this field has at least 1 elements.", "tile_order", "min_length")
    return [_integer({"tile_order": item}, "tile_order") for item in order]


def _layout(x: int, y: int, w: int, h: int, narrow_y: int) -> dict[str, Any]:
    return {"sm": {"x": x, "y": y, "w": w, "h": h}, "xs": {"x": 0, "y": narrow_y, "w": 1, "h": h}}


def _two_columns(tiles: list[TileRow]) -> Iterable[dict[str, Any]]:
    places = (divmod(index, COLUMNS // WIDTH) for index in range(len(tiles)))
    return [
        _layout(column * WIDTH, line * HEIGHT, WIDTH, HEIGHT, index * HEIGHT)
        for index, (line, column) in enumerate(places)
    ]


def _full_width(tiles: list[TileRow]) -> Iterable[dict[str, Any]]:
    return [_layout(0, index * HEIGHT, COLUMNS, HEIGHT, index * HEIGHT) for index in range(len(tiles))]


def _preserve(tiles: list[TileRow]) -> Iterable[dict[str, Any]]:
    """Put each tile as high as it fits, and then as far left."""
    heights, narrow_y, layouts = [0] * COLUMNS, 0, []
    for tile in tiles:
        size = tile.layouts.get("sm")
        w, h = (_length(size, axis, default) for axis, default in (("w", WIDTH), ("h", HEIGHT)))
        w = min(w, COLUMNS)
        tops = [max(heights[x : x + w]) for x in range(COLUMNS - w + 1)]
        y = min(tops)
        x = tops.index(y)
        heights[x : x + w] = [y + h] * w
        layouts.append(_layout(x, y, w, h, narrow_y))
        narrow_y += h
    return layouts


def _length(size: object, axis: str, default: int) -> int:
    value = size.get(axis) if isinstance(size, dict) else None
    return value if isinstance(value, int) and value > 0 else default


_ARRANGE: dict[str, Callable[[list[TileRow]], Iterable[dict[str, Any]]]] = {
    "preserve": _preserve,
    "two_column": _two_columns,
    "full_width": _full_width,
}
