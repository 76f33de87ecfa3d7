"""Templates: create a dashboard from a template given as JSON.

PostHog has one action for this and refuses it to keys with scopes. ``build_dashboard`` makes the same dashboard in
several requests. While it is unfinished, the dashboard carries another mark (see ``marks``), so a search for the final
mark does not find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.models import json_body, reader
from airflow_provider_databrain.posthog.api.dashboards import create_dashboard, delete_dashboard, update_dashboard
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARDS, Steps, scopeless_endpoint
from airflow_provider_databrain.posthog.api.fields import set_fields
from airflow_provider_databrain.posthog.api.insights import create_insight
from airflow_provider_databrain.posthog.api.marks import marked_description, remove_marked
from airflow_provider_databrain.posthog.api.models import Dashboard, Insight, NewDashboard
from airflow_provider_databrain.posthog.api.tiles import look_changes, look_of

CREATE_FROM_TEMPLATE = scopeless_endpoint(
    "create dashboard from template JSON",
    "POST",
    f"{DASHBOARDS}create_from_template_json/",
    "build_dashboard",
    Resend.IF_UNPROCESSED,
)
_read_dashboard = reader(Dashboard)


def check_template(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the template if it has every field that PostHog needs. PostHog answers 500 if a field is missing.

    :raises ValueError: a field is missing or has a wrong type.
    """
    kinds = {"template_name": str, "dashboard_description": str, "dashboard_filters": Mapping, "tiles": list}
    if not isinstance(template, Mapping):
        raise ValueError("template must be an object")
    wrong = [name for name, kind in kinds.items() if not isinstance(template.get(name), kind)]
    if wrong:
        raise ValueError(f"template: {', '.join(wrong)} missing or of a wrong type")
    if not template["tiles"] or not all(isinstance(tile, Mapping) for tile in template["tiles"]):
        raise ValueError("template: tiles must be a list of one or more objects")
    return template


def create_from_template_json(
    template: Mapping[str, Any], *, creation_context: str | None = None
) -> Request[Dashboard]:
    """Create a dashboard from a template as JSON.

    PostHog refuses this to keys with scopes. ``build_dashboard`` does the same in several requests.

    :param template: must have ``template_name``, ``dashboard_description``, ``dashboard_filters`` and ``tiles``.
    :raises ValueError: a field of the template is missing or has a wrong type.
    """
    body: dict[str, Any] = {"template": dict(check_template(template))}
    if creation_context is not None:
        body["creation_context"] = creation_context
    return Request(CREATE_FROM_TEMPLATE, _read_dashboard, body=json_body(body))


def build_dashboard(template: Mapping[str, Any], *, mark: str | None = None) -> Steps[Dashboard]:
    """Do what ``create_from_template_json`` does, with the scopes dashboard:write and insight:write.

    First the dashboard is created, then each insight, then texts and layouts, at last tags and the final mark. If a
    step fails, the dashboard and its insights are deleted.

    :param mark: the mark of the finished dashboard. An unfinished one has another mark. The next build for the same
        mark deletes unfinished dashboards that could not be deleted before.
    :raises ValueError: a field of the template is missing or has a wrong type, or a tile has another type than INSIGHT
        or TEXT.
    """
    check_template(template)
    insights = [tile for tile in template["tiles"] if tile.get("type") == "INSIGHT"]
    texts = [tile for tile in template["tiles"] if tile.get("type") == "TEXT"]
    if len(insights) + len(texts) != len(template["tiles"]):
        raise ValueError("template: each tile must have the type 'INSIGHT' or 'TEXT'")
    new = NewDashboard(
        name=template["template_name"],
        description=template["dashboard_description"],
        filters=dict(template["dashboard_filters"]),
        tags=list(template.get("tags") or ()),
    )
    first = new.model_copy(update={"tags": None})
    finished: dict[str, Any] = {"tags": new.tags} if new.tags else {}
    if mark is not None:
        unfinished = f"{mark}-unfinished"
        yield from remove_marked(unfinished, delete_insights=True)
        finished["description"] = marked_description(new.description, mark)
        first = first.model_copy(update={"description": marked_description(new.description, unfinished)})
    dashboard: Dashboard = yield create_dashboard(first)
    try:
        changes = yield from _place_insights(dashboard.id, insights)
        changes += [{"text": {"body": tile.get("body", "")}, **look_of(tile)} for tile in texts]
        # This adds tiles, so it is not sent again after an ambiguous failure. What can fail at random comes later.
        built: Dashboard = yield update_dashboard(dashboard.id, {"tiles": changes})
        if finished:
            built = yield from set_fields(dashboard.id, finished)
    except ApiError:
        with suppress(ApiError):
            yield delete_dashboard(dashboard.id, delete_insights=True)
        raise
    return built


def _place_insights(dashboard_id: int, tiles: Iterable[Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
    """Create the template's insights on a dashboard; returns the tile changes that give each insight its look."""
    looks: dict[int, dict[str, Any]] = {}
    for tile in tiles:
        fields = {name: tile[name] for name in ("name", "description", "query") if name in tile}
        insight: Insight = yield create_insight({**fields, "dashboards": [dashboard_id]})
        looks[insight.id] = look_of(tile)
    return (yield from look_changes(dashboard_id, looks))
