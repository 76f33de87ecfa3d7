"""Which requests for tokens are sent to Databrain, in which units, and how its answers are read."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_databrain.client.answer import interpret
from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.databrain.api.tokens import (
    CreateGuestToken,
    create_api_token,
    create_guest_token,
    list_api_tokens,
    rotate_api_key,
    rotate_service_token,
)

SERVER = Server("https://x.example", {API_KEY: "key", SERVICE_TOKEN: "service"})
LEGACY = Server("https://x.example", {API_KEY: "key", SERVICE_TOKEN: "service"}, legacy_paths=True)
SECRET = "0f8fad5b-d9cb-469f-a165-70867728950e"
ACME = CreateGuestToken(client_id="acme", data_app_name="app")
HOUR = timedelta(hours=1)
FULL: dict[str, Any] = {
    "client_id": "acme",
    "data_app_name": "Demo Sales Data App",
    "expiry_time": HOUR,
    "datasource_name": "warehouse",
    "permissions": {
        "is_enable_manage_metrics": True,
        "is_enable_create_dashboard_view": False,
        "is_enable_metric_updation": True,
        "is_enable_customize_layout": False,
        "is_enable_underlying_data": False,
        "is_enable_download_metrics": True,
        "is_show_side_bar": False,
        "is_show_dashboard_name": True,
        "extra": {"isArchive": True},
    },
    "params": {
        "dashboard_app_filters": [
            {
                "dashboard_id": "client-acme",
                "values": {
                    "region": "eu",
                    "plan": ["a", "b"],
                    "day": {"startDate": "2025-01-01", "endDate": "2025-02-01"},
                    "owner": {"sql": "SELECT 1", "columnName": "owner"},
                },
                "is_show_on_url": False,
            },
            {"dashboard_id": "other", "values": {}},
        ],
        "app_filters": [{"metric_id": "mrr", "values": {"region": "eu"}}],
        "rls_settings": [{"metric_id": "mrr", "values": {"customer_id": 7}}],
        "hide_dashboard_filters": ["region"],
        "user_identifier": "ann",
        "timezone": "Europe/Berlin",
        "allowed_embeds": ["client-acme"],
        "extra": {"new": 1},
    },
    "extra": {"theme": {"name": "dark"}},
}
FULL_WIRE: dict[str, Any] = {
    "clientId": "acme",
    "dataAppName": "Demo Sales Data App",
    "expiryTime": 3_600_000,
    "datasourceName": "warehouse",
    "permissions": {
        "isEnableManageMetrics": True,
        "isEnableCreateDashboardView": False,
        "isEnableMetricUpdation": True,
        "isEnableCustomizeLayout": False,
        "isEnableUnderlyingData": False,
        "isEnableDownloadMetrics": True,
        "isShowSideBar": False,
        "isShowDashboardName": True,
        "isArchive": True,
    },
    "params": {
        "dashboardAppFilters": [
            {
                "dashboardId": "client-acme",
                "values": FULL["params"]["dashboard_app_filters"][0]["values"],
                "isShowOnUrl": False,
            },
            {"dashboardId": "other", "values": {}},
        ],
        "appFilters": [{"metricId": "mrr", "values": {"region": "eu"}}],
        "rlsSettings": [{"metricId": "mrr", "values": {"customer_id": 7}}],
        "hideDashboardFilters": ["region"],
        "userIdentifier": "ann",
        "timezone": "Europe/Berlin",
        "allowedEmbeds": ["client-acme"],
        "new": 1,
    },
    "theme": {"name": "dark"},
}


def one(call: Call[Any]) -> Request[Any]:
    """The call's only or first request."""
    return next(call) if isinstance(call, Generator) else call


def answered(call: Call[Any], payload: Any) -> Any:
    """The result of a call that gets this answer."""
    return interpret(SERVER, one(call), Reply(200, {}, json.dumps(payload).encode()))


@pytest.mark.parametrize(
    ("call", "method", "path", "body", "token"),
    [
        (create_guest_token(ACME), "POST", "guest-token/create", {"clientId": "acme", "dataAppName": "app"}, "key"),
        (
            create_guest_token(CreateGuestToken.model_validate(FULL)),
            "POST",
            "guest-token/create",
            FULL_WIRE,
            "key",
        ),
        (create_api_token("app", "ci"), "POST", "data-app/api-tokens", {"dataAppName": "app", "name": "ci"}, "service"),
        (
            create_api_token("app", "ci", extra={"description": "for ci"}),
            "POST",
            "data-app/api-tokens",
            {"dataAppName": "app", "name": "ci", "description": "for ci"},
            "service",
        ),
        (list_api_tokens("my app"), "GET", "data-app/api-tokens?dataAppName=my%20app", None, "service"),
        (
            list_api_tokens("a", page=2),
            "GET",
            "data-app/api-tokens?dataAppName=a&isPagination=true&pageNumber=2",
            None,
            "service",
        ),
        (rotate_api_key(HOUR), "POST", "data-app/rotate-api", {"expireAt": 3600}, "key"),
        (rotate_api_key(timedelta(0)), "POST", "data-app/rotate-api", {"expireAt": 0}, "key"),
        (rotate_api_key(timedelta(seconds=1.001)), "POST", "data-app/rotate-api", {"expireAt": 2}, "key"),
        (
            rotate_api_key(HOUR, extra={"old": True}),
            "POST",
            "data-app/rotate-api",
            {"expireAt": 3600, "old": True},
            "key",
        ),
        (rotate_service_token(timedelta(days=2)), "POST", "service-token/rotate", {"expireAt": 172_800}, "service"),
    ],
)
def test_a_call_is_sent_as_the_vendor_documents_it(
    call: Call[Any], method: str, path: str, body: Any, token: str
) -> None:
    request = one(call)
    assert (request.endpoint.method, SERVER.url(request)) == (method, f"https://x.example/api/v2/{path}")
    assert SERVER.authorization(request) == f"Bearer {token}"
    assert (None if request.body is None else json.loads(request.body)) == body
    older = path.replace("data-app/api-tokens", "dataApp/api-tokens")
    assert LEGACY.url(request) == f"https://x.example/api/v2/{older}"


