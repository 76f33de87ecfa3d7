"""What a hook reads from an Airflow connection: address, tokens, extras, proxy."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_databrain.base import hook as hook_module
from airflow_provider_databrain.base.proxies import is_excluded
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.conduit.hook import ConduitHook
from airflow_provider_databrain.databrain.api.embeds import list_embeds
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.databrain.api.workspaces import fetch_workspace_metrics
from airflow_provider_databrain.databrain.hook import DatabrainExtras, DatabrainHook
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.airflow_names import redact
from tests.both_ways import Ask
from tests.client.transport.servers import free_port
from tests.databrain.connections import KEY, SERVICE, hook_for
from tests.exposure import Exposed
from tests.support import http_answer, read_request, transports


@pytest.fixture
def ipv6_emulator() -> Iterator[str]:
    """A server at ``[::1]`` that answers one request with an empty list; its host and port."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                read_request(connection)
                connection.sendall(http_answer(200, b'{"data": []}'))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"[::1]:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.usedatabrain.com"),
        ({"host": "  "}, "https://api.usedatabrain.com"),
        ({"host": "data.example"}, "https://data.example"),
        ({"host": "data.example:8443"}, "https://data.example:8443"),
        ({"host": "data.example", "port": 8443}, "https://data.example:8443"),
        ({"host": "data.example", "schema": "http", "port": 80}, "http://data.example:80"),
        ({"host": "data.example", "schema": "https"}, "https://data.example"),
        ({"host": "data.example", "schema": "public"}, "https://data.example"),
        ({"host": "http://127.0.0.1:8095"}, "http://127.0.0.1:8095"),
        ({"host": "https://data.example", "port": 8443}, "https://data.example:8443"),
        ({"host": "https://data.example:1", "port": 2}, "https://data.example:1"),
        ({"host": "https://data.example", "schema": "http"}, "https://data.example"),
        ({"host": " HTTPS://Data.Example/ "}, "https://data.example"),
        ({"host": "https://data.example/databrain/"}, "https://data.example/databrain"),
        ({"host": "data.example/databrain"}, "https://data.example/databrain"),
        ({"host": "[::1]"}, "https://[::1]"),
        ({"host": "http://[::1]:8095"}, "http://[::1]:8095"),
        ({"host": "[::1]", "schema": "http", "port": 8095}, "http://[::1]:8095"),
        ({"host": "::1"}, "https://[::1]"),
        ({"host": "::1", "schema": "HTTP", "port": 8095}, "http://[::1]:8095"),
        ({"host": "2001:DB8::A"}, "https://[2001:db8::a]"),
        ({"host": "b\u00fccher.example", "port": 1}, "https://xn--bcher-kva.example:1"),
        ({"host": "https://stra\u00dfe.example"}, "https://xn--strae-oqa.example"),
        ({"host": "data.example."}, "https://data.example."),
        ({"host": "data.example/api/v2"}, "https://data.example"),
        ({"host": "https://data.example/api/v2/"}, "https://data.example"),
        ({"host": "https://data.example:1/databrain/api/v2"}, "https://data.example:1/databrain"),
        ({"host": "https://data.example/api/v2/data-app/embeds"}, "https://data.example"),
        ({"host": "https://data.example/api/v2/dataApp/query"}, "https://data.example"),
        ({"host": "https://data.example/api"}, "https://data.example/api"),
        ({"host": "https://data.example/api/v2x"}, "https://data.example/api/v2x"),
        ({"host": "https://data.example/api/v2/databrain"}, "https://data.example/api/v2/databrain"),
    ],
)
def test_every_form_of_host_gives_the_address(monkeypatch: pytest.MonkeyPatch, fields: Any, url: str) -> None:
    hook = hook_for(monkeypatch, **fields)
    assert hook.server.base_url == url
    request = list_embeds()
    assert isinstance(request, Request)
    assert hook.server.url(request) == f"{url}/api/v2/data-app/embeds"


