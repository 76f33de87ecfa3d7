"""Endpoints with placeholders, tokens that came from the API itself, and answers without a body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client.answer import annotate, interpret
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.models import json_body, wire
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.posthog.api import collaborators, dashboards, endpoint, sharing, stream
from airflow_provider_databrain.posthog.api.models import NewDashboard, SharingSettings

UUID = "0198a1b2-0000-4000-8000-000000000001"
SERVER = Server("https://posthog.example", {endpoint.API_KEY: "phx_key"}, conn_id="ph", parameters={"project_id": "1"})
ONE = dashboards.retrieve_dashboard(4)
REMOVE = collaborators.remove_collaborator(4, UUID)


def at(path: str, **values: str) -> Request[Any]:
    return replace(ONE, endpoint=replace(ONE.endpoint, path=path), path=values)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"key": "plain-._~"}, "plain-._~"),
        ({"key": "@current"}, "@current"),
        ({"key": "a/b"}, "a%2Fb"),
        ({"key": "a b?c#d%e"}, "a%20b%3Fc%23d%25e"),
        ({"key": "日本"}, "%E6%97%A5%E6%9C%AC"),
        ({"key": "{project_id}"}, "%7Bproject_id%7D"),
    ],
)
def test_a_value_in_a_path_is_encoded_and_changes_nothing_else(values: dict[str, str], path: str) -> None:
    assert SERVER.url(at("/api/{project_id}/{key}/", **values)) == f"https://posthog.example/api/1/{path}/"


def test_the_requests_value_replaces_the_servers_value() -> None:
    assert SERVER.url(at("/{project_id}", project_id="2")) == "https://posthog.example/2"


def test_a_path_without_placeholders_is_used_unchanged() -> None:
    assert SERVER.url(at("/a%2Fb", key="x")) == "https://posthog.example/a%2Fb"
    odd = replace(SERVER, paths={ONE.endpoint.name: "/{not} a place"})
    assert odd.url(at("/plain")) == "https://posthog.example/{not} a place"


def test_a_token_from_the_api_is_sent_instead_of_the_connections_token() -> None:
    with_bearer = replace(ONE, bearer="given-token")
    assert SERVER.authorization(ONE) == "Bearer phx_key"
    assert SERVER.authorization(with_bearer) == "Bearer given-token"
    # No token of the connection is needed.
    assert replace(SERVER, tokens={}).authorization(with_bearer) == "Bearer given-token"
    assert "given-token" not in repr(with_bearer)


def test_an_error_does_not_repeat_a_token_from_the_api() -> None:
    with_bearer = replace(ONE, bearer="given-token")
    body = json_body({"type": "x", "code": "not_found", "detail": "no given-token, no phx_key", "attr": None})
    with pytest.raises(NotFoundError) as caught:
        interpret(SERVER, with_bearer, Reply(404, {}, body))
    assert caught.value.message == "no ***, no ***"
    error = ApiError("given-token", code="given-token")
    annotate(SERVER, with_bearer, error)
    assert "given-token" not in f"{error} {error!r} {vars(error)}"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_success_may_have_no_body_if_the_endpoint_says_so(status: int) -> None:
    done: Request[Any] = Request(REMOVE.endpoint, lambda payload: ("read", payload))
    assert interpret(SERVER, done, Reply(status, {}, b"")) == ("read", None)
    assert interpret(SERVER, done, Reply(status, {}, b'{"a": 1}')) == ("read", {"a": 1})
    with pytest.raises(MalformedAnswerError, match="0 bytes"):
        interpret(SERVER, ONE, Reply(status, {}, b""))


@pytest.mark.parametrize("status", [400, 404, 405, 500])
def test_a_failure_without_a_body_is_an_error(status: int) -> None:
    with pytest.raises(ApiError, match="0 bytes"):
        interpret(SERVER, REMOVE, Reply(status, {}, b""))


def test_the_accept_header_has_the_media_types_of_the_request() -> None:
    assert SERVER.headers(ONE)["Accept"] == "application/json"
    assert SERVER.headers(stream.stream_tiles(4))["Accept"] == "application/json, text/event-stream"
    assert "Content-Type" not in SERVER.headers(ONE)
    assert SERVER.headers(sharing.refresh_sharing(4))["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        (NewDashboard(), {}),
        (NewDashboard(name="", pinned=False, tags=[]), {"name": "", "pinned": False, "tags": []}),
        (NewDashboard(create_in_folder="a/b"), {"_create_in_folder": "a/b"}),
        (NewDashboard(name="x", extra={"new": None}), {"name": "x", "new": None}),
        (SharingSettings(no_header=True, theme="dark"), {"noHeader": True, "theme": "dark"}),
    ],
)
def test_only_fields_that_were_set_are_sent_under_their_names_in_the_api(model: Any, sent: dict[str, Any]) -> None:
    assert wire(model) == sent


def test_a_body_is_compact_json_in_utf8_without_nan() -> None:
    assert json_body({"a": "é", "b": [1, None]}) == '{"a":"é","b":[1,null]}'.encode()
    with pytest.raises(ValueError):
        json_body({"a": float("nan")})