@pytest.mark.parametrize(
    ("life", "milliseconds"),
    [
        (timedelta(milliseconds=1), 1),
        (timedelta(milliseconds=1, microseconds=999), 1),
        (timedelta(seconds=1), 1000),
        (timedelta(days=400), 34_560_000_000),
    ],
)
def test_a_guest_tokens_life_is_sent_in_whole_milliseconds(life: timedelta, milliseconds: int) -> None:
    body = create_guest_token(CreateGuestToken(client_id="a", data_app_name="app", expiry_time=life)).body
    assert body is not None
    assert json.loads(body)["expiryTime"] == milliseconds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expiry_time": 3600}, "expiry_time"),
        ({"expiryTime": 3_600_000}, "expiry_time"),
        ({"expiry_time": "PT1H"}, "expiry_time"),
        ({"expiry_time": timedelta(0)}, "expiry_time"),
        ({"expiry_time": timedelta(seconds=-1)}, "expiry_time"),
        ({"extra": {"expiryTime": 5}}, "extra repeats known fields: expiryTime"),
        ({"client_id": " "}, "client_id"),
        ({"data_app_name": ""}, "data_app_name"),
        ({"theme": {}}, "theme"),
        ({"permissions": {"is_enable_everything": True}}, "permissions.is_enable_everything"),
        ({"params": {"dashboard_app_filters": [{"values": {}}]}}, "dashboard_app_filters.0.dashboard_id"),
        ({"params": {"rls_settings": [{"metric_id": "m"}]}}, "rls_settings.0.values"),
    ],
)
def test_an_invalid_guest_token_is_never_requested(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CreateGuestToken.model_validate({"client_id": "acme", "data_app_name": "app", **changes})


@pytest.mark.parametrize("rotate", [rotate_api_key, rotate_service_token])
@pytest.mark.parametrize("life", [timedelta(microseconds=-1), 3600, 0, "PT1H", None])
def test_a_rotation_needs_a_non_negative_timedelta(rotate: Any, life: Any) -> None:
    with pytest.raises(ValueError, match="expire_after must be a non-negative timedelta"):
        rotate(life)


def test_extra_fields_do_not_repeat_known_ones() -> None:
    with pytest.raises(ValueError, match="extra repeats known fields: expireAt"):
        rotate_api_key(HOUR, extra={"expireAt": 7})
    with pytest.raises(ValueError, match="extra repeats known fields: name"):
        create_api_token("app", "ci", extra={"name": "other"})


def test_a_blank_name_is_never_sent() -> None:
    for text in ("", " "):
        with pytest.raises(ValueError, match="data_app_name is empty"):
            create_api_token(text, "ci")
        with pytest.raises(ValueError, match="name is empty"):
            create_api_token("app", text)
        with pytest.raises(ValueError, match="data_app_name is empty"):
            list_api_tokens(text)


@pytest.mark.parametrize("more", [{}, {"error": None}, {"status": "ok", "copy": SECRET}])
def test_an_answer_is_read_and_its_secret_is_shown_nowhere(more: dict[str, Any]) -> None:
    guest = answered(create_guest_token(ACME), {"token": SECRET, **more})
    made = answered(create_api_token("app", "ci"), {"key": SECRET, **more})
    row = {"key": SECRET, "name": "ci", "description": None, "createdAt": "2025-01-01T00:00:00Z"}
    listed = answered(list_api_tokens("app"), {"data": [{**row, **more}], **more})
    assert (guest.token, made.key, listed[0].key) == (SECRET, SECRET, SECRET)
    for result in (guest, made, listed[0]):
        assert result.secret == SECRET
        assert SECRET not in f"{result!r} {result} {result.as_row()} {result.model_dump_json()}"
    assert listed[0].as_row() == {name: value for name, value in row.items() if name != "key"}


@pytest.mark.parametrize("secret", [None, "", True, "two words", f"{SECRET}\n", "é", [SECRET]])
def test_an_answer_without_a_usable_secret_is_malformed_and_not_quoted(secret: Any) -> None:
    for call, payload in (
        (create_guest_token(ACME), {"token": secret, "other": SECRET}),
        (create_api_token("app", "ci"), {"key": secret, "other": SECRET}),
        (list_api_tokens("app"), {"data": [{"key": secret, "name": SECRET}]}),
        (one(rotate_api_key(HOUR)), {"key": secret, "other": SECRET}),
    ):
        with pytest.raises(MalformedAnswerError) as caught:
            answered(call, payload)
        assert SECRET not in f"{caught.value} {caught.value!r}"


def test_after_an_unclear_failure_only_calls_that_leave_no_key_behind_are_sent_again() -> None:
    calls = (
        create_guest_token(ACME),
        create_api_token("app", "ci"),
        list_api_tokens("app"),
        rotate_api_key(HOUR),
        rotate_service_token(HOUR),
    )
    endpoints = [one(call).endpoint for call in calls]
    assert all(endpoint.secret_answer for endpoint in endpoints)
    assert [endpoint.name for endpoint in endpoints if endpoint.resend is Resend.ALWAYS] == [
        "create guest token",
        "list API tokens",
    ]
    assert {endpoint.resend for endpoint in endpoints} == {Resend.ALWAYS, Resend.IF_UNPROCESSED}
