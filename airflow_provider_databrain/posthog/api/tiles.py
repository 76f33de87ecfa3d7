"""Moving a tile to another dashboard."""

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

# Of 2026 on, it has the scope dashboard:write.
MOVE_TILE = scopeless_endpoint("move tile", "PATCH", f"{DASHBOARD}move_tile/", "transfer_tile", Resend.IF_UNPROCESSED)
_read_dashboard = reader(Dashboard)


def move_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Request[Dashboard]:
    """Move a tile to another dashboard; the result is the dashboard that it was on.

    Servers before 2026 refuse it to keys with scopes: ``posthog_calls.transfer_tile`` does the same otherwise.
    """
    destination = check_id(to_dashboard, "to_dashboard")
    # The key has changed its name; each version of the server takes the one it knows.
    body = {
        "tile": {"id": check_id(tile_id, "tile_id")},
        "toDashboard": destination,
        "to_dashboard": destination,
    }
    return Request(MOVE_TILE, _read_dashboard, body=json_body(body), **for_dashboard(dashboard_id))


def transfer_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Steps[Dashboard]:
    """What ``move_tile`` does, with a key that has the scopes dashboard:write and, for an insight, insight:write.

    An insight that is on the other dashboard already is no error. The result is the dashboard that it was on.

    :raises NotFoundError: the dashboard has no such tile.
    :raises InvalidRequestError: the tile is neither an insight nor a text.
    """
    check_id(tile_id, "tile_id")
    if check_id(to_dashboard, "to_dashboard") == dashboard_id:
        raise ValueError(f"to_dashboard is {to_dashboard}, the dashboard that the tile is on")
    source: Dashboard = yield retrieve_dashboard(dashboard_id)
    place: dict[str, Any] = {"endpoint": MOVE_TILE.name, "dashboard": str(dashboard_id)}
    tile = next((one for one in source.tiles or () if one.id == tile_id), None)
    if tile is None:
        raise NotFoundError(f"the dashboard has no tile {tile_id}", **place)
    if tile.insight is not None:
        yield from _transfer_insight(tile, tile.insight, dashboard_id, to_dashboard)
    elif tile.text is not None:
        copy = {"text": {"body": tile.text.get("body", "")}, **look_of(tile.as_row())}
        yield update_dashboard(to_dashboard, {"tiles": [copy]})
        yield update_dashboard(dashboard_id, {"tiles": [{"id": tile.id, "deleted": True}]})
    else:
        raise InvalidRequestError(f"tile {tile_id} is neither an insight nor a text; only move_tile moves it", **place)
    moved: Dashboard = yield retrieve_dashboard(dashboard_id)
    return moved


def _transfer_insight(tile: Tile, insight: Insight, source: int, destination: int) -> Steps[None]:
    shown = _shown_on(insight)
    yield update_insight(insight.id, {"dashboards": sorted((shown | {destination}) - {source})})
    look = look_of(tile.as_row())
    if destination not in shown and look:
        changes = yield from looking(destination, {insight.id: look})
        yield update_dashboard(destination, {"tiles": changes})


def _shown_on(insight: Insight) -> set[int]:
    """The dashboards that show an insight; without all of them, a change would take it off the others."""
    if insight.dashboards is not None:
        return set(insight.dashboards)
    if insight.dashboard_tiles is not None:
        return {place.dashboard_id for place in insight.dashboard_tiles if not place.deleted}
    error = MalformedAnswerError(f"insight {insight.id} does not say which dashboards show it", transient=False)
    error.endpoint = MOVE_TILE.name
    raise error


def looking(dashboard_id: int, looks: Mapping[int, Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
    """Changes to a dashboard's tiles that give each insight its look."""
    placed: Dashboard = yield retrieve_dashboard(dashboard_id)
    return [
        {"id": one.id, **looks[one.insight.id]}
        for one in placed.tiles or ()
        if one.insight is not None and one.insight.id in looks
    ]


def look_of(tile: Mapping[str, Any]) -> dict[str, Any]:
    """Layout and color of a tile."""
    return {name: tile[name] for name in ("layouts", "color") if tile.get(name)}
