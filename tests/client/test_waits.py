"""Which answers ask for a wait, in which headers, and that no wait is absurd."""

from __future__ import annotations

import email.utils
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ApiError, RateLimitedError, ServerError
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.transport.pace import Pace
from airflow_provider_databrain.client.waits import MAX_WAIT_SECONDS, RATE_LIMIT_HEADERS, joined, wait_of
from airflow_provider_databrain.conduit.api import list_workspaces
from airflow_provider_databrain.databrain.api.embeds import list_embeds
from airflow_provider_databrain.posthog.api.dashboards import retrieve_dashboard
from tests.client.conftest import Run
from tests.client.transport.servers import server_at
from tests.support import http_answer, raw_server

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
CALLS: dict[str, Any] = {"databrain": list_embeds(), "posthog": retrieve_dashboard(4), "conduit": list_workspaces()}


def date(seconds: int) -> str:
    return email.utils.format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def wait(status: int, **headers: str) -> float | None:
    with time_machine.travel(NOW, tick=False):
        return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"").retry_after


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 408, 425, 500, 502, 503, 504, 520, 529])
@pytest.mark.parametrize("header", RATE_LIMIT_HEADERS)
def test_a_rate_limit_header_asks_for_a_wait_with_429_only(status: int, header: str) -> None:
    assert wait_of(status, {header: "reset=7" if header == "ratelimit" else "7"}) is None
    assert wait_of(429, {header: "reset=7" if header == "ratelimit" else "7"}) is not None


@pytest.mark.parametrize(
    ("status", "seconds"), [(429, 7.0), (503, 7.0), *((status, None) for status in (200, 302, 403, 500, 502, 504))]
)
def test_retry_after_asks_for_a_wait_with_429_and_503_only(status: int, seconds: float | None) -> None:
    assert wait(status, retry_after="7", x_ratelimit_reset="9") == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (" 5 ", 5.0),
        ("120.5", 120.5),
        ("0", 0.0),
        ("-0", None),
        ("-1", None),
        ("+5", None),
        ("5s", None),
        ("0x10", None),
        ("1_000", None),
        ("٣", None),
        ("³", None),
        ("infinity", None),
        ("NaN", None),
        ("1e999", None),
        ("9" * 400, None),
        ("5, 10", 10.0),
        ("5, soon", 5.0),
        ("5,", 5.0),
        (", ", None),
        (f"{date(30)}, {date(60)}", 60.0),
        (date(90), 90.0),
        (date(90).replace("GMT", "-0000"), 90.0),
        (date(90).replace(" GMT", ""), 90.0),
        ("Wednesday, 02-Jan-30 03:05:35 GMT", 90.0),
        ("Wed Jan  2 03:05:35 2030", 90.0),
        ("Wed, 99 Foo 2030 03:05:35 GMT", None),
        ("Wed, 02 Jan 2030 33:05:35 GMT", None),
        ("Wed, 02 Jan 99999999999999999999 03:05:35 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0),
        (str(EPOCH + 30), 30.0),
        (f"{EPOCH + 30}.5", 30.5),
        (str((EPOCH + 30) * 10**3), 30.0),
        (str((EPOCH + 30) * 10**6), 30.0),
        (str((EPOCH + 30) * 10**9), 30.0),
        (str(EPOCH - 30), 0.0),
        (str((EPOCH - 30) * 10**3), 0.0),
        (str(10**9 + 1), 0.0),
        ("86400", 86_400.0),
        ("86401", 86_400.0),
        (str(10**9 - 1), 86_400.0),
        ("1e300", 86_400.0),
        (str(10**300), 86_400.0),
    ],
)
@pytest.mark.parametrize("header", ["retry_after", "ratelimit_reset", "x_ratelimit_reset", "x_rate_limit_reset"])
def test_each_form_of_a_wait_is_read_or_ignored(header: str, value: str, seconds: float | None) -> None:
    assert wait(429, **{header: value}) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("limit=10, remaining=0, reset=5", 5.0),
        ("limit=10,remaining=0,reset=5", 5.0),
        ("reset=5", 5.0),
        ('"default";r=0;t=5', 5.0),
        ('"default"; t=5; r=0', 5.0),
        ('"minute";r=0;t=5, "hour";r=7;t=3000', 5.0),
        ('"minute";r=0;t=5, "hour";r=0;t=3000', 3000.0),
        ('"minute";r=3;t=5, "hour";r=7;t=3000', 5.0),
        ('"minute";r=3', None),
        ("limit=10, reset=-1", None),
        ("limit=10, reset=" + "9" * 400, 86_400.0),
        ("preset=5", None),
        ("10", None),
    ],
)
def test_the_combined_header_of_the_ietf_draft_is_read(value: str, seconds: float | None) -> None:
    assert wait(429, ratelimit=value) == seconds


@pytest.mark.parametrize(("own", "seconds"), [(date(-1000), 1030.0), (date(10), 20.0), ("nonsense", 30.0)])
def test_the_servers_clock_counts_if_it_says_its_time(own: str, seconds: float) -> None:
    assert wait(429, date=own, retry_after=date(30)) == seconds


def test_a_header_that_comes_several_times_is_one_list() -> None:
    assert joined([("Retry-After", "5"), ("X-A", "1"), ("retry-after", "9")]) == {"retry-after": "5, 9", "x-a": "1"}


@pytest.mark.parametrize("system", CALLS)
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitedError), (503, ServerError)])
@pytest.mark.parametrize("asked", ["1e300", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_wait_is_bounded_and_named(
    run: Run, system: str, status: int, kind: type[ApiError], asked: str
) -> None:
    call = CALLS[system]
    assert isinstance(call, Request)
    with raw_server(http_answer(status, b"busy", "text/plain", Retry_After=asked)) as (url, met):
        server = replace(server_at(url, max_retry_seconds=3600), tokens={call.endpoint.token: "token-0123456789"})
        server = replace(server, parameters={"project_id": "1"})
        with pytest.raises(kind) as caught:
            run(server, call)
    assert len(met) == 1
    assert caught.value.retry_after == MAX_WAIT_SECONDS
    assert f"(retry-after: '{asked}'); nothing waits longer than 86400 s" in str(caught.value)


def test_no_wait_holds_the_pace_for_longer_than_the_bound() -> None:
    holds: list[float] = []
    pace = Pace(on_hold=holds.append, clock=lambda: 100.0)
    pace.throttled(100.0, 1e300)
    assert holds == [MAX_WAIT_SECONDS]


@pytest.mark.usefixtures("fast_retries")
@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_wait_in_a_failure_that_has_none_does_not_end_the_call(run: Run, status: int) -> None:
    failed = http_answer(status, b"", "text/plain", X_RateLimit_Reset="4000", Retry_After="4000")
    with raw_server(failed, http_answer(200, b'{"data": []}')) as (url, met):
        assert run(server_at(url), list_embeds()) == []
    assert len(met) == 2


@pytest.mark.usefixtures("fast_retries")
def test_both_transports_read_the_longest_of_several_headers(run: Run) -> None:
    answer = http_answer(429, b"", "text/plain", Retry_After="5").replace(
        b"Retry-After: 5", b"Retry-After: 7\r\nRetry-After: 5"
    )
    with raw_server(answer) as (url, _), pytest.raises(RateLimitedError) as caught:
        run(server_at(url, max_retry_seconds=1), list_embeds())
    assert caught.value.retry_after == 7
