"""An API call as a value: what to send, how to read the answer, and nothing that touches a network."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    ErrorDialect,
    InvalidRequestError,
    MalformedAnswerError,
    classify,
)

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)


class ConfigurationError(ValueError):
    """An Airflow connection that cannot be used as it is; the message names the field to fill."""


class Resend(Enum):
    """When a call whose outcome is unknown may be sent again."""

    ALWAYS = "it changes nothing, or the same thing again"
    DETECTABLE = "it creates or deletes under an id that we know, so that a second try finds the first one's work"
    IF_UNPROCESSED = "only when the server cannot have acted on it"


@dataclass(frozen=True)
class Token:
    """A kind of credential.

    :param name: what users call it, such as ``service token``.
    :param field: where it is filled in the Airflow connection.
    """

    name: str
    field: str


@dataclass(frozen=True)
class Endpoint:
    """One operation of an API.

    :param name: what error messages call it.
    :param path: path below the host; ``{name}`` stands for a value of the request's or the server's.
    :param legacy_path: the older path of the same operation, None where there is none.
    :param codes: error codes that have a meaning of their own here.
    :param needs: what the token must be allowed, and what to do where it is not; part of an
        ``AuthenticationError``'s message.
    :param empty: whether a success may have no body, which ``Request.read`` then gets as None.
    :param precondition: what must be set up at the vendor's first; part of an ``InvalidRequestError``'s message.
    :param secret_answer: a success holds secrets, so that no error quotes one that cannot be read.
    """

    name: str
    method: str
    path: str
    token: Token
    resend: Resend
    dialect: ErrorDialect
    legacy_path: str | None = None
    codes: Mapping[str, type[ApiError]] = field(default_factory=dict)
    needs: str = ""
    empty: bool = False
    precondition: str = ""
    secret_answer: bool = False


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call, ready to be sent by any transport.

    :param read: turns the decoded JSON of a success into the call's result; raises
        ``MalformedAnswerError`` where it is not what the API documents.
    :param tenant: the tenant it is for, named in errors.
    :param dashboard: the dashboard or embed id it is about, named in errors.
    :param path: values for the endpoint's path, not yet encoded.
    :param bearer: a token that the API itself has given, instead of one of the connection's.
    :param accept: media types, the preferred one first.
    :param secrets: what of the body nothing may repeat, whatever the server says of it.
    """

    endpoint: Endpoint
    read: Callable[[object], T] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    tenant: str | None = None
    dashboard: str | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    bearer: str | None = field(default=None, repr=False)
    accept: str = "application/json"
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hidden(self) -> tuple[str, ...]:
        """All of it that must never be shown."""
        return (self.bearer, *self.secrets) if self.bearer else self.secrets


Call: TypeAlias = "Request[T] | Generator[Request[Any], Any, T]"
"""What a transport runs: one request, or a generator that yields several and returns the result. An error is thrown
into the generator where it yielded the request that failed."""


