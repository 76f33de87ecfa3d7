"""Calls over aiohttp, for triggers and for batches.

- Any number of calls run at a time, on one event loop.
- Only this module imports aiohttp. What an answer means and what is sent again is decided in ``client``, as for
  ``sync``.
- Each try waits for its turn at the pace, if one is passed, and reports to it whether the server granted it.
- aiohttp adds nothing of its own: it reads no environment variable, follows no redirect, sends nothing twice, and
  decompresses nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from aiohttp.client_proto import ResponseHandler
from tenacity import AsyncRetrying
from yarl import URL

from airflow_provider_databrain.client.answer import annotate, interpret, is_event_stream, missing_stream
from airflow_provider_databrain.client.call import Call, Request, Steps
from airflow_provider_databrain.client.compression import Body, Decompressor
from airflow_provider_databrain.client.errors import (
    ApiError,
    RateLimitedError,
    TransportError,
    too_slow,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.retry import CallRetry
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.head import END, MAX_BYTES, plain, too_long
from airflow_provider_databrain.client.transport.pace import NOT_SENT, Pace, StoppedError
from airflow_provider_databrain.client.transport.tls import trust
from airflow_provider_databrain.client.waits import joined

if TYPE_CHECKING:
    from aiohttp.client import _RequestContextManager as _Opening

T = TypeVar("T")
R = TypeVar("R")
Watch = Callable[[Request[Any], float, ApiError | None], None]
"""Called after each try with the request, the seconds that it took, and its error."""
CHUNK = 64 * 1024
"""Bytes of an answer that are read at a time."""
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Errors after which the server cannot have received the request."""
PERMANENT = (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL, UnicodeError)
"""Errors that every other try would meet again; the server cannot have received the request either."""


class _Protocol(ResponseHandler):
    """Gives aiohttp heads that ``head`` has made plain, and nothing that comes when no answer is expected."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None
        """What has come of the head; None if no head is expected."""
        self._interim = 0

    def set_response_params(self, **params: Any) -> None:
        """Note that an answer is expected from now on."""
        self._head, self._interim = bytearray(), 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Keep those of a head until it is complete."""
        if self._head is None:
            if data and (self._payload is None or self._payload.is_eof()):
                # aiohttp would keep them, and take them for the answer to the next request: another tenant's.
                self.close()
            else:
                super().data_received(data)
            return
        self._head += data
        if b"\n" not in data and 5 < len(self._head) <= MAX_BYTES:
            return  # Not the end. Nothing is searched, so a head that comes byte by byte costs little.
        try:
            ready = self._take()
        except ValueError as error:
            self._head = None
            if self.transport is not None:
                self.transport.close()
            self.set_exception(aiohttp.ClientConnectionError(str(error)))
            return
        if ready is not None:
            self._head = None
            super().data_received(ready)

    def _take(self) -> bytes | None:
        """The head and what has come after it; None if the head is not complete."""
        assert self._head is not None  # noqa: S101 - for mypy
        while True:
            found = bytes(self._head).lstrip(b"\r\n")
            if not found.startswith(b"HTTP/"[: len(found)]):
                return found
            end = END.search(found)
            if self._interim + (end.end() if end else len(found)) > MAX_BYTES:
                raise too_long()
            if end is None:
                return None
            final, rest = plain(found[: end.end()]), found[end.end() :]
            if final is not None:
                return final + rest
            self._head, self._interim = bytearray(rest), self._interim + end.end()


