"""Tiles: copy, move, delete and arrange them, and write texts.

A tile shows an insight or a text. A text belongs to its tile. An insight can be on several dashboards, so moving its
tile must keep it on the others.

Except ``move_tile`` and ``transfer_tile``, only newer servers have these calls, and they were written from PostHog's
source: nobody has run them against a real PostHog yet. An older server answers with an ``EndpointMissingError``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import InvalidRequestError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import check_id, json_body, reader
from airflow_provider_databrain.posthog.api.dashboards import retrieve_dashboard, update_dashboard
from airflow_provider_databrain.posthog.api.endpoint import (
    DASHBOARD,
    Steps,
    endpoint,
    for_dashboard,
    read_nothing,
    scopeless_endpoint,
)
from airflow_provider_databrain.posthog.api.insights import update_insight
from airflow_provider_databrain.posthog.api.models import LONGEST_TEXT, Dashboard, Insight, Tile

# Since 2026, PostHog accepts this with the scope dashboard:write.
MOVE_TILE = scopeless_endpoint("move tile", "PATCH", f"{DASHBOARD}move_tile/", "transfer_tile", Resend.IF_UNPROCESSED)
COPY_TILE = endpoint(
    "copy tile",
    "POST",
    f"{DASHBOARD}copy_tile/",
    "dashboard:write",
    Resend.DETECTABLE,
    if_missing="Use update_insight with the ids of all dashboards that are to show the insight (scope insight:write).",
)
CREATE_TEXT_TILE = endpoint(
    "create text tile",
    "POST",
    f"{DASHBOARD}create_text_tile/",
    "dashboard:write",
    Resend.IF_UNPROCESSED,
    if_missing="Use update_dashboard with tiles=[{'text': {'body': ...}}].",
)
UPDATE_TEXT_TILE = endpoint(
    "update text tile",
    "POST",
    f"{DASHBOARD}update_text_tile/",
    "dashboard:write",
    if_missing="Use update_dashboard with tiles=[{'id': ..., 'text': {'id': ..., 'body': ...}}].",
)
DELETE_TILE = endpoint(
    "delete tile",
    "POST",
    f"{DASHBOARD}delete_tile/",
    "dashboard:write",
    Resend.DETECTABLE,
    empty=True,
    if_missing="Use update_dashboard with tiles=[{'id': ..., 'deleted': True}].",
)
REORDER_TILES = endpoint(
    "reorder tiles",
    "POST",
    f"{DASHBOARD}reorder_tiles/",
    "dashboard:write",
    if_missing="Use update_dashboard with tiles=[{'id': ..., 'layouts': ...}].",
)
LONGEST_COLOR = 400
_LAYOUTS = ("preserve", "two_column", "full_width")
_read_dashboard = reader(Dashboard)
_read_tile = reader(Tile)


def move_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Request[Dashboard]:
    """Move a tile to another dashboard; returns the dashboard that it was on.

    Servers before 2026 refuse this to keys with scopes. ``transfer_tile`` does the same in several requests.
    """
    destination = check_id(to_dashboard, "to_dashboard")
    # PostHog has renamed this field. Each server version reads the name that it knows.
    body = {
        "tile": {"id": check_id(tile_id, "tile_id")},
        "toDashboard": destination,
        "to_dashboard": destination,
    }
    return Request(MOVE_TILE, _read_dashboard, body=json_body(body), **for_dashboard(dashboard_id))


def transfer_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Steps[Dashboard]:
    """Do what ``move_tile`` does, with the scopes dashboard:write and, for an insight, insight:write.

    If the other dashboard already shows the insight, only the tile is removed.

    :return: the dashboard that the tile was on.
    :raises ValueError: an id is not a whole number above 0, or both dashboards are the same.
    :raises NotFoundError: the dashboard has no tile with this id.
    :raises InvalidRequestError: the tile shows neither an insight nor a text.
    """
    check_id(tile_id, "tile_id")
    if check_id(to_dashboard, "to_dashboard") == dashboard_id:
        raise ValueError(f"to_dashboard is {to_dashboard}, the dashboard that the tile is on")
    source: Dashboard = yield retrieve_dashboard(dashboard_id)
    location: dict[str, Any] = {"endpoint": MOVE_TILE.name, "dashboard": str(dashboard_id)}
    tile = next((tile for tile in source.tiles or () if tile.id == tile_id), None)
    if tile is None:
        raise NotFoundError(f"the dashboard has no tile {tile_id}", **location)
    if tile.insight is not None:
        yield from _transfer_insight(tile, tile.insight, dashboard_id, to_dashboard)
    elif tile.text is not None:
        copy = {"text": {"body": tile.text.get("body", "")}, **look_of(tile.as_row())}
        yield update_dashboard(to_dashboard, {"tiles": [copy]})
        yield update_dashboard(dashboard_id, {"tiles": [{"id": tile.id, "deleted": True}]})
    else:
        raise InvalidRequestError(
            f"tile {tile_id} is neither an insight nor a text; only move_tile can move it", **location
        )
    moved: Dashboard = yield retrieve_dashboard(dashboard_id)
    return moved


def _transfer_insight(tile: Tile, insight: Insight, source: int, destination: int) -> Steps[None]:
    shown = _shown_on(insight)
    yield update_insight(insight.id, {"dashboards": sorted((shown | {destination}) - {source})})
    look = look_of(tile.as_row())
    if destination not in shown and look:
        changes = yield from look_changes(destination, {insight.id: look})
        yield update_dashboard(destination, {"tiles": changes})


def _shown_on(insight: Insight) -> set[int]:
    """The ids of all dashboards that show an insight.

    An update replaces this set, so an incomplete set would remove the insight from a dashboard.
    """
    if insight.dashboards is not None:
        return set(insight.dashboards)
    if insight.dashboard_tiles is not None:
        return {place.dashboard_id for place in insight.dashboard_tiles if not place.deleted}
    error = MalformedAnswerError(f"the answer does not say which dashboards show insight {insight.id}", transient=False)
    error.endpoint = MOVE_TILE.name
    raise error


def look_changes(dashboard_id: int, looks: Mapping[int, Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
    """The tile changes that give each insight on a dashboard its look.

    :param looks: id of the insight to its look, see ``look_of``.
    """
    placed: Dashboard = yield retrieve_dashboard(dashboard_id)
    return [
        {"id": tile.id, **looks[tile.insight.id]}
        for tile in placed.tiles or ()
        if tile.insight is not None and tile.insight.id in looks
    ]


def look_of(tile: Mapping[str, Any]) -> dict[str, Any]:
    """Layouts and color of a tile, as far as it has them."""
    return {name: tile[name] for name in ("layouts", "color") if tile.get(name)}


def copy_tile(from_dashboard: int, tile_id: int, to_dashboard: int) -> Request[Dashboard]:
    """Show a tile's insight or text on another dashboard too; returns that dashboard.

    Nothing is duplicated: both dashboards show the same insight or text. Layouts and color are copied. It is sent again
    after an ambiguous failure, because PostHog refuses to copy the same insight or text a second time. A widget is
    different: PostHog duplicates it each time.

    :raises ValueError: an id is not a whole number above 0, or both dashboards are the same; nothing was sent.
    :raises AlreadyExistsError: the other dashboard already shows it. If ``after_ambiguous`` is set, an earlier try of
        this call may have copied it.
    :raises NotFoundError: a dashboard does not exist, or ``from_dashboard`` has no tile with this id.
    :raises EndpointMissingError: the server is too old.
    """
    if check_id(to_dashboard, "to_dashboard") == check_id(from_dashboard, "from_dashboard"):
        raise ValueError(f"to_dashboard is {to_dashboard}, the dashboard that the tile is on")
    body = {"fromDashboardId": from_dashboard, "tileId": check_id(tile_id, "tile_id")}
    return Request(COPY_TILE, _read_dashboard, body=json_body(body), **for_dashboard(to_dashboard))


def create_text_tile(
    dashboard_id: int, body: str, *, layouts: Mapping[str, Any] | None = None, color: str | None = None
) -> Request[Tile]:
    """Add a text to a dashboard; returns its tile.

    It is not sent again after an ambiguous failure, because each call adds another text.

    :param body: Markdown, 1 to 4000 characters.
    :param layouts: the places, for example ``{"sm": {"x": 0, "y": 0, "w": 12, "h": 1}}``; None lets PostHog choose.
    :param color: for example ``blue``.
    :raises ValueError: ``body`` is blank, or a text is too long; nothing was sent.
    :raises EndpointMissingError: the server is too old.
    """
    fields = _text_fields(body, layouts, color)
    return Request(CREATE_TEXT_TILE, _read_tile, body=json_body(fields), **for_dashboard(dashboard_id))


def update_text_tile(
    dashboard_id: int,
    tile_id: int,
    body: str | None = None,
    *,
    layouts: Mapping[str, Any] | None = None,
    color: str | None = None,
) -> Request[Tile]:
    """Change a text, its places or its color; returns its tile. None leaves a field unchanged.

    :param body: Markdown, 1 to 4000 characters.
    :param color: an empty string removes the color.
    :raises ValueError: nothing is to change, ``body`` is blank, or a text is too long; nothing was sent.
    :raises NotFoundError: the dashboard has no tile with this id.
    :raises InvalidRequestError: the tile does not show a text.
    :raises EndpointMissingError: the server is too old.
    """
    fields = _text_fields(body, layouts, color)
    if not fields:
        raise ValueError("nothing is to change: body, layouts and color are None")
    sent = {"tile_id": check_id(tile_id, "tile_id"), **fields}
    return Request(UPDATE_TEXT_TILE, _read_tile, body=json_body(sent), **for_dashboard(dashboard_id))


def delete_tile(dashboard_id: int, tile_id: int) -> Request[None]:
    """Remove a tile from a dashboard. Its insight or text itself is kept.

    :raises NotFoundError: the dashboard has no tile with this id. If ``after_ambiguous`` is set, an earlier try of this
        call may have removed it.
    :raises EndpointMissingError: the server is too old.
    """
    body = json_body({"tile_id": check_id(tile_id, "tile_id")})
    return Request(DELETE_TILE, read_nothing, body=body, **for_dashboard(dashboard_id))


def reorder_tiles(
    dashboard_id: int,
    tile_ids: Sequence[int],
    *,
    layout: Literal["preserve", "two_column", "full_width"] = "preserve",
) -> Request[Dashboard]:
    """Arrange tiles in a new order, from top left to bottom right; returns the dashboard.

    :param tile_ids: the tiles in their new order. The places of other tiles do not change.
    :param layout: ``preserve`` keeps the size of each tile; ``two_column`` puts two tiles of 6 x 5 into each row;
        ``full_width`` puts one tile of 12 x 5 into each row.
    :raises ValueError: an id is not a whole number above 0, no id or the same id twice; nothing was sent.
    :raises NotFoundError: the dashboard has no tile with one of these ids.
    :raises EndpointMissingError: the server is too old.
    """
    order = [check_id(tile, "tile_ids") for tile in tile_ids]
    if not order or len(set(order)) < len(order):
        raise ValueError("tile_ids must have at least one id, and each id only once")
    if layout not in _LAYOUTS:
        raise ValueError(f"layout is {layout!r}; it must be one of {', '.join(_LAYOUTS)}")
    body = json_body({"tile_order": order, "layout": layout})
    return Request(REORDER_TILES, _read_dashboard, body=body, **for_dashboard(dashboard_id))


def _text_fields(body: str | None, layouts: Mapping[str, Any] | None, color: str | None) -> dict[str, Any]:
    """The fields of a text tile that have a value."""
    if body is not None and not 0 < len(body.strip()) <= LONGEST_TEXT:
        raise ValueError(f"body must have 1 to {LONGEST_TEXT} characters")
    if color is not None and len(color) > LONGEST_COLOR:
        raise ValueError(f"color has more than {LONGEST_COLOR} characters")
    fields = {"body": body, "layouts": None if layouts is None else dict(layouts), "color": color}
    return {name: value for name, value in fields.items() if value is not None}
