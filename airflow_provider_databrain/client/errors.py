"""The exceptions that a call can end with.

What always holds:

- A call that fails ends with an ``ApiError``. Its class says what went wrong: ``client.dialect.classify`` chooses the
  class for an answer, and the transports choose it if no answer came. (Not an ``ApiError``: a ``ConfigurationError``,
  which is raised before anything is sent.)
- A status alone is no fact about a resource or about the credentials: a gateway, a proxy or a firewall in between may
  have sent it. ``from_api`` says whether the answer has the API's own error. Nobody concludes from a class that a
  dashboard is gone, that a name is taken or that the credentials are refused, unless ``from_api`` is True.
- ``transient`` says whether the same call may succeed later. ``ambiguous`` says whether the server may have acted.
  ``client.retry`` decides by these two alone.
- The text of an error names the call, the tenant, the dashboard, the status and, if known, the next step. It contains
  no token, and is one line: what a server said cannot forge another one (``printable``).
- An error can be pickled and copied (``portable``), because Airflow may carry it from one process to another.
"""

from __future__ import annotations

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable


class ApiError(Portable, Exception):
    """A call to a dashboard API that did not succeed.

    Catch it, or a subclass, or name one in an Airflow ``RetryRule``.

    :param message: what the server or the network said.
    :param status: HTTP status; None if no answer came.
    :param code: the API's own error code; None if it sent none.
    :param endpoint: the call's name, such as ``create dashboard embed``.
    :param tenant: the tenant (client id) that the call was for; None if it was for no tenant.
    :param dashboard: the dashboard or embed id that the call was about; None if it was about neither.
    :param retry_after: seconds that the server asks to wait before the next try.
    """

    transient = False
    """True if the same call may succeed later although nobody changes anything."""
    ambiguous = False
    """True if the server may have acted although we have no good answer."""
    hint = ""
    """The next step, added to the message."""

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
        """True if an earlier try of the same call was ambiguous; set by ``client.retry.CallRetry.record_failure``."""
        self.from_api = True
        """False if the answer has a status, but not the API's own error; set by ``client.dialect.classify``."""
        self.content_type: str | None = None
        """The answer's content type, without secrets; None if none came."""

    @property
    def may_pass(self) -> bool:
        """Whether a later poll may succeed: the error is transient, or the answer may not be the API's own."""
        return self.transient or not self.from_api

    def raise_unless_from_api(self) -> None:
        """Raise this error again if only the status says what happened."""
        if not self.from_api:
            raise self

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
        details = f" [{', '.join(facts)}]" if facts else ""
        stop = "" if not self.hint or self.message.endswith((".", "!", "?", ":")) else "."
        hint = f"{stop} {self.hint}" if self.hint else ""
        return printable(f"{' '.join(about)} failed{details}: {self.message}{hint}")


class AuthenticationError(ApiError):
    """The token is missing, wrong, expired, of the wrong kind, or lacks the needed rights."""

    hint = "Check the token in the Airflow connection."


class NotAllowedError(ApiError):
    """The token is valid, but its owner may not do this here, or the plan does not include it."""


class NotFoundError(ApiError):
    """Something that the call names (workspace, template, dashboard, embed) does not exist."""


class EndpointMissingError(ApiError):
    """The server answers that it has no such endpoint. Nothing is known about what the call names.

    It is no ``NotFoundError``, because nobody may conclude from it that a dashboard or a tile is gone.
    """

    hint = "This server is too old for this call, or Host in the Airflow connection is wrong."


class InvalidRequestError(ApiError):
    """The server refuses what was sent. Sending it again does not help."""


class AlreadyExistsError(ApiError):
    """The id that was to be created exists already; we or someone else created it."""


class RateLimitedError(ApiError):
    """HTTP 429. ``retry_after`` is the wait in seconds; None if the server named none."""

    transient = True


class ServerError(ApiError):
    """HTTP 5xx or the API's internal error. The server may have acted before it failed."""

    transient = True
    ambiguous = True


class TransportError(ApiError):
    """No answer came: the connection was refused, reset or timed out, or TLS failed.

    :param sent: whether the request may have reached the server.
    :param transient: False if a retry cannot help, for example if the certificate is not trusted.
    """

    def __init__(self, message: str, *, sent: bool = True, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient
        self.ambiguous = sent


class MalformedAnswerError(ApiError):
    """An answer that is not what the API documents: HTML, cut JSON, wrong types, too large.

    :param transient: False if the next answer would be the same, for example one that is too large.
    :param ambiguous: False if the answer shows nevertheless what the server has done.
    """

    def __init__(
        self, message: str, *, status: int | None = None, transient: bool = True, ambiguous: bool = True
    ) -> None:
        super().__init__(message, status=status)
        self.transient = transient
        self.ambiguous = ambiguous


def too_large(limit: int) -> MalformedAnswerError:
    """The error for an answer of more than ``limit`` bytes."""
    return MalformedAnswerError(
        f"the answer is larger than {limit / 1024 / 1024:g} MiB; raise 'max_answer_mib' in the "
        "connection or, if the call takes a page, fetch it page by page (page='all')",
        transient=False,
    )


def too_slow(seconds: float) -> TransportError:
    """The error for a try that has not ended after ``seconds``. The server may have acted."""
    return TransportError(
        f"no complete answer within {seconds:g} s, although the server may still be sending; if it needs longer, raise "
        "'max_call_seconds' in the connection"
    )
