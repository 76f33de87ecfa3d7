"""Sharing and streaming through PostHog's hook, if more than one call is involved."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.stream import (
    Metadata,
    StreamCutError,
    StreamFailedError,
    TileArrived,
    TileFailed,
)
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.posthog.support import add_legacy_key, sent, set_posthog_connection
from tests.posthog.test_hook import BOTH, ask


def opens(url: str | None) -> bool:
    """Whether a URL shows a dashboard to anyone."""
    assert url is not None
    return requests.get(url, timeout=5).status_code == 200


@BOTH
async def test_the_token_of_a_configuration_that_was_never_saved_is_never_used(
    posthog: Emulator, asynchronous: bool
) -> None:
    number = posthog.posthog.add_dashboard(name="one")
    first, second = [await ask("get_sharing", number, asynchronous=asynchronous) for _ in range(2)]
    # Each answer has a different token, and none of them works.
    assert first.access_token != second.access_token
    assert not opens(f"{posthog.url}/shared/{first.access_token}")
    assert first.token is None
    assert await ask("public_url", number, asynchronous=asynchronous) is None


@BOTH
@pytest.mark.parametrize("embedded", [False, True])
async def test_a_shared_dashboard_is_open_until_sharing_stops(
    posthog: Emulator, asynchronous: bool, embedded: bool
) -> None:
    number = posthog.posthog.add_dashboard(name="one")
    hook = PostHogHook()
    hook.update_sharing(number, enabled=True, settings={"no_header": True})
    url = await ask("public_url", number, asynchronous=asynchronous, embedded=embedded)
    assert f"/{'embedded' if embedded else 'shared'}/" in url
    assert opens(url)
    assert hook.get_sharing(number).settings == {"noHeader": True}
    hook.update_sharing(number, enabled=False)
    assert not opens(url)
    assert await ask("public_url", number, asynchronous=asynchronous) is None
    # A setting that is not named keeps its value.
    assert hook.get_sharing(number).settings == {"noHeader": True}


@BOTH
async def test_a_refresh_replaces_the_url_and_the_passwords_ids(posthog: Emulator, asynchronous: bool) -> None:
    number = posthog.posthog.add_dashboard(name="one")
    hook = PostHogHook()
    hook.update_sharing(number, enabled=True, password_required=True)
    password = hook.create_share_password(number, raw_password="12345678", note="for Acme")
    assert (password.password, password.note) == ("12345678", "for Acme")
    old = hook.public_url(number)
    refreshed = await ask("refresh_sharing", number, asynchronous=asynchronous)
    new = hook.public_url(number)
    assert old != new == f"{posthog.url}/shared/{refreshed.token}"
    assert (opens(old), opens(new)) == (True, True)
    posthog.posthog.shares.expire_tokens()
    assert (opens(old), opens(new)) == (False, True)
    [copy] = refreshed.share_passwords
    assert (copy.note, copy.id != password.id) == ("for Acme", True)
    with pytest.raises(NotFoundError, match="Password not found"):
        hook.delete_share_password(number, password.id)
    hook.delete_share_password(number, copy.id)
    assert hook.get_sharing(number).share_passwords == []


def test_a_refresh_saves_a_configuration_without_enabling_it(posthog: Emulator) -> None:
    number = posthog.posthog.add_dashboard(name="one")
    refreshed = PostHogHook().refresh_sharing(number)
    assert (refreshed.enabled, refreshed.token) == (False, None)
    assert refreshed.created_at


@pytest.fixture
def board(posthog: Emulator, monkeypatch: pytest.MonkeyPatch) -> int:
    """A dashboard with four texts, behind a key without scopes."""
    set_posthog_connection(monkeypatch, posthog, password=add_legacy_key(posthog))
    state = posthog.posthog
    number = state.add_dashboard(name="one")
    for y in range(4):
        layouts = {"sm": {"x": 0, "y": y}, "xs": {"x": 0, "y": 9 - y}}
        state.contents.add_tile(number, text=state.contents.add_text("owner", f"text {y}"), layouts=layouts)
    return number


def texts(events: list[Any]) -> list[Any]:
    """The texts of a stream's tiles, in order; None for a failed tile."""
    found: list[Any] = []
    for event in events:
        if isinstance(event, Metadata):
            found += [tile.text["body"] for tile in event.dashboard.tiles or () if tile.text]
        elif isinstance(event, TileArrived):
            assert (event.order, event.tile.text is None) == (len(found), False)
            found.append((event.tile.text or {})["body"])
        else:
            assert isinstance(event, TileFailed)
            found.append(None)
    return found


@BOTH
@pytest.mark.parametrize(("size", "order"), [("sm", [0, 1, 2, 3]), ("xs", [3, 2, 1, 0])])
async def test_a_stream_holds_every_tile_in_order(board: int, size: str, order: list[int], asynchronous: bool) -> None:
    events = await ask("stream_tiles", board, asynchronous=asynchronous, layout_size=size)
    assert texts(events) == [f"text {number}" for number in order]
    assert len(events[0].dashboard.tiles) == 2


@BOTH
async def test_a_failed_tile_does_not_end_the_stream(posthog: Emulator, board: int, asynchronous: bool) -> None:
    posthog.control.set_faults([Fault(kind="stream_tile_error")])
    events = await ask("stream_tiles", board, asynchronous=asynchronous)
    assert [type(event) for event in events] == [Metadata, TileFailed, TileArrived]
    assert events[1].message == "The tile could not be calculated."


@BOTH
@pytest.mark.parametrize(
    ("kind", "error", "seen"),
    [("stream_cut", StreamCutError, 2), ("stream_error", StreamFailedError, 4)],
)
async def test_a_stream_that_fails_raises_after_the_events_that_arrived(
    posthog: Emulator, board: int, kind: Any, error: type[ApiError], seen: int, asynchronous: bool
) -> None:
    posthog.control.set_faults([Fault(kind=kind)])
    events: list[Any] = []

    async def collect() -> None:
        hook = PostHogHook()
        if not asynchronous:
            events.extend(hook.stream_tiles(board))
            return
        async with hook:
            async for event in hook.astream_tiles(board):
                events.append(event)  # noqa: PERF401  # events before the error must be kept

    with pytest.raises(error, match=rf"stream tiles \(dashboard '{board}'\) failed"):
        await collect()
    assert len(texts(events)) == seen


@BOTH
async def test_a_stream_may_be_closed_early(board: int, asynchronous: bool) -> None:
    hook = PostHogHook()
    if asynchronous:
        async with hook:
            stream = hook.astream_tiles(board)
            assert isinstance(await anext(stream), Metadata)
            await stream.aclose()
            assert (await hook.aretrieve_dashboard(board)).id == board
    else:
        events = hook.stream_tiles(board)
        assert isinstance(next(events), Metadata)
        events.close()
        assert hook.retrieve_dashboard(board).id == board


@BOTH
async def test_an_empty_dashboard_can_be_streamed(posthog: Emulator, board: int, asynchronous: bool) -> None:
    [event] = await ask("stream_tiles", posthog.posthog.add_dashboard(name="empty"), asynchronous=asynchronous)
    assert event.dashboard.tiles == []


@BOTH
async def test_an_error_of_a_stream_is_readable(posthog: Emulator, board: int, asynchronous: bool) -> None:
    with pytest.raises(NotFoundError, match=r"stream tiles \(dashboard '99999'\) failed \[HTTP 404, not_found\]: Not"):
        await ask("stream_tiles", 99999, asynchronous=asynchronous)
    assert len(sent(posthog)) == 1
