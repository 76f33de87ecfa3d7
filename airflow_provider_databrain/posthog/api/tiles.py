"""Tiles: move one to another dashboard.

A tile shows an insight or a text. A text belongs to its tile. An insight can be on several dashboards, so moving its
tile must keep it on the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import InvalidRequestError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import check_id, json_body, reader
from airflow_provider_databrain.posthog.api.dashboards import retrieve_dashboard, update_dashboard
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, Steps, for_dashboard, scopeless_endpoint
from airflow_provider_databrain.posthog.api.insights import update_insight
from airflow_provider_databrain.posthog.api.models import Dashboard, Insight, Tile

# Since 2026, PostHog accepts this with the scope dashboard:write.
MOVE_TILE = scopeless_endpoint("move tile", "PATCH", f"{DASHBOARD}move_tile/", "transfer_tile", Resend.IF_UNPROCESSED)
_read_dashboard = reader(Dashboard)


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
