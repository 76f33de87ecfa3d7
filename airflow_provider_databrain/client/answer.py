"""What an answer means: the request's result, or the error it stands for."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.client.call import Request, T
from airflow_provider_databrain.client.dialect import classify
from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server


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
