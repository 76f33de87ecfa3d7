"""PostHog's operators for tiles, run against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    ApiError,
    EndpointMissingError,
    NotFoundError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.tiles import (
    AddPostHogTextTileOperator,
    CopyPostHogTileOperator,
    DeletePostHogTileOperator,
)
from tests.posthog.operators.support import as_text, links, run
from tests.posthog.support import sent


class Board:
    """A dashboard with a text and an insight, and an empty dashboard, on a server of 2026-07."""

    def __init__(self, emulator: Emulator) -> None:
        emulator.control.behaviour = Behaviour(posthog_version="2026-07")
        self.contents = contents = emulator.posthog.contents
        self.one, self.other = (emulator.posthog.add_dashboard(name=name) for name in ("one", "other"))
        self.text = contents.add_tile(self.one, text=contents.add_text("owner", "# x"))
        self.insight = contents.add_tile(self.one, insight=contents.add_insight(1, "owner", name="Signups"))

    def tiles(self, dashboard: int) -> list[int]:
        return [tile.id for tile in self.contents.tiles(dashboard)]


@pytest.fixture
def board(posthog: Emulator) -> Board:
    """See ``Board``."""
    return Board(posthog)


def copy(board: Board, tile: int, **options: Any) -> Any:
    named = {"dashboard_id": as_text(board.other), "from_dashboard_id": as_text(board.one), "tile_id": as_text(tile)}
    return run(CopyPostHogTileOperator, **{**named, **options})


def test_a_copy_is_made_once_and_returns_the_dashboard_that_shows_it_too(posthog: Emulator, board: Board) -> None:
    for tile in (board.insight, board.text, board.insight, board.text):
        assert copy(board, tile) == board.other
    assert len(board.tiles(board.other)) == 2
    assert board.tiles(board.one) == [board.text, board.insight]
    assert sent(posthog) == [f"POST dashboards/{board.other}/copy_tile/"] * 4


def test_a_copy_whose_answer_was_lost_counts_as_done(posthog: Emulator, board: Board, fast_retries: None) -> None:
    posthog.control.set_faults([Fault(kind="reset_after", times=1)])
    assert copy(board, board.insight, max_retry_seconds=5) == board.other
    assert len(board.tiles(board.other)) == 1
    # The same with a retry of the task.
    posthog.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(TransportError):
        copy(board, board.text)
    assert copy(board, board.text) == board.other
    assert len(board.tiles(board.other)) == 2


def test_a_removed_tile_stays_removed(posthog: Emulator, board: Board, fast_retries: None) -> None:
    posthog.control.set_faults([Fault(kind="reset_after", times=1)])
    options: dict[str, Any] = {"dashboard_id": as_text(board.one), "max_retry_seconds": 5}
    for tile in (board.insight, board.insight, 9999):
        assert run(DeletePostHogTileOperator, tile_id=as_text(tile), **options) is None
    assert board.tiles(board.one) == [board.text]


def test_a_text_is_added_once(posthog: Emulator, board: Board) -> None:
    options: dict[str, Any] = {
        "dashboard_id": as_text(board.one),
        "body": " # {{ params.n }} ",
        "layouts": {"sm": {"x": 0, "y": 9, "w": 12, "h": 1}},
        "color": "blue",
    }
    # The answer is lost, and the task is tried again.
    posthog.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    with pytest.raises(TransportError):
        run(AddPostHogTextTileOperator, **options)
    key = run(AddPostHogTextTileOperator, **options)
    assert run(AddPostHogTextTileOperator, **options) == key
    [tile] = [tile for tile in board.contents.tiles(board.one) if tile.id not in (board.text, board.insight)]
    assert (tile.id, tile.color, tile.layouts) == (key, "blue", options["layouts"])
    assert tile.text is not None
    assert tile.text.body == "# 7"


def test_a_text_with_other_words_is_another_text(board: Board) -> None:
    keys = [
        run(AddPostHogTextTileOperator, dashboard_id=board.one, body=body) for body in ("# x", "# X", "#  x", "# x\n")
    ]
    assert keys[0] == keys[3] == board.text
    assert len(set(keys)) == 3
    # The same words on another dashboard are another text.
    assert run(AddPostHogTextTileOperator, dashboard_id=board.other, body="# x") not in keys


def missing(board: Board) -> list[tuple[Any, dict[str, Any], str]]:
    return [
        (CopyPostHogTileOperator, {"dashboard_id": board.other, "from_dashboard_id": board.one, "tile_id": 9}, "copy"),
        (DeletePostHogTileOperator, {"dashboard_id": board.one, "tile_id": board.text}, "delete"),
        (AddPostHogTextTileOperator, {"dashboard_id": board.one, "body": "new"}, "create text"),
    ]


@pytest.mark.parametrize("version", ["2025-08", "2026-01"])
def test_on_an_older_server_the_task_fails_and_says_what_to_use_instead(
    posthog: Emulator, board: Board, version: Any
) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version)
    for operator, options, name in missing(board):
        with pytest.raises(EndpointMissingError, match=rf"{name} tile .*too old for this call.* Use update_"):
            run(operator, **options)
    # Above all, a tile is not believed to be removed.
    assert board.tiles(board.one) == [board.text, board.insight]


def test_a_404_that_may_not_be_posthogs_own_does_not_count_as_removed(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bare(*_: Any) -> None:
        error = NotFoundError("no", status=404)
        error.from_api = False
        raise error

    monkeypatch.setattr("airflow_provider_databrain.posthog.hook.PostHogHook.delete_tile", bare)
    with pytest.raises(NotFoundError):
        run(DeletePostHogTileOperator, dashboard_id=board.one, tile_id=board.text)


def test_a_tile_does_not_count_as_removed_because_the_project_is_wrong(board: Board) -> None:
    with pytest.raises(NotFoundError, match=r"PROJECT_NOT_FOUND\]: Project not found\."):
        run(DeletePostHogTileOperator, dashboard_id=board.one, tile_id=board.text, project_id=99)


@pytest.mark.parametrize(
    ("operator", "options", "shown"),
    [
        (CopyPostHogTileOperator, {"from_dashboard_id": "x", "tile_id": 1}, "from_dashboard_id is 'x'"),
        (CopyPostHogTileOperator, {"from_dashboard_id": 1, "tile_id": ""}, "tile_id is ''"),
        (CopyPostHogTileOperator, {"from_dashboard_id": 4, "tile_id": 1}, "the dashboard that the tile is on"),
        (DeletePostHogTileOperator, {"tile_id": "0"}, "tile_id is '0'"),
        (AddPostHogTextTileOperator, {"body": " "}, "body must have 1 to 4000 characters"),
        (AddPostHogTextTileOperator, {"body": "x" * 4001}, "body must have 1 to 4000 characters"),
    ],
)
def test_an_invalid_argument_is_refused_before_sending(
    posthog: Emulator, operator: Any, options: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ValueError, match=shown):
        run(operator, dashboard_id=4, **options)
    assert sent(posthog) == []


def test_a_dashboard_that_does_not_exist_is_an_error(board: Board) -> None:
    for operator, options, _ in missing(board):
        if operator is not DeletePostHogTileOperator:
            with pytest.raises(ApiError, match=r"Not found\."):
                run(operator, **{**options, "dashboard_id": 9999})


def test_the_link_leads_to_the_dashboard(posthog: Emulator, board: Board) -> None:
    task = AddPostHogTextTileOperator(task_id="t", dashboard_id=board.one, body="# x")
    task.execute({})
    assert f"{posthog.url}/project/1/dashboard/{board.one}" in links(task).values()
