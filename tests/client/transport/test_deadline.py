"""A server that sends a byte now and then: the try ends at its deadline, wherever the server drips."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client import server as server_module
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ServerError, TransportError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.sync import SyncTransport
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from tests.client.conftest import Run
from tests.client.transport.servers import CREATED, server_at
from tests.support import embed, read_request

CREATE = create_dashboard_embed(embed())
SECONDS = 0.5
MUCH_LATER = 20.0
"""A server drips longer than this. A try that ends before has met its deadline."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
Serve = Callable[[socket.socket], None]


@contextmanager
def dripping(serve: Serve) -> Iterator[str]:
    """A server that runs ``serve`` for each connection, in a thread of its own; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def work(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=work, args=(connection,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in threads:
            thread.join()


def drip(connection: socket.socket, first: bytes, forever: bytes) -> None:
    """Send bytes one by one: ``first`` at once, then ``forever`` again and again."""
    connection.sendall(first)
    end = time.monotonic() + 2 * MUCH_LATER
    while time.monotonic() < end:
        for byte in forever:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)


def after_request(first: bytes, forever: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        drip(connection, first, forever)

    return serve


def slow_reader(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    end = time.monotonic() + 2 * MUCH_LATER
    while time.monotonic() < end and connection.recv(512):
        time.sleep(0.05)


WAYS: dict[str, Serve] = {
    "status line": after_request(b"HTTP/1.1 200 ", b"x"),
    "before the status line": after_request(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": after_request(HEAD + b"X: ", b"x"),
    "headers": after_request(HEAD, b"X-A: b\r\n"),
    "body": after_request(HEAD + b"Content-Length: 9000\r\n\r\n", b" "),
    "body until the end": after_request(HEAD + b"Connection: close\r\n\r\n" + CREATED, b" "),
    "chunks": after_request(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk size": after_request(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
}


def assert_stops(run: Run, server: Server, call: Request[Any] = CREATE) -> TransportError:
    """Run a call, which must end at its deadline."""
    started = time.monotonic()
    with pytest.raises(TransportError, match=r"0\.5 s.*'max_call_seconds' in the connection") as caught:
        run(server, call)
    assert time.monotonic() - started < MUCH_LATER
    assert (caught.value.transient, caught.value.ambiguous) == (True, True)
    return caught.value


def limited(url: str, **changes: Any) -> Server:
    return replace(server_at(url, max_retry_seconds=0), max_call_seconds=SECONDS, **changes)


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_drips_ends_at_the_deadline(run: Run, way: str) -> None:
    with dripping(WAYS[way]) as address:
        assert_stops(run, limited(f"http://{address}"))


def test_a_handshake_that_drips_ends_at_the_deadline(run: Run) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(9999)
        drip(connection, b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", b"\x03")

    with dripping(serve) as address:
        started = time.monotonic()
        with pytest.raises(TransportError):
            run(limited(f"https://{address}"), CREATE)
        assert time.monotonic() - started < MUCH_LATER


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_drips_ends_at_the_deadline(run: Run, scheme: str) -> None:
    with dripping(after_request(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")) as address:
        assert_stops(run, limited(f"{scheme}://databrain.example", proxy=f"http://{address}"))


def test_a_server_that_reads_slowly_ends_at_the_deadline(run: Run) -> None:
    with dripping(slow_reader) as address:
        assert_stops(run, limited(f"http://{address}"), replace(CREATE, body=b" " * 30_000_000))


def test_a_connection_that_is_used_again_has_a_deadline(run: Run) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + f"Content-Length: {len(CREATED)}\r\n\r\n".encode() + CREATED)
        after_request(HEAD + b"X: ", b"x")(connection)

    with dripping(serve) as address:
        started = time.monotonic()
        with pytest.raises(TransportError, match="max_call_seconds"):
            run(limited(f"http://{address}"), CREATE, CREATE)
        assert time.monotonic() - started < MUCH_LATER


def test_the_status_of_an_error_counts_although_its_body_drips(run: Run) -> None:
    head = b"HTTP/1.1 500 X\r\nContent-Length: 9000\r\n\r\n"
    with dripping(after_request(head, b" ")) as address, pytest.raises(ServerError, match="max_call_seconds"):
        run(limited(f"http://{address}"), CREATE)


def test_a_try_after_the_deadline_succeeds(run: Run, fast_retries: None) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        if len(seen) == 1:
            drip(connection, HEAD + b"X: ", b"x")
        connection.sendall(HEAD + f"Content-Length: {len(CREATED)}\r\n\r\n".encode() + CREATED)

    with dripping(serve) as address:
        server = replace(limited(f"http://{address}"), max_retry_seconds=60.0)
        assert run(server, CREATE).id == "client-acme"
    assert len(seen) == 2


@pytest.mark.parametrize("transport", ["sync", "async"])
def test_an_event_stream_has_a_longer_deadline_of_its_own(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limited("http://x").max_stream_seconds == server_module.STREAM_SECONDS
    monkeypatch.setattr(server_module, "STREAM_SECONDS", 2.0)
    started = time.monotonic()

    async def read_async(server: Server) -> None:
        async with AsyncTransport(server) as opened:
            async for _ in opened.stream(CREATE):
                pass

    def read(server: Server) -> None:
        if transport == "async":
            asyncio.run(read_async(server))
            return
        with SyncTransport(server) as opened:
            list(opened.stream(CREATE))

    with dripping(after_request(EVENTS, b": x\n\n")) as address, pytest.raises(TransportError, match=r"within 2 s"):
        read(limited(f"http://{address}"))
    assert 2 * SECONDS < time.monotonic() - started < MUCH_LATER
