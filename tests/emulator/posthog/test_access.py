"""Keys, scopes and projects of the emulated PostHog, and the form of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import (
    DASHBOARDS,
    FROM_JSON,
    INSIGHTS,
    NO_DASHBOARD,
    NOT_FOUND,
    PROJECT_PATH,
    SERVER_ERROR,
    ask,
    at,
    forbidden,
    got,
    invalid,
    make,
    refusal,
)

SSE = "text/event-stream"
NO_KEY_ACCESS = forbidden("This action does not support Personal API Key access")
ROUTES = [
    ("GET", "dashboards/", "dashboard:read"),
    ("POST", "dashboards/", "dashboard:write"),
    ("GET", "dashboards/1/", "dashboard:read"),
    ("PATCH", "dashboards/1/", "dashboard:write"),
    ("PUT", "dashboards/1/", "dashboard:write"),
    ("DELETE", "dashboards/1/", "dashboard:write"),
    ("GET", "dashboards/1/collaborators/", "dashboard:read"),
    ("POST", "dashboards/1/collaborators/", "dashboard:write"),
    ("DELETE", "dashboards/1/collaborators/x/", "dashboard:write"),
    ("GET", "dashboards/1/sharing/", "sharing_configuration:read"),
    ("PATCH", "dashboards/1/sharing/", "sharing_configuration:write"),
    ("POST", "dashboards/1/sharing/refresh/", "sharing_configuration:write"),
    ("POST", "dashboards/1/sharing/passwords/", "sharing_configuration:write"),
    ("DELETE", "dashboards/1/sharing/passwords/1/", "sharing_configuration:write"),
    ("POST", "insights/", "insight:write"),
    ("PATCH", "insights/1/", "insight:write"),
]
CLOSED = [
    ("GET", "dashboards/1/stream_tiles/"),
    ("POST", "dashboards/create_from_template_json/"),
    ("PATCH", "dashboards/1/move_tile/"),
    ("POST", "dashboards/1/move_tile/"),
    ("POST", "dashboards/1/sharing/"),
]


@pytest.fixture(scope="module")
def untouched() -> Iterator[Emulator]:
    """One emulator for all tests of refusals. It has one dashboard, with the id 1."""
    with Emulator() as running:
        running.posthog.add_dashboard(name="only")
        yield running


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES] + CLOSED)
def test_every_route_needs_a_key(untouched: Emulator, method: str, path: str) -> None:
    missing = (401, "authentication_error", "not_authenticated", "Authentication credentials were not provided.", None)
    wrong = "Personal API key found in request Authorization header is invalid."
    url = f"{PROJECT_PATH}/{path}"
    assert refusal(ask(untouched, method, url, None)) == missing
    assert refusal(ask(untouched, method, url, None, headers={"Authorization": "bearer phx_all"})) == missing
    assert refusal(ask(untouched, method, url, None, headers={"Authorization": "Token phx_all"})) == missing
    assert refusal(ask(untouched, method, url, "nobody")) == (
        401,
        "authentication_error",
        "authentication_failed",
        wrong,
        None,
    )


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_names_the_scope_that_a_key_lacks(untouched: Emulator, method: str, path: str, scope: str) -> None:
    answer = ask(untouched, method, f"{PROJECT_PATH}/{path}", "none")
    assert refusal(answer) == forbidden(f"API key missing required scope '{scope}'")


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("key", ["all", "writer", "sharer"])
def test_an_action_without_a_scope_is_refused_for_every_key_with_scopes(
    untouched: Emulator, method: str, path: str, key: str
) -> None:
    assert refusal(ask(untouched, method, f"{PROJECT_PATH}/{path}", key)) == NO_KEY_ACCESS


def test_a_read_scope_does_not_write_and_a_dashboard_scope_does_not_share(untouched: Emulator) -> None:
    got(ask(untouched, "GET", DASHBOARDS, "reader"))
    got(ask(untouched, "GET", DASHBOARDS, "writer"))
    lacking = "API key missing required scope '{}'"
    assert refusal(ask(untouched, "POST", DASHBOARDS, "reader")) == forbidden(lacking.format("dashboard:write"))
    sharing = ask(untouched, "GET", f"{DASHBOARDS}1/sharing/", "writer")
    assert refusal(sharing) == forbidden(lacking.format("sharing_configuration:read"))
    got(ask(untouched, "GET", f"{DASHBOARDS}1/sharing/", "sharer"))


def test_the_emulators_own_key_can_provision_and_nothing_else(emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {emulator.posthog_key}"}
    made = got(ask(emulator, "POST", DASHBOARDS, None, headers=headers, json={"name": "x"}), 201)
    insight = {"name": "i", "dashboards": [made["id"]]}
    got(ask(emulator, "POST", INSIGHTS, None, headers=headers, json=insight), 201)
    got(ask(emulator, "PATCH", at(made, "sharing/"), None, headers=headers, json={"enabled": True}))
    assert ask(emulator, "GET", "/api/users/@me/", None, headers=headers).status_code == 403
    assert ask(emulator, "GET", at(made, "stream_tiles/"), None, headers=headers).status_code == 403


@pytest.mark.parametrize("project", ["999999", "abc", "1x", "-1"])
def test_an_unknown_project_is_not_found(untouched: Emulator, project: str) -> None:
    answer = ask(untouched, "GET", f"/api/projects/{project}/dashboards/")
    assert refusal(answer) == (404, "invalid_request", "not_found", "Project not found.", None)


def test_the_refusal_of_a_key_of_another_project_names_the_project(untouched: Emulator) -> None:
    detail = "API key does not have access to the requested project: ID 1."
    assert refusal(ask(untouched, "GET", DASHBOARDS, "elsewhere")) == forbidden(detail)


def test_current_is_the_keys_project(emulator: Emulator) -> None:
    emulator.posthog.add_project(2, "Second")
    make(emulator, name="first")
    current = "/api/projects/@current/dashboards/"
    assert got(ask(emulator, "GET", current))["count"] == 1
    assert got(ask(emulator, "GET", current, "elsewhere"))["count"] == 0
    assert got(ask(emulator, "GET", "/api/environments/1/dashboards/"))["count"] == 1


@pytest.mark.parametrize(("method", "path"), [("GET", "dashboards"), ("GET", "dashboards/1"), ("POST", "dashboards")])
def test_a_slash_at_the_end_is_optional(untouched: Emulator, method: str, path: str) -> None:
    answers = [ask(untouched, method, f"{PROJECT_PATH}/{path}{end}", "reader") for end in ("", "/")]
    assert answers[0].status_code == answers[1].status_code == (200 if method == "GET" else 403)


def test_a_key_may_be_in_the_query(untouched: Emulator) -> None:
    got(ask(untouched, "GET", DASHBOARDS, None, params={"personal_api_key": "phx_all"}))
    detail = refusal(ask(untouched, "GET", DASHBOARDS, None, params={"personal_api_key": "phx_nobody"}))[3]
    assert detail == "Personal API key found in request query string is invalid."


@pytest.mark.parametrize(
    "path",
    [
        "dashboards/x/",
        "dashboards/x/collaborators/",
        "dashboards/x/sharing/",
        "dashboards/x/stream_tiles/",
        "dashboards/1.0/",
    ],
)
def test_an_id_that_is_not_a_number_is_a_server_error(untouched: Emulator, path: str) -> None:
    assert refusal(ask(untouched, "GET", f"{PROJECT_PATH}/{path}", "legacy")) == SERVER_ERROR


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "", NOT_FOUND),
        ("PATCH", "", NOT_FOUND),
        ("PUT", "", NOT_FOUND),
        ("GET", "stream_tiles/", NOT_FOUND),
        ("PATCH", "move_tile/", NOT_FOUND),
        ("GET", "collaborators/", NO_DASHBOARD),
        ("POST", "collaborators/", NO_DASHBOARD),
        ("GET", "sharing/", NO_DASHBOARD),
        ("PATCH", "sharing/", NO_DASHBOARD),
        ("POST", "sharing/refresh/", NO_DASHBOARD),
        ("POST", "sharing/passwords/", NO_DASHBOARD),
        ("DELETE", "sharing/passwords/1/", NO_DASHBOARD),
    ],
)
def test_an_unknown_dashboard_is_not_found(
    untouched: Emulator, method: str, path: str, expected: tuple[Any, ...]
) -> None:
    assert refusal(ask(untouched, method, f"{DASHBOARDS}999999/{path}", "legacy")) == expected


def test_an_id_that_is_too_large_is_not_found(untouched: Emulator) -> None:
    assert refusal(ask(untouched, "GET", f"{DASHBOARDS}{10**30}/")) == NOT_FOUND


def test_a_dashboard_of_another_project_is_not_found(emulator: Emulator) -> None:
    emulator.posthog.add_project(2, "Second")
    foreign = emulator.posthog.add_dashboard(project=2, name="foreign")
    assert refusal(ask(emulator, "GET", f"{DASHBOARDS}{foreign}/")) == NOT_FOUND
    assert refusal(ask(emulator, "GET", f"{DASHBOARDS}{foreign}/sharing/")) == NO_DASHBOARD
    assert got(ask(emulator, "GET", f"/api/projects/2/dashboards/{foreign}/", "elsewhere"))["team_id"] == 2


def test_an_unknown_method_is_refused_for_keys_without_scopes_too(untouched: Emulator) -> None:
    answer = ask(untouched, "POST", f"{DASHBOARDS}1/sharing/", "legacy")
    assert refusal(answer) == (405, "invalid_request", "method_not_allowed", 'Method "POST" not allowed.', None)
    assert refusal(ask(untouched, "POST", "/api/projects/", "legacy"))[0] == 405


def test_an_unknown_path_is_not_an_endpoint(untouched: Emulator) -> None:
    answer = ask(untouched, "GET", f"{PROJECT_PATH}/persons/")
    assert refusal(answer) == (404, "invalid_request", "not_found", "Endpoint not found.", None)


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("application/json, text/event-stream", 200, "application/json"),
        ("text/event-stream, application/json;q=0.5", 200, "application/json"),
        ("text/html, */*", 200, "application/json"),
        ("text/event-stream", 200, SSE),
        ("text/html", 406, "application/json"),
        ("application/xml", 406, "application/json"),
    ],
)
def test_the_accept_header_decides_the_format_of_the_answer(
    untouched: Emulator, accept: str, status: int, media: str
) -> None:
    answer = ask(untouched, "GET", DASHBOARDS, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (status, media)


def test_if_only_an_event_stream_is_accepted_the_answer_is_only_keys(untouched: Emulator) -> None:
    only, both = {"Accept": SSE}, {"Accept": f"application/json, {SSE}"}
    assert ask(untouched, "GET", DASHBOARDS, headers=only).text == "countnextpreviousresults"
    stream = f"{DASHBOARDS}999999/stream_tiles/"
    for key, status in (("legacy", 404), ("all", 403)):
        answer = ask(untouched, "GET", stream, key, headers=only)
        assert (answer.status_code, answer.text) == (status, "typecodedetailattr")
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert refusal(ask(untouched, "GET", stream, "legacy", headers=both)) == NOT_FOUND


def test_a_path_that_never_streams_does_not_offer_a_stream(untouched: Emulator) -> None:
    answer = ask(untouched, "GET", f"{DASHBOARDS}1/sharing/", headers={"Accept": SSE})
    assert refusal(answer)[:3] == (406, "invalid_request", "not_acceptable")


def test_the_format_parameter_limits_the_offered_formats(untouched: Emulator) -> None:
    json_only = {"Accept": "application/json"}
    assert ask(untouched, "GET", DASHBOARDS, params={"format": "json"}, headers=json_only).status_code == 200
    assert ask(untouched, "GET", DASHBOARDS, params={"format": "txt"}, headers=json_only).status_code == 406
    assert refusal(ask(untouched, "GET", DASHBOARDS, params={"format": "xml"}, headers=json_only)) == NOT_FOUND


def test_a_body_that_is_not_json_is_refused_with_the_parsers_reason(untouched: Emulator) -> None:
    answer = ask(untouched, "POST", DASHBOARDS, data="{not json", headers={"Content-Type": "application/json"})
    status, kind, code, detail, attr = refusal(answer)
    assert (status, kind, code, attr) == (400, "invalid_request", "parse_error", None)
    assert detail.startswith("JSON parse error - Expecting property name")


def test_a_body_that_is_not_an_object_is_refused(untouched: Emulator) -> None:
    answer = ask(untouched, "POST", DASHBOARDS, json=["x"])
    assert refusal(answer) == invalid("Invalid data. Expected a dictionary, but got list.")


def test_forms_are_read_except_for_templates(emulator: Emulator) -> None:
    made = got(ask(emulator, "POST", DASHBOARDS, data={"name": "form", "pinned": "true"}), 201)
    assert (made["name"], made["pinned"]) == ("form", True)
    made = got(ask(emulator, "POST", DASHBOARDS, files={"name": (None, "parts")}), 201)
    assert made["name"] == "parts"
    assert refusal(ask(emulator, "POST", FROM_JSON, "legacy", data={"template": "{}"}))[:3] == (
        415,
        "invalid_request",
        "unsupported_media_type",
    )
    text = ask(emulator, "POST", DASHBOARDS, data="x", headers={"Content-Type": "text/plain"})
    assert refusal(text)[3] == 'Unsupported media type "text/plain" in request.'


def test_projects_and_the_keys_owner_have_their_own_scopes(emulator: Emulator) -> None:
    projects = got(ask(emulator, "GET", "/api/projects/"))
    assert [(project["id"], project["name"]) for project in projects["results"]] == [(1, "Default project")]
    assert refusal(ask(emulator, "GET", "/api/projects", "writer"))[3].endswith("'project:read'")
    me = got(ask(emulator, "GET", "/api/users/@me/", "member"))
    assert (me["email"], me["organization"]["membership_level"]) == ("member@example.com", 1)
    assert refusal(ask(emulator, "GET", "/api/users/@me", "writer"))[3].endswith("'user:read'")
    assert requests.get(f"{emulator.url}/api/users/@me/", timeout=5).status_code == 401
