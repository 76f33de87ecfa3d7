"""Faults on demand: what goes wrong between a client and a server, on every n-th matching request."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_databrain.emulator.dialects import Dialect
from airflow_provider_databrain.emulator.routes import READ_ONLY

Kind = Literal[
    "error_before",
    "error_after",
    "reset_before",
    "reset_midway",
    "reset_after",
    "too_many",
    "html",
    "cut",
    "wrong",
    "slow",
    "stream_cut",
    "stream_error",
    "stream_tile_error",
]

STREAM_FAULT = "emulator.fault"
"""Where a request's scope names the fault that its event stream is to show."""


class Fault(BaseModel):
    """One rule. The first rule that matches a request, and whose turn it is, decides.

    - ``error_before`` / ``error_after``: answers 500 without or after acting.
    - ``reset_before`` / ``reset_after``: resets the connection without or after acting.
    - ``too_many``: 429 with ``Retry-After``.
    - ``html``, ``cut``, ``wrong``: acts, then answers 200 with HTML, with cut JSON, with JSON of another shape.
    - ``slow``: acts, then answers after ``seconds``.
    - ``reset_midway``: acts, sends the first part of the answer, then resets the connection.
    - ``stream_cut``, ``stream_error``, ``stream_tile_error``: an event stream ends after its first event, ends with an
      error, or has an error in place of a tile and goes on. Other answers are as ever.

    An error speaks the dialect of the API that was asked, so that PostHog's ``Retry-After`` is rounded up to seconds.

    :param every: 1 for each matching request, 7 for the 7th, 14th and so on.
    :param times: ends after so many faults; None for never.
    :param path: regular expression that the path must contain.
    :param seconds: the delay of ``slow``, and the ``Retry-After`` of ``too_many``.
    """

    kind: Kind
    every: int = Field(default=1, ge=1)
    times: int | None = None
    method: str | None = None
    path: str = ""
    seconds: float = 1.0


class Behaviour(BaseModel):
    """How the server behaves apart from faults.

    :param latency: seconds before each answer.
    :param rate_limit: API requests in a window; 0 for no limit.
    :param window_seconds: length of that window.
    :param known_clients: client ids that are accepted, beside "None"; None accepts all.
    :param older_import_answer: an import is answered with ``{"data": []}``, whether it made a dashboard or not.
    :param refuses_credentials: no datasource's credentials open its database; the refusal repeats them.
    :param ignores_client_filter: the embed list answers everyone's embeds whatever ``clientId`` asks for.
    :param ignores_paging: lists answer everything at once.
    :param max_id_length: longest id accepted. The real limit is not documented; this one is ours.
    :param read_only: refuses with 403 whatever would change something, before it looks at the token.
    :param advanced_permissions: PostHog's organization has restricted dashboards and sharing passwords.
    :param tagging: PostHog's organization has tags; without, those that are sent are ignored.
    :param new_move_tile: PostHog's ``move_tile`` is the newest: keys with scopes may use it, and it checks its body.
    """

    latency: float = 0.0
    rate_limit: int = 0
    window_seconds: float = 1.0
    known_clients: list[str] | None = None
    older_import_answer: bool = False
    refuses_credentials: bool = False
    ignores_client_filter: bool = False
    ignores_paging: bool = False
    max_id_length: int = 255
    read_only: bool = False
    advanced_permissions: bool = True
    tagging: bool = True
    new_move_tile: bool = False


@dataclass(frozen=True)
class Logged:
    """One request, as the log keeps it. No header, no body, no token."""

    at: str
    method: str
    path: str
    status: int | None
    fault: str | None
    milliseconds: float


