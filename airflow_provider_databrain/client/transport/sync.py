"""Calls over requests, for hooks, single operators and sensors.

- One call runs at a time, on connections that are kept alive.
- Only this module imports requests. What an answer means and what is sent again is decided in ``client``, as for
  ``aio``.
- requests adds nothing of its own: it reads no netrc file and no environment variable, and follows no redirect. Which
  certificates are trusted is decided in ``tls``.
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import Retrying
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from airflow_provider_databrain.client.answer import annotate, interpret, is_event_stream, missing_stream
from airflow_provider_databrain.client.call import Call, Request, Steps
from airflow_provider_databrain.client.compression import Body, Decompressor
from airflow_provider_databrain.client.errors import ApiError, TransportError
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.retry import CallRetry
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.deadline import Deadline, WatchedConnection, WatchedTlsConnection
from airflow_provider_databrain.client.transport.head import read_head
from airflow_provider_databrain.client.transport.tls import trust
from airflow_provider_databrain.client.waits import joined

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 64 * 1024
"""Bytes of an answer that are read at a time."""


class _Bearer(AuthBase):
    """Sets the Authorization header, so that requests does not take one from a netrc file."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = self._value
        return prepared


class _Session(requests.Session):
    """Ignores redirects: requests would prepare even one that is not followed, and read its body to the end."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Report that an answer is not a redirect."""


class _Response(http.client.HTTPResponse):
    """Reads a head that ``head`` has made plain."""

    def begin(self) -> None:
        """Read the head, if it has not been read."""
        if self.headers is not None:
            return
        source = self.fp
        try:
            self.fp = io.BufferedReader(io.BytesIO(read_head(source)))
        except ValueError as error:
            raise http.client.HTTPException(str(error)) from None
        try:
            super().begin()
        finally:
            self.fp = source


class _HttpConnection(WatchedConnection):
    response_class = _Response


class _HttpsConnection(WatchedTlsConnection):
    response_class = _Response


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


POOLS = {"http": _HttpPool, "https": _HttpsPool}
"""Scheme to the class of its connections."""


