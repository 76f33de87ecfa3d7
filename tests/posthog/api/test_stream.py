"""A dashboard's stream of tiles: the events do not depend on the chunks, and each kind of end is detected."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AuthenticationError, MalformedAnswerError, TransportError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.sync import SyncTransport
from airflow_provider_databrain.posthog.api import stream as module
from airflow_provider_databrain.posthog.api.endpoint import API_KEY
from airflow_provider_databrain.posthog.api.stream import (
    Event,
    Metadata,
    StreamCutError,
    StreamFailedError,
    TileArrived,
    TileFailed,
    TileStream,
    stream_tiles,
)
from tests.support import http_answer, raw_server, silent_server

REQUEST = stream_tiles(4)
METADATA = {"type": "metadata", "dashboard": {"id": 4, "name": "é", "tiles": [{"id": 1}, {"id": 2}]}}
TILE = {"type": "tile", "order": 2, "tile": {"id": 3, "text": {"body": "a\r\nb"}}}
FAILED = {"type": "error", "tile_id": 5, "error": "too slow"}
COMPLETE = {"type": "complete"}
GAVE_UP = {"type": "error", "error": "A server error occurred."}


def frames(*payloads: Any, end: str = "\n") -> bytes:
    return "".join(f"data: {json.dumps(payload, ensure_ascii=False)}{end}{end}" for payload in payloads).encode()


def events_of(stream: TileStream, *chunks: bytes) -> list[Event]:
    return [event for chunk in chunks for event in stream.feed(chunk)]


def in_short(events: list[Event]) -> list[Any]:
    return [
        event.dashboard.id
        if isinstance(event, Metadata)
        else (event.order, event.tile.id)
        if isinstance(event, TileArrived)
        else (event.tile_id, event.message)
        for event in events
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_events_do_not_depend_on_how_the_bytes_are_split(end: str) -> None:
    whole = frames(METADATA, TILE, FAILED, COMPLETE, end=end)
    for cut in range(len(whole) + 1):
        stream = TileStream(REQUEST)
        assert in_short(events_of(stream, whole[:cut], whole[cut:])) == [4, (2, 3), (5, "too slow")], cut
        stream.close()
    stream = TileStream(REQUEST)
    assert in_short(events_of(stream, *(bytes([byte]) for byte in whole))) == [4, (2, 3), (5, "too slow")]
    stream.close()


def test_an_event_holds_what_posthog_sent() -> None:
    first, second, third = events_of(TileStream(REQUEST), frames(METADATA, TILE, FAILED))
    assert isinstance(first, Metadata)
    assert (first.dashboard.name, [tile.id for tile in first.dashboard.tiles or ()]) == ("é", [1, 2])
    assert isinstance(second, TileArrived)
    assert second.tile.text == {"body": "a\r\nb"}
    assert third == TileFailed(5, "too slow")


@pytest.mark.parametrize("one_piece", [True, False])
def test_events_before_posthogs_error_are_returned_first(one_piece: bool) -> None:
    whole = frames(METADATA, TILE, GAVE_UP)
    chunks = [whole] if one_piece else [bytes([byte]) for byte in whole]
    stream, events = TileStream(REQUEST), list[Event]()
    with pytest.raises(StreamFailedError, match="A server error occurred") as caught:
        events.extend(event for chunk in chunks for event in stream.feed(chunk))
    assert in_short(events) == [4, (2, 3)]
    assert str(caught.value) == "stream tiles (dashboard '4') failed: A server error occurred."
    assert (caught.value.transient, caught.value.ambiguous) == (True, False)


@pytest.mark.parametrize(
    "whole",
    [b"", frames(METADATA), frames(METADATA, TILE), frames(METADATA, FAILED), frames(METADATA, COMPLETE)[:-1]],
    ids=["nothing", "metadata only", "no end", "a tile's error is no end", "a cut end"],
)
def test_a_stream_without_the_complete_event_was_cut(whole: bytes) -> None:
    stream = TileStream(REQUEST)
    events_of(stream, whole)
    assert not stream.complete
    with pytest.raises(StreamCutError, match=r"stream tiles \(dashboard '4'\) failed: .*before it was complete"):
        stream.close()


def test_unknown_events_of_newer_servers_are_skipped() -> None:
    whole = b": hello\n\nevent: tick\nid: 7\nretry: 10\n\n" + frames(
        {"type": "progress", "n": 1}, {**TILE, "new": 1, "tile": {"id": 3, "widget": {}}}, COMPLETE
    )
    stream = TileStream(REQUEST)
    assert in_short(events_of(stream, whole)) == [(2, 3)]
    stream.close()


def test_data_on_several_lines_is_one_event() -> None:
    stream = TileStream(REQUEST)
    assert events_of(stream, b'data: {"type":\ndata:"complete"}\n\n') == []
    assert stream.complete


@pytest.mark.parametrize(
    "frame",
    [
        b"data: {\n\n",
        b"data: \xff\n\n",
        b"data: []\n\n",
        b"data: 7\n\n",
        b'data: "type"\n\n',
        b"data: {}\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        frames({"type": "metadata"}),
        frames({"type": "metadata", "dashboard": {"name": "no id"}}),
        frames({"type": "metadata", "dashboard": None}),
        frames({"type": "tile", "order": "first", "tile": {"id": 3}}),
        frames({"type": "tile", "order": 2}),
        frames({"type": "tile", "order": None, "tile": {"id": 3}}),
        frames({"type": "error", "tile_id": "x", "error": "?"}),
    ],
)
def test_an_event_with_an_unknown_shape_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match=r"^stream tiles \(dashboard '4'\) failed: "):
        events_of(TileStream(REQUEST), frame)


def test_an_event_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    stream = TileStream(REQUEST)
    assert events_of(stream, b"data: " + b"x" * 90) == []
    with pytest.raises(MalformedAnswerError, match="too large") as caught:
        events_of(stream, b"x" * 10)
    assert not caught.value.transient


def server(url: str, **changes: Any) -> Server:
    return Server(url, {API_KEY: "k"}, parameters={"project_id": "1"}, max_retry_seconds=0, **changes)


async def chunks_of(url: str, *, asynchronous: bool, **changes: Any) -> bytes:
    """The body of a stream, read with one of the transports."""
    if not asynchronous:
        with SyncTransport(server(url, **changes)) as transport:
            return b"".join(transport.stream(REQUEST))
    async with AsyncTransport(server(url, **changes)) as atransport:
        return b"".join([chunk async for chunk in atransport.stream(REQUEST)])


BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


@BOTH
async def test_json_comes_first_in_the_accept_header(asynchronous: bool) -> None:
    with raw_server(http_answer(200, frames(COMPLETE), "text/event-stream")) as (url, met):
        assert await chunks_of(url, asynchronous=asynchronous) == frames(COMPLETE)
    assert met[0].startswith(b"GET /api/projects/1/dashboards/4/stream_tiles/?layoutSize=sm HTTP/1.1\r\n")
    assert b"Accept: application/json, text/event-stream\r\n" in met[0]


@BOTH
async def test_a_connection_that_breaks_during_the_stream_is_a_network_error(asynchronous: bool) -> None:
    piece = frames(METADATA)
    with (
        raw_server(HEAD + f"{len(piece):x}\r\n".encode() + piece + b"\r\n40\r\ndata") as (url, _),
        pytest.raises(TransportError, match=r"^stream tiles \(dashboard '4'\) failed: ") as caught,
    ):
        await chunks_of(url, asynchronous=asynchronous)
    assert caught.value.transient


@BOTH
async def test_a_compressed_stream_is_read_and_a_cut_one_is_an_error(asynchronous: bool) -> None:
    body = gzip.compress(frames(METADATA, COMPLETE))
    whole, cut = (http_answer(200, data, "text/event-stream", Content_Encoding="gzip") for data in (body, body[:-4]))
    with raw_server(whole, cut) as (url, _):
        assert await chunks_of(url, asynchronous=asynchronous) == frames(METADATA, COMPLETE)
        with pytest.raises(TransportError, match=r"^stream tiles \(dashboard '4'\) failed: the gzip data .* is cut"):
            await chunks_of(url, asynchronous=asynchronous)


@BOTH
async def test_a_stream_in_an_encoding_that_was_not_asked_for_is_a_permanent_error(asynchronous: bool) -> None:
    answer = http_answer(200, b"anything", "text/event-stream", Content_Encoding="br")
    with raw_server(answer) as (url, _), pytest.raises(MalformedAnswerError, match="the encoding 'br'") as caught:
        await chunks_of(url, asynchronous=asynchronous)
    assert not caught.value.transient


@BOTH
async def test_a_stream_in_an_unknown_encoding_is_an_error_before_its_body_is_read(asynchronous: bool) -> None:
    unknown = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip, br\r\n\r\n")
    with silent_server(unknown + b"4\r\ndata\r\n") as url, pytest.raises(MalformedAnswerError) as caught:
        await chunks_of(url, asynchronous=asynchronous, read_timeout=20)
    assert re.match(r"stream tiles \(dashboard '4'\) failed.*the encoding 'gzip, br'", str(caught.value))
    assert (caught.value.status, caught.value.transient) == (200, False)


@BOTH
@pytest.mark.parametrize("encoding", ["none", "identity", "utf-8"])
async def test_a_stream_that_is_not_compressed_is_read(encoding: str, asynchronous: bool) -> None:
    answer = http_answer(200, frames(COMPLETE), "text/event-stream", Content_Encoding=encoding)
    with raw_server(answer) as (url, _):
        assert await chunks_of(url, asynchronous=asynchronous) == frames(COMPLETE)


@BOTH
async def test_a_stream_that_is_compressed_twice_is_read(asynchronous: bool) -> None:
    body = gzip.compress(zlib.compress(frames(METADATA, COMPLETE)))
    answer = http_answer(200, body, "text/event-stream", Content_Encoding="deflate")
    answer = answer.replace(b"Connection:", b"Content-Encoding: gzip\r\nConnection:")
    with raw_server(answer) as (url, _):
        assert await chunks_of(url, asynchronous=asynchronous) == frames(METADATA, COMPLETE)


@BOTH
async def test_an_error_instead_of_a_stream_keeps_its_status_with_any_body(asynchronous: bool) -> None:
    answer = http_answer(401, b"not gzip", "text/event-stream", Content_Encoding="gzip")
    with (
        raw_server(answer) as (url, _),
        pytest.raises(AuthenticationError, match=r"HTTP 401.*the gzip data of the answer is bro"),
    ):
        await chunks_of(url, asynchronous=asynchronous)


@BOTH
@pytest.mark.parametrize(
    ("answer", "error", "shown"),
    [
        (http_answer(200, b'{"id": 4}'), MalformedAnswerError, "the answer is not an event stream"),
        (http_answer(200, b"<html>", "text/html"), MalformedAnswerError, "not JSON"),
        (http_answer(401, b"typecodedetailattr", "text/event-stream"), AuthenticationError, "not JSON"),
    ],
)
async def test_an_answer_that_is_not_a_stream_is_an_error(
    answer: bytes, error: type[Exception], shown: str, asynchronous: bool
) -> None:
    with raw_server(answer) as (url, _), pytest.raises(error, match=shown):
        await chunks_of(url, asynchronous=asynchronous)


@BOTH
async def test_only_the_beginning_of_a_stream_is_tried_again(fast_retries: None, asynchronous: bool) -> None:
    busy = http_answer(429, b"{}", Retry_After="0")
    with raw_server(busy, http_answer(200, b"data", "text/event-stream")) as (url, met):
        if asynchronous:
            async with AsyncTransport(Server(url, {API_KEY: "k"}, parameters={"project_id": "1"})) as atransport:
                assert [chunk async for chunk in atransport.stream(REQUEST)] == [b"data"]
        else:
            with SyncTransport(Server(url, {API_KEY: "k"}, parameters={"project_id": "1"})) as transport:
                assert list(transport.stream(REQUEST)) == [b"data"]
    assert len(met) == 2