@pytest.mark.parametrize(
    "host",
    [
        "data example",
        "https://data example",
        "s3cr3t@data.example",
        "https://me:s3cr3t@data.example",
        "https://data.example?key=s3cr3t",
        "data.example#s3cr3t",
        "ftp://data.example",
        "https://",
        "https://data.example:s3cr3t",
        "https://data.example:99999",
        "https://[::1",
        "http://::1:8095:8096:s3cr3t",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "xn--\u00fc\u2488.example",
    ],
)
def test_a_host_that_is_not_an_address_is_an_error_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"'my_conn' has a host that is not a server address") as caught:
        _ = hook_for(monkeypatch, host=host).server
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, {"connect_timeout": 10.0, "read_timeout": 60.0, "max_retry_seconds": 300.0, "verify_tls": True}),
        ({"connect_timeout": "12.5", "read_timeout": 7}, {"connect_timeout": 12.5, "read_timeout": 7.0}),
        ({"max_retry_seconds": "0", "max_answer_mib": "0.5"}, {"max_retry_seconds": 0.0, "max_answer_bytes": 524288}),
        ({"connect_timeout": "", "read_timeout": None}, {"connect_timeout": 10.0, "read_timeout": 60.0}),
        ({"verify_tls": "false"}, {"verify_tls": False}),
        ({"verify_tls": "true", "ca_path": ""}, {"verify_tls": True}),
        ({"verify_tls": None, "ca_path": " /etc/ca.pem "}, {"verify_tls": "/etc/ca.pem"}),
        ({"verify_tls": False, "ca_path": "/etc/ca.pem"}, {"verify_tls": False}),
        ({"legacy_paths": "true"}, {"legacy_paths": True}),
        ({"legacy_paths": ""}, {"legacy_paths": False}),
        ({"workspace_metrics_path": "/v3/m"}, {"paths": {"fetch workspace metrics": "/v3/m"}}),
        ({"workspace_metrics_path": ""}, {"paths": {}}),
    ],
)
def test_extras_are_read_from_typed_values_and_from_strings(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], expected: dict[str, Any]
) -> None:
    server = hook_for(monkeypatch, extra=extra).server
    assert {name: getattr(server, name) for name in expected} == expected


