"""What the emulator refuses before anything else sees a request: other hosts' names, and bodies that are too large.

A page in a browser may resolve its own name to 127.0.0.1 (DNS rebinding) and read the emulator's answers. Its requests
have that name in ``Host``. So only names of this machine are answered, and the names that the user gave.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_databrain.portable import Portable

MAX_BODY_MIB = 16
"""The largest body of a request, in MiB."""
_CLOSE = {"Connection": "close"}


class TooLargeError(Portable, Exception):
    """The body of a request is too large."""


class GuardMiddleware:
    """Answers 421 to requests for another host, and 413 to requests whose body is too large.

    :param hosts: names and addresses that are answered besides loopback ones.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().strip("[]").rstrip(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or not self._is_ours(host_of(named[0].decode("latin-1"))):
            refusal = "The emulator does not answer to this host. Add it with --allow-host.\n"
            await PlainTextResponse(refusal, 421, headers=_CLOSE)(scope, receive, send)
            return
        await _Limited(scope, receive, send).run(self._app)

    def _is_ours(self, host: str) -> bool:
        if host == "localhost" or host in self._hosts:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class _Limited:
    """One request whose body is counted while it is read."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._left = MAX_BODY_MIB * 1024 * 1024
        self._refused = False
        self._started = False

    async def run(self, app: ASGIApp) -> None:
        lengths = [value for name, value in self._scope["headers"] if name == b"content-length"]
        if any(not length.isdigit() or int(length[:20]) > self._left for length in lengths):
            await self._refuse()
            return
        try:
            await app(self._scope, self._read, self._answer)
        except TooLargeError:
            await self._refuse()

    async def _read(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self._refused = True
            raise TooLargeError
        return message

    async def _answer(self, message: Message) -> None:
        # What the application makes of the error is not sent.
        if not self._refused:
            self._started = True
            await self._send(message)
        elif not self._started:
            await self._refuse()

    async def _refuse(self) -> None:
        self._refused = True
        if not self._started:
            self._started = True
            text = f"The body of a request has at most {MAX_BODY_MIB} MiB.\n"
            await PlainTextResponse(text, 413, headers=_CLOSE)(self._scope, self._receive, self._send)


def host_of(header: str) -> str:
    """The name or address in a ``Host`` header, without the port."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, colon, port = text.rpartition(":")
    return (name if colon and (port.isdigit() or not port) else text).rstrip(".")
