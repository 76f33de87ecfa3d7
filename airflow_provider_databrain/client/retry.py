"""What may be sent again, and how long to wait before."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

from tenacity import RetryCallState, stop_before_delay, wait_random_exponential

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import ApiError, RateLimitedError
from airflow_provider_databrain.client.server import Server

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)

MAX_FAILURES = 10
"""Tries that may fail otherwise than by the rate limit."""
BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0


class RetryOptions(TypedDict):
    """Keyword arguments of ``tenacity.Retrying`` and ``tenacity.AsyncRetrying``."""

    retry: Callable[[RetryCallState], bool]
    wait: Callable[[RetryCallState], float]
    stop: Callable[[RetryCallState], bool]
    before_sleep: Callable[[RetryCallState], None]
    reraise: bool


def may_resend(request: Request[Any], error: BaseException | None) -> bool:
    """Whether the same request may be sent again after ``error``."""
    if not isinstance(error, ApiError) or not error.transient:
        return False
    return not error.ambiguous or request.endpoint.resend is not Resend.IF_UNPROCESSED


def repeat(first: ApiError, once: Callable[[Request[T]], R]) -> Callable[[Request[T]], R]:
    """What tenacity runs after a first try has failed: meets that failure again, then tries anew.

    Setting tenacity up costs as much as a good call does, so it takes over only where there is something to repeat.
    """
    pending = [first]

    def call(request: Request[T]) -> R:
        if pending:
            raise pending.pop()
        return once(request)

    return call


def retry_options(server: Server, request: Request[Any], *, spent: float = 0.0) -> RetryOptions:
    """The retry rule of one call.

    The server's own wait is kept in full, with up to a second of jitter on top; without one, or where it has
    passed already, the wait is exponential with full jitter, at most ``MAX_BACKOFF_SECONDS``. No try starts later than
    ``server.max_retry_seconds`` after the first, and at most ``MAX_FAILURES`` tries fail otherwise
    than by the rate limit.

    :param spent: seconds that the first try has taken already.
    """
    backoff = wait_random_exponential(multiplier=BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS)
    out_of_time = stop_before_delay(max(0.0, server.max_retry_seconds - spent))
    failures = 0
    ambiguous = False

    def retry(state: RetryCallState) -> bool:
        nonlocal failures, ambiguous
        error = _error_of(state)
        if isinstance(error, ApiError):
            error.after_ambiguous = ambiguous
            ambiguous = ambiguous or error.ambiguous
            failures += not isinstance(error, RateLimitedError)
        return may_resend(request, error)

    def wait(state: RetryCallState) -> float:
        asked = getattr(_error_of(state), "retry_after", None)
        return asked + random.uniform(0, min(1.0, asked)) if asked else backoff(state)

    def stop(state: RetryCallState) -> bool:
        return failures >= MAX_FAILURES or out_of_time(state)

    def before_sleep(state: RetryCallState) -> None:
        log.warning("%s; next try in %.1f s", _error_of(state), state.upcoming_sleep)

    return RetryOptions(retry=retry, wait=wait, stop=stop, before_sleep=before_sleep, reraise=True)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
