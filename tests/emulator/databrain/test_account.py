"""The emulated Databrain's workspaces, data apps and tokens, over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import (
    CREATE,
    EMBEDS,
    RENAME,
    WORKSPACES,
    body,
    call,
    create,
    is_refused_as_read_only,
    refusal,
)
from tests.support import METRICS, ODD_IDS, TEMPLATES, WORKSPACE

APPS = "/api/v2/data-app"
TOKENS = "/api/v2/data-app/api-tokens"
GUEST = "/api/v2/guest-token/create"
ROTATE_KEY = "/api/v2/data-app/rotate-api"
ROTATE_SERVICE = "/api/v2/service-token/rotate"
OF_API_KEY = {GUEST, ROTATE_KEY}
MULTI = {"name": "Sales", "connectionType": "MULTI_DATAMART"}
SOURCE = {"name": "Sales", "connectionType": "DATASOURCE", "datasourceName": "warehouse"}
ASKED = {"clientId": "acme", "dataAppName": "tenant-app"}
MALFORMED = (400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
REFUSED = {
    WORKSPACES: (401, "INVALID_DATA_APP_API_KEY", "API key is invalid or expired"),
    GUEST: (401, "INVALID_DATA_APP_API_KEY", "API key is invalid or expired"),
    ROTATE_KEY: (401, "AUTHENTICATION_ERROR", "API key is invalid or expired"),
    ROTATE_SERVICE: (401, "AUTHENTICATION_ERROR", "API key is invalid or expired"),
    APPS: (400, "AUTHENTICATION_ERROR", "API key is invalid or expired"),
    TOKENS: (400, "AUTHENTICATION_ERROR", "API key is invalid or expired"),
}
ENDPOINTS = [
    *((method, WORKSPACES) for method in ("POST", "PUT", "DELETE")),
    *((method, APPS) for method in ("POST", "GET", "PUT", "DELETE")),
    *((method, TOKENS) for method in ("POST", "GET")),
    *(("POST", path) for path in (GUEST, ROTATE_KEY, ROTATE_SERVICE)),
]


@pytest.fixture(scope="module")
def untouched() -> Iterator[Emulator]:
    """One emulator for all tests of refusals. They must not change anything."""
    with Emulator() as running:
        running.state.add_workspace(WORKSPACE, metrics=METRICS, dashboards=TEMPLATES)
        before = (running.account.apps(), running.account.live_keys(), running.state.workspaces())
        yield running
        assert (running.account.apps(), running.account.live_keys(), running.state.workspaces()) == before


@pytest.fixture(scope="module")
def read_only() -> Iterator[Emulator]:
    """One emulator that refuses all changes."""
    with Emulator() as running:
        running.control.behaviour = Behaviour(read_only=True)
        yield running


def usual(emulator: Emulator, path: str) -> str:
    """Return the token that a path needs."""
    return emulator.api_key if path in OF_API_KEY else emulator.service_token


def ask(emulator: Emulator, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
    """Send one request, with the token that the path needs unless another token is given."""
    return call(emulator, method, path, token or usual(emulator, path), **options)


def got(answer: requests.Response) -> Any:
    """Return the JSON of a successful answer."""
    assert answer.status_code == 200, answer.text
    return answer.json()


class Clock:
    """The emulator's clock, which a test moves."""

    def __init__(self, emulator: Emulator) -> None:
        self.now = 1_700_000_000.0
        emulator.account.clock = lambda: self.now


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc"])
def test_the_token_is_checked_first(untouched: Emulator, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert refusal(requests.request(method, untouched.url + path, headers=headers, timeout=5)) == MALFORMED


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_token_that_is_unknown_or_of_the_other_kind_is_refused(untouched: Emulator, method: str, path: str) -> None:
    other = untouched.service_token if path in OF_API_KEY else untouched.api_key
    for token in (other, str(uuid4())):
        assert refusal(ask(untouched, method, path, token, data="not json")) == REFUSED[path]


def test_a_token_that_cannot_be_a_key_cannot_be_rotated(untouched: Emulator) -> None:
    assert refusal(ask(untouched, "POST", ROTATE_KEY, "wrong", json={"expireAt": 0})) == MALFORMED


@pytest.mark.parametrize(
    ("method", "path", "sent", "message"),
    [
        *[(method, WORKSPACES, {}, '"name" is required') for method in ("POST", "PUT")],
        *[(method, WORKSPACES, {"name": "a"}, '"connectionType" is required') for method in ("POST", "PUT")],
        (
            "POST",
            WORKSPACES,
            {"name": "a", "connectionType": "FILE"},
            '"connectionType" must be one of [DATASOURCE, DATAMART, MULTI_DATASOURCE, MULTI_DATAMART]',
        ),
        ("POST", WORKSPACES, {"name": "a", "connectionType": "DATASOURCE"}, '"datasourceName" is required'),
        ("PUT", WORKSPACES, {"name": "a", "connectionType": "DATAMART"}, '"datamartName" is required'),
        ("POST", WORKSPACES, {**MULTI, "datamartName": "m"}, '"datamartName" is not allowed'),
        ("POST", WORKSPACES, {**SOURCE, "llm": "x"}, '"llm" is not allowed'),
        ("POST", WORKSPACES, {**SOURCE, "name": ""}, '"name" is not allowed to be empty'),
        ("POST", APPS, {}, '"name" is required'),
        ("POST", APPS, {"name": 7}, '"name" must be a string'),
        ("POST", APPS, {"name": "a", "type": "embedded"}, '"type" is not allowed'),
        ("PUT", APPS, {"name": "tenant-app"}, '"updateName" is required'),
        ("PUT", APPS, {"updateName": "b"}, '"name" is required'),
        ("POST", TOKENS, {"name": "ci"}, '"dataAppName" is required'),
        ("POST", TOKENS, {"dataAppName": "tenant-app"}, '"name" is required'),
        ("POST", GUEST, {"clientId": "a"}, '"dataAppName" is required'),
        ("POST", GUEST, {"dataAppName": "a"}, '"clientId" is required'),
        ("POST", GUEST, {**ASKED, "expiryTime": "1"}, '"expiryTime" must be a number'),
        ("POST", GUEST, {**ASKED, "expiryTime": True}, '"expiryTime" must be a number'),
        ("POST", GUEST, {**ASKED, "expiryTime": 0}, '"expiryTime" must be a positive number'),
        ("POST", GUEST, {**ASKED, "embedId": "a"}, '"embedId" is not allowed'),
        ("POST", GUEST, {**ASKED, "permissions": {"isAll": True}}, '"isAll" is not allowed'),
        ("POST", GUEST, {**ASKED, "permissions": {"isShowSideBar": "no"}}, '"isShowSideBar" must be a boolean'),
        ("POST", GUEST, {**ASKED, "params": {"dashboard": {}}}, '"dashboard" is not allowed'),
        ("POST", GUEST, {**ASKED, "params": {"timezone": 1}}, '"timezone" must be a string'),
        ("POST", GUEST, {**ASKED, "params": {"allowedEmbeds": [1]}}, '"allowedEmbeds" must be a string'),
        ("POST", GUEST, {**ASKED, "params": {"appFilters": [{"values": {}}]}}, '"metricId" is required'),
        ("POST", GUEST, {**ASKED, "params": {"rlsSettings": [{"metricId": "mrr"}]}}, '"values" is required'),
        (
            "POST",
            GUEST,
            {**ASKED, "params": {"dashboardAppFilters": [{"dashboardId": "a", "values": []}]}},
            '"values" must be of type object',
        ),
        *[
            ("POST", path, sent, message)
            for path in (ROTATE_KEY, ROTATE_SERVICE)
            for sent, message in (
                ({}, '"expireAt" is required'),
                ({"expireAt": "soon"}, '"expireAt" must be a number'),
                ({"expireAt": -1}, '"expireAt" must be greater than or equal to 0'),
                ({"expireAt": 1, "key": "k"}, '"key" is not allowed'),
            )
        ],
    ],
)
def test_the_refusal_of_an_invalid_body_names_the_fault(
    untouched: Emulator, method: str, path: str, sent: Any, message: str
) -> None:
    assert refusal(ask(untouched, method, path, json=sent)) == (400, "INVALID_REQUEST_BODY", message)


@pytest.mark.parametrize(("method", "path"), [endpoint for endpoint in ENDPOINTS if endpoint[0] in ("POST", "PUT")])
@pytest.mark.parametrize("sent", [b"", b"not json", b"[]"])
def test_a_body_that_is_not_an_object_is_refused(untouched: Emulator, method: str, path: str, sent: bytes) -> None:
    refused = (400, "INVALID_REQUEST_BODY", "Request body validation failed")
    assert refusal(ask(untouched, method, path, data=sent)) == refused


@pytest.mark.parametrize(
    ("method", "path", "query", "message"),
    [
        ("DELETE", WORKSPACES, {}, '"name" is required'),
        ("DELETE", WORKSPACES, {"id": "a"}, '"name" is required'),
        ("DELETE", APPS, {}, '"name" is required'),
        ("GET", TOKENS, {}, '"dataAppName" is required'),
        ("GET", APPS, {"name": "a"}, '"name" is not allowed'),
        ("GET", APPS, {"isPagination": "true", "pageNumber": "x"}, '"pageNumber" must be a number'),
    ],
)
def test_the_refusal_of_an_invalid_query_names_the_fault(
    untouched: Emulator, method: str, path: str, query: dict[str, str], message: str
) -> None:
    assert refusal(ask(untouched, method, path, params=query)) == (400, "INVALID_REQUEST_BODY", message)


@pytest.mark.parametrize(
    ("method", "path", "options", "code"),
    [
        ("POST", WORKSPACES, {"json": {**MULTI, "name": WORKSPACE}}, "WORKSPACE_NAME_ALREADY_EXISTS"),
        ("PUT", WORKSPACES, {"json": MULTI}, "WORKSPACE_DOES_NOT_EXIST"),
        ("PUT", WORKSPACES, {"json": {**MULTI, "name": WORKSPACE.upper()}}, "WORKSPACE_DOES_NOT_EXIST"),
        ("DELETE", WORKSPACES, {"params": {"name": "Sales"}}, "WORKSPACE_DOES_NOT_EXIST"),
        ("POST", APPS, {"json": {"name": "tenant-app"}}, "DATA_APP_ALREADY_EXISTS"),
        ("PUT", APPS, {"json": {"name": "other", "updateName": "x"}}, "DATA_APP_NOT_FOUND"),
        ("DELETE", APPS, {"params": {"name": "Tenant-app"}}, "DATA_APP_NOT_FOUND"),
        ("POST", TOKENS, {"json": {"dataAppName": "other", "name": "ci"}}, "DATA_APP_NOT_FOUND"),
        ("GET", TOKENS, {"params": {"dataAppName": "other"}}, "DATA_APP_NOT_FOUND"),
        ("POST", GUEST, {"json": {**ASKED, "dataAppName": "other"}}, "DATA_APP_NOT_FOUND"),
        (
            "POST",
            GUEST,
            {"json": {**ASKED, "params": {"dashboardAppFilters": [{"dashboardId": "none", "values": {}}]}}},
            "APP_FILTER_PARAM_ERROR",
        ),
        (
            "POST",
            GUEST,
            {"json": {**ASKED, "params": {"appFilters": [{"metricId": "none", "values": {}}]}}},
            "APP_FILTER_PARAM_ERROR",
        ),
        (
            "POST",
            GUEST,
            {"json": {**ASKED, "params": {"rlsSettings": [{"metricId": "none", "values": {}}]}}},
            "RLS_SETTINGS_PARAM_ERROR",
        ),
    ],
)
def test_a_name_that_is_taken_or_does_not_exist_is_refused(
    untouched: Emulator, method: str, path: str, options: Any, code: str
) -> None:
    assert refusal(ask(untouched, method, path, **options))[:2] == (400, code)


def test_a_workspace_is_created_updated_and_deleted_with_its_contents(emulator: Emulator) -> None:
    emulator.catalog.add_datasource("warehouse")
    assert got(ask(emulator, "POST", WORKSPACES, json=SOURCE)) == {"data": {"name": "Sales"}, "error": None}
    assert emulator.state.workspace_connection("Sales") == SOURCE
    assert {"name": "Sales"} in got(ask(emulator, "GET", WORKSPACES))["data"]
    assert got(ask(emulator, "PUT", WORKSPACES, json=MULTI)) == {"data": {"name": "Sales"}, "error": None}
    assert emulator.state.workspace_connection("Sales") == MULTI
    got(create(emulator, "acme", workspaceName="Sales"))
    got(create(emulator, "other"))
    deleted = {"data": {"id": "Sales", "message": "Workspace deleted successfully"}}
    assert got(ask(emulator, "DELETE", WORKSPACES, params={"name": "Sales"})) == deleted
    assert got(ask(emulator, "GET", WORKSPACES))["data"] == [{"name": WORKSPACE}]
    assert [row.client_id for row in emulator.state.embeds()] == ["other"]
    assert not emulator.state.dashboard_exists("client-acme")
    assert emulator.state.workspace_connection("Sales") is None


def test_a_workspace_needs_an_existing_source(emulator: Emulator) -> None:
    emulator.catalog.add_datasource("lake")
    emulator.catalog.put_datamart("mart", "lake", {"tableList": []})
    mart = {"name": WORKSPACE, "connectionType": "DATAMART", "datamartName": "none"}
    for method, sent in (("POST", SOURCE), ("PUT", {**SOURCE, "name": WORKSPACE})):
        assert refusal(ask(emulator, method, WORKSPACES, json=sent))[:2] == (400, "INVALID_DATASOURCE_NAME")
    for method, sent in (("POST", {**mart, "name": "Sales"}), ("PUT", mart)):
        assert refusal(ask(emulator, method, WORKSPACES, json=sent))[:2] == (400, "INVALID_DATAMART_NAME")
    assert emulator.state.workspaces() == [WORKSPACE]
    got(ask(emulator, "PUT", WORKSPACES, json={**mart, "datamartName": "mart"}))
    got(ask(emulator, "POST", WORKSPACES, json={**SOURCE, "datasourceName": "lake"}))


@pytest.mark.parametrize("path", [APPS, "/api/v2/dataApp"])
def test_a_data_app_is_created_listed_renamed_and_deleted(emulator: Emulator, path: str) -> None:
    service = emulator.service_token
    clock = Clock(emulator)
    assert got(call(emulator, "POST", path, service, json={"name": "Second"})) == {"name": "Second"}
    key = got(call(emulator, "POST", f"{path}/api-tokens", service, json={"dataAppName": "Second", "name": "ci"}))[
        "key"
    ]
    got(create(emulator))
    got(call(emulator, "POST", CREATE, key, json=body("other")))
    clock.now += 60
    assert got(call(emulator, "PUT", path, service, json={"name": "Second", "updateName": "2nd"})) == {"name": "2nd"}
    first, second = got(call(emulator, "GET", path, service))["data"]
    assert (first["name"], first["embedCount"], first["embeds"][0]["embedId"]) == ("tenant-app", 1, "client-acme")
    [row] = second.pop("embeds")
    assert (row.pop("createdAt"), row) == (row.pop("updatedAt"), {"name": "client-other", "embedId": "client-other"})
    assert second == {
        "name": "2nd",
        "type": "embedded",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "updatedAt": "2023-11-14T22:14:20.000Z",
        "embedCount": 1,
    }
    [embed] = got(call(emulator, "GET", EMBEDS, key))["data"]
    assert embed["embedMetadata"]["dataAppName"] == "2nd"
    asked = {"clientId": "other", "dataAppName": "2nd"}
    guest = got(call(emulator, "POST", GUEST, key, json=asked))["token"]
    taken = call(emulator, "PUT", path, service, json={"name": "2nd", "updateName": "tenant-app"})
    assert refusal(taken)[:2] == (400, "DATA_APP_ALREADY_EXISTS")
    assert got(call(emulator, "DELETE", path, service, params={"name": "2nd"})) == {"name": "2nd"}
    assert [row.client_id for row in emulator.state.embeds()] == ["acme"]
    assert refusal(call(emulator, "GET", EMBEDS, key))[0] == 401
    assert emulator.account.guest_token(guest) is None
    got(call(emulator, "GET", EMBEDS))


def test_a_key_of_another_data_app_does_not_see_the_embeds(emulator: Emulator) -> None:
    emulator.account.create_app("second")
    key = emulator.account.add_key("second", "ci")
    got(create(emulator))
    assert got(call(emulator, "GET", EMBEDS, key))["data"] == []
    change = {"embedId": "client-acme", "accessSettings": {}}
    assert refusal(call(emulator, "PUT", EMBEDS, key, json=change))[1] == "INVALID_EMBED_ID"
    assert refusal(call(emulator, "PUT", RENAME, key, json={"embedId": "client-acme", "name": "x"}))[0] == 400
    assert refusal(call(emulator, "DELETE", EMBEDS, key, params={"embedId": "client-acme"}))[2] == "Embed not found"
    assert emulator.state.count_embeds() == 1


def test_odd_names_do_not_change(emulator: Emulator) -> None:
    for name in ODD_IDS:
        got(ask(emulator, "POST", APPS, json={"name": name}))
        got(ask(emulator, "POST", TOKENS, json={"dataAppName": name, "name": name}))
        [row] = got(ask(emulator, "GET", TOKENS, params={"dataAppName": name}))["data"]
        assert row["name"] == name
        got(ask(emulator, "POST", WORKSPACES, json={**MULTI, "name": name}))
    for name in ODD_IDS:
        got(ask(emulator, "DELETE", APPS, params={"name": name}))
        got(ask(emulator, "DELETE", WORKSPACES, params={"name": name}))
    assert [app.name for app in emulator.account.apps()] == ["tenant-app"]


def test_lists_have_pages_of_ten(emulator: Emulator) -> None:
    for number in range(12):
        emulator.account.create_app(f"app-{number}")
        emulator.account.add_key("tenant-app", f"key-{number}")
    for path, more in ((APPS, {}), (TOKENS, {"dataAppName": "tenant-app"})):
        pages = [
            got(ask(emulator, "GET", path, params={"isPagination": "true", "pageNumber": number, **more}))["data"]
            for number in ("1", "2", "3")
        ]
        assert [len(page) for page in pages] == [10, 3, 0]
        whole = got(ask(emulator, "GET", path, params={"isPagination": "false", "pageNumber": "2", **more}))["data"]
        assert [*pages[0], *pages[1]] == whole


def test_api_tokens_are_listed_with_their_keys(emulator: Emulator) -> None:
    Clock(emulator)
    key = got(ask(emulator, "POST", TOKENS, json={"dataAppName": "tenant-app", "name": "ci"}))["key"]
    assert str(UUID(key)) == key
    given, made = got(ask(emulator, "GET", TOKENS, params={"dataAppName": "tenant-app"}))["data"]
    assert (given["key"], given["name"]) == (emulator.api_key, "default")
    assert made == {"key": key, "name": "ci", "description": None, "createdAt": "2023-11-14T22:13:20.000Z"}
    got(call(emulator, "GET", EMBEDS, key))


@pytest.mark.parametrize("path", [ROTATE_KEY, ROTATE_SERVICE])
@pytest.mark.parametrize("sent", [60, "60"])
def test_a_rotated_key_expires_at_its_time(emulator: Emulator, path: str, sent: Any) -> None:
    def works(token: str) -> bool:
        return call(emulator, "GET", EMBEDS if path in OF_API_KEY else APPS, token).status_code == 200

    clock = Clock(emulator)
    old = usual(emulator, path)
    new = got(ask(emulator, "POST", path, json={"expireAt": sent}))["key"]
    assert str(UUID(new)) == new
    assert (works(old), works(new)) == (True, True)
    clock.now += 59.9
    assert (works(old), works(new)) == (True, True)
    clock.now += 0.1
    assert (works(old), works(new)) == (False, True)
    assert refusal(ask(emulator, "POST", path, json={"expireAt": 0})) == REFUSED[path]
    newest = got(ask(emulator, "POST", path, new, json={"expireAt": 0}))["key"]
    assert (works(new), works(newest)) == (False, True)
    keys = {row.key for row in emulator.account.live_keys()}
    assert newest in keys
    assert not keys & {old, new}


def test_a_new_key_has_the_old_keys_name_and_data_app(emulator: Emulator) -> None:
    emulator.account.create_app("second")
    key = emulator.account.add_key("second", "ci", "for ci")
    new = got(call(emulator, "POST", ROTATE_KEY, key, json={"expireAt": 0}))["key"]
    [row] = got(ask(emulator, "GET", TOKENS, params={"dataAppName": "second"}))["data"]
    assert (row["key"], row["name"], row["description"]) == (new, "ci", "for ci")


def test_a_guest_token_expires_after_its_expiry_time(emulator: Emulator) -> None:
    clock = Clock(emulator)
    sent = {**ASKED, "expiryTime": 1500}
    answer = got(ask(emulator, "POST", GUEST, json=sent))
    assert answer == {"token": answer["token"], "error": None}
    endless = got(ask(emulator, "POST", GUEST, json=ASKED))["token"]
    row = emulator.account.guest_token(answer["token"])
    assert row is not None
    assert (row.data_app, row.request) == ("tenant-app", sent)
    clock.now += 1.499
    assert emulator.account.guest_token(answer["token"])
    clock.now += 0.001
    assert emulator.account.guest_token(answer["token"]) is None
    clock.now += 1e9
    assert emulator.account.guest_token(endless)


def test_a_guest_token_accepts_all_documented_fields(emulator: Emulator) -> None:
    sent = {
        **ASKED,
        "datasourceName": "warehouse",
        "permissions": {"isShowSideBar": False, "isEnableManageMetrics": True},
        "params": {
            "dashboardAppFilters": [
                {"dashboardId": TEMPLATES[0], "values": {"region": ["eu"]}, "isShowOnUrl": True},
            ],
            "appFilters": [{"metricId": "mrr", "values": {"region": "eu"}}],
            "rlsSettings": [{"metricId": "mrr", "values": {"customer": 7}}],
            "hideDashboardFilters": ["region"],
            "userIdentifier": "ann",
            "timezone": "UTC",
            "allowedEmbeds": ["client-acme"],
        },
        "theme": {},
        "accessSettings": {},
    }
    got(ask(emulator, "POST", GUEST, json=sent))


def test_an_unknown_client_is_refused_if_the_server_knows_its_clients(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(known_clients=["acme"])
    assert refusal(ask(emulator, "POST", GUEST, json={**ASKED, "clientId": "b"}))[:2] == (400, "CLIENT_ID_ERROR")
    for client in ("acme", "None"):
        got(ask(emulator, "POST", GUEST, json={**ASKED, "clientId": client}))


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_read_only_server_refuses_everything_except_lists(read_only: Emulator, method: str, path: str) -> None:
    # Only the rotation of a key has no legacy path.
    for prefix in ("data-app",) if path == ROTATE_KEY else ("data-app", "dataApp"):
        answer = ask(read_only, method, path.replace("data-app", prefix))
        assert is_refused_as_read_only(answer) is (method != "GET")


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "emulator.sqlite")
    with Emulator(path) as first:
        first.state.add_workspace(WORKSPACE)
        first.account.create_app("second")
        made = first.account.add_key("second", "ci")
        got(call(first, "POST", CREATE, made, json=body()))
        got(ask(first, "PUT", WORKSPACES, json={**MULTI, "name": WORKSPACE}))
        guest = got(ask(first, "POST", GUEST, json=ASKED))["token"]
        rotated = got(ask(first, "POST", ROTATE_KEY, json={"expireAt": 0}))["key"]
    with Emulator(path, api_key=first.api_key) as second:
        assert [app.name for app in second.account.apps()] == ["tenant-app", "second"]
        assert [row["embedId"] for row in got(call(second, "GET", EMBEDS, made))["data"]] == ["client-acme"]
        assert second.account.guest_token(guest)
        assert second.state.workspace_connection(WORKSPACE) == {**MULTI, "name": WORKSPACE}
        # A key that the server is started with is accepted, even if it expired before. Those of the last start are not.
        for key in (second.api_key, rotated):
            got(call(second, "GET", EMBEDS, key))
        assert refusal(call(second, "GET", APPS, first.service_token))[0] == 400


def test_no_token_is_in_the_log_of_requests(emulator: Emulator) -> None:
    guest = got(ask(emulator, "POST", GUEST, json=ASKED))["token"]
    rotated = got(ask(emulator, "POST", ROTATE_KEY, json={"expireAt": 5}))["key"]
    log = json.dumps(requests.get(f"{emulator.url}/_emulator/requests", timeout=5).json())
    assert not any(token in log for token in (guest, rotated, emulator.api_key, emulator.service_token))
