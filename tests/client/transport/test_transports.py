"""Both transports, with a server that fails in every way that a server can fail."""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
)
from airflow_provider_databrain.client.retry import MAX_FAILURES
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api.embeds import CreatedEmbed, create_dashboard_embed, list_embeds
from airflow_provider_databrain.databrain.api.endpoint import API_KEY
from airflow_provider_databrain.databrain.api.workspaces import fetch_workspace_metrics
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.client.compressed import COMPRESS, CUT, Compress, compressions
from tests.client.conftest import Run
from tests.client.transport.servers import CREATED, KEY, free_port, keeping_server, server_at, server_of, statuses
from tests.support import METRICS, ODD_IDS, WORKSPACE, embed, http_answer, raw_server, silent_server

EXISTS = b'{"error": {"code": "INVALID_DASHBOARD_ID", "message": "Dashboard already exists"}}'
"""The body of an error."""
pytestmark = pytest.mark.usefixtures("fast_retries")


def create(tenant: str = "acme", resend: Resend | None = None) -> Request[CreatedEmbed]:
    request = create_dashboard_embed(embed(tenant))
    return replace(request, endpoint=replace(request.endpoint, resend=resend)) if resend else request


def test_a_call_returns_its_result(run: Run, emulator: Emulator) -> None:
    created = run(server_of(emulator), create())
    assert (created.id, created.name) == ("client-acme", "client-acme")
    assert [row.client_id for row in emulator.state.embeds()] == ["acme"]


def test_odd_ids_arrive_as_they_are(run: Run, emulator: Emulator) -> None:
    server = server_of(emulator)
    run(server, *(create(tenant) for tenant in ODD_IDS))
    assert [row.client_id for row in emulator.state.embeds()] == ODD_IDS
    for tenant in ODD_IDS:
        [listed] = run(server, list_embeds(client_id=tenant))
        assert listed.dashboard_id == f"client-{tenant}"


def test_a_list_is_fetched_page_by_page_with_the_other_token(run: Run, emulator: Emulator) -> None:
    emulator.state.add_workspace("big", metrics=[f"m-{number:02}" for number in range(23)])
    rows = run(server_of(emulator), fetch_workspace_metrics("big", page="all"))
    assert [row.metric_id for row in rows] == [f"m-{number:02}" for number in range(23)]
    assert statuses(emulator) == [200, 200, 200]
    assert len(run(server_of(emulator), fetch_workspace_metrics(WORKSPACE))) == len(METRICS)


@pytest.mark.parametrize("kind", ["error_before", "reset_before", "too_many"])
def test_a_create_that_the_server_did_not_act_on_is_sent_again(run: Run, emulator: Emulator, kind: Any) -> None:
    emulator.control.set_faults([Fault(kind=kind, times=1, seconds=0.01)])
    assert run(server_of(emulator), create()).id == "client-acme"
    assert emulator.state.count_embeds() == 1
    assert len(statuses(emulator)) == 2


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut", "wrong", "slow"])
def test_a_create_whose_answer_is_lost_is_found_again(run: Run, emulator: Emulator, kind: Any) -> None:
    emulator.control.set_faults([Fault(kind=kind, times=1, seconds=0.8)])
    with pytest.raises(AlreadyExistsError, match="Dashboard already exists") as caught:
        run(server_of(emulator, read_timeout=0.3), create())
    assert caught.value.after_ambiguous
    assert (caught.value.tenant, caught.value.dashboard) == ("acme", "client-acme")
    assert emulator.state.count_embeds() == 1


def test_a_dashboard_that_existed_before_is_not_mistaken_for_ours(run: Run, emulator: Emulator) -> None:
    with pytest.raises(AlreadyExistsError) as caught:
        run(server_of(emulator), create(), create())
    assert not caught.value.after_ambiguous
    assert statuses(emulator) == [200, 400]


def test_a_slow_answer_within_the_timeout_is_waited_for(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="slow", times=1, seconds=0.05)])
    assert run(server_of(emulator), create()).id == "client-acme"
    assert statuses(emulator) == [200]


def test_the_time_of_the_first_try_counts_against_the_time_for_retries(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="slow", times=1, seconds=0.8)])
    with pytest.raises(TransportError):
        run(server_of(emulator, read_timeout=0.3, max_retry_seconds=0.2), list_embeds())
    assert len(emulator.control.log) <= 1


def test_a_call_ends_if_the_server_keeps_failing(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="error_before")])
    with pytest.raises(ServerError, match=r"create dashboard embed for tenant 'acme' .* \[HTTP 500, INTERNAL"):
        run(server_of(emulator), create())
    assert statuses(emulator) == [500] * MAX_FAILURES


