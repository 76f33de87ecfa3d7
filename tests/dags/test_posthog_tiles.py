"""The example Dags that show a tile on other dashboards too, and remove a tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran

ROLL_OUT, REMOVE = "posthog_roll_out_tile", "posthog_remove_tile"


@pytest.fixture
def params(posthog: Emulator) -> dict[str, Any]:
    """A template with one insight, and two dashboards. The server is of 2026-07."""
    posthog.control.behaviour = Behaviour(posthog_version="2026-07")
    template, *others = (posthog.posthog.add_dashboard(name=name) for name in ("template", "one", "two"))
    insight = posthog.posthog.contents.add_insight(1, "owner", name="Signups")
    tile = posthog.posthog.contents.add_tile(template, insight=insight)
    return {"template": template, "tile": tile, "dashboards": others}


def shown(posthog: Emulator, dashboard: int) -> list[object]:
    """What a dashboard shows: the words of each text, the name of each insight."""
    found: list[object] = []
    for tile in posthog.posthog.contents.tiles(dashboard):
        insight = None if tile.insight_id is None else posthog.posthog.contents.insight(tile.insight_id)
        found.append(tile.text.body if tile.text else insight and insight.fields["name"])
    return found


def test_each_dashboard_shows_the_tile_once_after_faults_and_a_second_run(
    posthog: Emulator, run_example: Callable[..., Ran], params: dict[str, Any], fast_retries: None
) -> None:
    # The first answer to each kind of call is lost.
    posthog.control.set_faults(
        [Fault(kind="reset_after", times=1, path=f"/{name}/$") for name in ("create_text_tile", "copy_tile")]
    )
    for _ in range(2):
        ran = run_example(ROLL_OUT, params=params)
        assert ran.state == "success"
        assert ran.values("copy") == params["dashboards"]
        for dashboard in params["dashboards"]:
            assert shown(posthog, dashboard) == ["## New", "Signups"]


def test_a_tile_is_removed_and_a_second_run_changes_nothing(
    posthog: Emulator, run_example: Callable[..., Ran], params: dict[str, Any]
) -> None:
    for _ in range(2):
        ran = run_example(REMOVE, params={"dashboard": params["template"], "tile": params["tile"]})
        assert ran.state == "success"
        assert shown(posthog, params["template"]) == []
