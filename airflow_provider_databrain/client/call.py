"""An API call as a value: what to send, and how to read the answer.

What always holds:

- Nothing here uses the network. A transport sends the requests.
- A call is one ``Request``, or a generator that yields requests one after the other and returns the result.
- A request says itself whether it may be sent twice (``Resend``), which tenant it is for, and what must never be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError

T = TypeVar("T")


class Resend(Enum):
    """When a request may be sent again."""

    ALWAYS = "a second try changes nothing, or changes the same thing to the same value"
    DETECTABLE = "it creates or deletes under an id that we know, so a second try finds the work of the first"
    IF_UNPROCESSED = "only if the server cannot have acted on the first try"


@dataclass(frozen=True)
class Token:
    """A kind of credential.

    :param name: its name in messages, such as ``service token``.
    :param field: the field of the Airflow connection that holds it.
    """

    name: str
    field: str


@dataclass(frozen=True)
class Endpoint:
    """One operation of an API.

    :param name: its name in error messages.
    :param path: path below the host; ``{name}`` is replaced by a value from the request or the server.
    :param legacy_path: the older path of the same operation; None if none exists.
    :param codes: error codes that mean something else here than in ``dialect``.
    :param needs: the rights that the token must have, and what to do if it lacks them; added to an
        ``AuthenticationError``'s message.
    :param empty: whether a success may have no body; ``Request.read`` is then called with None.
    :param if_missing: what to use instead on a server that does not have this endpoint; added to an
        ``EndpointMissingError``'s message.
    :param precondition: what must be set up in the vendor's product first; added to an ``InvalidRequestError``'s
        message.
    :param secret_answer: whether a success contains secrets; if so, no error quotes a success that cannot be read.
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
    if_missing: str = ""
    precondition: str = ""
    secret_answer: bool = False


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call, ready to be sent by any transport.

    :param read: turns the decoded JSON of a success into the call's result; raises ``MalformedAnswerError`` if the JSON
        is not what the API documents.
    :param query: the parameters of the URL. One that has several values is repeated.
    :param tenant: the tenant that it is for; errors name it.
    :param dashboard: the dashboard or embed id that it is about; errors name it.
    :param path: values for the endpoint's path, not yet encoded.
    :param bearer: a token that came from the API itself; it is sent instead of the connection's.
    :param accept: media types, the preferred one first.
    :param secrets: parts of the body that no message may repeat, even if the server does.
    """

    endpoint: Endpoint
    read: Callable[[object], T] = field(repr=False)
    query: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    tenant: str | None = None
    dashboard: str | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    bearer: str | None = field(default=None, repr=False)
    accept: str = "application/json"
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def all_secrets(self) -> tuple[str, ...]:
        """The parts of this request that must never be shown."""
        return (self.bearer, *self.secrets) if self.bearer else self.secrets


Call: TypeAlias = "Request[T] | Generator[Request[Any], Any, T]"
"""What a transport runs: one request, or a generator that yields several and returns the result. If a request fails,
its error is raised in the generator at the ``yield`` of that request."""


class Steps(Generic[T]):
    """A generator call, run one request at a time.

    A transport takes ``next_request``, sends it, and reports the end with ``answered`` or ``failed``, until
    ``next_request`` returns None. Then ``result`` is set.
    """

    result: T

    def __init__(self, call: Generator[Request[Any], Any, T]) -> None:
        self._call = call
        self._answer: Any = None
        self._error: ApiError | None = None

    def next_request(self) -> Request[Any] | None:
        """The request to send next; None if the call has ended.

        :raises ApiError: the error of the last request, which the call did not catch.
        """
        try:
            return self._call.send(self._answer) if self._error is None else self._call.throw(self._error)
        except StopIteration as end:
            self.result = end.value
            return None

    def answered(self, answer: Any) -> None:
        """Note the result of the request that was sent."""
        self._answer, self._error = answer, None

    def failed(self, error: ApiError) -> None:
        """Note the error of the request that was sent."""
        self._error = error


def in_steps(call: Call[T]) -> Generator[Request[Any], Any, T]:
    """Make a call of either kind usable in a generator call, which gets its result with ``yield from``."""
    if isinstance(call, Request):
        answer: T = yield call
        return answer
    return (yield from call)


def walk_pages(
    page: Callable[[int], Request[list[T]]], *, page_size: int = 10, max_pages: int = 10_000
) -> Generator[Request[list[T]], list[T], list[T]]:
    """Fetch page after page, from number 1, and return all rows.

    The API reports no total. So the last page is the first one that is not exactly full: it is shorter or empty at the
    end of the list, and longer if the server ignores paging and sends everything at once. The walk also ends if the
    same page comes twice in a row.

    :raises MalformedAnswerError: the list has more than ``max_pages`` pages.
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
