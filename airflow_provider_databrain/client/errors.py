"""The exceptions a call may end with, and the one function that decides which."""

from __future__ import annotations


class ApiError(Exception):
    """A call to a dashboard API that did not succeed.

    Catch it, or a subclass, or name one in an Airflow ``RetryRule``.

    :param message: what the server or the network said.
    :param status: HTTP status, None where no answer came.
    :param code: the API's own error code, where it gave one.
    :param endpoint: the call's name, such as ``create dashboard embed``.
    :param tenant: the tenant (client id) the call was for, where it was for one.
    :param dashboard: the dashboard or embed id the call was about, where it was about one.
    :param retry_after: seconds the server asks to wait before the next try.
    """

    transient = False
    """True where the same call may succeed later without anyone changing anything."""
    ambiguous = False
    """True where the server may have acted although we hold no good answer."""
    hint = ""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        endpoint: str | None = None,
        tenant: str | None = None,
        dashboard: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.endpoint = endpoint
        self.tenant = tenant
        self.dashboard = dashboard
        self.retry_after = retry_after
        self.after_ambiguous = False
        """True where an earlier try of the same call ended ambiguously."""

    def __str__(self) -> str:
        about = [self.endpoint or "API call"]
        if self.tenant is not None:
            about.append(f"for tenant {self.tenant!r}")
        if self.dashboard is not None:
            about.append(f"(dashboard {self.dashboard!r})")
        facts = [f"HTTP {self.status}"] if self.status is not None else []
        if self.code:
            facts.append(self.code)
        if self.retry_after:
            facts.append(f"retry after {self.retry_after:g} s")
        told = f" [{', '.join(facts)}]" if facts else ""
        stop = "" if not self.hint or self.message.endswith((".", "!", "?", ":")) else "."
        hint = f"{stop} {self.hint}" if self.hint else ""
        return f"{' '.join(about)} failed{told}: {self.message}{hint}"


class AuthenticationError(ApiError):
    """The token is missing, wrong, expired, of the wrong kind or without the needed rights."""

    hint = "Check the token in the Airflow connection and which of the two kinds this call needs."


class NotAllowedError(ApiError):
    """The token is good, but whoever it belongs to may not do this here, or the plan does not include it."""


class NotFoundError(ApiError):
    """Something the call names (workspace, template, dashboard, embed) does not exist."""


class InvalidRequestError(ApiError):
    """The server refuses what was sent; sending it again will not help."""


class AlreadyExistsError(ApiError):
    """The id to be created is taken, by us or by someone else."""


class RateLimitedError(ApiError):
    """HTTP 429. ``retry_after`` is the wait in seconds, where the server named one."""

    transient = True


class ServerError(ApiError):
    """HTTP 5xx or the API's internal error. The server may have acted before it failed."""

    transient = True
    ambiguous = True


class TransportError(ApiError):
    """No answer arrived: refused, reset, timed out, TLS failure.

    :param sent: whether the request may have reached the server.
    :param transient: False for what no retry mends, such as a certificate that is not trusted.
    """

    def __init__(self, message: str, *, sent: bool = True, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient
        self.ambiguous = sent


class MalformedAnswerError(ApiError):
    """An answer that is not what the API documents: HTML, cut JSON, wrong types, too large.

    :param transient: False where the next answer would be the same (one that is too large).
    :param ambiguous: False where it tells nevertheless what the server has done.
    """

    def __init__(
        self, message: str, *, status: int | None = None, transient: bool = True, ambiguous: bool = True
    ) -> None:
        super().__init__(message, status=status)
        self.transient = transient
        self.ambiguous = ambiguous


def too_large(limit: int) -> MalformedAnswerError:
    """The error of an answer of more than ``limit`` bytes."""
    return MalformedAnswerError(
        f"the answer is larger than {limit / 1024 / 1024:g} MiB; raise 'max_answer_mib' in the "
        "connection or, where the call takes a page, fetch it page by page (page='all')",
        transient=False,
    )
