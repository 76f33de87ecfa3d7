"""A server that answers like Databrain and does nothing else: ``python -m benchmarks.server --latency 0.02``.

It stores nothing and checks nothing, so that its own work is as small a part of a measurement as possible. The first
line of its output is its port. ``GET /_stats`` returns its calls by kind, and the CPU seconds that it has used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Literal, cast

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ID = re.compile(rb'"(?:dashboardId|embedId)": *"([^"]*)"')
KINDS = {
    b"POST /api/v2/data-app/dashboard-embeds": "create",
    b"PUT /api/v2/data-app/embeds/rename": "rename",
    b"PUT /api/v2/data-app/embeds": "update",
    b"GET /api/v2/data-app/embeds": "list",
}
RetryAfter = Literal["fractional", "whole"]


def answer(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    """Format an HTTP answer."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status, len(body), more, body,
    )  # fmt: skip


NOTHING = answer(b"200 OK", b'{"data": [], "error": null}')
UNKNOWN = answer(b"404 Not Found", b'{"error": {"code": "UNKNOWN_PATH", "message": "no such path here"}}')
TOO_MANY = b'{"error": {"code": "RATE_LIMIT", "message": "too many requests"}}'


class RateLimit:
    """Grants a number of calls in each second of the clock. The others are asked to wait for the next second.

    :param per_second: calls that are granted per second.
    :param retry_after: ``whole`` rounds the wait up to whole seconds, as some servers do.
    """

    def __init__(self, per_second: int, retry_after: RetryAfter) -> None:
        self._per_second = per_second
        self._whole = retry_after == "whole"
        self._window = 0
        self._granted = 0

    def refusal(self) -> bytes | None:
        """Count a call; None if it is granted, otherwise the answer that refuses it."""
        now = time.monotonic()
        window = int(now)
        if window != self._window:
            self._window, self._granted = window, 0
        if self._granted < self._per_second:
            self._granted += 1
            return None
        left = window + 1 - now
        seconds = str(math.ceil(left)) if self._whole else f"{left:.3f}"
        return answer(b"429 Too Many Requests", TOO_MANY, b"Retry-After: %b\r\n" % seconds.encode())


class Connection(asyncio.Protocol):
    """A connection of one client; it is kept alive."""

    def __init__(self, counts: Counter[str], latency: float, limit: RateLimit | None) -> None:
        self._counts = counts
        self._latency = latency
        self._limit = limit
        self._rest = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each complete request after the latency, in the order in which the requests came."""
        rest = self._rest + data if self._rest else data
        while (end := rest.find(b"\r\n\r\n") + 4) > 3:
            length = LENGTH.search(rest, 0, end)
            whole = end + int(length[1]) if length else end
            if len(rest) < whole:
                break
            self._take(rest[: rest.index(b" HTTP/")].partition(b"?")[0], rest[end:whole])
            rest = rest[whole:]
        self._rest = rest

    def _take(self, line: bytes, body: bytes) -> None:
        kind = KINDS.get(line)
        if kind is None:
            self._transport.write(self._stats() if line == b"GET /_stats" else UNKNOWN)
            return
        self._counts[kind] += 1
        reply = self._limit.refusal() if self._limit else None
        if reply is not None:
            self._counts["limited"] += 1
        elif match := ID.search(body):
            name = match[1]
            reply = answer(b"200 OK", b'{"id": "%b", "error": null, "name": "%b"}' % (name, name))
        else:
            reply = NOTHING
        if self._latency:
            self._loop.call_later(self._latency, self._transport.write, reply)
        else:
            self._transport.write(reply)

    def _stats(self) -> bytes:
        return answer(b"200 OK", json.dumps({**self._counts, "cpu": time.process_time()}).encode())


async def serve(latency: float, limit: RateLimit | None) -> None:
    """Answer requests until the process ends."""
    make = partial(Connection, Counter(), latency, limit)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    arguments = argparse.ArgumentParser(prog="benchmarks.server", description=__doc__)
    arguments.add_argument("--latency", type=float, default=0.0, help="seconds until each answer")
    arguments.add_argument("--per-second", type=int, help="calls that are granted per second; default: all")
    arguments.add_argument("--retry-after", choices=("fractional", "whole"), default="fractional")
    options = arguments.parse_args()
    limit = RateLimit(options.per_second, options.retry_after) if options.per_second else None
    with suppress(ImportError):
        import uvloop  # Airflow may install it.

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(options.latency, limit))


if __name__ == "__main__":
    main()
