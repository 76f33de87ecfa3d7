"""Which failed calls are sent again, how long to wait before, and when to give up.

What always holds:

- A request is sent again only if its error is transient. If the server may have acted on it, the request must also be
  one that may be sent twice (``Resend``).
- Each call has a ``CallRetry`` of its own, so no call knows about the failures of another.
- ``CallRetry`` is made after a first failure only. A call that succeeds at once pays nothing: to set tenacity up costs
  as much as a good call does.
- Only ``CallRetry.record_failure`` sets ``ApiError.after_ambiguous``.

This module does not use the network and does not sleep: tenacity calls its rules, and the transports send.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, TypedDict

from tenacity import RetryCallState, stop_before_delay, wait_random_exponential

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import ApiError, RateLimitedError
from airflow_provider_databrain.client.server import Server

log = logging.getLogger(__name__)

MAX_FAILURES = 10
"""Maximum failed tries of one call. Tries that meet the rate limit do not count."""
BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0


def may_resend(request: Request[Any], error: BaseException | None) -> bool:
    """Whether the same request may be sent again after ``error``."""
    if not isinstance(error, ApiError) or not error.transient:
        return False
    return not error.ambiguous or request.endpoint.resend is not Resend.IF_UNPROCESSED


class RetryRules(TypedDict):
    """Keyword arguments of ``tenacity.Retrying`` and ``tenacity.AsyncRetrying``."""

    retry: Callable[[RetryCallState], bool]
    wait: Callable[[RetryCallState], float]
    stop: Callable[[RetryCallState], bool]
    before_sleep: Callable[[RetryCallState], None]
    reraise: bool


class CallRetry:
    """The retries of one call, from its first failure to its end.

    The first try happens without tenacity. What tenacity runs calls ``replay_first`` before each try, so that tenacity
    counts the first try as its own. After each failed try, tenacity calls ``should_retry``, ``wait_seconds``,
    ``should_stop`` and ``log_wait``, in this order.

    :param first: the error of the first try.
    :param spent: seconds that the first try took.
    """

    def __init__(self, server: Server, request: Request[Any], first: ApiError, *, spent: float) -> None:
        self._request = request
        self._first: ApiError | None = first
        self._failures = 0
        self._may_have_acted = False
        self._backoff = wait_random_exponential(multiplier=BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS)
        self._is_late = stop_before_delay(max(0.0, server.max_retry_seconds - spent))

    def rules(self) -> RetryRules:
        """The rules in the form that tenacity takes."""
        return RetryRules(
            retry=self.should_retry,
            wait=self.wait_seconds,
            stop=self.should_stop,
            before_sleep=self.log_wait,
            reraise=True,
        )

    def replay_first(self) -> None:
        """Raise the first try's error when called first; do nothing afterwards."""
        if self._first is not None:
            first, self._first = self._first, None
            raise first

    def record_failure(self, error: ApiError) -> None:
        """Count a failed try, and note on its error whether an earlier try of this call may have acted."""
        error.after_ambiguous = self._may_have_acted
        self._may_have_acted = self._may_have_acted or error.ambiguous
        self._failures += not isinstance(error, RateLimitedError)

    def should_retry(self, state: RetryCallState) -> bool:
        """Record how the try ended; True if the request may be sent again."""
        error = _error_of(state)
        if isinstance(error, ApiError):
            self.record_failure(error)
        return may_resend(self._request, error)

    def wait_seconds(self, state: RetryCallState) -> float:
        """The full wait that the server asks for, plus up to a second of jitter.

        If the server asks for no wait, or for one that has passed already, the wait is exponential with full jitter, at
        most ``MAX_BACKOFF_SECONDS``.
        """
        asked = getattr(_error_of(state), "retry_after", None)
        return asked + random.uniform(0, min(1.0, asked)) if asked else self._backoff(state)

    def should_stop(self, state: RetryCallState) -> bool:
        """True after ``MAX_FAILURES`` failures, or if the next try would start too late.

        No wait of this call ends later than ``server.max_retry_seconds`` after its first try. A hold of the pace,
        caused by another call's 429, can add to that time.
        """
        return self._failures >= MAX_FAILURES or self._is_late(state)

    def log_wait(self, state: RetryCallState) -> None:
        """Log the error and the wait before the next try."""
        log.warning("%s; next try in %.1f s", _error_of(state), state.upcoming_sleep)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
