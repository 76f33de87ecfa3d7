"""Faults on demand, limits, and the log of requests.

``FaultMiddleware`` sees each request before the API's route does. Only requests to an API are delayed, limited, broken
and logged: the page, the control endpoints and public pages are not. A fault may come before the request acts, or after
it has acted but before the client has the whole answer. The log has no header, no body and no token.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Literal

from pydantic import BaseModel, Field, field_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_databrain.emulator.dialects import Dialect
from airflow_provider_databrain.emulator.pattern import PathPattern
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

PostHogVersion = Literal["2025-08", "2026-01", "2026-07"]
"""The age of an emulated PostHog.

- ``2025-08``: the server of August 2025, as recorded. It has no sharing passwords and no ``stream_tiles``.
- ``2026-01``: that server with its later methods, as recorded.
- ``2026-07``: as read in later source. It was not run.
"""
STREAM_FAULT = "emulator.fault"
"""The key in a request's scope that holds the kind of the fault, for an event stream to show."""


class Fault(BaseModel):
    """One rule. The first rule that matches a request and is due decides.

    - ``error_before`` / ``error_after``: answers 500 without acting, or after acting.
    - ``reset_before`` / ``reset_after``: resets the connection without acting, or after acting.
    - ``too_many``: answers 429 with ``Retry-After``, without acting.
    - ``html``, ``cut``, ``wrong``: acts, then answers 200 with HTML, with cut JSON, or with JSON of another shape.
    - ``slow``: acts, then answers after ``seconds``.
    - ``reset_midway``: acts, sends the first part of the answer, then resets the connection.
    - ``stream_cut``, ``stream_error``, ``stream_tile_error``: an event stream ends after its first event, ends with an
      error, or has an error instead of a tile and continues. Other answers do not change.

    An error has the shape of the API that was called. PostHog's ``Retry-After``, for example, is in whole seconds.

    :param every: 1 means each matching request; 7 means the 7th, the 14th and so on.
    :param times: maximum number of faults; None means no limit.
    :param method: only requests with this HTTP method; None means all.
    :param path: a pattern (see ``pattern.PathPattern``); only requests whose path contains a match.
    :param seconds: the delay of ``slow``, and the ``Retry-After`` of ``too_many``.
    """

    kind: Kind
    every: int = Field(default=1, ge=1)
    times: int | None = None
    method: str | None = None
    path: str = ""
    seconds: float = 1.0

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        PathPattern(path)
        return path