def test_an_unknown_extra_is_named_and_so_are_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="servce_token: Extra inputs are not permitted") as caught:
        _ = hook_for(monkeypatch, extra={"servce_token": "s3cr3t"}).server
    assert "s3cr3t" not in str(caught.value)
    assert "'my_conn'" in str(caught.value)
    assert all(name in str(caught.value) for name in DatabrainExtras.model_fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", "s3cr3t"),
        ("connect_timeout", 0),
        ("read_timeout", "-1"),
        ("read_timeout", "nan"),
        ("read_timeout", "inf"),
        ("max_retry_seconds", -1),
        ("max_answer_mib", "0"),
        ("max_answer_mib", "inf"),
        ("verify_tls", "s3cr3t"),
        ("legacy_paths", ["s3cr3t"]),
        ("service_token", {"s3cr3t": 1}),
    ],
)
def test_an_extra_that_cannot_be_used_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=rf"extras that cannot be used: {name}: ") as caught:
        _ = hook_for(monkeypatch, extra={name: value}).server
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("path", ["v3/metrics", ".evil.example/v3", "@evil.example/v3", ":99@evil.example/"])
def test_no_path_in_the_connection_sends_the_token_to_another_host(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    hook = hook_for(monkeypatch, host="data.example", extra={"workspace_metrics_path": path})
    request = fetch_workspace_metrics("w")
    assert isinstance(request, Request)
    with contextlib.suppress(ConfigurationError):
        assert urlsplit(hook.server.url(request)).netloc == "data.example"


def test_the_constructor_overrides_the_timeouts_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    hook_for(monkeypatch, extra={"connect_timeout": 1, "read_timeout": 2, "max_retry_seconds": 3})
    server = DatabrainHook("my_conn", read_timeout=20, max_retry_seconds=0).server
    assert (server.connect_timeout, server.read_timeout, server.max_retry_seconds) == (1.0, 20.0, 0.0)


def test_a_misspelled_timeout_is_refused() -> None:
    with pytest.raises(TypeError, match="timeout"):
        DatabrainHook("my_conn", timeout=3.0)


def test_making_a_hook_does_not_read_the_connection() -> None:
    hook = DatabrainHook("there_is_no_such_connection", read_timeout=3)
    assert (hook.conn_id, hook.databrain_conn_id) == ("there_is_no_such_connection",) * 2
    assert DatabrainHook().databrain_conn_id == "databrain_default"


def test_blanks_around_a_token_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook_for(monkeypatch, password=f" {KEY}\n", extra={"service_token": f"\t{SERVICE} "}).server
    assert server.tokens == {API_KEY: KEY, SERVICE_TOKEN: SERVICE}


@pytest.mark.parametrize(
    ("fields", "call", "words"),
    [
        ({"password": "  "}, list_embeds(), "has no data app API key, which 'list embeds' needs: fill Password"),
        ({"password": None}, list_embeds(), "has no data app API key, which 'list embeds' needs: fill Password"),
        ({"extra": {}}, fetch_workspace_metrics("w"), "has no service token, which 'fetch workspace metrics' needs"),
        ({"extra": {}}, fetch_workspace_metrics("w"), "Service token (extra 'service_token')"),
        ({"extra": {"service_token": " "}}, fetch_workspace_metrics("w"), "has no service token"),
    ],
)
def test_a_missing_token_names_the_field(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], call: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        hook_for(monkeypatch, host="http://127.0.0.1:1", **fields).run(call)
    assert words in str(caught.value)


@pytest.mark.parametrize("verify_tls", [True, False])
def test_an_unchecked_certificate_logs_a_warning(
    monkeypatch: pytest.MonkeyPatch, exposed: Exposed, verify_tls: bool
) -> None:
    _ = hook_for(monkeypatch, host="https://data.example", extra={"verify_tls": verify_tls}).server
    warned = [record for record in exposed.records if "accepts any certificate" in record.getMessage()]
    assert len(warned) == (not verify_tls)


@pytest.mark.parametrize("hook_class", [DatabrainHook, PostHogHook, ConduitHook])
async def test_a_closed_hook_has_no_open_transport(
    monkeypatch: pytest.MonkeyPatch, hook_class: type[DatabrainHook | PostHogHook | ConduitHook]
) -> None:
    open_transports = transports(monkeypatch)
    connection = {"conn_type": "x", "host": "http://127.0.0.1:1", "password": "k" * 20}
    monkeypatch.setenv("AIRFLOW_CONN_MY_CONN", json.dumps(connection))
    hook = hook_class("my_conn")
    hook.transport()
    assert len(open_transports) == 1
    hook.close()
    assert open_transports == []
    async with hook:
        assert len(open_transports) == 1
    assert open_transports == []


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_airflow_masks_the_tokens_in_its_logs(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    key, service = f"key-{way}-0123456789", f"service-{way}-0123456789"
    hook = hook_for(monkeypatch, password=key, extra={"service_token": service})
    if way == "sync":
        assert hook.server.tokens
    else:
        await hook.aconfigure()
    assert redact(f"one {key}, two {service}.") == "one ***, two ***."


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_every_secret_is_masked_as_soon_as_the_connection_is_read(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    # Airflow masks a connection's password by itself, but not the stripped one, and not what the environment has.
    masked: list[str] = []

    async def amask(secret: str) -> None:
        masked.append(secret)

    monkeypatch.setattr(hook_module, "mask_secret", masked.append)
    monkeypatch.setattr(hook_module, "amask_secret", amask)
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:proxy-password@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "")
    hook = hook_for(
        monkeypatch, host="https://data.example", password=" key-0123456789 ", extra={"service_token": "s1"}
    )
    if way == "sync":
        secrets = hook.server.secrets()
    else:
        await hook.aconfigure()
        secrets = hook.server.secrets()
    basic = b64encode(b"someone:proxy-password").decode()
    assert {"key-0123456789", "s1", "proxy-password", "someone:proxy-password", basic} == set(secrets)
    assert masked == secrets


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("http://data.example:8080", True),
        ("https://data.example", False),
        ("http://127.0.0.1:8095", False),
        ("http://localhost:8095", False),
        ("http://[::1]:8095", False),
    ],
)
def test_tokens_sent_over_plain_http_to_another_machine_log_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    host: str,
    warned: bool,
) -> None:
    with caplog.at_level("WARNING"):
        _ = hook_for(monkeypatch, host=host).server
    logged = caplog.text + capsys.readouterr().out
    assert ("sends its tokens unencrypted to" in logged) is warned
    assert ("data.example:8080" in logged) is warned


