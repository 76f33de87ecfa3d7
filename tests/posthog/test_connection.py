"""How an Airflow connection to PostHog is read: URL, key, project."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.posthog.support import posthog_server, sent, set_posthog_connection
from tests.support import raw_server

KEY = "phx_0123456789"


def hook_for(monkeypatch: pytest.MonkeyPatch, project_id: Any = None, **fields: Any) -> PostHogHook:
    """A hook with a connection that has a key; ``fields`` replace its values."""
    connection = {"conn_type": "posthog", "password": KEY, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_MY_CONN", json.dumps(connection))
    return PostHogHook("my_conn", project_id)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://us.posthog.com"),
        ({"extra": {"region": "us"}}, "https://us.posthog.com"),
        ({"extra": {"region": "eu"}}, "https://eu.posthog.com"),
        ({"extra": {"region": ""}}, "https://us.posthog.com"),
        ({"host": "posthog.example", "extra": {"region": "eu"}}, "https://posthog.example"),
        ({"host": "https://us.posthog.com/", "extra": {"region": "eu"}}, "https://us.posthog.com"),
        ({"host": "posthog.example/analytics"}, "https://posthog.example/analytics"),
        ({"host": "http://127.0.0.1:8095"}, "http://127.0.0.1:8095"),
    ],
)
def test_the_host_is_the_connections_or_the_regions(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], url: str
) -> None:
    assert hook_for(monkeypatch, **fields).server.base_url == url


@pytest.mark.parametrize("host", ["us.i.posthog.com", "https://eu.i.posthog.com/", "HTTPS://APP.I.posthog.com:443"])
async def test_a_host_that_only_receives_events_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    hook = hook_for(monkeypatch, host=host)
    shown = (
        r"'my_conn' names a host that receives events and has no dashboards API: "
        "fill Host with https://us.posthog.com or https://eu"
    )
    with pytest.raises(ConfigurationError, match=shown):
        hook.list_dashboards()
    with pytest.raises(ConfigurationError, match=shown):
        await hook.aconfigure()


@pytest.mark.parametrize(
    ("extra", "override", "project"),
    [
        ({}, None, "@current"),
        ({"project_id": ""}, None, "@current"),
        ({"project_id": None}, "", "@current"),
        ({"project_id": "@current"}, None, "@current"),
        ({"project_id": "17"}, None, "17"),
        ({"project_id": 17}, None, "17"),
        ({"project_id": " 17 "}, None, "17"),
        ({"project_id": 17}, 18, "18"),
        ({"project_id": 17}, "18", "18"),
        ({"project_id": 17}, "@current", "@current"),
        ({"project_id": "nonsense"}, 18, "18"),
    ],
)
def test_the_project_is_the_hooks_or_the_connections(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], override: Any, project: str
) -> None:
    hook = hook_for(monkeypatch, override, extra=extra)
    assert hook.project_id == project
    assert hook.server.parameters == {"project_id": project}


@pytest.mark.parametrize("project", ["0", "-1", "1.5", "my project", "../2", "@other", "1/2", "٣", "01", True, [1]])
@pytest.mark.parametrize("where", ["extra", "argument"])
def test_an_invalid_project_is_refused(monkeypatch: pytest.MonkeyPatch, project: Any, where: str) -> None:
    extra = {"project_id": project} if where == "extra" else {}
    hook = hook_for(monkeypatch, project if where == "argument" else None, extra=extra)
    with pytest.raises(ConfigurationError, match="'my_conn' has extras that cannot be used: project_id: "):
        hook.list_dashboards()


@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        ({"region": "ap"}, "region: Input should be 'us' or 'eu'"),
        ({"regoin": "eu"}, "regoin: Extra inputs are not permitted"),
        ({"project": "s3cr3t"}, "project: Extra inputs are not permitted"),
        ({"read_timeout": 0}, "read_timeout"),
    ],
)
def test_an_invalid_extra_is_named_in_the_error(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{shown}.*Known extras: .*project_id.*region") as caught:
        _ = hook_for(monkeypatch, extra=extra).server
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_missing_key_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, password: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no personal API key, which 'list dashboards' needs: fill Password"):
        hook_for(monkeypatch, password=password).list_dashboards()


def test_the_current_project_is_that_of_the_key(posthog: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    posthog.posthog.add_project(2, "second")
    posthog.posthog.add_dashboard(project=2, name="theirs")
    posthog.posthog_keys["phx_two"] = Key(("dashboard:read",), project=2)
    set_posthog_connection(monkeypatch, posthog, password="phx_two", extra={"project_id": "@current"})
    assert [one.name for one in PostHogHook().list_dashboards()] == ["theirs"]
    assert sent(posthog) == ["GET /api/projects/@current/dashboards/"]


def test_the_final_slash_and_the_path_of_the_host_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as (url, met):
        verdict, _ = hook_for(monkeypatch, host=f"{url}/analytics/").test_connection()
    assert not verdict
    assert met[0].startswith(b"GET /analytics/api/projects/@current/dashboards/?limit=1&offset=0 HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n".encode() in met[0]


def test_the_test_button_counts_the_dashboards(posthog: Emulator) -> None:
    for name in ("a", "b"):
        posthog.posthog.add_dashboard(name=name)
    assert PostHogHook().test_connection() == (True, "project 1: 2 dashboards")
    assert PostHogHook(project_id="@current").test_connection() == (True, "project @current: 2 dashboards")


def test_the_test_button_needs_only_the_read_scope(posthog: Emulator) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    assert PostHogHook().test_connection() == (True, "project 1: 0 dashboards")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"password": "phx_wrong"}, "Personal API key found in request Authorization header is invalid"),
        ({"password": ""}, "no personal API key"),
        ({"extra": {"project_id": 99}}, "Project not found."),
        ({"extra": {"project": 1}}, "project: Extra inputs"),
        ({"host": "us.i.posthog.com"}, "receives events"),
        ({"host": "http://127.0.0.1:9"}, "list dashboards failed"),
    ],
)
def test_the_test_button_says_what_is_wrong(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], shown: str
) -> None:
    set_posthog_connection(monkeypatch, posthog, **changes)
    verdict, text = PostHogHook().test_connection()
    assert not verdict
    assert shown in text
    assert "phx_wrong" not in text


def test_the_test_button_sends_one_request(posthog: Emulator) -> None:
    posthog.control.set_faults([Fault(kind="error_before")])
    assert PostHogHook(max_retry_seconds=60).test_connection()[0] is False
    assert len(sent(posthog)) == 1


def test_no_repr_shows_the_key(posthog: Emulator) -> None:
    hook = PostHogHook()
    assert hook.server.tokens == posthog_server(posthog).tokens
    assert posthog.posthog_key not in repr(hook.server)