class Behaviour(BaseModel):
    """How the server behaves, apart from faults.

    :param latency: seconds before each answer.
    :param rate_limit: maximum number of API requests in a window; 0 means no limit.
    :param window_seconds: length of that window.
    :param known_clients: Databrain accepts only these client ids and "None"; None accepts all.
    :param older_import_answer: Databrain answers each import with ``{"data": []}``, with or without a new dashboard.
    :param refuses_credentials: Databrain refuses each datasource's credentials, and its message repeats them.
    :param ignores_client_filter: Databrain's embed list ignores ``clientId`` and returns all clients' embeds.
    :param ignores_paging: Databrain's lists return all rows at once.
    :param max_id_length: maximum length of an id in Databrain. The real limit is not documented; this is our choice.
    :param embed_list_limit: Databrain's embed list without paging has at most this many rows; 0 means no limit.
    :param shuffles_embeds: each answer of Databrain's embed list has another order.
    :param late_embeds: a new embed is missing in as many answers of Databrain's embed list.
    :param older_embed_list: Databrain's embed list has neither the embeds' names nor the ids of what they show.
    :param own_embed_ids: the embed of a client's dashboard gets an id of its own, not the dashboard's.
    :param normalises_ids: Databrain trims the ids of new dashboards and makes them lower-case.
    :param frees_ids: Databrain's dashboard ids are free again as soon as no embed shows the dashboard.
    :param missing_embed_code: Databrain's code if the embed to change does not exist.
    :param partial_clients: for these client ids, Databrain creates the dashboard and then fails, without the embed.
    :param create_error_status: the status of ``DASHBOARD_CREATE_ERROR``. The reference has both.
    :param race_seconds: how long a create waits for another one with the same id. Then both find the id free, and the
        first one of them is answered with ``DASHBOARD_CREATE_ERROR``.
    :param template_replaces_metadata: a dashboard that is made from a template gets the template's metadata.
    :param errors_with_200: each refusal of Databrain has status 200, and only its body has the error.
    :param read_only: each change is refused with 403, before the token is checked.
    :param advanced_permissions: PostHog's organization has restricted dashboards and sharing passwords.
    :param tagging: PostHog's organization has tags. If it does not, tags in a request are ignored.
    :param insight_variables: the code names of the variables that PostHog's project has. An answer's ``variables`` has
        only those, and one that is not an object is a server error. None means all.
    :param posthog_version: the age of PostHog's server; see ``PostHogVersion``.
    :param seed: the start of the random numbers that decide PostHog's races. The same requests in the same order have
        the same answers.
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
    embed_list_limit: int = 0
    shuffles_embeds: bool = False
    late_embeds: int = 0
    older_embed_list: bool = False
    own_embed_ids: bool = False
    normalises_ids: bool = False
    frees_ids: bool = False
    missing_embed_code: str = "INVALID_EMBED_ID"
    partial_clients: list[str] = Field(default_factory=list)
    create_error_status: Literal[400, 500] = 500
    race_seconds: float = 0.0
    template_replaces_metadata: bool = False
    errors_with_200: bool = False
    read_only: bool = False
    advanced_permissions: bool = True
    tagging: bool = True
    insight_variables: list[str] | None = None
    posthog_version: PostHogVersion = "2026-01"
    seed: int = 0


@dataclass(frozen=True)
class Logged:
    """One request in the log. ``status`` is None if no answer was sent."""

    at: str
    method: str
    path: str
    status: int | None
    fault: str | None
    milliseconds: float


@dataclass
class Control:
    """The settings and the log of a running emulator. A person or a test sets and reads them."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: list[Fault] = field(default_factory=list)
    arrived: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of API requests by method and path (without the query). A request counts as soon as it arrives."""
    log: deque[Logged] = field(default_factory=lambda: deque(maxlen=100_000))
    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)
    randoms: dict[tuple[str, int], Random] = field(default_factory=dict)
    _patterns: list[PathPattern] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _done: dict[int, int] = field(default_factory=dict)
    _window: tuple[float, int] = (0.0, 0)

    def set_faults(self, faults: list[Fault]) -> None:
        """Replace all rules. Counting starts again."""
        self.faults = faults
        self._patterns = [PathPattern(fault.path) for fault in faults]
        self._seen = {}
        self._done = {}

    def random(self, name: str) -> Random:
        """Return the random numbers of this name. They start at ``Behaviour.seed``, and again when it changes."""
        seed = self.behaviour.seed
        return self.randoms.setdefault((name, seed), Random(f"{name} {seed}"))

    def fault_for(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request, or None. Each matching rule counts the request."""
        chosen: Fault | None = None
        for index, (fault, pattern) in enumerate(zip(self.faults, self._patterns, strict=True)):
            if (fault.method and fault.method != method) or not pattern.is_in(path):
                continue
            seen = self._seen[index] = self._seen.get(index, 0) + 1
            done = self._done.get(index, 0)
            if chosen is None and seen % fault.every == 0 and (fault.times is None or done < fault.times):
                self._done[index] = done + 1
                chosen = fault
        return chosen

    def seconds_over_limit(self) -> float:
        """Count a request. If it exceeds the rate limit, return the seconds until the window ends, else 0."""
        if not self.behaviour.rate_limit:
            return 0.0
        now = time.monotonic()
        start, count = self._window
        if now - start >= self.behaviour.window_seconds:
            start, count = now, 0
        self._window = (start, count + 1)
        return start + self.behaviour.window_seconds - now if count >= self.behaviour.rate_limit else 0.0


class FaultMiddleware:
    """Applies latency, rate limit and faults to API requests, and logs them.

    :param dialect_of: returns the dialect of the API at a path, or None if no API is there.
    """

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

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fault = self._control.fault_for(scope["method"], scope["path"])
        if wait := self._control.seconds_over_limit():
            await dialect.too_many(wait)(scope, receive, note_status)
        else:
            if self._control.behaviour.latency:
                await _sleep(self._control.behaviour.latency)
            await self._answer(fault, dialect, scope, receive, note_status)
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
            sender = (
                _Delayed(send, fault.seconds) if fault.kind == "slow" else _Broken(send, lambda: self._reset(scope))
            )
            await self._act(dialect, scope, receive, sender)
            return
        if fault.kind not in ("error_before", "reset_before"):
            await self._act(dialect, scope, receive, _discard)
        if fault.kind in ("reset_before", "reset_after"):
            self._reset(scope)
        else:
            await dialect.broken_answer(fault.kind)(scope, receive, send)

    async def _act(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        if self._control.behaviour.read_only:
            scope = {**scope, READ_ONLY: dialect.read_only()}
        await self._app(scope, receive, send)

    def _reset(self, scope: Scope) -> None:
        transport = self._control.transports[tuple(scope["client"])]
        connection = transport.get_extra_info("socket")
        # With a linger time of 0 seconds, closing the socket resets the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class _Delayed:
    """Sends an answer after a delay."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            await _sleep(self._seconds)
        await self._send(message)


class _Broken:
    """Sends the first half of the answer's first part, then breaks the connection."""

    def __init__(self, send: Send, breaks: Callable[[], None]) -> None:
        self._send = send
        self._breaks = breaks
        self._broken = False

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer, or nothing once the connection is broken."""
        if self._broken:
            return
        if message["type"] == "http.response.start":
            await self._send(message)
            return
        self._broken = True
        body = message.get("body", b"")
        await self._send({**message, "body": body[: len(body) // 2], "more_body": True})
        # Wait until the client has received it: a reset discards data that is still on the way.
        await asyncio.sleep(0.01)
        self._breaks()


async def _sleep(seconds: float) -> None:
    """Sleep for at least ``seconds``. An event loop's timer may fire early."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - it waits for time, not for an event
        await asyncio.sleep(left)


async def _discard(message: Message) -> None:
    """Discard a message of an answer."""
