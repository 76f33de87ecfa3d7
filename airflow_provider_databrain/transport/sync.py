"""Calls over requests, for hooks, single operators and sensors."""

from __future__ import annotations

import ssl
import time
from types import TracebackType
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import Retrying
from urllib3 import make_headers
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from airflow_provider_databrain.api.core import Call, Reply, Request, Server, annotate, interpret
from airflow_provider_databrain.api.errors import ApiError, TransportError, too_large
from airflow_provider_databrain.api.retry import repeat, retry_options
from airflow_provider_databrain.transport.tls import trust

T = TypeVar("T")
CHUNK = 64 * 1024


class _Bearer(AuthBase):
    """Sets the Authorization header itself, which keeps requests from taking one out of a netrc file."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = self._value
        return prepared


class _Session(requests.Session):
    """Looks at no redirect: even an unfollowed one would be prepared, and its body read to the end."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none."""


class _Adapter(HTTPAdapter):
    """Sends the proxy's credentials apart from its URL, which errors repeat."""

    def __init__(self, proxy_auth: tuple[str, str] | None) -> None:
        self._proxy_headers = make_headers(proxy_basic_auth=":".join(proxy_auth)) if proxy_auth else {}
        super().__init__()

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """The header that names user and password."""
        return dict(self._proxy_headers)


class SyncTransport:
    """Runs calls one after the other on a kept-alive session. Close it, or use it as a context manager."""

    def __init__(self, server: Server) -> None:
        self._server = server
        trust(server)
        self._session = _Session()
        self._session.trust_env = False
        self._session.verify = server.verify_tls
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(server.proxy_auth))
        if server.proxy:
            self._session.proxies = {"http": server.proxy, "https": server.proxy}

    def run(self, call: Call[T]) -> T:
        """Run a call to its end.

        :raises ApiError: the last try's error, where no further try is allowed.
        """
        if isinstance(call, Request):
            return self._send(call)
        answer: Any = None
        while True:
            try:
                request = call.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._send(request)

    def _send(self, request: Request[T]) -> T:
        started = time.monotonic()
        try:
            return self._once(request)
        except ApiError as first:
            retrying = Retrying(**retry_options(self._server, request, spent=time.monotonic() - started))
            result: T = retrying(repeat(first, self._once), request)
            return result

    def _once(self, request: Request[T]) -> T:
        try:
            return interpret(self._server, request, self._exchange(request))
        except ApiError as error:
            annotate(self._server, request, error)
            raise

    def _exchange(self, request: Request[Any]) -> Reply:
        server = self._server
        try:
            with self._session.request(
                request.endpoint.method,
                server.url(request),
                data=request.body,
                headers=server.headers(request),
                auth=_Bearer(server.authorization(request)),
                timeout=(server.connect_timeout, server.read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                for chunk in response.iter_content(CHUNK):
                    body += chunk
                    if len(body) > server.max_answer_bytes:
                        raise too_large(server.max_answer_bytes)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, bytes(body))
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            raise _transport_error(error) from None

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
    if isinstance(error, ValueError | LocationParseError):  # a URL or host that cannot be
        return TransportError(f"{text}; check Host in the connection", sent=False, transient=False)
    return TransportError(text)


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether ``kind`` is in the chain of causes, which requests and urllib3 keep in several places."""
    seen: list[object] = [error]
    for item in seen:
        if isinstance(item, kind):
            return True
        if isinstance(item, BaseException):
            inner = [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
            seen.extend(part for part in inner if isinstance(part, BaseException) and part not in seen)
    return False
