"""Show one tile on other PostHog dashboards too, and remove a tile.

Trigger each Dag by hand. Both need a newer PostHog; on an older one, the error says what to use instead.

``posthog_roll_out_tile`` has four params: the dashboard that has the tile, the tile, the dashboards that are to show it
too, and a heading.

1. ``targets`` reads the dashboards from the params.
2. ``heading`` adds a text to each of them. If the same text is already there, it adds nothing.
3. ``copy`` shows the tile's insight on each of them. If it is already there, nothing happens. All these dashboards show
   the same insight: a change of the insight changes all of them.

``posthog_remove_tile`` has two params, a dashboard and its tile. It removes the tile; the insight itself is kept.

Needs the connection ``posthog_default``. Password: a personal API key with the scope dashboard:write. Extras:
``region`` and ``project_id``.

If you run one again: it changes nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_databrain import (
    AddPostHogTextTileOperator,
    CopyPostHogTileOperator,
    DeletePostHogTileOperator,
)

NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1}
SETTINGS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "tags": ["posthog"],
    "default_args": {"retries": 2, "retry_delay": 30},
}


@dag(
    **SETTINGS,
    params={
        "template": Param(**NUMBER),
        "tile": Param(**NUMBER),
        "dashboards": Param(type="array", items=NUMBER, minItems=1),
        "heading": "## New",
    },
)
def posthog_roll_out_tile() -> None:
    """Add a heading to each dashboard, then show the tile's insight on it."""

    @task
    def targets(params: dict[str, Any] | None = None) -> list[int]:
        return list((params or {})["dashboards"])

    numbers = targets()
    heading = AddPostHogTextTileOperator.partial(task_id="heading", body="{{ params.heading }}").expand(
        dashboard_id=numbers
    )
    copy = CopyPostHogTileOperator.partial(
        task_id="copy", from_dashboard_id="{{ params.template }}", tile_id="{{ params.tile }}"
    ).expand(dashboard_id=numbers)
    heading >> copy


@dag(**SETTINGS, params={"dashboard": Param(**NUMBER), "tile": Param(**NUMBER)})
def posthog_remove_tile() -> None:
    """Remove a tile from a dashboard."""
    DeletePostHogTileOperator(task_id="remove", dashboard_id="{{ params.dashboard }}", tile_id="{{ params.tile }}")


posthog_roll_out_tile()
posthog_remove_tile()
