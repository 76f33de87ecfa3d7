"""What an answer means for its request: the result, or the error that it stands for.

Both transports use these functions, so an answer means the same in both. Every error that leaves a transport has gone
through ``annotate``: it names the call and the tenant, and contains no token of the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.compression import not_accepted
from airflow_provider_databrain.client.dialect import KIND_LIMIT, classify
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    EndpointMissingError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    TransportError,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.printable import printable

T = TypeVar("T")
MESSAGE_LIMIT = 1000
"""Maximum characters of a transport's message."""
NOT_THE_API = (
    "The answer has no error code of the API: a gateway, a proxy or a firewall may have sent it. "
    "Check Host in the Airflow connection, and what is in between."
)
"""The next step after a status without the API's own error."""


def interpret(server: Server, request: Request[T], reply: Reply) -> T:
    """Turn a reply into the request's result.

    :raises ApiError: the error that the reply stands for.
    """
    endpoint = request.endpoint
    if endpoint.empty and not reply.body and 200 <= reply.status < 300:
        return request.read(None)

    def redact(text: str) -> str:
        return server.redact(text, *request.all_secrets())

    error = classify(
        reply,
        endpoint.dialect,
        endpoint.codes,
        redact,
        secret=endpoint.secret_answer,
        repeats_secrets=bool(request.secrets),
    )
    if error is not None:
        error.content_type = _content_type(reply, redact)
        raise error
    try:
        return request.read(reply.json)
    except MalformedAnswerError as malformed:
        malformed.status = reply.status
        malformed.content_type = _content_type(reply, redact)
        raise


def _content_type(reply: Reply, redact: Callable[[str], str]) -> str | None:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip()
    return redact(kind)[:KIND_LIMIT] or None


def without_quotes(error: ApiError) -> str:
    """The error in words for somebody who may not see what an address says that is not the API's.

    Whoever may test a connection may name any address in it. Only the API's own error is quoted. Of any other answer
    only the status and the content type are shown, and of a broken one the kind of the failure.
    """
    if error.status is None:
        # After an answer that is no HTTP, the library's error quotes it. The name of its class comes first.
        problem = error.message.partition(":")[0] if error.ambiguous else error.message
    elif error.from_api and not isinstance(error, MalformedAnswerError) and not 300 <= error.status < 400:
        return str(error)
    else:
        problem = f"not an answer of the API ({error.content_type or 'no content type'})"
    status = "" if error.status is None else f" [HTTP {error.status}]"
    hint = f". {error.hint}" if error.hint else "; check Host in the connection"
    return printable(f"{error.endpoint} failed{status}: {problem}{hint}")


def is_event_stream(status: int, content_type: str | None, encoding: str | None) -> bool:
    """Whether an answer is a stream of server-sent events, and not an error. Its body need not have come.

    :raises MalformedAnswerError: it is one, but in an encoding that the request does not accept.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if status != 200 or kind != "text/event-stream":
        return False
    if problem := not_accepted(encoding):
        raise MalformedAnswerError(problem, status=status, transient=False)
    return True


def missing_stream(server: Server, request: Request[Any], reply: Reply) -> ApiError:
    """The error of a reply that should have been an event stream but is not."""
    try:
        interpret(server, request, reply)
    except ApiError as error:
        return error
    return MalformedAnswerError("the answer is not an event stream", status=reply.status, transient=False)


def annotate(server: Server, request: Request[Any], error: ApiError) -> None:
    """Add to an error what the request knows, and remove the connection's tokens from its text."""
    error.endpoint = request.endpoint.name
    error.tenant = request.tenant
    error.dashboard = request.dashboard
    error.message = server.redact(error.message, *request.all_secrets())
    if isinstance(error, TransportError):
        # An HTTP library may quote a line of 64 KiB.
        error.message = error.message[:MESSAGE_LIMIT]
    error.code = server.redact(error.code, *request.all_secrets()) if error.code else None
    if isinstance(error, AuthenticationError):
        token = request.endpoint.token
        needs_token = f"It needs the {token.name}: check {token.field} in the Airflow connection."
        error.hint = request.endpoint.needs or needs_token
    if request.endpoint.if_missing and isinstance(error, EndpointMissingError):
        error.hint = f"{EndpointMissingError.hint} {request.endpoint.if_missing}"
    if request.endpoint.precondition and isinstance(error, InvalidRequestError):
        error.hint = request.endpoint.precondition
    if not error.from_api and isinstance(error, AuthenticationError | NotFoundError | AlreadyExistsError):
        error.hint = f"{NOT_THE_API} {error.hint}".strip()
    error.args = (error.message,)
    # What a library or a decoder raised may hold the whole answer, which no text shows.
    error.__cause__ = error.__context__ = None