@pytest.mark.parametrize(
    ("kind", "error", "met"), [("error_before", ServerError, [500]), ("reset_before", TransportError, [None])]
)
def test_a_request_that_may_be_sent_only_once_is_not_sent_again_after_an_ambiguous_failure(
    run: Run, emulator: Emulator, kind: Any, error: type[Exception], met: list[int | None]
) -> None:
    emulator.control.set_faults([Fault(kind=kind, times=1)])
    with pytest.raises(error):
        run(server_of(emulator), create(resend=Resend.IF_UNPROCESSED))
    assert statuses(emulator) == met


def test_a_request_that_may_be_sent_only_once_is_sent_again_after_a_rate_limit(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="too_many", times=2, seconds=0.01)])
    assert run(server_of(emulator), create(resend=Resend.IF_UNPROCESSED)).id == "client-acme"
    assert statuses(emulator) == [429, 429, 200]


def test_a_wait_longer_than_the_allowed_time_is_an_error_at_once(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="too_many", seconds=3600)])
    with pytest.raises(RateLimitedError, match="Too many requests") as caught:
        run(server_of(emulator, max_retry_seconds=60), create())
    assert caught.value.retry_after == 3600
    assert statuses(emulator) == [429]


def test_a_refusal_is_not_sent_again(run: Run, emulator: Emulator) -> None:
    server = replace(server_of(emulator), tokens={API_KEY: "wrong"})
    with pytest.raises(AuthenticationError, match="API key is invalid or expired"):
        run(server, create())
    assert statuses(emulator) == [401]


def test_a_missing_token_is_an_error_before_anything_is_sent(run: Run, emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match=r"Connection 'my_conn' has no data app API key.*fill Password"):
        run(replace(server_at(emulator.url), tokens={}), create())
    assert statuses(emulator) == []


def test_a_refused_connection_never_reached_the_server(run: Run) -> None:
    with pytest.raises(TransportError) as caught:
        run(server_at(f"http://127.0.0.1:{free_port()}", max_retry_seconds=0), create())
    assert (caught.value.transient, caught.value.ambiguous, caught.value.status) == (True, False, None)
    assert caught.value.tenant == "acme"


def test_an_unknown_host_never_reached_the_server(run: Run) -> None:
    with pytest.raises(TransportError, match=r"nowhere\.invalid") as caught:
        run(server_at("http://nowhere.invalid", max_retry_seconds=0), create())
    assert not caught.value.ambiguous


@pytest.mark.parametrize("host", ["data..example", ".example", "a" * 64 + ".example"], ids=["dots", "dot", "long"])
def test_an_invalid_host_is_an_api_error(run: Run, host: str) -> None:
    with pytest.raises(TransportError) as caught:
        run(server_at(f"http://{host}", max_retry_seconds=0), create())
    assert not caught.value.ambiguous


def test_a_read_timeout_leaves_the_outcome_open(run: Run, emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="slow", seconds=0.3)])
    with pytest.raises(TransportError) as caught:
        run(server_of(emulator, read_timeout=0.05, max_retry_seconds=0), create())
    assert (caught.value.transient, caught.value.ambiguous) == (True, True)


def test_a_truncated_answer_leaves_the_outcome_open(run: Run) -> None:
    cut = http_answer(200, CREATED).replace(b"Content-Length: ", b"Content-Length: 9")
    with raw_server(cut, http_answer(200, CREATED)) as (url, met):
        with pytest.raises(TransportError) as caught:
            run(server_at(url, max_retry_seconds=0), create())
        assert caught.value.ambiguous
        assert run(server_at(url), create()).id == "client-acme"
    assert len(met) == 2


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_call_is_retried_after_an_answer_that_is_not_http(run: Run, answer: bytes) -> None:
    with raw_server(answer, http_answer(200, CREATED)) as (url, met):
        assert run(server_at(url), create()).id == "client-acme"
    assert len(met) == 2


def test_a_call_fails_at_once_if_its_answer_is_too_large(run: Run) -> None:
    with raw_server(http_answer(200, b'{"data": "' + b"x" * 20_000 + b'"}')) as (url, met):
        with pytest.raises(MalformedAnswerError, match="raise 'max_answer_mib' in the connection") as caught:
            run(server_at(url, max_answer_bytes=10_000), list_embeds())
        assert not caught.value.transient
        assert len(met) == 1


