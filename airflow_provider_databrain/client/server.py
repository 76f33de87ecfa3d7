"""Where calls go, and under which rules: the settings of an Airflow connection as a plain value.

A ``Server`` does not change. It builds URLs and headers, and it knows every secret of the connection, so that
``redact`` can remove them from any text. It sends nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_databrain.client.call import Request, Token
from airflow_provider_databrain.client.compression import ACCEPTED
from airflow_provider_databrain.client.redaction import redact
from airflow_provider_databrain.portable import Portable

STREAM_SECONDS = 3600.0
"""The shortest deadline of an event stream, which is long on purpose."""


class ConfigurationError(Portable, ValueError):
    """The Airflow connection cannot be used as it is. The message names the field to correct."""


@dataclass(frozen=True)
class Server:
    """Where calls go, and under which rules.

    :param base_url: scheme, host and optional path prefix, without a slash at the end.
    :param tokens: the credentials of the connection; ``repr`` never shows them.
    :param conn_id: the connection's id; errors name it.
    :param connect_timeout: seconds to establish a connection.
    :param read_timeout: maximum seconds without a byte from the server.
    :param max_call_seconds: seconds that one try may take as a whole, however often the server sends a byte.
    :param max_retry_seconds: seconds from a call's first try after which no other try starts; 0 means one try.
    :param max_answer_bytes: size of the largest answer that is read, in bytes after decompression.
    :param verify_tls: False accepts any certificate; a path names a file of trusted CA certificates.
    :param legacy_paths: whether calls use an endpoint's ``legacy_path``, if it has one.
    :param proxy: URL of an HTTP proxy, without credentials.
    :param proxy_auth: user and password for the proxy.
    :param paths: endpoint name to the path that replaces the endpoint's own.
    :param parameters: values for the endpoints' paths that are the same in all requests.
    """

    base_url: str
    tokens: Mapping[Token, str] = field(repr=False)
    conn_id: str = ""
    user_agent: str = "airflow-provider-databrain"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_call_seconds: float = 600.0
    max_retry_seconds: float = 300.0
    max_answer_bytes: int = 64 * 1024 * 1024
    verify_tls: bool | str = True
    legacy_paths: bool = False
    proxy: str | None = None
    proxy_auth: tuple[str, str] | None = field(default=None, repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def max_stream_seconds(self) -> float:
        """Seconds that an event stream may take after its beginning: ``max_call_seconds``, but at least an hour."""
        return max(self.max_call_seconds, STREAM_SECONDS)

    def url(self, request: Request[Any]) -> str:
        """The full URL of a request, percent-encoded."""
        endpoint = request.endpoint
        path = self.paths.get(endpoint.name) or (
            endpoint.legacy_path if self.legacy_paths and endpoint.legacy_path else endpoint.path
        )
        if "{" in endpoint.path:
            values = {**self.parameters, **request.path}
            path = path.format_map({name: quote(value, safe="@") for name, value in values.items()})
        query = f"?{urlencode(request.query, doseq=True, quote_via=quote)}" if request.query else ""
        # Without the slash, a path from the connection could become part of the host name.
        return f"{self.base_url}/{path.lstrip('/')}{query}"

    def authorization(self, request: Request[Any]) -> str:
        """The value of the Authorization header, with the token that the endpoint takes.

        :raises ConfigurationError: the connection lacks that token, or the token cannot be sent.
        """
        if request.bearer is not None:
            return f"Bearer {request.bearer}"
        token = request.endpoint.token
        value = self.tokens.get(token)
        if not value:
            raise ConfigurationError(
                f"Connection {self.conn_id!r} has no {token.name}, which {request.endpoint.name!r} needs: "
                f"fill {token.field} in the connection."
            )
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ConfigurationError(
                f"Connection {self.conn_id!r} has a {token.name} with blanks, line breaks or characters beyond ASCII: "
                f"fill {token.field} in the connection again."
            )
        return f"Bearer {value}"

    def headers(self, request: Request[Any]) -> dict[str, str]:
        """All headers except Authorization."""
        headers = {"Accept": request.accept, "Accept-Encoding": ACCEPTED, "User-Agent": self.user_agent}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    def proxy_headers(self) -> dict[str, str]:
        """The header with the user and password for the proxy; empty if it needs none."""
        if not self.proxy_auth:
            return {}
        return {"Proxy-Authorization": f"Basic {b64encode(':'.join(self.proxy_auth).encode()).decode()}"}

    def redact(self, text: str, *more: str) -> str:
        """``text`` without any token, the proxy's credentials and ``more``, in any form (``client.redaction``)."""
        return redact(text, (*self.secrets(), *more))

    def secrets(self) -> list[str]:
        """Every value of this connection that must never be shown."""
        values = list(self.tokens.values())
        if self.proxy_auth and self.proxy_auth[1]:
            header = self.proxy_headers()["Proxy-Authorization"]
            values += [self.proxy_auth[1], ":".join(self.proxy_auth), header.removeprefix("Basic ")]
        return [value for value in values if value]
