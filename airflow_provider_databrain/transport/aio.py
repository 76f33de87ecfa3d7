"""Calls over aiohttp, for triggers and for batches."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from tenacity import AsyncRetrying
from yarl import URL

from airflow_provider_databrain.api.core import Call, Reply, Request, Server, annotate, interpret
from airflow_provider_databrain.api.errors import ApiError, TransportError, too_large
from airflow_provider_databrain.api.retry import repeat, retry_options
from airflow_provider_databrain.transport.tls import trust

T = TypeVar("T")
CHUNK = 64 * 1024
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
NEVER_RIGHT = (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL, UnicodeError)


class AsyncTransport:
    """Runs calls on one event loop, any number at a time. Use it as an async context manager.

    :param limit: open connections at most.
    """

    def __init__(self, server: Server, *, limit: int = 32) -> None:
        self._server = server
        self._limit = limit
        # Apart from the proxy's URL, which aiohttp's errors repeat.
        self._proxy_auth = aiohttp.BasicAuth(*server.proxy_auth, "utf-8") if server.proxy_auth else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncTransport:
        server = self._server
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=server.connect_timeout, sock_read=server.read_timeout)
        connector = aiohttp.TCPConnector(limit=self._limit, ssl=trust(server))
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run(self, call: Call[T]) -> T:
        """Run a call to its end.

        :raises ApiError: the last try's error, where no further try is allowed.
        """
        if isinstance(call, Request):
            return await self._send(call)
        answer: Any = None
        while True:
            try:
                request = call.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self._send(request)

    async def _send(self, request: Request[T]) -> T:
        started = time.monotonic()
        try:
            return await self._once(request)
        except ApiError as first:
            retrying = AsyncRetrying(**retry_options(self._server, request, spent=time.monotonic() - started))
            again = repeat(first, self._once)

            async def once() -> T:
                return await again(request)

            return await retrying(once)

    async def _once(self, request: Request[T]) -> T:
        try:
            return interpret(self._server, request, await self._exchange(request))
        except ApiError as error:
            annotate(self._server, request, error)
            raise

    async def _exchange(self, request: Request[Any]) -> Reply:
        server = self._server
        if self._session is None:
            raise RuntimeError("the transport is not open: use it as an async context manager")
        headers = server.headers(request) | {"Authorization": server.authorization(request)}
        try:
            async with self._session.request(
                request.endpoint.method,
                URL(server.url(request), encoded=True),
                data=request.body,
                headers=headers,
                proxy=server.proxy,
                proxy_auth=self._proxy_auth,
                allow_redirects=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > server.max_answer_bytes:
                        raise too_large(server.max_answer_bytes)
                answered = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, answered, bytes(body))
        except (TimeoutError, aiohttp.ClientError, UnicodeError) as error:
            raise _transport_error(error) from None


def _transport_error(error: Exception) -> TransportError:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, NEVER_RIGHT):
        return TransportError(f"{text}; check host, TLS and 'ca_path' in the connection", sent=False, transient=False)
    return TransportError(text, sent=not isinstance(error, NEVER_SENT))