@pytest.mark.parametrize(
    ("status", "error", "words", "transient"),
    [
        (200, MalformedAnswerError, r"larger than 1 MiB; raise 'max_answer_mib'", False),
        (302, InvalidRequestError, r"HTTP 302.*redirected to http://127\.0\.0\.1;", False),
        (500, ServerError, r"HTTP 500.*larger than 1 MiB; raise 'max_answer_mib'", True),
    ],
)
@pytest.mark.parametrize(("encoding", "compress"), [COMPRESS["gzip"], COMPRESS["deflate"]], ids=["gzip", "deflate"])
def test_the_size_limit_counts_decompressed_bytes_and_no_more_are_held(
    run: Run, status: int, error: type[ApiError], words: str, transient: bool, encoding: str, compress: Compress
) -> None:
    bomb = compress(b" " * 40_000_000)
    assert len(bomb) < 100_000
    answer = http_answer(status, bomb, Content_Encoding=encoding, Location="http://127.0.0.1:1/")
    with raw_server(answer) as (url, met):
        tracemalloc.start()
        try:
            with pytest.raises(error, match=words) as caught:
                run(server_at(url, max_answer_bytes=1024 * 1024, max_retry_seconds=0), list_embeds())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert caught.value.transient == transient
    assert len(met) == 1
    assert peak < 20_000_000


@compressions
def test_a_compressed_answer_is_read(run: Run, encoding: str, compress: Compress) -> None:
    with raw_server(http_answer(200, compress(CREATED), Content_Encoding=encoding)) as (url, met):
        assert run(server_at(url), create()).id == "client-acme"
    assert b"accept-encoding: gzip, deflate\r\n" in met[0].lower()


@pytest.mark.parametrize("size", [10_000_000, 40_000_000])
def test_a_large_compressed_answer_below_the_limit_is_read(run: Run, size: int) -> None:
    body = CREATED + b" " * size
    with raw_server(http_answer(200, gzip.compress(body), Content_Encoding="gzip")) as (url, _):
        assert run(server_at(url, max_answer_bytes=len(body)), create()).id == "client-acme"
        with pytest.raises(MalformedAnswerError, match="raise 'max_answer_mib'"):
            run(server_at(url, max_answer_bytes=len(body) - 1), create())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_broken_compressed_answer_is_an_api_error(run: Run, encoding: str) -> None:
    with raw_server(http_answer(200, b"not gzip at all", Content_Encoding=encoding)) as (url, _):
        with pytest.raises(TransportError, match=f"the {encoding} data of the answer is broken") as caught:
            run(server_at(url, max_retry_seconds=0), create())
        assert (caught.value.transient, caught.value.ambiguous) == (True, True)


@CUT
def test_a_cut_compressed_answer_leaves_the_outcome_open(run: Run, encoding: str, compress: Compress) -> None:
    # The JSON may be complete: the end of the compressed data is a checksum.
    cut = http_answer(200, compress(CREATED)[:-1], Content_Encoding=encoding)
    with raw_server(cut, http_answer(200, CREATED)) as (url, met):
        with pytest.raises(TransportError, match=f"the {encoding} data of the answer is cut") as caught:
            run(server_at(url, max_retry_seconds=0), create())
        assert (caught.value.transient, caught.value.ambiguous) == (True, True)
        assert run(server_at(url), create()).id == "client-acme"
    assert len(met) == 2


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "br, gzip", "what-else"])
def test_an_answer_in_an_encoding_that_was_not_asked_for_is_a_permanent_error(run: Run, encoding: str) -> None:
    with raw_server(http_answer(200, b"anything", Content_Encoding=encoding)) as (url, met):
        words = (
            f"^create dashboard embed.*the encoding '{encoding}'.*only gzip and deflate.*check the server or the proxy"
        )
        with pytest.raises(MalformedAnswerError, match=words) as caught:
            run(server_at(url), create())
    assert (caught.value.transient, caught.value.ambiguous, caught.value.status) == (False, True, 200)
    assert len(met) == 1


@pytest.mark.parametrize("encoding", ["br", "what-else", "gzip, br"])
def test_a_plain_answer_is_read_if_its_encoding_is_unknown(run: Run, encoding: str) -> None:
    with raw_server(http_answer(200, CREATED, Content_Encoding=encoding)) as (url, _):
        assert run(server_at(url), create()).id == "client-acme"
    with raw_server(http_answer(400, EXISTS, Content_Encoding=encoding)) as (url, _):
        with pytest.raises(AlreadyExistsError, match="Dashboard already exists") as caught:
            run(server_at(url), create())
        assert (caught.value.status, caught.value.code) == (400, "INVALID_DASHBOARD_ID")
    with raw_server(http_answer(200, b"[4]", Content_Encoding=encoding)) as (url, _):
        with pytest.raises(MalformedAnswerError) as malformed:
            run(server_at(url, max_retry_seconds=0), create())
        assert "encoding" not in str(malformed.value)


