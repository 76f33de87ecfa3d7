"""A tile is moved in several requests, over HTTP with both transports."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import tiles
from airflow_provider_databrain.posthog.api.models import Dashboard
from tests.client.conftest import Run
from tests.posthog.support import add_legacy_key, contents, posthog_server

pytestmark = pytest.mark.usefixtures("fast_retries")


class Board:
    """A dashboard with two insights and a text, an empty dashboard, and a third that shows the first insight."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        state = emulator.posthog
        self.source, self.target, self.third = (state.add_dashboard(name=name) for name in ("from", "to", "third"))
        look: dict[str, Any] = {"layouts": {"sm": {"x": 1, "y": 2, "w": 3, "h": 4}}, "color": "blue"}
        self.insight = state.contents.add_insight(1, "owner", name="Signups")
        self.plain = state.contents.add_insight(1, "owner", name="Plain")
        self.tiles = {
            "insight": state.contents.add_tile(self.source, insight=self.insight, **look),
            "text": state.contents.add_tile(self.source, text=state.contents.add_text("owner", "# x"), **look),
            "plain": state.contents.add_tile(self.source, insight=self.plain),
        }
        state.contents.add_tile(self.third, insight=self.insight)

    def show(self) -> list[Any]:
        return [contents(self.emulator, number) for number in (self.source, self.target, self.third)]


@pytest.mark.parametrize("kind", ["insight", "text", "plain"])
def test_transfer_tile_does_the_same_as_the_refused_action(posthog: Emulator, run: Run, kind: str) -> None:
    by_legacy, by_steps = Board(posthog), Board(posthog)
    with pytest.raises(AuthenticationError, match="transfer_tile"):
        run(posthog_server(posthog), tiles.move_tile(by_legacy.source, by_legacy.tiles[kind], by_legacy.target))
    moved = run(
        posthog_server(posthog, add_legacy_key(posthog)),
        tiles.move_tile(by_legacy.source, by_legacy.tiles[kind], by_legacy.target),
    )
    transferred = run(
        posthog_server(posthog), tiles.transfer_tile(by_steps.source, by_steps.tiles[kind], by_steps.target)
    )
    assert by_steps.show() == by_legacy.show()
    assert [len(part) for part in by_steps.show()] == [2, 1, 1]
    assert len(transferred.tiles or ()) == len(moved.tiles or ()) == 2


def test_an_insight_that_the_other_dashboard_already_shows_is_only_removed_from_the_source(
    posthog: Emulator, run: Run
) -> None:
    board = Board(posthog)
    before = board.show()[2]
    run(posthog_server(posthog), tiles.transfer_tile(board.source, board.tiles["insight"], board.third))
    assert [len(part) for part in board.show()] == [2, 0, 1]
    assert board.show()[2] == before


def test_a_key_with_scopes_may_move_tiles_on_the_newest_server(posthog: Emulator, run: Run) -> None:
    posthog.control.behaviour = Behaviour(posthog_version="2026-07")
    board = Board(posthog)
    run(posthog_server(posthog), tiles.move_tile(board.source, board.tiles["text"], board.target))
    assert [len(part) for part in board.show()] == [2, 1, 1]


def test_a_missing_tile_is_a_not_found_error(posthog: Emulator, run: Run) -> None:
    board = Board(posthog)
    with pytest.raises(NotFoundError, match=r"move tile \(dashboard '\d+'\) failed: the dashboard has no tile 99999"):
        run(posthog_server(posthog), tiles.transfer_tile(board.source, 99999, board.target))
    assert [len(part) for part in board.show()] == [3, 0, 1]


@pytest.mark.parametrize(("tile", "target"), [(0, 1), ("1", 1), (1, 0), (1, "2"), (1, 4)])
def test_an_invalid_transfer_is_refused_before_sending(tile: Any, target: Any) -> None:
    with pytest.raises(ValueError, match=r"it must be a whole number above 0|the dashboard that the tile is on"):
        next(tiles.transfer_tile(4, tile, target))


def answered(call: Generator[Any, Any, Any], *tiles: dict[str, Any]) -> Any:
    """The request that a transfer sends after its dashboard was answered with these tiles."""
    next(call)
    return call.send(Dashboard.model_validate({"id": 4, "tiles": tiles}))


def test_the_dashboards_of_an_insight_are_read_from_dashboard_tiles_of_newer_servers() -> None:
    places = [
        {"id": 1, "dashboard_id": 4},
        {"id": 2, "dashboard_id": 7},
        {"id": 3, "dashboard_id": 8, "deleted": True},
    ]
    request = answered(tiles.transfer_tile(4, 1, 5), {"id": 1, "insight": {"id": 9, "dashboard_tiles": places}})
    assert request.body == b'{"dashboards":[5,7]}'


def test_an_insight_is_not_moved_if_the_answer_does_not_list_its_dashboards() -> None:
    with pytest.raises(MalformedAnswerError, match="does not say which dashboards show insight 9"):
        answered(tiles.transfer_tile(4, 1, 5), {"id": 1, "insight": {"id": 9}})


def test_a_tile_of_an_unknown_kind_is_not_moved() -> None:
    with pytest.raises(InvalidRequestError, match="neither an insight nor a text; only move_tile can move it"):
        answered(tiles.transfer_tile(4, 1, 5), {"id": 1, "widget": {"id": 3}})
