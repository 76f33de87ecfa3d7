"""PostHog's hook and the calls that only newer servers have, in both forms, with a server that has them or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    EndpointMissingError,
    InvalidRequestError,
    NotFoundError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.both_ways import BOTH_WAYS, do
from tests.posthog.support import sent

Arguments = Callable[["Board"], tuple[Any, ...]]
Check = Callable[["Board", Any], object]
QUERY = {"kind": "InsightVizNode"}
SCOPES = ("dashboard:write", "query:read")


@dataclass
class Board:
    """A dashboard with a text and an insight, and an empty dashboard."""

    emulator: Emulator
    one: int
    other: int
    text: int
    insight: int

    def tiles(self, dashboard: int) -> list[int]:
        return [tile.id for tile in self.emulator.posthog.contents.tiles(dashboard)]


@pytest.fixture
def board(posthog: Emulator) -> Board:
    """See ``Board``. The server is of 2026-07, and the key may use all of it that a key may."""
    posthog.control.behaviour = Behaviour(posthog_version="2026-07")
    posthog.posthog_keys[posthog.posthog_key] = Key(SCOPES)
    contents = posthog.posthog.contents
    one, other = (posthog.posthog.add_dashboard(name=name) for name in ("one", "other"))
    return Board(
        posthog,
        one,
        other,
        text=contents.add_tile(one, text=contents.add_text("owner", "# x")),
        insight=contents.add_tile(one, insight=contents.add_insight(1, "owner", name="Signups", query=QUERY)),
    )


METHODS: list[tuple[str, Arguments, Check]] = [
    ("copy_tile", lambda b: (b.one, b.insight, b.other), lambda b, a: (a.id, len(a.tiles)) == (b.other, 1)),
    ("create_text_tile", lambda b: (b.other, "# y"), lambda b, a: a.text["body"] == "# y" and b.tiles(b.other)),
    (
        "update_text_tile",
        lambda b: (b.one, b.text, "# z"),
        lambda b, a: (a.id, a.text["body"]) == (b.text, "# z"),
    ),
    ("delete_tile", lambda b: (b.one, b.text), lambda b, a: a is None and b.tiles(b.one) == [b.insight]),
    (
        "reorder_tiles",
        lambda b: (b.one, [b.insight, b.text]),
        lambda b, a: [tile.id for tile in a.tiles] == b.tiles(b.one) == [b.insight, b.text],
    ),
    (
        "run_insights",
        lambda b: (b.one,),
        lambda b, a: [(tile.id, tile.insight.name) for tile in a] == [(b.insight, "Signups")],
    ),
]
NAMES = [name for name, *_ in METHODS]
EACH = pytest.mark.parametrize(("method", "arguments", "check"), METHODS, ids=NAMES)


def once() -> PostHogHook:
    return PostHogHook(max_retry_seconds=0)


@BOTH_WAYS
@EACH
async def test_each_method_answers(board: Board, prefix: str, method: str, arguments: Arguments, check: Check) -> None:
    assert check(board, await do(once(), prefix, method, *arguments(board)))
    assert len(sent(board.emulator)) == 1


@BOTH_WAYS
@EACH
@pytest.mark.parametrize("version", ["2025-08", "2026-01"])
async def test_an_older_server_is_named_in_the_error_and_nothing_counts_as_gone(
    board: Board, prefix: str, method: str, arguments: Arguments, check: Check, version: Any
) -> None:
    board.emulator.control.behaviour = Behaviour(posthog_version=version)
    with pytest.raises(EndpointMissingError, match=r"too old for this call, .* Use (update|retrieve)_") as caught:
        await do(once(), prefix, method, *arguments(board))
    assert not isinstance(caught.value, NotFoundError)
    assert len(sent(board.emulator)) == 1
    assert (board.tiles(board.one), board.tiles(board.other)) == ([board.text, board.insight], [])


@BOTH_WAYS
@EACH
async def test_each_missing_scope_is_named(
    board: Board, prefix: str, method: str, arguments: Arguments, check: Check
) -> None:
    scope = "query:read" if method == "run_insights" else "dashboard:write"
    board.emulator.posthog_keys[board.emulator.posthog_key] = Key(tuple({"dashboard:read", *SCOPES} - {scope}))
    with pytest.raises(AuthenticationError, match=f"personal API key with the scope '{scope}'"):
        await do(once(), prefix, method, *arguments(board))


REFUSALS: list[tuple[str, Arguments, type[ApiError], str]] = [
    ("copy_tile", lambda b: (b.one, 9999, b.other), NotFoundError, "Not found."),
    ("copy_tile", lambda b: (9999, b.text, b.other), NotFoundError, "Not found."),
    ("create_text_tile", lambda b: (9999, "x"), NotFoundError, "Not found."),
    ("update_text_tile", lambda b: (b.one, 9999, "x"), NotFoundError, "Not found."),
    ("update_text_tile", lambda b: (b.one, b.insight, "x"), InvalidRequestError, "not a text tile"),
    ("delete_tile", lambda b: (b.other, b.text), NotFoundError, "Not found."),
    ("reorder_tiles", lambda b: (b.one, [b.text, 9999]), NotFoundError, r"Tile IDs not found on this .*: \[9999\]"),
    ("run_insights", lambda b: (9999,), NotFoundError, "Not found."),
]


@BOTH_WAYS
@pytest.mark.parametrize(("method", "arguments", "error", "shown"), REFUSALS)
async def test_each_refusal_is_posthogs_own(
    board: Board, prefix: str, method: str, arguments: Arguments, error: type[ApiError], shown: str
) -> None:
    with pytest.raises(ApiError, match=shown) as caught:
        await do(once(), prefix, method, *arguments(board))
    assert (type(caught.value), caught.value.from_api) == (error, True)


@BOTH_WAYS
async def test_a_second_copy_has_its_own_error(board: Board, prefix: str) -> None:
    for tile in (board.insight, board.text):
        once().copy_tile(board.one, tile, board.other)
        with pytest.raises(AlreadyExistsError, match="already on the destination dashboard") as caught:
            await do(once(), prefix, "copy_tile", board.one, tile, board.other)
        assert (caught.value.from_api, caught.value.after_ambiguous) == (True, False)
    assert len(board.tiles(board.other)) == 2


@BOTH_WAYS
@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("copy_tile", lambda b: (b.one, b.text, b.other), AlreadyExistsError),
        ("delete_tile", lambda b: (b.one, b.text), NotFoundError),
    ],
)
async def test_a_second_try_says_that_the_first_may_have_done_it(
    board: Board, fast_retries: None, prefix: str, method: str, arguments: Arguments, error: type[ApiError]
) -> None:
    board.emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(error) as caught:
        await do(PostHogHook(), prefix, method, *arguments(board))
    assert caught.value.after_ambiguous
    assert len(sent(board.emulator)) == 2
    assert len(board.tiles(board.one)) + len(board.tiles(board.other)) == (3 if method == "copy_tile" else 1)


@BOTH_WAYS
async def test_a_text_is_not_written_twice(board: Board, fast_retries: None, prefix: str) -> None:
    board.emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(TransportError):
        await do(PostHogHook(), prefix, "create_text_tile", board.other, "# y")
    assert len(board.tiles(board.other)) == 1


@BOTH_WAYS
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("update_text_tile", lambda b: (b.one, b.text, "# z")),
        ("reorder_tiles", lambda b: (b.one, [b.insight, b.text])),
        ("run_insights", lambda b: (b.one,)),
    ],
)
async def test_what_changes_nothing_the_second_time_is_sent_again(
    board: Board, fast_retries: None, prefix: str, method: str, arguments: Arguments
) -> None:
    board.emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    assert await do(PostHogHook(), prefix, method, *arguments(board))
    assert len(sent(board.emulator)) == 2


@BOTH_WAYS
async def test_an_expensive_calculation_is_not_started_twice(board: Board, fast_retries: None, prefix: str) -> None:
    board.emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(TransportError):
        await do(PostHogHook(), prefix, "run_insights", board.one, refresh="force_blocking")
    assert len(sent(board.emulator)) == 1
    # The next look shows what the first call calculated.
    tiles = once().retrieve_dashboard(board.one).tiles or []
    assert [tile.as_row()["last_refresh"] is not None for tile in tiles] == [False, True]


@BOTH_WAYS
async def test_a_list_is_filtered_if_the_server_knows_the_filter(board: Board, prefix: str) -> None:
    for name, description in (("Generated Dashboard: acme", ""), ("Signups", "of ACME"), ("Akme", "")):
        board.emulator.posthog.add_dashboard(name=name, description=description)

    async def listed(**filters: Any) -> list[str]:
        return [dashboard.name for dashboard in await do(once(), prefix, "list_dashboards", **filters)]

    everything = ["Akme", "Generated Dashboard: acme", "Signups", "one", "other"]
    assert await listed() == everything
    # The exact ones come first, then the similar one.
    assert await listed(search="acme") == ["Generated Dashboard: acme", "Signups", "Akme"]
    assert await listed(search="acme", exclude_generated=True) == ["Signups", "Akme"]
    for version in ("2026-01", "2025-08"):
        board.emulator.control.behaviour = Behaviour(posthog_version=version)
        assert await listed(search="acme", exclude_generated=True) == everything


@BOTH_WAYS
async def test_an_action_that_no_key_with_scopes_may_use_can_be_missing_too(board: Board, prefix: str) -> None:
    board.emulator.control.behaviour = Behaviour(posthog_version="2025-08")
    board.emulator.posthog_keys[board.emulator.posthog_key] = Key(None)

    async def stream() -> list[Any]:
        hook = once()
        if not prefix:
            return list(hook.stream_tiles(board.one))
        async with hook:
            return [event async for event in hook.astream_tiles(board.one)]

    with pytest.raises(EndpointMissingError, match=r"too old for this call.* Use retrieve_dashboard instead\."):
        await stream()
