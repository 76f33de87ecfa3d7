"""Calls to PostHog that take more than one request: find or create, and what keys with scopes may do instead.

PostHog gives a dashboard's id itself, and neither its name nor anything else is unique. So a dashboard that shall be
found again carries a mark: a tag, and the same at the end of its description, because PostHog ignores tags where the
organization has no tagging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from airflow_provider_databrain.api import posthog as api
from airflow_provider_databrain.api.core import Request
from airflow_provider_databrain.api.errors import ApiError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.api.posthog_models import Dashboard, NewDashboard, Tile

T = TypeVar("T")
Steps: TypeAlias = "Generator[Request[Any], Any, T]"
GHOSTLY = ("use_template:", "use_dashboard:")
"""How errors begin after which PostHog leaves a half-made dashboard behind."""


def mark_of(key: str) -> str:
    """The mark of what is found again by ``key``.

    It is a digest, because tags may be changed in case and blanks, and two keys must not become one.
    """
    return f"airflow-{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=10).hexdigest()}"


def marked(dashboard: NewDashboard, mark: str) -> NewDashboard:
    """The dashboard to be created, with its mark."""
    described = with_mark(dashboard.description, mark)
    return dashboard.model_copy(update={"tags": [*(dashboard.tags or ()), mark], "description": described})


def with_mark(description: str | None, mark: str) -> str:
    """A description that ends with the mark."""
    return f"{description or ''}\n[{mark}]".lstrip()


def mark_on(dashboard: Dashboard) -> set[str]:
    """Every mark that a dashboard may carry: its tags, and the end of its description."""
    _, _, end = (dashboard.description or "").rstrip().rpartition("[")
    return {*(dashboard.tags or ()), end.removesuffix("]")}


def with_that_mark(dashboards: Iterable[Dashboard], mark: str) -> list[Dashboard]:
    """Those that carry the mark, the oldest first."""
    return sorted((one for one in dashboards if mark in mark_on(one)), key=lambda one: one.id)


def find_or_create_dashboard(dashboard: NewDashboard, key: str) -> Steps[tuple[Dashboard, bool]]:
    """The dashboard that carries the mark of ``key``; a new one where there is none.

    Two tasks that do this at the same moment may make one each; whoever comes next finds both, and takes the older.

    :return: the dashboard, and whether it was created.
    """
    mark = mark_of(key)
    found = with_that_mark((yield from api.list_dashboards()), mark)
    if found:
        return found[0], False
    return (yield from create_marked(marked(dashboard, mark), mark)), True


def create_marked(dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Create a marked dashboard of which none was there.

    After an unclear failure the list shows whether it was created. After a refused template or source, what PostHog
    left behind half made is deleted.
    """
    try:
        created: Dashboard = yield api.create_dashboard(dashboard)
    except InvalidRequestError as refused:
        if refused.message.startswith(GHOSTLY):
            yield from remove_marked(mark)
        raise
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = with_that_mark((yield from api.list_dashboards()), mark)
        if not found:
            raise
        return found[0]
    return created


def remove_marked(mark: str) -> Steps[int]:
    """Delete whatever carries the mark; returns how many that were."""
    found = with_that_mark((yield from api.list_dashboards()), mark)
    for one in found:
        with suppress(NotFoundError):
            yield api.delete_dashboard(one.id)
    return len(found)


def build_dashboard(template: Mapping[str, Any]) -> Steps[Dashboard]:
    """What ``create_from_template_json`` does, with a key that has the scopes dashboard:write and insight:write.

    The dashboard is created, then each insight, then texts and layouts. Where a step fails, the dashboard and its
    insights are deleted again.

    :raises ValueError: the template lacks something, or has a tile that is neither INSIGHT nor TEXT.
    """
    api.check_template(template)
    insights = [tile for tile in template["tiles"] if tile.get("type") == "INSIGHT"]
    texts = [tile for tile in template["tiles"] if tile.get("type") == "TEXT"]
    if len(insights) + len(texts) != len(template["tiles"]):
        raise ValueError("template: each tile has the type 'INSIGHT' or 'TEXT'")
    dashboard: Dashboard = yield api.create_dashboard(
        NewDashboard(
            name=template["template_name"],
            description=template["dashboard_description"],
            filters=dict(template["dashboard_filters"]),
            tags=list(template.get("tags") or ()),
        )
    )
    try:
        places: dict[int, Mapping[str, Any]] = {}
        for tile in insights:
            fields = {name: tile[name] for name in ("name", "description", "query") if name in tile}
            insight = yield api.create_insight({**fields, "dashboards": [dashboard.id]})
            places[insight.id] = tile
        placed: Dashboard = yield api.retrieve_dashboard(dashboard.id)
        changes = [
            {"id": one.id, **_look(places[one.insight.id])}
            for one in placed.tiles or ()
            if one.insight is not None and one.insight.id in places
        ]
        changes += [{"text": {"body": tile.get("body", "")}, **_look(tile)} for tile in texts]
        built: Dashboard = yield api.update_dashboard(dashboard.id, {"tiles": changes})
    except ApiError:
        with suppress(ApiError):
            yield api.delete_dashboard(dashboard.id, delete_insights=True)
        raise
    return built


def transfer_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Steps[Dashboard]:
    """What ``move_tile`` does, with a key that has the scopes dashboard:write and, for an insight, insight:write.

    A tile that is on the other dashboard already is no error. The result is the dashboard that it was on.

    :raises NotFoundError: the dashboard has no such tile.
    """
    source: Dashboard = yield api.retrieve_dashboard(dashboard_id)
    destination = api.checked(to_dashboard, "to_dashboard")
    tile = next((one for one in source.tiles or () if one.id == api.checked(tile_id, "tile_id")), None)
    if tile is None:
        raise NotFoundError(
            f"the dashboard has no tile {tile_id}", endpoint=api.MOVE_TILE.name, dashboard=str(dashboard_id)
        )
    if tile.insight is not None:
        shown = (set(tile.insight.dashboards or ()) | {destination}) - {dashboard_id}
        yield api.update_insight(tile.insight.id, {"dashboards": sorted(shown)})
    else:
        yield api.update_dashboard(destination, {"tiles": [_copy(tile)]})
        yield api.update_dashboard(dashboard_id, {"tiles": [{"id": tile.id, "deleted": True}]})
    moved: Dashboard = yield api.retrieve_dashboard(dashboard_id)
    return moved


def _copy(tile: Tile) -> dict[str, Any]:
    return {
        "text": {"body": (tile.text or {}).get("body", "")},
        **({"layouts": tile.layouts} if tile.layouts else {}),
        **({"color": tile.color} if tile.color else {}),
    }


def _look(tile: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tile[name] for name in ("layouts", "color") if tile.get(name) is not None}
