"""Connections to an emulated PostHog, and what tests read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.endpoint import API_KEY

LEGACY = "phx_legacy-0123456789"
"""A key without scopes, like old keys; valid after ``add_legacy_key`` was called."""
TEMPLATE: dict[str, Any] = {
    "template_name": "KPIs",
    "dashboard_description": "What counts",
    "dashboard_filters": {"date_from": "-7d"},
    "tags": ["kpi"],
    "tiles": [
        {
            "type": "INSIGHT",
            "name": "Signups",
            "description": "By day",
            "query": {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": []}},
            "layouts": {"sm": {"x": 0, "y": 0, "w": 6, "h": 5}, "xs": {"x": 0, "y": 0, "w": 1, "h": 5}},
            "color": "blue",
        },
        {
            "type": "TEXT",
            "body": "# Read me",
            "layouts": {"sm": {"x": 6, "y": 0, "w": 6, "h": 5}, "xs": {"x": 0, "y": 5, "w": 1, "h": 5}},
            "color": "green",
        },
        {
            "type": "INSIGHT",
            "name": "Churn",
            "description": "By month",
            "query": {"kind": "InsightVizNode", "source": {"kind": "RetentionQuery"}},
            "layouts": {"sm": {"x": 0, "y": 5, "w": 6, "h": 5}, "xs": {"x": 0, "y": 10, "w": 1, "h": 5}},
            "color": None,
        },
    ],
}


def add_legacy_key(emulator: Emulator) -> str:
    """Let the emulator accept ``LEGACY``; returns it."""
    emulator.posthog_keys[LEGACY] = Key(None)
    return LEGACY


def set_posthog_connection(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, **changes: Any) -> None:
    """Point ``posthog_default`` at project 1 of an emulator. ``changes`` replace fields; ``extra`` is merged."""
    extra = {"project_id": 1, **changes.pop("extra", {})}
    fields = {"conn_type": "posthog", "host": emulator.url, "password": emulator.posthog_key, **changes}
    monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DEFAULT", json.dumps({**fields, "extra": extra}))


def posthog_server(emulator: Emulator, key: str | None = None, **changes: Any) -> Server:
    """A ``Server`` for project 1 of an emulator."""
    return Server(
        emulator.url, {API_KEY: key or emulator.posthog_key}, conn_id="ph", parameters={"project_id": "1"}, **changes
    )


def sent(emulator: Emulator) -> list[str]:
    """The calls since the last use of this function, such as ``POST dashboards/``, in the order of their end."""
    # Over HTTP, so that the log already has the last call.
    log = requests.get(f"{emulator.url}/_emulator/requests", timeout=5).json()
    emulator.control.log.clear()
    return [f"{one['method']} {one['path'].removeprefix('/api/projects/1/')}" for one in log]


def names(emulator: Emulator, project: int = 1) -> list[str]:
    """The names of the dashboards that are not deleted, the oldest first."""
    rows = sorted(emulator.posthog.dashboards(project), key=lambda row: row.id)
    return [row.fields["name"] for row in rows]


def contents(emulator: Emulator, dashboard: int) -> list[tuple[Any, ...]]:
    """What is on a dashboard: each tile's insight or text, layout and color."""
    found: list[tuple[Any, ...]] = []
    for tile in emulator.posthog.contents.tiles(dashboard):
        insight = None if tile.insight_id is None else emulator.posthog.contents.insight(tile.insight_id)
        what = tuple(insight.fields[name] for name in ("name", "description", "query")) if insight else ()
        found.append((what, tile.text.body if tile.text else None, tile.layouts, tile.color))
    return found