def test_an_encoding_in_several_headers_is_one_list(run: Run) -> None:
    answer = http_answer(200, gzip.compress(zlib.compress(CREATED)), Content_Encoding="deflate")
    answer = answer.replace(b"Connection:", b"content-encoding: gzip\r\nConnection:")
    with raw_server(answer) as (url, _):
        assert run(server_at(url), create()).id == "client-acme"


ERRORS = {
    302: InvalidRequestError,
    400: InvalidRequestError,
    401: AuthenticationError,
    404: NotFoundError,
    409: AlreadyExistsError,
    429: RateLimitedError,
    503: ServerError,
}
LIMIT = 10_000


def damaged(kind: str, status: int) -> bytes:
    """An answer whose body cannot be read. It has the token in it, or a part of the token."""
    text = f"<p>{KEY}".encode()
    noise = random.Random(1).randbytes(2 * LIMIT).hex().encode()
    body, encoding = {
        "plain": (text, "gzip"),
        "plain deflate": (text, "deflate"),
        "cut": (gzip.compress(text[:12])[:-1], "gzip"),
        "cut inside": (gzip.compress(gzip.compress(text[:12])[:-1]), "gzip, gzip"),
        "broken": (gzip.compress(text)[:-8] + bytes(8), "gzip"),
        "too large": (gzip.compress(noise), "gzip"),
        "too large and plain": (noise, "identity"),
        "too large and unknown": (noise, "br"),
        "unknown": (b"anything", "br"),
        "shorter than its length": (text[:12], "identity"),
        "too large and shorter than its length": (noise, "identity"),
    }[kind]
    answer = http_answer(status, body, Content_Encoding=encoding, Retry_After="7", Location="/")
    if "shorter" in kind:
        answer = answer.replace(b"Content-Length: ", b"Content-Length: 9")
    return answer


WORDS = {
    "plain": "the gzip data of the answer is broken",
    "plain deflate": "the deflate data of the answer is broken",
    "cut": "the gzip data of the answer is cut",
    "cut inside": "the gzip data of the answer is cut",
    "broken": "the gzip data of the answer is broken",
    "too large": "larger than",
    "too large and plain": "larger than",
    "too large and unknown": "larger than",
    "unknown": "the encoding 'br'.*only gzip and deflate.*check the server or the proxy",
    "shorter than its length": "IncompleteRead|ClientPayloadError|ContentLengthError",
    "too large and shorter than its length": "larger than",
}


BROKEN_OFF = "shorter than its length"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, kind) for status in ERRORS for kind in WORDS if kind != BROKEN_OFF or status not in (400, 404, 409)],
)
def test_the_status_of_an_error_counts_with_any_body(run: Run, status: int, kind: str) -> None:
    with raw_server(damaged(kind, status)) as (url, met), pytest.raises(ApiError) as caught:
        run(server_at(url, max_retry_seconds=5, max_answer_bytes=LIMIT), create())
    error, expected = caught.value, ERRORS[status]
    assert type(error) is expected
    wait = 7 if status in (429, 503) else None
    assert (error.status, error.retry_after, error.transient) == (status, wait, expected.transient)
    assert len(met) == 1
    assert re.search("redirected to another path" if status == 302 else WORDS[kind], str(error))
    assert KEY[:5] not in str(error)
    assert "anything" not in str(error)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_an_error_whose_code_the_network_cut_off_is_tried_again(run: Run, status: int) -> None:
    with raw_server(damaged(BROKEN_OFF, status), http_answer(200, CREATED)) as (url, met):
        assert run(server_at(url), create()).id == "client-acme"
    assert len(met) == 2


