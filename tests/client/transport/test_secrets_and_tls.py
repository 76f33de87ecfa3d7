"""Certificates, proxies, and tokens that must not appear in any message."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_databrain.client.errors import ApiError, TransportError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from airflow_provider_databrain.databrain.api.endpoint import API_KEY
from tests.client.conftest import Run
from tests.client.transport.servers import (
    CREATED,
    KEY,
    free_port,
    keeping_server,
    make_certificate,
    server_at,
    tls_server,
)
from tests.exposure import Exposed
from tests.support import embed, http_answer, raw_server

pytestmark = pytest.mark.usefixtures("fast_retries")
CREATE = create_dashboard_embed(embed())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    with tls_server(*certificate) as url:
        yield url


def test_a_certificate_that_is_not_trusted_is_refused_for_good(run: Run, tls_url: str) -> None:
    with pytest.raises(TransportError, match="'ca_path' in the connection") as caught:
        run(server_at(tls_url), CREATE)
    assert (caught.value.transient, caught.value.ambiguous) == (False, False)


def test_a_certificate_of_a_trusted_authority_is_accepted(
    run: Run, tls_url: str, certificate: tuple[Path, Path]
) -> None:
    assert run(server_at(tls_url, verify_tls=str(certificate[0])), CREATE).id == "client-acme"


def test_any_certificate_is_accepted_if_checking_is_off(run: Run, tls_url: str) -> None:
    assert run(server_at(tls_url, verify_tls=False), CREATE).id == "client-acme"


def test_a_ca_bundle_from_the_environment_is_ignored(
    run: Run, tls_url: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with pytest.raises(TransportError, match="'ca_path' in the connection"):
        run(server_at(tls_url), CREATE)


@pytest.mark.parametrize("content", [None, "this is no certificate"], ids=["absent", "junk"])
def test_a_ca_file_that_cannot_be_used_is_a_permanent_error_that_names_it(
    run: Run, tls_url: str, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises((ApiError, ConfigurationError), match="ca_path") as caught:
        run(server_at(tls_url, verify_tls=str(path), max_retry_seconds=0), CREATE)
    assert not getattr(caught.value, "transient", False)


def test_a_proxy_is_used(run: Run) -> None:
    with raw_server(http_answer(200, CREATED)) as (proxy, met):
        created = run(server_at("http://databrain.example", proxy=proxy, max_retry_seconds=0), CREATE)
    assert created.id == "client-acme"
    assert met[0].startswith(b"POST http://databrain.example/api/v2/data-app/dashboard-embeds HTTP/1.1\r\n")
    assert f"Bearer {KEY}".encode() in met[0]


@pytest.mark.parametrize("password", ["s3cr3t/@:%", "pässwörd", "密码"])
def test_a_proxy_without_a_tunnel_gets_its_password_with_each_request(run: Run, password: str) -> None:
    shown = b64encode(f"someone:{password}".encode())
    with keeping_server() as (proxy, met):
        server = server_at("http://databrain.example", proxy=proxy, proxy_auth=("someone", password))
        assert run(server, CREATE, CREATE).id == "client-acme"
    assert [number for number, _ in met] == [1, 1]
    for _, request in met:
        assert request.lower().count(b"proxy-authorization: basic " + shown.lower() + b"\r\n") == 1


def test_a_transport_ignores_the_proxy_of_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with raw_server(http_answer(200, CREATED)) as (url, _):
        assert run(server_at(url), CREATE).id == "client-acme"


def test_a_proxy_that_is_down_never_passed_the_request_on(run: Run) -> None:
    server = server_at("http://databrain.example", proxy=f"http://127.0.0.1:{free_port()}", max_retry_seconds=0)
    with pytest.raises(TransportError) as caught:
        run(server, CREATE)
    assert not caught.value.ambiguous


def test_the_password_of_a_proxy_that_refuses_is_in_no_message(run: Run) -> None:
    refused = http_answer(407, b"who are you?", "text/plain")
    with raw_server(refused) as (proxy, met):
        auth = ("someone", "s3cr3t/@:%")
        server = server_at("https://databrain.example", proxy=proxy, proxy_auth=auth, max_retry_seconds=0)
        with pytest.raises(TransportError) as caught:
            run(server, CREATE)
    assert met[0].startswith(b"CONNECT databrain.example:443")
    assert b"Proxy-Authorization: Basic " + b64encode(b"someone:s3cr3t/@:%") in met[0].replace(
        b"proxy-auth", b"Proxy-Auth"
    )
    assert KEY.encode() not in met[0]
    assert not caught.value.ambiguous
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"code": "X", "message": f"no such key {KEY}, go away"}}).encode(),
        json.dumps({"error": {"code": f"BAD {KEY}", "message": "words"}}).encode(),
        json.dumps({"error": f"bad {KEY}"}).encode(),
        json.dumps({"error": {"code": "X", "message": "w" * 285 + f" {KEY}"}}).encode(),
        f"<html>{KEY}</html>".encode(),
        f"<html>{'w' * 60} {KEY}</html>".encode(),
    ],
    ids=["message", "code", "plain", "at the cut", "html", "html at the cut"],
)
def test_a_token_that_the_server_repeats_is_redacted(run: Run, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    answer = http_answer(500, body)
    with raw_server(answer) as (url, _), pytest.raises(ApiError) as caught:
        run(server_at(url, max_retry_seconds=0.05), CREATE)
    error = caught.value
    texts = [str(error), repr(error), str(vars(error)), caplog.text]
    assert not any(KEY[:6] in text for text in texts)


@pytest.mark.parametrize("where", ["reason", "header", "body", "page", "type"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_repeats_its_credentials_shows_them_nowhere(
    run: Run, exposed: Exposed, scheme: str, where: str
) -> None:
    password = "s3cr3t/@:%-word"
    shown = b64encode(f"someone:{password}".encode()).decode()
    exposed.secrets += [shown[:8], shown[-9:-1], "s3cr3t", "word", b64encode(shown.encode()).decode()[:10]]
    said = f"no: Basic {shown} someone:{password} %73%33%63%72%33%74%2F%40%3A%25%2Dword"
    answer = http_answer(
        407,
        json.dumps({"error": {"code": said, "message": said}}).encode() if where == "body" else said.encode(),
        {"body": "application/json", "type": f"text/{said}"}.get(where, "text/html"),
        **({"Proxy-Authenticate": f"Basic realm={said}", "X-Echo": said} if where == "header" else {}),
    )
    if where == "reason":
        answer = answer.replace(answer.split(b"\r\n")[0], f"HTTP/1.1 407 {said}".encode(), 1)
    with raw_server(answer) as (proxy, met):
        auth = ("someone", password)
        server = server_at(f"{scheme}://databrain.example", proxy=proxy, proxy_auth=auth, max_retry_seconds=0.05)
        exposed.fails(lambda: run(server, CREATE))
    assert shown.encode() in met[0]
    assert exposed.leaks() == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP\r\n\r\n",
        http_answer(200, json.dumps({"id": {"token": KEY}}).encode()),
        http_answer(200, CREATED)[:-5],
        http_answer(200, f"<html>{KEY}".encode(), "text/html"),
        http_answer(500, b"no", **{"Content-Encoding": "gzip"}),
    ],
    ids=["closed", "no HTTP", "wrong", "cut", "page", "encoding"],
)
@pytest.mark.parametrize("max_retry_seconds", [0, 0.05])
def test_no_exception_of_a_library_hangs_on_an_error(run: Run, answer: bytes, max_retry_seconds: float) -> None:
    with raw_server(answer) as (url, _), pytest.raises(ApiError) as caught:
        run(server_at(url, max_retry_seconds=max_retry_seconds), CREATE)
    chain: list[BaseException | None] = [caught.value]
    for error in chain:
        if error is not None:
            assert isinstance(error, ApiError), error
            chain += [each for each in (error.__cause__, error.__context__) if each not in chain]


@pytest.mark.parametrize("token", ["first-half\nsecond-half", "first-half\r\nX-Evil: second-half", "first-half…"])
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(run: Run, token: str) -> None:
    answer = http_answer(401, b'{"error": {"code": "AUTH_ERROR", "message": "no"}}')
    with raw_server(answer) as (url, met), pytest.raises((ApiError, ConfigurationError)) as caught:
        run(replace(server_at(url, max_retry_seconds=0), tokens={API_KEY: token}), CREATE)
    assert "half" not in str(caught.value)
    assert not any(b"\nX-Evil" in request for request in met)