class _Adapter(HTTPAdapter):
    """Trusts what ``tls`` says, and sends the proxy's credentials in a header: in its URL, errors would repeat them."""

    def __init__(self, headers: dict[str, str], context: ssl.SSLContext) -> None:
        self._proxy_headers = headers
        self._context = context
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> tuple[Any, Any]:
        """Where a request goes, and the context. requests would choose CA certificates here."""
        where, _ = super().build_connection_pool_key_attributes(request, bool(verify))
        return where, {"ssl_context": self._context, "cert_reqs": self._context.verify_mode}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Choose nothing: the context says all."""

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """The connections through a proxy. One that is reached over TLS must have a trusted certificate too."""
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._context, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        """Make the connections without a proxy."""
        super().init_poolmanager(*sizes, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """The header with user and password."""
        return dict(self._proxy_headers)


class SyncTransport:
    """Runs calls one after the other. Close it, or use it as a context manager.

    :raises ConfigurationError: the CA certificates cannot be read.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        context = trust(server)
        self._session = _Session()
        self._session.trust_env = False
        self._session.verify = context.verify_mode is not ssl.CERT_NONE
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(server.proxy_headers(), context))
        if server.proxy:
            self._session.proxies = {"http": server.proxy, "https": server.proxy}

    def run(self, call: Call[T]) -> T:
        """Run a call to its end.

        :raises ApiError: the last try's error, if no other try is allowed.
        """
        if isinstance(call, Request):
            return self._send(call, self._answer)
        steps = Steps(call)
        while (request := steps.next_request()) is not None:
            try:
                answer = self._send(request, self._answer)
            except ApiError as error:
                steps.failed(error)
            else:
                steps.answered(answer)
        return steps.result

    def stream(self, request: Request[Any]) -> Generator[bytes, None, None]:
        """The body of an event stream, as it arrives. Only its beginning is retried.

        :raises ApiError: the stream did not begin, or broke off.
        """
        response, deadline = self._send(request, self._begin)
        decompressor = Decompressor(response.headers.get("Content-Encoding"))
        try:
            for chunk in response.raw.stream(None, decode_content=False):
                yield from decompressor.feed(chunk)
            deadline.check()
            decompressor.close()
        except (requests.RequestException, HTTPError) as failed:
            error: ApiError = deadline.error() if deadline.passed else _transport_error(failed)
        except ApiError as failed:
            error = failed
        else:
            return
        finally:
            response.close()
            deadline.close()
        annotate(self._server, request, error)
        try:
            raise error
        finally:
            del error  # Else the error and this frame would keep each other, and their sockets.

    def _send(self, request: Request[T], exchange: Callable[[Request[T]], R]) -> R:
        once = partial(self._once, exchange)
        started = time.monotonic()
        try:
            return once(request)
        except ApiError as first:
            retry = CallRetry(self._server, request, first, spent=time.monotonic() - started)

            def again() -> R:
                retry.replay_first()
                return once(request)

            result: R = Retrying(**retry.rules())(again)
            return result

    def _once(self, exchange: Callable[[Request[T]], R], request: Request[T]) -> R:
        error: ApiError
        try:
            return exchange(request)
        except (requests.RequestException, HTTPError, UnicodeError) as failed:
            error = _transport_error(failed)
        except ApiError as failed:
            error = failed
        annotate(self._server, request, error)
        # Raised here and not above: a library's exception as its context could hold what the server repeated.
        try:
            raise error
        finally:
            del error  # Else the error and this frame would keep each other, and their sockets.

    def _answer(self, request: Request[T]) -> T:
        with closing(Deadline(self._server.max_call_seconds)) as deadline, self._open(request, deadline) as response:
            reply = self._reply(response, deadline)
        return interpret(self._server, request, reply)

    def _begin(self, request: Request[Any]) -> tuple[requests.Response, Deadline]:
        with ExitStack() as stack:
            deadline = stack.enter_context(closing(Deadline(self._server.max_call_seconds)))
            response = stack.enter_context(self._open(request, deadline))
            headers = response.headers
            if is_event_stream(response.status_code, headers.get("Content-Type"), headers.get("Content-Encoding")):
                stack.pop_all()  # The caller closes both.
                deadline.extend(self._server.max_stream_seconds)
                return response, deadline
            reply = self._reply(response, deadline)
        raise missing_stream(self._server, request, reply)

    def _open(self, request: Request[Any], deadline: Deadline) -> requests.Response:
        server = self._server
        with deadline.guard():
            return self._session.request(
                request.endpoint.method,
                server.url(request),
                data=request.body,
                headers=server.headers(request),
                auth=_Bearer(server.authorization(request)),
                timeout=(server.connect_timeout, server.read_timeout),
                allow_redirects=False,
                stream=True,
            )

    def _reply(self, response: requests.Response, deadline: Deadline) -> Reply:
        headers = joined(response.headers.items())
        status = response.status_code
        body = Body(headers.get("content-encoding"), self._server.max_answer_bytes, status=status)
        try:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                if not body.feed(chunk):
                    break
            deadline.check()
        except (requests.RequestException, HTTPError) as failed:
            body.break_off(deadline.error() if deadline.passed else _transport_error(failed))
        except TransportError as failed:
            body.break_off(failed)
        return Reply(status, headers, body.finish(), body.unread)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def __enter__(self) -> SyncTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _transport_error(error: Exception) -> TransportError:
    text = f"{type(error).__name__}: {error}"
    if _caused_by(error, ssl.SSLCertVerificationError):
        return TransportError(f"{text}; check host, TLS and 'ca_path' in the connection", sent=False, transient=False)
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return TransportError(text, sent=False)
    if _caused_by(error, NewConnectionError):
        return TransportError(text, sent=False)
    if isinstance(error, ValueError | LocationParseError):  # An invalid URL or host.
        return TransportError(f"{text}; check Host in the connection", sent=False, transient=False)
    return TransportError(text)


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether ``kind`` is among the causes of an error. requests and urllib3 keep them in several places."""
    seen: list[object] = [error]
    for item in seen:
        if isinstance(item, kind):
            return True
        if isinstance(item, BaseException):
            inner = [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
            seen.extend(part for part in inner if isinstance(part, BaseException) and part not in seen)
    return False
