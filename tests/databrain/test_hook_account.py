"""The hook's workspaces, data apps and tokens, sync and async, against the emulator and documented refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken
from airflow_provider_databrain.databrain.api.workspaces import WorkspaceConnection
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import Ask
from tests.databrain.connections import hook_for
from tests.support import ODD_IDS, TEMPLATES, WORKSPACE, embed, http_answer, raw_server, set_connection

pytestmark = pytest.mark.usefixtures("fast_retries")

HOUR = timedelta(hours=1)
APP = "tenant-app"
SALES = WorkspaceConnection(name="Sales", connection_type="DATASOURCE", datasource_name="warehouse")
ACME = CreateGuestToken(client_id="acme", data_app_name=APP, expiry_time=HOUR)
CALLS: dict[str, tuple[Any, ...]] = {
    "create_workspace": (SALES,),
    "update_workspace": (SALES,),
    "delete_workspace": ("Sales",),
    "create_data_app": ("second",),
    "list_data_apps": (),
    "update_data_app": ("second", "2nd"),
    "delete_data_app": ("second",),
    "create_guest_token": (ACME,),
    "create_api_token": (APP, "ci"),
    "list_api_tokens": (APP,),
    "rotate_api_key": (HOUR,),
    "rotate_service_token": (HOUR,),
}
WORKSPACE_CALLS = [name for name in CALLS if "workspace" in name]
DATA_APP_CALLS = [name for name in CALLS if "data_app" in name]
SOURCE_CALLS = ["create_workspace", "update_workspace"]
API_TOKEN_CALLS = ["create_api_token", "list_api_tokens"]
ROTATIONS = ["rotate_api_key", "rotate_service_token"]


@pytest.fixture
def connection(connection: Emulator) -> Emulator:
    """An emulator with the datasource that ``SALES`` reads from."""
    connection.catalog.add_datasource("warehouse")
    return connection


def names(apps: list[Any]) -> list[str]:
    return [app.name for app in apps]


def test_a_workspace_is_created_changed_and_deleted(ask: Ask, connection: Emulator) -> None:
    hook = DatabrainHook()
    assert ask(hook, "create_workspace", SALES) == "Sales"
    assert names(hook.list_workspaces()) == ["Sales", WORKSPACE]
    multi = WorkspaceConnection(name="Sales", connection_type="MULTI_DATASOURCE")
    assert ask(hook, "update_workspace", multi) == "Sales"
    assert connection.state.workspace_connection("Sales") == {"name": "Sales", "connectionType": "MULTI_DATASOURCE"}
    assert ask(hook, "delete_workspace", "Sales") == "Sales"
    assert names(hook.list_workspaces()) == [WORKSPACE]


@pytest.mark.parametrize("legacy", [False, True])
def test_a_data_app_is_created_listed_renamed_and_deleted(
    ask: Ask, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    set_connection(monkeypatch, emulator, extra={"legacy_paths": legacy})
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    assert ask(hook, "create_data_app", "second") == "second"
    assert ask(hook, "update_data_app", "second", "2nd") == "2nd"
    first, second = ask(hook, "list_data_apps")
    assert [(row.embed_id, row.name) for row in first.embeds] == [("client-acme", "client-acme")]
    assert (second.name, second.type, second.embed_count, second.embeds) == ("2nd", "embedded", 0, [])
    key = ask(hook, "create_api_token", "2nd", "ci").key
    assert [(row.key, row.name) for row in ask(hook, "list_api_tokens", "2nd")] == [(key, "ci")]
    assert ask(hook, "delete_data_app", "2nd") == "2nd"
    assert names(ask(hook, "list_data_apps")) == [APP]
    assert {"dataApp" in path for _, path in emulator.control.arrived} == {legacy}


def test_lists_can_be_read_page_by_page(ask: Ask, connection: Emulator) -> None:
    hook = DatabrainHook()
    for number in range(12):
        connection.account.create_app(f"app-{number}")
        connection.account.add_key(APP, f"key-{number}")
    for method, args in (("list_data_apps", ()), ("list_api_tokens", (APP,))):
        whole = names(ask(hook, method, *args))
        assert names(ask(hook, method, *args, page="all")) == whole
        assert names(ask(hook, method, *args, page=2)) == whole[10:]
        assert len(whole) == 13


def test_odd_names_work_in_every_call(ask: Ask, connection: Emulator) -> None:
    hook = DatabrainHook()
    for name in ODD_IDS:
        assert ask(hook, "create_data_app", name) == name
        made = ask(hook, "create_api_token", name, name)
        [listed] = ask(hook, "list_api_tokens", name)
        assert (listed.key, listed.name) == (made.key, name)
        multi = WorkspaceConnection(name=name, connection_type="MULTI_DATAMART")
        assert ask(hook, "create_workspace", multi) == name
    for name in ODD_IDS:
        assert ask(hook, "update_data_app", name, f"{name}2") == f"{name}2"
        assert ask(hook, "delete_data_app", f"{name}2") == f"{name}2"
        assert ask(hook, "delete_workspace", name) == name
    assert names(hook.list_data_apps()) == [APP]


def test_a_guest_token_is_created_with_all_requested_fields(ask: Ask, connection: Emulator) -> None:
    asked = CreateGuestToken.model_validate(
        {
            "client_id": "acme",
            "data_app_name": APP,
            "expiry_time": timedelta(minutes=5),
            "permissions": {"is_show_side_bar": False},
            "params": {"dashboard_app_filters": [{"dashboard_id": TEMPLATES[0], "values": {"region": "eu"}}]},
            "extra": {"theme": {"name": "dark"}},
        }
    )
    now = 1_700_000_000.0
    connection.account.clock = lambda: now
    token = ask(DatabrainHook(), "create_guest_token", asked).token
    found = connection.account.guest_token(token)
    assert found is not None
    assert found.request == {
        "clientId": "acme",
        "dataAppName": APP,
        "expiryTime": 300_000,
        "permissions": {"isShowSideBar": False},
        "params": {"dashboardAppFilters": [{"dashboardId": TEMPLATES[0], "values": {"region": "eu"}}]},
        "theme": {"name": "dark"},
    }
    now += 299.9
    assert connection.account.guest_token(token)
    now += 0.1
    assert connection.account.guest_token(token) is None


@pytest.mark.parametrize(
    ("method", "read"), [("rotate_api_key", "list_embeds"), ("rotate_service_token", "list_data_apps")]
)
def test_the_new_key_works_beside_the_old_one_until_that_expires(
    ask: Ask, connection: Emulator, monkeypatch: pytest.MonkeyPatch, method: str, read: str
) -> None:
    now = 1_700_000_000.0
    connection.account.clock = lambda: now
    old_hook = DatabrainHook()
    new = ask(old_hook, method, timedelta(minutes=10)).key
    if method == "rotate_api_key":
        set_connection(monkeypatch, connection, password=new)
    else:
        set_connection(monkeypatch, connection, extra={"service_token": new})
    new_hook = DatabrainHook()
    now += 599
    ask(old_hook, read)
    ask(new_hook, read)
    now += 1
    ask(new_hook, read)
    with pytest.raises(AuthenticationError):
        ask(old_hook, read)
    with pytest.raises(AuthenticationError, match=r"It takes the (key|token) that is to be rotated \(.*while that"):
        ask(old_hook, method, HOUR)


@pytest.mark.parametrize("method", ["create_workspace", "create_data_app"])
@pytest.mark.parametrize("kind", ["reset_after", "error_after", "html", "cut"])
def test_a_create_that_finds_its_own_work_is_marked(ask: Ask, connection: Emulator, method: str, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    with pytest.raises(AlreadyExistsError) as caught:
        ask(DatabrainHook(), method, *CALLS[method])
    assert caught.value.after_ambiguous


@pytest.mark.parametrize("method", ["delete_workspace", "delete_data_app", "update_data_app"])
def test_a_change_that_finds_its_own_work_is_marked(ask: Ask, connection: Emulator, method: str) -> None:
    hook = DatabrainHook()
    hook.create_workspace(SALES)
    hook.create_data_app("second")
    connection.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(NotFoundError) as caught:
        ask(hook, method, *CALLS[method])
    assert caught.value.after_ambiguous


@pytest.mark.parametrize("kind", ["reset_after", "error_after", "html", "wrong"])
def test_a_call_that_changes_nothing_more_is_tried_again(ask: Ask, connection: Emulator, kind: Any) -> None:
    hook = DatabrainHook()
    hook.create_workspace(SALES)
    for method in ("update_workspace", "list_data_apps", "list_api_tokens", "create_guest_token"):
        connection.control.set_faults([Fault(kind=kind, times=2)])
        assert ask(hook, method, *CALLS[method])


@pytest.mark.parametrize("kind", ["reset_after", "error_after", "html", "cut", "wrong"])
@pytest.mark.parametrize("method", ["create_api_token", *ROTATIONS])
def test_a_key_that_may_have_been_created_is_not_created_again(
    ask: Ask, connection: Emulator, method: str, kind: Any
) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    with pytest.raises(ApiError) as caught:
        ask(DatabrainHook(), method, *CALLS[method])
    assert caught.value.ambiguous
    assert len(connection.account.live_keys()) == 3
    assert (
        "The rotation may have happened. If it did, the old key expires as asked, and nobody has the new one"
        in str(caught.value)
    ) is (method in ROTATIONS)


@pytest.mark.parametrize("method", ["create_api_token", *ROTATIONS])
def test_a_key_is_requested_again_after_the_rate_limit_refused_it(ask: Ask, connection: Emulator, method: str) -> None:
    connection.control.set_faults([Fault(kind="too_many", times=2, seconds=0.01)])
    assert ask(DatabrainHook(), method, *CALLS[method]).key
    assert len(connection.account.live_keys()) == 3


@pytest.mark.parametrize("method", [name for name in CALLS if not name.startswith("list")])
def test_a_read_only_server_refuses_a_change(ask: Ask, connection: Emulator, method: str) -> None:
    connection.control.behaviour = Behaviour(read_only=True)
    with pytest.raises(ApiError) as caught:
        ask(DatabrainHook(), method, *CALLS[method])
    assert (caught.value.status, caught.value.code) == (403, "READ_ONLY")


REFUSALS: list[tuple[list[str], int, str, str, type[ApiError]]] = [
    (list(CALLS), 400, "INVALID_REQUEST_BODY", '"name" is required', InvalidRequestError),
    (list(CALLS), 400, "AUTHENTICATION_ERROR", "API key is missing", AuthenticationError),
    (list(CALLS), 401, "AUTHENTICATION_ERROR", "API key is invalid or expired", AuthenticationError),
    (list(CALLS), 429, "RATE_LIMITED", "Too many requests", RateLimitedError),
    (list(CALLS), 500, "INTERNAL_SERVER_ERROR", "Internal server error", ServerError),
    (WORKSPACE_CALLS, 401, "INVALID_DATA_APP_API_KEY", "Invalid key", AuthenticationError),
    (["create_workspace"], 400, "WORKSPACE_NAME_ALREADY_EXISTS", "Name is taken", AlreadyExistsError),
    (["update_workspace", "delete_workspace"], 400, "WORKSPACE_DOES_NOT_EXIST", "No such", NotFoundError),
    (["delete_workspace"], 400, "NEVER_HEARD_OF", "Workspace not found", InvalidRequestError),
    (SOURCE_CALLS, 400, "INVALID_DATASOURCE_NAME", "Invalid datasource", NotFoundError),
    (SOURCE_CALLS, 400, "INVALID_DATAMART_NAME", "Invalid datamart", NotFoundError),
    (["create_data_app", "update_data_app"], 400, "DATA_APP_ALREADY_EXISTS", "Name is taken", AlreadyExistsError),
    (
        ["update_data_app", "delete_data_app", "create_guest_token", *API_TOKEN_CALLS],
        400,
        "DATA_APP_NOT_FOUND",
        "No such data app",
        NotFoundError,
    ),
    (["create_guest_token"], 401, "AUTHENTICATION_ERR", "API key is invalid or expired", AuthenticationError),
    (["create_guest_token"], 400, "CLIENT_ID_ERROR", "invalid client id", InvalidRequestError),
    (["create_guest_token"], 400, "WORKSPACE_ID_ERROR", "invalid workspace", NotFoundError),
    (["create_guest_token"], 400, "DASHBOARD_PARAM_ERROR", "invalid dashboard id", NotFoundError),
    (["create_guest_token"], 400, "APP_FILTER_PARAM_ERROR", "Invalid dashboard Id", InvalidRequestError),
    (["create_guest_token"], 400, "RLS_SETTINGS_PARAM_ERROR", "Invalid metric Id", InvalidRequestError),
]


@pytest.mark.parametrize(
    ("method", "status", "code", "message", "expected"),
    [(method, *refusal) for methods, *refusal in REFUSALS for method in methods],
)
def test_each_documented_refusal_raises_its_error(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    status: int,
    code: str,
    message: str,
    expected: type[ApiError],
) -> None:
    answer = http_answer(status, json.dumps({"error": {"code": code, "message": message}}).encode())
    with raw_server(answer) as (url, met):
        hook = hook_for(monkeypatch, host=url, extra={"max_retry_seconds": 0, "service_token": "service-0123456789"})
        with pytest.raises(ApiError) as caught:
            ask(hook, method, *CALLS[method])
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.code, caught.value.message) == (status, code, message)
    assert caught.value.tenant == ("acme" if method == "create_guest_token" else None)
    assert len(met) == 1


@pytest.mark.parametrize("method", CALLS)
def test_an_error_within_a_success_is_an_error(ask: Ask, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    refused = {"data": None, "error": {"code": "DATA_APP_ALREADY_EXISTS", "message": "taken"}}
    answer = http_answer(200, json.dumps(refused).encode())
    with raw_server(answer) as (url, _), pytest.raises(ApiError, match="taken"):
        ask(hook_for(monkeypatch, host=url), method, *CALLS[method])


def test_a_missing_token_is_an_error_that_names_its_field(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = hook_for(monkeypatch, password=None, extra={})
    for method, args in CALLS.items():
        field = "Password" if method in ("create_guest_token", "rotate_api_key") else "Service token"
        with pytest.raises(ConfigurationError, match=f"fill {field}"):
            ask(hook, method, *args)


def test_the_data_app_is_the_named_one_or_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = hook_for(monkeypatch, extra={"data_app_name": "usual"})
    assert (hook.data_app(), hook.data_app("other")) == ("usual", "other")
    with pytest.raises(ConfigurationError, match=r"give data_app_name, or fill 'Data app'.*'my_conn'"):
        hook_for(monkeypatch, extra={}).data_app()
