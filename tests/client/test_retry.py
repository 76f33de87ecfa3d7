"""Which requests are sent again, after which wait, and when a call gives up."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from tenacity import Retrying

from airflow_provider_databrain.client import retry
from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransportError,
    too_large,
)
from airflow_provider_databrain.client.retry import MAX_BACKOFF_SECONDS, MAX_FAILURES, CallRetry, may_resend
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.embeds import CreatedEmbed, create_dashboard_embed
from tests.support import embed

SERVER = Server("https://api.example", {}, max_retry_seconds=100_000)
CREATE = create_dashboard_embed(embed())


class Script:
    """A call that fails with each error in turn and then succeeds; with ``forever``, it never succeeds."""

    def __init__(self, *errors: Exception, forever: bool = False) -> None:
        self.errors = list(errors)
        self.forever = forever
        self.raised: list[Exception] = []
        self.waits: list[float] = []

    def __call__(self) -> str:
        if self.forever:
            error: Exception = self._copy()
        elif self.errors:
            error = self.errors.pop(0)
        else:
            return "done"
        self.raised.append(error)
        raise error

    def run(self, server: Server = SERVER, request: Request[CreatedEmbed] = CREATE, *, real: bool = False) -> str:
        """Run as the transports do. Each wait is recorded; the call sleeps only if ``real``."""

        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            if real:
                time.sleep(seconds)
            if len(self.waits) > 200:
                raise OverflowError("this never ends")

        started = time.monotonic()
        try:
            return self()
        except ApiError as first:
            retry = CallRetry(server, request, first, spent=time.monotonic() - started)

            def again() -> str:
                retry.replay_first()
                return self()

            return str(Retrying(**retry.rules(), sleep=sleep)(again))

    def _copy(self) -> Exception:
        [error] = self.errors
        copy = type(error)(*error.args)
        vars(copy).update(vars(error))
        return copy


def with_resend(resend: Resend) -> Request[CreatedEmbed]:
    return replace(CREATE, endpoint=replace(CREATE.endpoint, resend=resend))


@pytest.mark.parametrize("resend", list(Resend), ids=lambda resend: resend.name)
@pytest.mark.parametrize(
    ("error", "again", "unclear"),
    [
        (RateLimitedError("x"), True, False),
        (TransportError("x", sent=False), True, False),
        (TransportError("x"), True, True),
        (ServerError("x"), True, True),
        (MalformedAnswerError("x"), True, True),
        (TransportError("x", sent=False, transient=False), False, False),
        (too_large(1), False, True),
        (AuthenticationError("x"), False, False),
        (NotFoundError("x"), False, False),
        (InvalidRequestError("x"), False, False),
        (AlreadyExistsError("x"), False, False),
        (RuntimeError("x"), False, False),
        (None, False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_request_is_sent_again_only_if_that_may_help_and_cannot_harm(
    resend: Resend, error: Exception | None, again: bool, unclear: bool
) -> None:
    expected = again and not (unclear and resend is Resend.IF_UNPROCESSED)
    assert may_resend(with_resend(resend), error) is expected


@pytest.mark.parametrize(("asked", "jitter"), [(30.0, 1.0), (1.0, 1.0), (0.2, 0.2)])
def test_the_wait_that_a_server_asks_for_is_kept_in_full_plus_a_little_jitter(asked: float, jitter: float) -> None:
    script = Script(*(RateLimitedError("x", retry_after=asked) for _ in range(30)))
    assert script.run() == "done"
    assert len(script.waits) == 30
    assert all(asked <= wait <= asked + jitter for wait in script.waits)
    assert len(set(script.waits)) > 1


def test_a_rate_limit_that_asks_for_no_wait_still_gets_pauses() -> None:
    script = Script(*(RateLimitedError("x", retry_after=0.0) for _ in range(30)))
    assert script.run() == "done"
    assert sum(script.waits) > 1


def test_the_backoff_grows_up_to_its_maximum() -> None:
    script = Script(*(RateLimitedError("x") for _ in range(60)))
    assert script.run() == "done"
    bounds = [min(MAX_BACKOFF_SECONDS, retry.BACKOFF_SECONDS * 2**tried) for tried in range(60)]
    assert all(0 <= wait <= bound for wait, bound in zip(script.waits, bounds, strict=True))
    assert max(script.waits) > MAX_BACKOFF_SECONDS / 2


def test_a_call_ends_after_the_maximum_number_of_failures() -> None:
    script = Script(ServerError("x"), forever=True)
    with pytest.raises(ServerError) as caught:
        script.run()
    assert len(script.raised) == MAX_FAILURES
    assert caught.value is script.raised[-1]


def test_rate_limits_do_not_count_as_failures() -> None:
    failures = [ServerError("x"), RateLimitedError("x", retry_after=1)] * (MAX_FAILURES - 1)
    script = Script(*[RateLimitedError("x", retry_after=1)] * 20, *failures)
    assert script.run() == "done"


@pytest.mark.parametrize(("allowed", "asked"), [(0.0, None), (0.0, 0.0), (20.0, 21.0)])
def test_no_try_starts_after_the_allowed_time(allowed: float, asked: float | None) -> None:
    script = Script(RateLimitedError("x", retry_after=asked), forever=True)
    with pytest.raises(RateLimitedError):
        script.run(replace(SERVER, max_retry_seconds=allowed))
    assert (len(script.raised), script.waits) == (1, [])


@pytest.mark.parametrize(("spent", "tries"), [(0.0, 2), (9.0, 1), (11.0, 1)])
def test_the_time_of_the_first_try_counts(spent: float, tries: int) -> None:
    first = RateLimitedError("x", retry_after=2)
    call = CallRetry(replace(SERVER, max_retry_seconds=10), CREATE, first, spent=spent)
    tried: list[float] = []

    def again() -> None:
        tried.append(0.0)
        call.replay_first()

    retrying = Retrying(**call.rules(), sleep=lambda seconds: None)
    if tries == 1:
        with pytest.raises(RateLimitedError):
            retrying(again)
    else:
        retrying(again)
    assert len(tried) == tries


def test_tries_end_after_the_allowed_time() -> None:
    script = Script(RateLimitedError("x", retry_after=0.02), forever=True)
    started = time.monotonic()
    with pytest.raises(RateLimitedError):
        script.run(replace(SERVER, max_retry_seconds=0.1), real=True)
    assert time.monotonic() - started < 1
    assert 2 <= len(script.raised) <= 6


def test_an_error_says_whether_an_earlier_try_may_have_acted() -> None:
    errors: list[ApiError] = [
        RateLimitedError("x"),
        TransportError("x", sent=False),
        ServerError("x"),
        RateLimitedError("x"),
        AlreadyExistsError("x"),
    ]
    with pytest.raises(AlreadyExistsError):
        Script(*errors).run()
    assert [error.after_ambiguous for error in errors] == [False, False, False, True, True]


def test_a_call_knows_nothing_about_the_failures_of_another() -> None:
    with pytest.raises(AlreadyExistsError):
        Script(ServerError("x"), AlreadyExistsError("x")).run()
    with pytest.raises(AlreadyExistsError) as caught:
        Script(AlreadyExistsError("x")).run()
    assert not caught.value.after_ambiguous


def test_each_wait_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(RateLimitedError("slow down", endpoint="list embeds"), TransportError("reset"))
    with caplog.at_level("WARNING"):
        assert script.run() == "done"
    texts = [record.getMessage() for record in caplog.records]
    assert "list embeds failed: slow down; next try in" in texts[0]
    assert "reset" in texts[1]
    assert all(first != second for first, second in pairwise(texts))
