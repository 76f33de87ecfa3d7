"""How an API words its errors, and the one function that decides which error an answer stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)

MESSAGE_LIMIT = 300
"""Characters of a server's own words that an exception repeats."""


CODE_LIMIT = 60
"""Characters of a server's error code that an exception repeats."""


@dataclass(frozen=True)
class ErrorDialect:
    """How one product words its errors.

    :param product: the product's name.
    :param codes: error code (upper case, underscores for spaces) to exception class.
    :param find: reads (code, message) out of a decoded body; None where the body tells of no error.
    :param within_success: whether an answer with a success status may tell of an error.
    """

    product: str
    codes: Mapping[str, type[ApiError]]
    find: Callable[[object], tuple[str | None, str] | None] = field(repr=False)
    within_success: bool = True


def classify(
    reply: Reply,
    dialect: ErrorDialect,
    codes: Mapping[str, type[ApiError]],
    redact: Callable[[str], str] = str,
    *,
    secret: bool = False,
    repeats_secrets: bool = False,
) -> ApiError | None:
    """Return the error that a reply stands for, or None for a success.

    The API's code decides first, the HTTP status second: the same code comes with different
    statuses, and some failures come with a 200.

    :param codes: codes that mean something else at this endpoint than in ``dialect``.
    :param redact: blacks out secrets in what the server says, before it is cut to size.
    :param secret: a success holds secrets that ``redact`` does not know: quote none.
    :param repeats_secrets: so may any answer that is not JSON, cut or escaped as it may be: quote none of that.
    """
    status = reply.status
    success = 200 <= status < 300
    try:
        found = dialect.find(reply.json)
        readable = True
    except (ValueError, RecursionError):
        found = None, _snippet(reply, None if repeats_secrets or (secret and success) else redact)
        readable = False
    told, message = found or (None, "no error message in the answer")
    code = redact(told)[:CODE_LIMIT] if told else None
    message = redact(message)[:MESSAGE_LIMIT]
    if status == 429:
        return RateLimitedError(message, status=status, code=code, retry_after=reply.retry_after)
    if success:
        if not readable:
            return MalformedAnswerError(message, status=status)
        if found is None or not dialect.within_success:
            return None
    known = _by_code(told, codes) or _by_code(told, dialect.codes)
    if 300 <= status < 400:
        message = f"redirected to {_host_of(reply.headers.get('location', ''))}; check Host in the connection"
    error_class = known or _by_status(status)
    return error_class(message, status=status, code=code, retry_after=reply.retry_after)


def _by_code(code: str | None, codes: Mapping[str, type[ApiError]]) -> type[ApiError] | None:
    return codes.get("_".join(code.upper().split())) if code else None


def _by_status(status: int) -> type[ApiError]:
    if status in (401, 403):
        return AuthenticationError
    if status == 404:
        return NotFoundError
    if status == 409:
        return AlreadyExistsError
    if status >= 500 or status in (408, 425):
        return ServerError
    return InvalidRequestError


def _host_of(location: str) -> str:
    """Scheme and host of a redirect's target; the rest may hold secrets."""
    try:
        target = urlsplit(location)
    except ValueError:
        return "an invalid address"
    return f"{target.scheme}://{target.hostname}" if target.hostname else "another path"


def _snippet(reply: Reply, redact: Callable[[str], str] | None) -> str:
    """What is known of an answer that is not JSON; the beginning of its text, where ``redact`` is given."""
    kind = reply.headers.get("content-type", "no content type").split(";")[0]
    what = f"the answer is not JSON ({kind}, {len(reply.body)} bytes)"
    if redact is None:
        return what
    text = redact(" ".join(reply.body.decode("utf-8", "replace").split()))[:80]
    return f"{what}: {text!r}"
