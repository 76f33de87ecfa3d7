"""Certificates, proxies, and tokens that must not appear in any message."""

from __future__ import annotations

import json
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from airflow_provider_databrain.client.errors import ApiError, TransportError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.client.transport import tls
from airflow_provider_databrain.client.transport.tls import BUNDLES, OPENSSL
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
    tunnel,
)
from tests.exposure import Exposed
from tests.support import embed, http_answer, raw_server

pytestmark = pytest.mark.usefixtures("fast_retries")
VARIABLES = (*BUNDLES, *OPENSSL)
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


@pytest.fixture
def hashed(certificate: tuple[Path, Path], tmp_path: Path) -> Path:
    """A directory with the certificate, as ``openssl rehash`` makes it."""
    folder = tmp_path / "hashed"
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate[0])]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / f"{name}.0").write_bytes(certificate[0].read_bytes())
    return folder


@pytest.mark.parametrize("form", ["file", "directory"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_company_authority_from_the_environment_is_trusted(
    run: Run,
    tls_url: str,
    certificate: tuple[Path, Path],
    hashed: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    form: str,
) -> None:
    monkeypatch.setenv(variable, str(hashed if form == "directory" else certificate[0]))
    assert run(server_at(tls_url), CREATE).id == "client-acme"


def test_a_company_authority_in_the_store_of_the_system_is_trusted(
    run: Run, tls_url: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_default_certs(context: ssl.SSLContext, *_: object) -> None:
        context.load_verify_locations(certificate[0])

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", load_default_certs)
    tls._verified.cache_clear()
    try:
        assert run(server_at(tls_url), CREATE).id == "client-acme"
    finally:
        tls._verified.cache_clear()


def test_the_authorities_of_certifi_are_trusted_besides_those_of_the_system() -> None:
    [one, *_] = ssl.create_default_context(cafile=certifi.where()).get_ca_certs()
    assert one in tls.trust(server_at("https://x")).get_ca_certs()


def test_the_first_that_names_authorities_counts_alone(
    run: Run,
    tls_url: str,
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = str(make_certificate(tmp_path_factory.mktemp("other"))[0])
    right = str(certificate[0])
    for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, right)
        assert run(server_at(tls_url), CREATE).id == "client-acme"
        with pytest.raises(TransportError, match="'ca_path' in the connection"):
            run(server_at(tls_url, verify_tls=other), CREATE)
        monkeypatch.setenv(variable, other)
        with pytest.raises(TransportError, match="'ca_path' in the connection"):
            run(server_at(tls_url), CREATE)
        assert run(server_at(tls_url, verify_tls=right), CREATE).id == "client-acme"
    assert run(server_at(tls_url, verify_tls=False), CREATE).id == "client-acme"


def test_the_file_and_the_directory_of_openssl_count_together(
    run: Run,
    tls_url: str,
    hashed: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path_factory.mktemp("other"), "other")[0]))
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed))
    assert run(server_at(tls_url), CREATE).id == "client-acme"


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\n", "directory"])
@pytest.mark.parametrize("variable", [*VARIABLES, "'ca_path'"])
def test_authorities_that_cannot_be_read_are_an_error_before_anything_is_sent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content == "directory":
        path.mkdir()
        (path / "company.pem").write_text("")
    elif content is not None:
        path.write_text(content)
    if variable in VARIABLES:
        monkeypatch.setenv(variable, str(path))
    server = server_at("https://127.0.0.1:1", verify_tls=True if variable in VARIABLES else str(path))
    with pytest.raises(ConfigurationError, match=rf"{variable} \(.*ca\.pem\) is not a file of CA certificates: "):
        run(server, CREATE)


def test_a_context_is_made_once_until_the_file_changes(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(certificate[0].read_bytes())
    server = server_at("https://x", verify_tls=str(path))
    first = tls.trust(server)
    assert tls.trust(server) is first
    path.write_bytes(certificate[0].read_bytes() * 2)
    assert tls.trust(server) is not first
    assert tls.trust(server_at("https://x")) is tls.trust(server_at("https://y"))


def test_a_proxy_that_is_reached_over_tls_must_be_trusted(
    run: Run, tls_url: str, certificate: tuple[Path, Path]
) -> None:
    server = server_at("http://databrain.example", proxy=tls_url, max_retry_seconds=0)
    assert run(replace(server, verify_tls=str(certificate[0])), CREATE).id == "client-acme"
    with pytest.raises(TransportError, match="'ca_path' in the connection") as caught:
        run(server, CREATE)
    assert (caught.value.transient, caught.value.ambiguous) == (False, False)


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


@pytest.mark.parametrize(
    "token",
    [
        "first-half\nsecond-half",
        "first-half\r\nX-Evil: second-half",
        "first-half…",
        "first-half second-half",
        "first-half\tsecond-half",
        "first-half\x7f",
        "first-half\xa0second-half",
    ],
)
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(run: Run, token: str) -> None:
    answer = http_answer(401, b'{"error": {"code": "AUTH_ERROR", "message": "no"}}')
    with (
        raw_server(answer) as (url, met),
        pytest.raises(ConfigurationError, match="blanks, line breaks or characters") as caught,
    ):
        run(replace(server_at(url, max_retry_seconds=0), tokens={API_KEY: token}), CREATE)
    assert "half" not in str(caught.value)
    assert not any(b"\nX-Evil" in request for request in met)


@pytest.mark.parametrize("certified", [True, False], ids=["trusted", "not trusted"])
def test_the_servers_certificate_counts_through_a_tunnel(
    run: Run, tls_url: str, certificate: tuple[Path, Path], certified: bool
) -> None:
    with tunnel() as (proxy, met):
        server = server_at(tls_url, proxy=proxy, max_retry_seconds=0, verify_tls=str(certificate[0]))
        if certified:
            assert run(server, CREATE).id == "client-acme"
        else:
            with pytest.raises(TransportError, match="'ca_path' in the connection") as caught:
                run(replace(server, verify_tls=True), CREATE)
            assert (caught.value.transient, caught.value.ambiguous) == (False, False)
    assert met[0].startswith(b"CONNECT 127.0.0.1:")
    assert KEY.encode() not in b"".join(met)


def test_a_proxy_may_answer_with_many_headers(run: Run, tls_url: str, certificate: tuple[Path, Path]) -> None:
    with tunnel(b"".join(b"Set-Cookie: a%d=%s\r\n" % (count, b"c" * 900) for count in range(60))) as (proxy, _):
        server = server_at(tls_url, proxy=proxy, max_retry_seconds=0, verify_tls=str(certificate[0]))
        assert run(server, CREATE).id == "client-acme"
