"""An API call as a value: what to send, how to read the answer, and nothing that touches a network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError

T = TypeVar("T")


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