class AsyncTransport:
    """Runs calls on one event loop, any number at a time. Use it as an async context manager.

    :param limit: maximum open connections.
    :param pace: decides when each try may start; share one among all calls that share a rate limit.
    :param watch: called after each try.
    """

    def __init__(
        self, server: Server, *, limit: int = 32, pace: Pace | None = None, watch: Watch | None = None
    ) -> None:
        self._server = server
        self._limit = limit
        self._pace = pace
        self._watch = watch
        # Not in the proxy's URL, because aiohttp's errors repeat that. The header is in the request that opens a
        # tunnel; if there is no tunnel, in each request.
        self._tunnelled = server.base_url.lower().startswith("https:")
        self._proxy_headers = server.proxy_headers()
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}
        self._call_timeout = self._timeout(server.max_call_seconds)

    async def __aenter__(self) -> AsyncTransport:
        server = self._server
        connector = aiohttp.TCPConnector(limit=self._limit, ssl=trust(server))
        connector._factory = partial(_Protocol, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)
        # aiohttp would send a GET, PUT or DELETE again by itself, and not report that the first one may have acted.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    def _timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        server = self._server
        return aiohttp.ClientTimeout(total=seconds, sock_connect=server.connect_timeout, sock_read=server.read_timeout)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run(self, call: Call[T]) -> T:
        """Run a call to its end.

        :raises ApiError: the last try's error, if no other try is allowed.
        :raises StoppedError: the task is being stopped.
        """
        try:
            return await self._run(call)
        except RateLimitedError:
            if self._pace is not None and self._pace.stopped_by_wait:
                # Not a failure of the call: the task goes on after the wait.
                raise StoppedError(NOT_SENT) from None
            raise

    async def _run(self, call: Call[T]) -> T:
        if isinstance(call, Request):
            return await self._send(call, self._answer)
        steps = Steps(call)
        while (request := steps.next_request()) is not None:
            try:
                answer = await self._send(request, self._answer)
            except ApiError as error:
                steps.failed(error)
            else:
                steps.answered(answer)
        return steps.result

    async def stream(self, request: Request[Any]) -> AsyncGenerator[bytes, None]:
        """The body of an event stream, as it arrives. Only its beginning is retried.

        :raises ApiError: the stream did not begin, or broke off.
        """
        response = await self._send(request, self._begin)
        decompressor = Decompressor(_encoding(response))
        try:
            async for chunk in response.content.iter_any():
                for piece in decompressor.feed(chunk):
                    yield piece
            decompressor.close()
        except (TimeoutError, aiohttp.ClientError) as failed:
            error: ApiError = _transport_error(failed, self._server.max_stream_seconds)
        except ApiError as failed:
            error = failed
        else:
            return
        finally:
            response.close()
        annotate(self._server, request, error)
        try:
            raise error
        finally:
            del error  # Else the error and this frame would keep each other, and their sockets.

    async def _send(self, request: Request[T], exchange: Callable[[Request[T]], Awaitable[R]]) -> R:
        once = partial(self._once, exchange)
        started = await self._turn()
        try:
            return await once(request, started)
        except ApiError as first:
            retry = CallRetry(self._server, request, first, spent=time.monotonic() - started)

            async def again() -> R:
                retry.replay_first()
                return await once(request, await self._turn())

            # The pace's own sleep also ends if the task is stopped.
            sleep = self._pace.rest if self._pace else asyncio.sleep
            return await AsyncRetrying(**retry.rules(), sleep=sleep)(again)

    async def _turn(self) -> float:
        return time.monotonic() if self._pace is None else await self._pace.turn()

    async def _once(self, exchange: Callable[[Request[T]], Awaitable[R]], request: Request[T], started: float) -> R:
        error: ApiError | None = None
        try:
            return await exchange(request)
        except (TimeoutError, aiohttp.ClientError, UnicodeError) as failed:
            error = _transport_error(failed, self._server.max_call_seconds)
        except ApiError as failed:
            error = failed
        finally:
            self._note(started, error)
            if self._watch is not None:
                self._watch(request, time.monotonic() - started, error)
        annotate(self._server, request, error)
        # Raised here and not above: a library's exception as its context could hold what the server repeated.
        try:
            raise error
        finally:
            del error  # Else the error and this frame would keep each other, and their sockets.

    def _note(self, started: float, error: ApiError | None) -> None:
        if self._pace is None:
            return
        if isinstance(error, RateLimitedError):
            self._pace.throttled(started, error.retry_after)
        else:
            self._pace.granted()

    def _url(self, request: Request[Any]) -> URL:
        """The request's URL. A URL that is the same for every request of an endpoint is parsed only once."""
        if request.query or request.path:
            return URL(self._server.url(request), encoded=True)
        name = request.endpoint.name
        if name not in self._urls:
            self._urls[name] = URL(self._server.url(request), encoded=True)
        return self._urls[name]

    async def _answer(self, request: Request[T]) -> T:
        async with self._open(request) as response:
            reply = await self._reply(response)
        return interpret(self._server, request, reply)

    async def _begin(self, request: Request[Any]) -> aiohttp.ClientResponse:
        server = self._server
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(server.max_call_seconds):
                opening = self._open(request, self._timeout(server.max_stream_seconds))
                response = await stack.enter_async_context(opening)
            if is_event_stream(response.status, response.headers.get("Content-Type"), _encoding(response)):
                stack.pop_all()  # The caller closes the response.
                return response
            async with asyncio.timeout(server.max_call_seconds):
                reply = await self._reply(response)
        raise missing_stream(self._server, request, reply)

    def _open(self, request: Request[Any], timeout: aiohttp.ClientTimeout | None = None) -> _Opening:
        server = self._server
        if self._session is None:
            raise RuntimeError("the transport is not open: use it as an async context manager")
        headers = server.headers(request)
        headers["Authorization"] = server.authorization(request)
        if not self._tunnelled:
            headers.update(self._proxy_headers)
        return self._session.request(
            request.endpoint.method,
            self._url(request),
            data=request.body,
            headers=headers,
            proxy=server.proxy,
            proxy_headers=self._proxy_headers,
            allow_redirects=False,
            timeout=timeout or self._call_timeout,
        )

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        headers = joined(response.headers.items())
        encoding, limit, status = _encoding(response), self._server.max_answer_bytes, response.status
        length = response.content_length
        if length is not None and length <= limit and not encoding and 200 <= status < 300:
            return Reply(status, headers, await response.read())
        body = Body(encoding, limit, status=status)
        try:
            async for chunk in response.content.iter_chunked(CHUNK):
                if not body.feed(chunk):
                    break
        except (TimeoutError, aiohttp.ClientError) as failed:
            body.break_off(_transport_error(failed, self._server.max_call_seconds))
        return Reply(status, headers, body.finish(), body.unread)


def _encoding(response: aiohttp.ClientResponse) -> str:
    """The value of the Content-Encoding header. If it comes several times, all of them are one list."""
    return ", ".join(response.headers.getall("Content-Encoding", ()))


def _transport_error(error: Exception, seconds: float) -> TransportError:
    """The error that stands for a library's one.

    :param seconds: the deadline of the try, or of the stream.
    """
    if type(error) is TimeoutError and not error.args:  # The other timeouts are of another class or have a text.
        return too_slow(seconds)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, PERMANENT):
        return TransportError(f"{text}; check host, TLS and 'ca_path' in the connection", sent=False, transient=False)
    return TransportError(text, sent=not isinstance(error, NEVER_SENT))
