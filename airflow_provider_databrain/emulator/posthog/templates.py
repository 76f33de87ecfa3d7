"""Dashboards from templates: the emulated PostHog's own templates, and templates in a request.

The names of its own templates are PostHog's, and so are the places and colors of their tiles: those of the product
template as recorded, those of ``WEBSITE_TRAFFIC`` as read in the source. The texts and the queries are our choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import Call, invalid, parsed, server_error
from airflow_provider_databrain.emulator.posthog.contents import Contents
from airflow_provider_databrain.emulator.posthog.state import PROJECT, PostHogState
from airflow_provider_databrain.emulator.posthog.views import Views

_VARIABLE = {
    "type": "object",
    "required": ["id", "name", "type", "default", "description", "required"],
    "properties": {"type": {"enum": ["event"]}},
}
SCHEMA = {
    "type": "object",
    "required": ["template_name", "dashboard_description", "dashboard_filters", "tiles"],
    "properties": {
        "id": {"type": "string"},
        "team_id": {"type": ["integer", "null"]},
        "created_at": {"type": "string"},
        "image_url": {"type": ["string", "null"]},
        "template_name": {"type": "string"},
        "dashboard_description": {"type": "string"},
        "dashboard_filters": {"type": "object"},
        "tiles": {
            "description": "The tiles of the dashboard template",
            "type": "array",
            "minItems": 1,
            "items": {"type": "object"},
        },
        "tags": {"type": "array", "items": {"type": "string"}},
        "variables": {"anyOf": [{"type": "array", "items": _VARIABLE}, {"type": "null"}]},
    },
}
"""The JSON schema of a template in a request. The refusal repeats the failing part, so the wording counts."""


def _insight(name: str, kind: str, color: str | None, wide: dict[str, Any], narrow: dict[str, Any]) -> dict[str, Any]:
    """Return a tile.

    :param wide: its place on a wide screen, and ``narrow`` on a narrow one, as far as they are not the usual ones.
    """
    source = {"kind": kind, "series": [{"kind": "EventsNode", "event": "$pageview"}]}
    return {
        "type": "INSIGHT",
        "name": name,
        "description": f"{name} of your app",
        "query": {"kind": "InsightVizNode", "source": source},
        "layouts": {
            "sm": {"x": 0, "w": 6, "h": 5, "minH": 5, "minW": 3, **wide},
            "xs": {"x": 0, "w": 1, "h": 5, "minH": 5, **narrow},
        },
        "color": color,
    }


def _product(name: str, kind: str, color: str, x: int, y: int, below: int) -> dict[str, Any]:
    return _insight(name, kind, color, {"x": x, "y": y}, {"y": below, "minW": 3})


def _traffic(number: int, color: str | None, **wide: int) -> dict[str, Any]:
    below = {"i": str(21 + number), "y": 5 * number, "minW": 1}
    return _insight(f"Traffic {number + 1}", "TrendsQuery", color, {"i": str(21 + number), **wide}, below)


_PRODUCT = [
    _product("Daily users", "TrendsQuery", "blue", 0, 0, 0),
    _product("Weekly users", "TrendsQuery", "green", 6, 0, 5),
    _product("Growth", "LifecycleQuery", "purple", 0, 5, 15),
    _product("Retention", "RetentionQuery", "blue", 6, 5, 10),
    _product("Referrers", "TrendsQuery", "black", 0, 10, 20),
    _product("Funnel", "FunnelsQuery", "green", 6, 10, 25),
]
_TRAFFIC = [
    _traffic(0, "blue", x=0, y=0),
    _traffic(1, "green", x=6, y=0),
    _traffic(2, "blue", x=0, y=5),
    _traffic(3, "green", x=6, y=5),
    _traffic(4, None, x=0, y=10),
    _traffic(5, None, x=6, y=10),
    _traffic(6, "black", x=0, y=15, h=8),
    _traffic(7, "black", x=6, y=15, h=8),
    _traffic(8, None, x=0, y=23, w=12, h=8),
]


@dataclass(frozen=True)
class Template:
    """A template of the server's own.

    :param fields: what it sets on a dashboard, under the API's names.
    :param name: the name of a dashboard that has none; None gives no name.
    :param tags: tags that it adds.
    """

    tiles: list[dict[str, Any]]
    fields: dict[str, Any]
    name: str | None = None
    tags: tuple[str, ...] = ()


_NAME = "Product analytics"
TEMPLATES = {
    "DEFAULT_APP": Template(_PRODUCT, {"description": "", "filters": {}}, _NAME),
    # A recording shows that the description stays. The rest is read in the source.
    "WEBSITE_TRAFFIC": Template(_TRAFFIC, {"filters": {"date_from": "-30d"}}, tags=("marketing",)),
    _NAME: Template(_PRODUCT, {"description": "An overview of your product.", "filters": {}}, _NAME),
    "Flagged Feature Usage": Template(
        _PRODUCT[:1], {"description": "How a feature flag is used.", "filters": {}}, "Flagged Feature Usage"
    ),
}
"""The templates by their names in ``use_template``. The name of ``DEFAULT_APP`` is read in the source, not recorded."""


def replaced(name: str, fields: dict[str, Any], *, tagging: bool) -> dict[str, Any]:
    """Return the fields that a template sets on a dashboard."""
    template = TEMPLATES[name]
    tags = template.tags if tagging else ()
    return {**template.fields, "name": fields["name"] or template.name, "tags": [*fields["tags"], *tags]}


def fill(contents: Contents, dashboard: int, tiles: Iterable[dict[str, Any]], project: int = PROJECT) -> None:
    """Put a template's tiles on a dashboard. Like the real server, skip tiles of an unknown type."""
    for tile in tiles:
        place: dict[str, Any] = {"layouts": tile.get("layouts"), "color": tile.get("color")}
        if tile.get("type") == "TEXT":
            contents.add_tile(dashboard, text=contents.add_text(None, str(tile.get("body", ""))), **place)
        elif tile.get("type") == "INSIGHT":
            named = {name: tile.get(name) for name in ("name", "description", "query")}
            key = contents.add_insight(project, None, is_sample=True, **named)
            contents.add_tile(dashboard, insight=key, **place)


class Templates:
    """Creates dashboards from a template in the request's body."""

    def __init__(self, state: PostHogState, control: Control, views: Views) -> None:
        self._state = state
        self._control = control
        self._views = views

    def create(self, call: Call) -> dict[str, Any]:
        """Create a dashboard. Only a key without scopes may do this."""
        body = parsed(call.sent) if isinstance(call.sent, bytes) else call.sent
        if not isinstance(body, dict) or "template" not in body:
            raise server_error()
        template = body["template"]
        try:
            jsonschema.validate(template, SCHEMA)
        except jsonschema.ValidationError as error:
            raise invalid(str(error)) from None
        if not set(template) <= set(SCHEMA["properties"]):
            raise server_error()
        key = self._state.add_dashboard(
            project=call.project,
            owner=call.member.name,
            name=template["template_name"],
            description=template["dashboard_description"],
            filters=template["dashboard_filters"],
            tags=template.get("tags", []) if self._control.behaviour.tagging else [],
        )
        fill(self._state.contents, key, template["tiles"], call.project)
        [row] = self._state.found(key)
        return self._views.full(row, call.member)