@pytest.mark.parametrize(
    ("host", "environment", "proxy"),
    [
        ("https://data.example", {}, None),
        ("https://data.example", {"HTTPS_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
        ("https://data.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ("http://data.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, None),
        ("http://data.example", {"http_proxy": "http://proxy.example:1"}, "http://proxy.example:1"),
        ("https://data.example", {"HTTPS_PROXY": "http://p.example", "NO_PROXY": "other.example"}, "http://p.example"),
        ("https://data.example", {"HTTPS_PROXY": "http://p.example", "NO_PROXY": "x, data.example"}, None),
        ("https://data.example:8443", {"HTTPS_PROXY": "http://p.example", "NO_PROXY": ".example"}, None),
        ("https://data.example:8443", {"HTTPS_PROXY": "http://p.example", "NO_PROXY": "data.example:8443"}, None),
        ("https://data.example", {"HTTPS_PROXY": "http://p.example", "no_proxy": "*"}, None),
    ],
)
def test_the_proxy_of_the_environment_is_used_except_for_no_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hook_for(monkeypatch, host=host).server.proxy == proxy


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"ALL_PROXY": "http://p.example:1"}, "http://p.example:1"),
        ({"all_proxy": "p.example:1"}, "http://p.example:1"),
        ({"ALL_PROXY": "http://a.example", "HTTPS_PROXY": "http://p.example"}, "http://p.example"),
        ({"HTTPS_PROXY": "http://a.example", "https_proxy": "http://p.example"}, "http://p.example"),
        ({"HTTPS_PROXY": "https://p.example:3129"}, "https://p.example:3129"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTPS_PROXY": "socks5://s3cr3t@p", "NO_PROXY": "data.example"}, None),
        ({"HTTP_PROXY": "socks5://s3cr3t@p"}, None),
    ],
)
def test_the_proxy_is_the_one_that_requests_and_curl_would_use(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hook_for(monkeypatch, host="https://data.example").server.proxy == proxy


@pytest.mark.parametrize(
    "hook", [DatabrainHook, ConduitHook, partial(PostHogHook, project_id=1)], ids=["databrain", "conduit", "posthog"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4", "socks4a", "socks", "SOCKS5", "ftp"])
def test_a_proxy_that_speaks_no_http_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, hook: Any, variable: str, kind: str
) -> None:
    hook_for(monkeypatch, host="https://data.example", extra={})
    monkeypatch.setenv(variable, f"{kind}://me:s3cr3t@proxy.example:1080")
    with pytest.raises(ConfigurationError, match=rf"'{kind.lower()}' for https: only HTTP proxies") as caught:
        _ = hook("my_conn").server
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "excluded"),
    [
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3/8", "https://10.200.0.1", True),
        ("10.0.0.0/8", "https://ten.example", False),
        ("10.1.2.3/32", "https://10.1.2.3:8443", True),
        ("fd00::/8", "https://[fd12::1]", True),
        ("fd00::/8", "https://[fe12::1]", False),
        ("[fd00::]/8", "https://[fd12::1]", True),
        ("10.0.0.0/99", "https://10.1.2.3", False),
        ("nonsense/8", "https://10.1.2.3", False),
        ("::1", "http://[::1]:8080", True),
        ("[::1]", "http://[::1]:8080", True),
        ("0:0:0:0:0:0:0:1", "http://[::1]:8080", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("[::1]:8081", "http://[::1]:8080", False),
        ("127.0.0.1", "http://127.0.0.1:8080", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("127.0.0.1:81", "http://127.0.0.1:8080", False),
        ("0.0.1", "http://127.0.0.1", False),
        ("data.example:8443", "https://data.example:8443", True),
        ("data.example:443", "https://data.example", True),
        ("data.example:80", "http://data.example", True),
        ("data.example:80", "https://data.example", False),
        (".example:8443", "https://data.example:8443", True),
        ("example", "https://data.example", True),
        (".data.example", "https://data.example", True),
        ("xample", "https://data.example", False),
        ("ata.example", "https://data.example", False),
        ("other.data.example", "https://data.example", False),
        ("DATA.Example.", "https://data.example", True),
        ("data.example", "https://data.example.", True),
        ("b\u00fccher.example", "https://xn--bcher-kva.example", True),
        (" , x  data.example ,, y", "https://data.example", True),
        ("x\tdata.example", "https://data.example", True),
        ("*", "https://data.example", True),
        ("x, *", "https://[::1]", True),
        ("", "https://data.example", False),
        (".", "https://data.example", False),
        (",", "https://data.example", False),
        ("localhost", "http://127.0.0.1", False),
    ],
)
def test_no_proxy_is_read_as_requests_and_curl_read_it(no_proxy: str, url: str, excluded: bool) -> None:
    assert is_excluded(url, no_proxy) is excluded


def test_the_uri_of_a_connection_may_name_an_ipv6_address(
    monkeypatch: pytest.MonkeyPatch, ipv6_emulator: str, ask: Ask
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "::1")
    monkeypatch.setenv("AIRFLOW_CONN_MY_CONN", f"databrain://:{KEY}@{ipv6_emulator}/http")
    assert ask(DatabrainHook("my_conn"), "list_embeds") == []


@pytest.mark.parametrize(
    ("hook", "host", "url"),
    [
        (PostHogHook, "https://ph.example/api/projects/1", "https://ph.example"),
        (PostHogHook, "https://ph.example/api/projects/1/dashboards/", "https://ph.example"),
        (PostHogHook, "https://ph.example/posthog/api/environments/1", "https://ph.example/posthog"),
        (PostHogHook, "https://ph.example/api/", "https://ph.example"),
        (PostHogHook, "https://ph.example/insights", "https://ph.example/insights"),
        (PostHogHook, "https://ph.example/api/posthog", "https://ph.example/api/posthog"),
        (ConduitHook, "https://c.example/v2/", "https://c.example/v2"),
        (ConduitHook, "https://c.example/v2/workspaces/", "https://c.example/v2"),
        (ConduitHook, "https://c.example/v2/dashboards/7/clone/", "https://c.example/v2"),
        (ConduitHook, "https://c.example/dashboards", "https://c.example/dashboards"),
        (ConduitHook, "api.getconduit.app", "https://api.getconduit.app/v2"),
    ],
)
def test_the_apis_own_path_is_taken_off_the_host(
    monkeypatch: pytest.MonkeyPatch, hook: Any, host: str, url: str
) -> None:
    hook_for(monkeypatch, host=host, extra={})
    assert (hook("my_conn", 1) if hook is PostHogHook else hook("my_conn")).server.base_url == url


@pytest.mark.parametrize(
    ("hook", "host", "path", "server"),
    [
        (DatabrainHook, "https://data.example/api/v1", "/api/v1", "https://data.example"),
        (PostHogHook, "https://ph.example/project/2/dashboard/5", "/project/2/dashboard/5", "https://ph.example"),
        (PostHogHook, "https://ph.example/dashboard/5", "/dashboard/5", "https://ph.example"),
        (PostHogHook, "https://ph.example:1/login", "/login", "https://ph.example:1"),
    ],
)
def test_the_address_of_a_page_is_refused_and_the_right_one_is_named(
    monkeypatch: pytest.MonkeyPatch, hook: Any, host: str, path: str, server: str
) -> None:
    hook_for(monkeypatch, host=host, extra={})
    with pytest.raises(ConfigurationError, match=rf"begins like '{path}'\. .* alone, such as '{server}'"):
        _ = hook("my_conn", **({"project_id": 1} if hook is PostHogHook else {})).server


def test_a_host_that_receives_events_is_refused_with_a_dot_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    hook_for(monkeypatch, host="us.i.posthog.com.", extra={})
    with pytest.raises(ConfigurationError, match="receives events"):
        _ = PostHogHook("my_conn", 1).server


def test_the_proxys_credentials_are_not_in_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:s3%2Fcr%40t@proxy.example:3128")
    server = hook_for(monkeypatch, host="https://data.example").server
    assert (server.proxy, server.proxy_auth) == ("http://proxy.example:3128", ("someone", "s3/cr@t"))
    assert "s3/cr@t" not in repr(server)


@pytest.mark.parametrize(
    "proxy", ["http://user:s3cr/et@h:3128", "http://user:s3[cret@h:3128", "http://h:port", "http://"]
)
def test_a_proxy_that_cannot_be_read_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="percent-encoded") as caught:
        _ = hook_for(monkeypatch, host="https://data.example").server
    assert "s3" not in str(caught.value)