@pytest.mark.parametrize("status", [401, 503])
def test_the_chunks_of_an_error_may_be_broken(run: Run, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with raw_server(head + b"4\r\n{}  \r\n40\r\ndata") as (url, met), pytest.raises(ERRORS[status]) as caught:
        run(server_at(url, max_retry_seconds=0), create())
    assert (caught.value.status, len(met)) == (status, 1)


def test_an_error_whose_body_does_not_come_keeps_its_status(run: Run) -> None:
    head = b"HTTP/1.1 401 X\r\nContent-Length: 9\r\n\r\n"
    with silent_server(head) as url, pytest.raises(AuthenticationError, match=r"(?i)time") as caught:
        run(server_at(url, read_timeout=0.1), create())
    assert caught.value.status == 401


@CUT
def test_the_code_of_an_error_counts_if_only_the_end_of_its_data_is_missing(
    run: Run, encoding: str, compress: Compress
) -> None:
    answer = http_answer(400, compress(EXISTS + b"\n")[:-1], Content_Encoding=encoding)
    with raw_server(answer) as (url, _), pytest.raises(AlreadyExistsError, match="Dashboard already exists") as caught:
        run(server_at(url), create())
    assert (caught.value.status, caught.value.code) == (400, "INVALID_DASHBOARD_ID")


def test_a_rate_limit_with_a_broken_body_is_sent_again(run: Run) -> None:
    busy = http_answer(429, b"busy", Content_Encoding="gzip", Retry_After="0")
    with raw_server(busy, http_answer(200, CREATED)) as (url, met):
        assert run(server_at(url), create(resend=Resend.IF_UNPROCESSED)).id == "client-acme"
    assert len(met) == 2


def test_a_server_error_that_is_too_large_is_sent_again(run: Run) -> None:
    with raw_server(http_answer(500, b"x" * 2 * LIMIT), http_answer(200, CREATED)) as (url, met):
        assert run(server_at(url, max_answer_bytes=LIMIT), create()).id == "client-acme"
    assert len(met) == 2


def test_an_empty_answer_needs_no_compressed_data(run: Run) -> None:
    with raw_server(http_answer(204, b"", Content_Encoding="gzip")) as (url, _):
        emptied = Request(replace(create().endpoint, empty=True), lambda answer: answer)
        assert run(server_at(url), emptied) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
def test_a_connection_that_the_server_closes_gets_each_try_once(run: Run, method: str) -> None:
    request = create()
    sent = replace(request, endpoint=replace(request.endpoint, method=method, resend=Resend.IF_UNPROCESSED))
    with keeping_server(answers=1) as (url, met):
        # The first call leaves a connection open. The server reads the second call on it, and then closes it.
        with pytest.raises(TransportError) as caught:
            run(server_at(url), sent, sent)
        assert (caught.value.transient, caught.value.ambiguous) == (True, True)
        assert [(number, head.split(b" ")[0].decode()) for number, head in met] == [(1, method), (1, method)]
        met.clear()
        again = replace(sent, endpoint=replace(sent.endpoint, resend=Resend.ALWAYS))
        assert run(server_at(url), again, again).id == "client-acme"
        assert [number for number, _ in met] == [2, 2, 3]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_sees_no_token(run: Run, status: int) -> None:
    with raw_server(http_answer(200, CREATED)) as (target, seen):
        moved = http_answer(status, b"", Location=f"{target}/elsewhere?ticket=s3cr3t")
        with raw_server(moved) as (url, met), pytest.raises(InvalidRequestError, match="redirected to") as caught:
            run(server_at(url), create())
    assert "http://127.0.0.1;" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert (len(met), seen) == (1, [])


def test_a_broken_redirect_is_an_api_error(run: Run) -> None:
    with raw_server(http_answer(302, b"", Location="http://[::1")) as (url, _), pytest.raises(InvalidRequestError):
        run(server_at(url), create())


def test_a_netrc_file_does_not_replace_the_token(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_server(http_answer(200, CREATED)) as (url, met):
        run(server_at(url, user_agent="agent/1.2.3"), create())
    assert f"Authorization: Bearer {KEY}".encode() in met[0]
    assert b"User-Agent: agent/1.2.3" in met[0]
    assert met[0].count(b"uthorization") == 1


async def test_an_async_transport_that_is_not_open_says_so(emulator: Emulator) -> None:
    transport = AsyncTransport(server_of(emulator))
    with pytest.raises(RuntimeError, match="async context manager"):
        await transport.run(create())
    async with transport:
        assert (await transport.run(create())).id == "client-acme"
    with pytest.raises(RuntimeError, match="async context manager"):
        await transport.run(list_embeds())


async def test_an_async_transport_runs_many_calls_at_once_despite_faults(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="error_before", every=3), Fault(kind="reset_before", every=7)])
    tenants = [f"t-{number}" for number in range(40)]
    async with AsyncTransport(server_of(emulator), limit=4) as transport:
        created = await asyncio.gather(*(transport.run(create(tenant)) for tenant in tenants))
    assert [item.id for item in created] == [f"client-{tenant}" for tenant in tenants]
    assert sorted(row.client_id for row in emulator.state.embeds()) == sorted(tenants)
