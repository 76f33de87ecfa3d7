"""The hook's methods, sync and async, against the emulator."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.api.embeds import list_embeds
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.client.transport.servers import statuses
from tests.databrain.connections import hook_for
from tests.support import METRICS, TEMPLATES, WORKSPACE, embed, http_answer, raw_server, set_connection


def rows(answer: list[Any]) -> list[dict[str, Any]]:
    return [row.as_row() for row in answer]


@pytest.mark.parametrize(
    ("method", "args", "options", "key", "expected"),
    [
        ("list_embeds", (), {}, "embedId", ["client-t0", "client-t1", "client-t2"]),
        ("list_embeds", (), {"client_id": "t1"}, "embedId", ["client-t1"]),
        ("list_embeds", (), {"page": 2}, "embedId", []),
        ("list_embeds", (), {"page": "all"}, "embedId", ["client-t0", "client-t1", "client-t2"]),
        ("fetch_workspace_metrics", (WORKSPACE,), {}, "metricId", METRICS),
        ("fetch_workspace_metrics", (WORKSPACE,), {"page": 1}, "metricId", METRICS),
        (
            "fetch_workspace_dashboards",
            (WORKSPACE,),
            {"page": "all"},
            "externalDashboardId",
            ["client-t0", "client-t1", "client-t2", *TEMPLATES],
        ),
        ("list_workspaces", (), {}, "name", [WORKSPACE, "second"]),
        ("list_workspaces", (), {"page": "all"}, "name", [WORKSPACE, "second"]),
    ],
)
async def test_each_list_has_the_same_rows_sync_and_async(
    connection: Emulator, method: str, args: Any, options: Any, key: str, expected: list[str]
) -> None:
    connection.state.add_workspace("second")
    hook = DatabrainHook()
    for number in range(3):
        hook.create_dashboard_embed(embed(f"t{number}"))
    found = getattr(hook, method)(*args, **options)
    assert [row[key] for row in rows(found)] == expected
    async with hook:
        assert rows(await getattr(hook, f"a{method}")(*args, **options)) == rows(found)


async def test_an_embed_is_created_sync_and_async(connection: Emulator) -> None:
    hook = DatabrainHook()
    assert hook.create_dashboard_embed(embed("one")).id == "client-one"
    async with DatabrainHook() as ahook:
        assert (await ahook.acreate_dashboard_embed(embed("two"))).id == "client-two"
    assert [row.client_id for row in connection.state.embeds()] == ["one", "two"]


async def test_a_dashboard_is_created_from_a_file_sync_and_async(connection: Emulator) -> None:
    export = b'{"data": {"charts": ["from the file"]}}'
    fields = {"import_dashboard_data": {"charts": []}, "is_import_metrics": True, "metadata": {"n": [1, "é"]}}
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed("one", **fields), import_dashboard_data_file=export)
    async with hook:
        await hook.acreate_dashboard_embed(embed("two", **fields), import_dashboard_data_file=export)
    for tenant in ("one", "two"):
        body = connection.state.created_with(f"client-{tenant}")
        assert body["importDashboardData"] == {"charts": ["from the file"]}
        assert (body["isImportMetrics"], body["metadata"]) == (True, {"n": [1, "é"]})


async def test_errors_are_the_same_sync_and_async(connection: Emulator) -> None:
    hook = DatabrainHook()
    with pytest.raises(ApiError) as sync_error:
        hook.create_dashboard_embed(embed(workspace_name="nowhere"))
    async with hook:
        with pytest.raises(ApiError) as async_error:
            await hook.acreate_dashboard_embed(embed(workspace_name="nowhere"))
    assert type(sync_error.value) is type(async_error.value)
    assert str(sync_error.value) == str(async_error.value)
    assert "Invalid workspace name" in str(sync_error.value)


async def test_an_async_method_outside_of_async_with_is_an_error(connection: Emulator) -> None:
    hook = DatabrainHook()
    with pytest.raises(RuntimeError, match="async with hook"):
        await hook.alist_embeds()
    async with hook:
        assert await hook.alist_embeds() == []
    with pytest.raises(RuntimeError, match="async with hook"):
        await hook.arun(list_embeds())


def test_a_closed_hook_opens_again(connection: Emulator) -> None:
    hook = DatabrainHook()
    hook.close()
    assert hook.list_embeds() == []
    hook.close()
    assert hook.list_embeds() == []


async def test_the_user_agent_has_the_installed_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(200, b'{"data": []}')) as (url, met):
        hook = hook_for(monkeypatch, host=url)
        hook.list_embeds()
        async with hook:
            await hook.alist_embeds()
    expected = f"User-Agent: airflow-provider-databrain/{version('airflow-provider-databrain')}\r\n".encode()
    assert [expected in request for request in met] == [True, True]


def test_legacy_paths_and_the_metrics_path_of_the_connection_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(200, b'{"data": []}')) as (url, met):
        extra = {"service_token": "s-0123456789", "legacy_paths": "true", "workspace_metrics_path": "/v3/metrics"}
        hook = hook_for(monkeypatch, host=url, extra=extra)
        hook.list_embeds()
        hook.fetch_workspace_metrics("w")
    assert met[0].startswith(b"GET /api/v2/dataApp/embeds HTTP/1.1")
    assert met[1].startswith(b"POST /v3/metrics HTTP/1.1")


def test_the_workspace_is_the_named_one_or_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = hook_for(monkeypatch, extra={"workspace_name": "usual", "data_app_name": "app"})
    assert (hook.workspace(), hook.workspace("other"), hook.data_app_name) == ("usual", "other", "app")
    bare = hook_for(monkeypatch, extra={})
    assert bare.data_app_name is None
    with pytest.raises(ConfigurationError, match=r"give workspace_name, or fill 'Default workspace'.*'my_conn'"):
        bare.workspace()


WORKS = "data app API key: works; service token: works"
NO_KEY = "data app API key: not set (Password)"
NO_SERVICE = "service token: not set (Service token (extra 'service_token'))"


@pytest.mark.parametrize(
    ("changes", "works", "words"),
    [
        ({}, True, [WORKS]),
        ({"password": "wrong"}, False, ["data app API key: list embeds failed", "API key is invalid", "token: works"]),
        ({"extra": {"service_token": "wrong"}}, False, ["key: works", "service token: list workspaces failed [HTTP"]),
        ({"password": ""}, True, [NO_KEY, "service token: works"]),
        ({"extra": {"service_token": None}}, True, ["data app API key: works", NO_SERVICE]),
        ({"password": None, "extra": {"service_token": ""}}, False, [NO_KEY, NO_SERVICE]),
        ({"host": "ftp://data.example"}, False, ["host that is not a server address"]),
        ({"extra": {"typo": 1}}, False, ["typo: Extra inputs are not permitted"]),
    ],
)
def test_the_test_button_says_for_each_token_whether_it_works(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], works: bool, words: list[str]
) -> None:
    set_connection(monkeypatch, emulator, **changes)
    verdict, text = DatabrainHook().test_connection()
    assert verdict is works
    assert all(word in text for word in words), text
    assert emulator.api_key not in text


def test_both_swapped_tokens_are_detected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator, password=emulator.service_token, extra={"service_token": emulator.api_key})
    verdict, text = DatabrainHook().test_connection()
    assert not verdict
    assert "It needs the data app API key: check Password in the Airflow connection." in text
    assert "It needs the service token: check Service token (extra 'service_token') in the Airflow connection." in text


@pytest.mark.parametrize("used_before", [False, True])
def test_the_test_button_tries_each_token_once(connection: Emulator, fast_retries: None, used_before: bool) -> None:
    hook = DatabrainHook()
    if used_before:
        hook.list_embeds()
    connection.control.set_faults([Fault(kind="error_before")])
    verdict, text = hook.test_connection()
    assert not verdict
    assert text.count("Internal server error") == 2
    assert statuses(connection) == [*([200] if used_before else []), 500, 500]


def test_the_test_button_does_not_hang_on_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(b"") as (url, _):
        pass
    started = time.monotonic()
    verdict, text = hook_for(monkeypatch, host=url).test_connection()
    assert not verdict
    assert "data app API key: list embeds failed" in text
    assert "service token: list workspaces failed" in text
    assert time.monotonic() - started < 2


async def test_a_wrong_token_is_not_repeated_in_the_error(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator, password="s3cr3t-and-wrong")
    hook = DatabrainHook()
    with pytest.raises(AuthenticationError) as caught:
        hook.list_embeds()
    assert "s3cr3t" not in str(caught.value)
