"""What a server sends unasked never becomes the answer to the next call, which is for another tenant."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.sync import SyncTransport
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from tests.client.transport.servers import server_at
from tests.support import embed, read_request

FIRST, SECOND = (create_dashboard_embed(embed(tenant)) for tenant in ("first", "second"))
ARRIVES_SECONDS = 0.1
"""How long bytes on loopback may take. If they take longer, a test cannot fail."""


def answer(name: str, head: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
    body = b'{"id": "%s", "error": null}' % name.encode()
    return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(name: str) -> bytes:
    body = answer(name).partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


UNASKED = answer("unasked")
ANSWERS = {
    "a whole answer": (answer("first"), UNASKED),
    "after chunks": (chunked("first"), UNASKED),
    "an interim answer": (answer("first"), b"HTTP/1.1 103 Early Hints\r\n\r\n" + UNASKED),
    "a time-out": (answer("first"), b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    "the body of a 204": (b"HTTP/1.1 204 No Content\r\n\r\n", UNASKED),
    "the body of a 304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", UNASKED),
    "after an error": (answer("first", b"HTTP/1.1 400 Bad Request\r\n"), UNASKED),
    "a body beyond its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", UNASKED),
    "half before and half after": (answer("first") + UNASKED[:30], UNASKED[30:]),
    "a line end before it": (answer("first") + b"\r\n", UNASKED),
    "garbage": (answer("first"), b"\r\n\0garbage"),
}


@contextmanager
def talking_server(first: bytes, unasked: bytes) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A server that keeps connections open. It answers the first request with ``first``, each later one with "second".

    Yields its URL, the event at which it sends ``unasked`` after its first answer, and the event that it has done so.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    go, sent, served = threading.Event(), threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while read_request(connection):
                if served.is_set():
                    connection.sendall(answer("second"))
                    continue
                served.set()
                connection.sendall(first)
                go.wait(10)
                connection.sendall(unasked)
                sent.set()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", go, sent
    finally:
        listener.close()


@pytest.mark.parametrize("way", ["at once", "while the connection is idle"])
@pytest.mark.parametrize(("first", "unasked"), ANSWERS.values(), ids=list(ANSWERS))
def test_a_sync_call_gets_its_own_answer(first: bytes, unasked: bytes, way: str) -> None:
    with (
        talking_server(first, unasked) as (url, go, sent),
        SyncTransport(server_at(url, max_retry_seconds=0)) as transport,
    ):
        if way == "at once":
            go.set()
        with suppress(ApiError):
            assert transport.run(FIRST).id == "first"
        go.set()
        assert sent.wait(10)
        time.sleep(ARRIVES_SECONDS)
        assert transport.run(SECOND).id == "second"


@pytest.mark.parametrize("way", ["at once", "while the connection is idle"])
@pytest.mark.parametrize(("first", "unasked"), ANSWERS.values(), ids=list(ANSWERS))
async def test_an_async_call_gets_its_own_answer(first: bytes, unasked: bytes, way: str) -> None:
    with talking_server(first, unasked) as (url, go, sent):
        async with AsyncTransport(server_at(url, max_retry_seconds=0)) as transport:
            if way == "at once":
                go.set()
            with suppress(ApiError):
                assert (await transport.run(FIRST)).id == "first"
            go.set()
            assert await asyncio.to_thread(sent.wait, 10)
            await asyncio.sleep(ARRIVES_SECONDS)
            assert (await transport.run(SECOND)).id == "second"
