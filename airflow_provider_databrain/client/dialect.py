"""How an API words its errors, and the function that decides which error an answer stands for.

What always holds:

- The API's own error code decides first, the HTTP status second. The same code comes with different statuses, and some
  failures come with status 200.
- An error is ``from_api`` only if its body has the API's own error (``ErrorDialect.is_own``). A status with another
  body, also a JSON body, may be from something in between.
- Status 429 is always a ``RateLimitedError``, with any body.
- What the server says is redacted before it is cut to size, so that no part of a secret remains at the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
from airflow_provider_databrain.client.redaction import WINDOW
from airflow_provider_databrain.client.reply import Reply

MESSAGE_LIMIT = 300
"""Maximum characters of a server's message that an exception repeats."""
CODE_LIMIT = 60
"""Maximum characters of a server's error code that an exception repeats."""
KIND_LIMIT = 60
"""Maximum characters of a content type that an exception repeats."""
SNIPPET_LIMIT = 80
"""Maximum characters of an answer that is not JSON that an exception repeats."""


@dataclass(frozen=True)
class ErrorDialect:
    """How one product words its errors.

    :param product: the product's name.
    :param codes: error code (upper case, underscores for spaces) to exception class.
    :param find: reads (code, message) out of a decoded body; returns None if the body contains no error.
    :param is_own: whether a decoded body has the product's own error, and not the error of something in between.
    :param within_success: whether an answer with a success status may contain an error.
    """

    product: str
    codes: Mapping[str, type[ApiError]]
    find: Callable[[object], tuple[str | None, str] | None] = field(repr=False)
    is_own: Callable[[object], bool] = field(repr=False)
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

    :param codes: codes that mean something else at this endpoint than in ``dialect``.
    :param redact: blacks out secrets in what the server says.
    :param secret: a success contains secrets that ``redact`` does not know, so no success is quoted.
    :param repeats_secrets: any answer that is not JSON may contain secrets, cut or escaped, so none is quoted.
    """
    status = reply.status
    success = 200 <= status < 300
    from_api = False
    try:
        error = dialect.find(reply.json)
        from_api = error is not None and dialect.is_own(reply.json)
        readable = True
    except (ValueError, RecursionError):
        error = None, _describe(reply, None if repeats_secrets or (secret and success) else redact)
        readable = False
    if success and readable and (error is None or not dialect.within_success):
        return None
    raw_code, message = error or (None, "no error message in the answer")
    code = redact(raw_code)[:CODE_LIMIT] if raw_code else None
    message = redact(message)[:MESSAGE_LIMIT]
    if reply.wait is not None and reply.wait.too_long:
        message = f"{message}; {reply.wait.too_long}"
    if status == 429:
        limited = RateLimitedError(message, status=status, code=code, retry_after=reply.retry_after)
        limited.from_api = from_api
        return limited
    if success and not readable:
        return MalformedAnswerError(message, status=status, transient=not reply.unread)
    error_class = _by_code(raw_code, codes) or _by_code(raw_code, dialect.codes) or _by_status(status)
    if 300 <= status < 400:
        message = f"redirected to {_host_of(reply.headers.get('location', ''))}; check Host in the connection"
    refusal = error_class(message, status=status, code=code, retry_after=reply.retry_after)
    refusal.from_api = from_api
    return refusal


def _describe(reply: Reply, redact: Callable[[str], str] | None) -> str:
    """Describe an answer that is not JSON. Quote the beginning of its text only if ``redact`` is passed.

    A body that may not be what the server meant is not quoted: it could end in the middle of a secret.
    """
    kind = (redact or str)(reply.headers.get("content-type", "no content type").split(";")[0])[:KIND_LIMIT]
    description = f"the answer is not JSON ({kind}, {len(reply.body)} bytes)"
    if reply.unread:
        return f"{description}: {reply.unread}"
    if redact is None:
        return description
    text = redact(" ".join(reply.body[: 4 * WINDOW].decode("utf-8", "replace").split()))[:SNIPPET_LIMIT]
    return f"{description}: {text!r}"


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
    """Scheme and host of a redirect's target, and no more: the rest may contain secrets."""
    try:
        target = urlsplit(location)
    except ValueError:
        return "an invalid address"
    return f"{target.scheme}://{target.hostname}" if target.hostname else "another path"