def in_steps(call: Call[T]) -> Generator[Request[Any], Any, T]:
    """Let a call be part of another, which does ``yield from`` on this and gets the result."""
    if isinstance(call, Request):
        answer: T = yield call
        return answer
    return (yield from call)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. ``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> object:
        """The decoded body; raises ``ValueError`` where it is not JSON."""
        return json.loads(self.body)

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, from ``Retry-After``, ``RateLimit-Reset`` or ``X-RateLimit-Reset``."""
        for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset"):
            if value := self.headers.get(name):
                seconds = _seconds_from(value, self.headers.get("date"))
                if seconds is not None:
                    return seconds
        return None


@dataclass(frozen=True)
class Server:
    """Where calls go and under which rules: an Airflow connection as a plain value.

    :param base_url: scheme, host and optional path prefix, without a slash at the end.
    :param tokens: the credentials that the connection holds; never shown by ``repr``.
    :param conn_id: the connection's id, named in errors.
    :param connect_timeout: seconds to establish a connection.
    :param read_timeout: seconds without a byte from the server.
    :param max_retry_seconds: seconds from the first try after which no further one starts; 0 for one try.
    :param max_answer_bytes: the largest answer that is read, in bytes after decompression.
    :param verify_tls: False accepts any certificate; a path is a file of trusted CA certificates.
    :param proxy: URL of an HTTP proxy, without credentials.
    :param proxy_auth: user and password for the proxy.
    :param paths: endpoint name to a path that replaces the built-in one.
    :param parameters: values for the endpoints' paths that are the same for all requests.
    """

    base_url: str
    tokens: Mapping[Token, str] = field(repr=False)
    conn_id: str = ""
    user_agent: str = "airflow-provider-databrain"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_retry_seconds: float = 300.0
    max_answer_bytes: int = 64 * 1024 * 1024
    verify_tls: bool | str = True
    legacy_paths: bool = False
    proxy: str | None = None
    proxy_auth: tuple[str, str] | None = field(default=None, repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def url(self, request: Request[Any]) -> str:
        """The full URL of a request, percent-encoded."""
        endpoint = request.endpoint
        path = self.paths.get(endpoint.name) or (
            endpoint.legacy_path if self.legacy_paths and endpoint.legacy_path else endpoint.path
        )
        if "{" in endpoint.path:
            values = {**self.parameters, **request.path}
            path = path.format_map({name: quote(value, safe="@") for name, value in values.items()})
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        # Without the slash, a path of the connection's could become part of the host.
        return f"{self.base_url}/{path.lstrip('/')}{query}"

    def authorization(self, request: Request[Any]) -> str:
        """The Authorization header's value with the token that the endpoint takes.

        :raises ConfigurationError: the connection lacks that token.
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
                f"fill {token.field} in the connection anew."
            )
        return f"Bearer {value}"

    def headers(self, request: Request[Any]) -> dict[str, str]:
        """All headers but Authorization."""
        headers = {"Accept": request.accept, "User-Agent": self.user_agent}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    def redact(self, text: str, *more: str) -> str:
        """``text`` with every token of the connection, the proxy's password and ``more`` blacked out."""
        # The longest first: one that is part of another would leave the rest of that.
        for secret in sorted({*self.secrets(), *more}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def secrets(self) -> list[str]:
        """All that must never be shown."""
        return [value for value in (*self.tokens.values(), *(self.proxy_auth or ())[1:]) if value]


def interpret(server: Server, request: Request[T], reply: Reply) -> T:
    """Turn a reply into the request's result, or raise the error it stands for."""
    endpoint = request.endpoint
    if endpoint.empty and not reply.body and 200 <= reply.status < 300:
        return request.read(None)

    def redact(text: str) -> str:
        return server.redact(text, *request.hidden())

    error = classify(
        reply,
        endpoint.dialect,
        endpoint.codes,
        redact,
        secret=endpoint.secret_answer,
        repeats_secrets=bool(request.secrets),
    )
    if error is not None:
        raise error
    try:
        return request.read(reply.json)
    except MalformedAnswerError as malformed:
        malformed.status = reply.status
        raise


def is_event_stream(status: int, content_type: str | None) -> bool:
    """Whether an answer is a stream of server-sent events, and no error."""
    return status == 200 and (content_type or "").partition(";")[0].strip().lower() == "text/event-stream"


def annotate(server: Server, request: Request[Any], error: ApiError) -> None:
    """Complete an error with what the request knows, and take the connection's tokens out of its text."""
    error.endpoint = request.endpoint.name
    error.tenant = request.tenant
    error.dashboard = request.dashboard
    error.message = server.redact(error.message, *request.hidden())
    error.code = server.redact(error.code, *request.hidden()) if error.code else None
    if request.endpoint.needs and isinstance(error, AuthenticationError):
        error.hint = request.endpoint.needs
    if request.endpoint.precondition and isinstance(error, InvalidRequestError):
        error.hint = request.endpoint.precondition
    error.args = (error.message,)


def walk_pages(
    page: Callable[[int], Request[list[T]]], *, page_size: int = 10, max_pages: int = 10_000
) -> Generator[Request[list[T]], list[T], list[T]]:
    """Fetch page after page, from number 1, and return all rows.

    The API tells no total, so a page that is not exactly full is the last one: shorter or empty at
    the end, longer where the server ignores paging and has sent everything. A page that comes twice
    in a row ends the walk too.

    :raises MalformedAnswerError: more than ``max_pages`` pages.
    """
    rows: list[T] = []
    previous: list[T] = []
    for number in range(1, max_pages + 1):
        current = yield page(number)
        if current == previous:
            return rows
        rows.extend(current)
        if len(current) != page_size:
            return rows
        previous = current
    raise MalformedAnswerError(f"the list did not end after {max_pages} pages", transient=False)


class Sent(BaseModel):
    """Base of what we send: unknown fields are refused, values never appear in an error.

    Fields may be given by their Python name or by the API's own.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class Received(BaseModel):
    """Base of what we are answered: unknown fields are kept, numbers pass for strings."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    def as_row(self) -> dict[str, JsonValue]:
        """The fields under the API's own names, as they came."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def reader(model: type[ModelT]) -> Callable[[object], ModelT]:
    """A function that reads a decoded answer as ``model`` or raises ``MalformedAnswerError``."""

    def read(payload: object) -> ModelT:
        try:
            return model.model_validate(payload)
        except ValidationError as invalid:
            problems = "; ".join(explain(invalid)[:3])
            raise MalformedAnswerError(f"unexpected answer: {problems}") from None

    return read


def explain(invalid: ValidationError) -> list[str]:
    """The problems of a validation error, one line each, without the values."""
    return [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in invalid.errors(include_url=False, include_input=False, include_context=False)
    ]


def _seconds_from(value: str, date: str | None = None) -> float | None:
    """Read a wait: seconds, an HTTP date, or a point in time in Unix seconds or milliseconds.

    :param date: the server's own ``Date``, because its clock and ours may disagree.
    """
    now = _moment(date) if date else None
    if now is None:
        now = time.time()
    try:
        number = float(value)
    except ValueError:
        moment = _moment(value)
        return None if moment is None else max(0.0, moment - now)
    if not 0 <= number < float("inf"):
        return None
    if number > 1e12:
        number /= 1000
    return max(0.0, number - now) if number > 1e9 else number


def _moment(value: str) -> float | None:
    """An HTTP date as Unix seconds."""
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