@dataclass
class Control:
    """What a person or a test sets and reads."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: list[Fault] = field(default_factory=list)
    arrived: Counter[tuple[str, str]] = field(default_factory=Counter)
    """API requests by method and path, without the query. Counted on arrival: complete before the answer is."""
    log: deque[Logged] = field(default_factory=lambda: deque(maxlen=100_000))
    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)
    _done: dict[int, int] = field(default_factory=dict)
    _window: tuple[float, int] = (0.0, 0)

    def set_faults(self, faults: list[Fault]) -> None:
        """Replace all rules and start counting anew."""
        self.faults = faults
        self._seen = {}
        self._done = {}

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault of this request, if any. Every matching rule counts the request."""
        chosen: Fault | None = None
        for index, fault in enumerate(self.faults):
            if (fault.method and fault.method != method) or not re.search(fault.path, path):
                continue
            seen = self._seen[index] = self._seen.get(index, 0) + 1
            done = self._done.get(index, 0)
            if chosen is None and seen % fault.every == 0 and (fault.times is None or done < fault.times):
                self._done[index] = done + 1
                chosen = fault
        return chosen

    def seconds_over_limit(self) -> float:
        """Count a request against the rate limit; seconds until the window ends where it is exceeded, else 0."""
        if not self.behaviour.rate_limit:
            return 0.0
        now = time.monotonic()
        start, count = self._window
        if now - start >= self.behaviour.window_seconds:
            start, count = now, 0
        self._window = (start, count + 1)
        return start + self.behaviour.window_seconds - now if count >= self.behaviour.rate_limit else 0.0


class FaultMiddleware:
    """Applies latency, rate limit and faults to the API's requests, and logs them."""

    def __init__(self, app: ASGIApp, control: Control, dialect_of: Callable[[str], Dialect | None]) -> None:
        self._app = app
        self._control = control
        self._dialect_of = dialect_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        dialect = self._dialect_of(scope["path"]) if scope["type"] == "http" else None
        if dialect is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        self._control.arrived[scope["method"], scope["path"]] += 1
        status: int | None = None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fault = self._control.fault_for(scope["method"], scope["path"])
        if wait := self._control.seconds_over_limit():
            await dialect.too_many(wait)(scope, receive, noting)
        else:
            if self._control.behaviour.latency:
                await _hold(self._control.behaviour.latency)
            await self._answer(fault, dialect, scope, receive, noting)
        self._control.log.append(
            Logged(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                method=scope["method"],
                path=scope["path"],
                status=status,
                fault=fault.kind if fault else None,
                milliseconds=round((time.perf_counter() - started) * 1000, 2),
            )
        )

    async def _answer(self, fault: Fault | None, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is None or fault.kind.startswith("stream_"):
            await self._act(dialect, {**scope, STREAM_FAULT: fault and fault.kind}, receive, send)
            return
        if fault.kind == "too_many":
            await dialect.too_many(fault.seconds)(scope, receive, send)
            return
        if fault.kind in ("slow", "reset_midway"):
            changed = _Held(send, fault.seconds) if fault.kind == "slow" else _Broken(send, lambda: self._reset(scope))
            await self._act(dialect, scope, receive, changed)
            return
        if fault.kind not in ("error_before", "reset_before"):
            await self._act(dialect, scope, receive, _swallow)
        if fault.kind in ("reset_before", "reset_after"):
            self._reset(scope)
        else:
            await dialect.spoiled(fault.kind)(scope, receive, send)

    async def _act(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        if self._control.behaviour.read_only:
            scope = {**scope, READ_ONLY: dialect.read_only()}
        await self._app(scope, receive, send)

    def _reset(self, scope: Scope) -> None:
        transport = self._control.transports[tuple(scope["client"])]
        connection = transport.get_extra_info("socket")
        # Lingering for 0 seconds makes the close a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class _Held:
    """Passes messages on after a delay."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            await _hold(self._seconds)
        await self._send(message)


class _Broken:
    """Passes the first half of the first part of an answer on, then breaks the connection."""

    def __init__(self, send: Send, breaks: Callable[[], None]) -> None:
        self._send = send
        self._breaks = breaks
        self._broken = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on, or none any more."""
        if self._broken:
            return
        if message["type"] == "http.response.start":
            await self._send(message)
            return
        self._broken = True
        body = message.get("body", b"")
        await self._send({**message, "body": body[: len(body) // 2], "more_body": True})
        # A moment for the network: what a reset overtakes is never read.
        await asyncio.sleep(0.01)
        self._breaks()


async def _hold(seconds: float) -> None:
    """Sleep for that long and not a moment less; an event loop's timer may ring early."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - it is time that is waited for
        await asyncio.sleep(left)


async def _swallow(message: Message) -> None:
    """Take an answer and tell nobody."""
