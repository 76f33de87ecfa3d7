"""Calls to PostHog that take more than one request: find or create, and what keys with scopes may do instead.

PostHog gives a dashboard's id itself, and neither its name nor anything else is unique. So a dashboard that shall be
found again carries a mark: a tag, and the same at the end of its description, because PostHog ignores tags where the
organization has no tagging.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ApiError, InvalidRequestError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import check_id
from airflow_provider_databrain.posthog.api import endpoints as api
from airflow_provider_databrain.posthog.api.models import Dashboard, Insight, NewDashboard, Tile

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
    end = re.search(r"\[([^\[\]]+)\]\s*$", dashboard.description or "")
    return {*(dashboard.tags or ()), *(end.groups() if end else ())}


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
            try:
                yield from remove_marked(mark)
            except ApiError as error:
                refused.message += f" What PostHog left behind half made could not be deleted: {error}"
        raise
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = with_that_mark((yield from api.list_dashboards()), mark)
        if not found:
            raise
        created = found[0]
    changes = _overwritten(dashboard, created, mark)
    if changes:
        created = yield api.update_dashboard(created.id, changes)
    return created


def _overwritten(dashboard: NewDashboard, created: Dashboard, mark: str) -> dict[str, Any]:
    """What of a new dashboard a template has put its own in place of; the mark is part of the description."""
    if dashboard.use_template is None:
        return {}
    changes: dict[str, Any] = {}
    if dashboard.description != with_mark(None, mark):
        if created.description != dashboard.description:
            changes["description"] = dashboard.description
    elif mark not in mark_on(created):
        changes["description"] = with_mark(created.description, mark)
    if dashboard.filters is not None and created.filters != dashboard.filters:
        changes["filters"] = dashboard.filters
    return changes


def remove_marked(mark: str, *, delete_insights: bool = False) -> Steps[int]:
    """Delete whatever carries the mark; returns how many that were.

    :param delete_insights: those of its insights too that are on no other dashboard.
    """
    found = with_that_mark((yield from api.list_dashboards()), mark)
    for one in found:
        with suppress(NotFoundError):
            yield api.delete_dashboard(one.id, delete_insights=delete_insights)
    return len(found)


def build_dashboard(template: Mapping[str, Any], *, mark: str | None = None) -> Steps[Dashboard]:
    """What ``create_from_template_json`` does, with a key that has the scopes dashboard:write and insight:write.

    The dashboard is created, then each insight, then texts and layouts. Where a step fails, the dashboard and its
    insights are deleted again.

    :param mark: what the dashboard carries once it is finished. Until then it carries another one, by which the next
        build for the same mark deletes what could not be deleted.
    :raises ValueError: the template lacks something, or has a tile that is neither INSIGHT nor TEXT.
    """
    api.check_template(template)
    insights = [tile for tile in template["tiles"] if tile.get("type") == "INSIGHT"]
    texts = [tile for tile in template["tiles"] if tile.get("type") == "TEXT"]
    if len(insights) + len(texts) != len(template["tiles"]):
        raise ValueError("template: each tile has the type 'INSIGHT' or 'TEXT'")
    new = NewDashboard(
        name=template["template_name"],
        description=template["dashboard_description"],
        filters=dict(template["dashboard_filters"]),
        tags=list(template.get("tags") or ()),
    )
    finished: dict[str, Any] = {}
    if mark is not None:
        unfinished = f"{mark}-unfinished"
        yield from remove_marked(unfinished, delete_insights=True)
        finished = {name: getattr(marked(new, mark), name) for name in ("description", "tags")}
        new = marked(new, unfinished)
    dashboard: Dashboard = yield api.create_dashboard(new)
    try:
        changes = yield from _place_insights(dashboard.id, insights)
        changes += [{"text": {"body": tile.get("body", "")}, **_look(tile)} for tile in texts]
        built: Dashboard = yield api.update_dashboard(dashboard.id, {"tiles": changes, **finished})
    except ApiError:
        with suppress(ApiError):
            yield api.delete_dashboard(dashboard.id, delete_insights=True)
        raise
    return built


def transfer_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Steps[Dashboard]:
    """What ``move_tile`` does, with a key that has the scopes dashboard:write and, for an insight, insight:write.

    An insight that is on the other dashboard already is no error. The result is the dashboard that it was on.

    :raises NotFoundError: the dashboard has no such tile.
    :raises InvalidRequestError: the tile is neither an insight nor a text.
    """
    check_id(tile_id, "tile_id")
    if check_id(to_dashboard, "to_dashboard") == dashboard_id:
        raise ValueError(f"to_dashboard is {to_dashboard}, the dashboard that the tile is on")
    source: Dashboard = yield api.retrieve_dashboard(dashboard_id)
    about: dict[str, Any] = {"endpoint": api.MOVE_TILE.name, "dashboard": str(dashboard_id)}
    tile = next((one for one in source.tiles or () if one.id == tile_id), None)
    if tile is None:
        raise NotFoundError(f"the dashboard has no tile {tile_id}", **about)
    if tile.insight is not None:
        yield from _transfer_insight(tile, tile.insight, dashboard_id, to_dashboard)
    elif tile.text is not None:
        copy = {"text": {"body": tile.text.get("body", "")}, **_look(tile.as_row())}
        yield api.update_dashboard(to_dashboard, {"tiles": [copy]})
        yield api.update_dashboard(dashboard_id, {"tiles": [{"id": tile.id, "deleted": True}]})
    else:
        raise InvalidRequestError(f"tile {tile_id} is neither an insight nor a text; only move_tile moves it", **about)
    moved: Dashboard = yield api.retrieve_dashboard(dashboard_id)
    return moved


def _place_insights(dashboard_id: int, tiles: Iterable[Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
    """Create a template's insights on a dashboard; returns the changes that give their tiles their looks."""
    looks: dict[int, dict[str, Any]] = {}
    for tile in tiles:
        fields = {name: tile[name] for name in ("name", "description", "query") if name in tile}
        insight: Insight = yield api.create_insight({**fields, "dashboards": [dashboard_id]})
        looks[insight.id] = _look(tile)
    return (yield from _looking(dashboard_id, looks))


def _transfer_insight(tile: Tile, insight: Insight, source: int, destination: int) -> Steps[None]:
    shown = _shown_on(insight)
    yield api.update_insight(insight.id, {"dashboards": sorted((shown | {destination}) - {source})})
    look = _look(tile.as_row())
    if destination not in shown and look:
        changes = yield from _looking(destination, {insight.id: look})
        yield api.update_dashboard(destination, {"tiles": changes})


def _looking(dashboard_id: int, looks: Mapping[int, Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
    """Changes to a dashboard's tiles that give each insight its look."""
    placed: Dashboard = yield api.retrieve_dashboard(dashboard_id)
    return [
        {"id": one.id, **looks[one.insight.id]}
        for one in placed.tiles or ()
        if one.insight is not None and one.insight.id in looks
    ]


def _shown_on(insight: Insight) -> set[int]:
    """The dashboards that show an insight; without all of them, a change would take it off the others."""
    if insight.dashboards is not None:
        return set(insight.dashboards)
    if insight.dashboard_tiles is not None:
        return {place.dashboard_id for place in insight.dashboard_tiles if not place.deleted}
    error = MalformedAnswerError(f"insight {insight.id} does not say which dashboards show it", transient=False)
    error.endpoint = api.MOVE_TILE.name
    raise error


def _look(tile: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tile[name] for name in ("layouts", "color") if tile.get(name)}
