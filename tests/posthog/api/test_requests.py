"""What PostHog's calls send, and how answers and refusals are read. No network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_databrain.client.answer import annotate, interpret
from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.posthog.api import (
    collaborators,
    dashboards,
    endpoint,
    insights,
    sharing,
    stream,
    templates,
    tiles,
)
from airflow_provider_databrain.posthog.api.models import Dashboard, DashboardChange, NewDashboard, Sharing
from tests.posthog.support import TEMPLATE

SERVER = Server("https://us.posthog.com", {endpoint.API_KEY: "phx_0123456789"}, parameters={"project_id": "1"})
UUID = "0198a1b2-0000-4000-8000-000000000001"
ONE = "/api/projects/1/dashboards/4/"

REQUESTS: list[tuple[Request[Any], str, str, Any]] = [
    (dashboards.list_page(), "GET", "/api/projects/1/dashboards/?limit=5000&offset=0", None),
    (dashboards.list_page(limit=1, offset=7), "GET", "/api/projects/1/dashboards/?limit=1&offset=7", None),
    (
        dashboards.create_dashboard({"name": "é", "use_template": "DEFAULT_APP", "create_in_folder": "Airflow/KPIs"}),
        "POST",
        "/api/projects/1/dashboards/",
        {"name": "é", "use_template": "DEFAULT_APP", "_create_in_folder": "Airflow/KPIs"},
    ),
    (
        dashboards.create_dashboard(
            NewDashboard(use_dashboard=3, duplicate_tiles=True, extra={"quick_filter_ids": []})
        ),
        "POST",
        "/api/projects/1/dashboards/",
        {"use_dashboard": 3, "duplicate_tiles": True, "quick_filter_ids": []},
    ),
    (dashboards.retrieve_dashboard(4), "GET", ONE, None),
    (dashboards.update_dashboard(4, {"pinned": False, "tags": []}), "PATCH", ONE, {"pinned": False, "tags": []}),
    (dashboards.update_dashboard(4, DashboardChange(restriction_level=37)), "PATCH", ONE, {"restriction_level": 37}),
    (dashboards.delete_dashboard(4), "PATCH", ONE, {"deleted": True}),
    (dashboards.delete_dashboard(4, delete_insights=True), "PATCH", ONE, {"deleted": True, "delete_insights": True}),
    # Older servers restore only if this is the only field.
    (dashboards.restore_dashboard(4), "PATCH", ONE, {"deleted": False}),
    (collaborators.list_collaborators(4), "GET", f"{ONE}collaborators/", None),
    (collaborators.add_collaborator(4, UUID), "POST", f"{ONE}collaborators/", {"level": 37, "user_uuid": UUID}),
    (collaborators.remove_collaborator(4, UUID), "DELETE", f"{ONE}collaborators/{UUID}/", None),
    (sharing.get_sharing(4), "GET", f"{ONE}sharing/", None),
    (sharing.update_sharing(4, enabled=False), "PATCH", f"{ONE}sharing/", {"enabled": False}),
    (
        sharing.update_sharing(4, settings={"no_header": True, "hideExtraDetails": False}, password_required=True),
        "PATCH",
        f"{ONE}sharing/",
        {"settings": {"noHeader": True, "hideExtraDetails": False}, "password_required": True},
    ),
    (sharing.refresh_sharing(4), "POST", f"{ONE}sharing/refresh/", {}),
    (sharing.create_share_password(4), "POST", f"{ONE}sharing/passwords/", {}),
    (
        sharing.create_share_password(4, raw_password="12345678", note="n" * 100),
        "POST",
        f"{ONE}sharing/passwords/",
        {"raw_password": "12345678", "note": "n" * 100},
    ),
    (sharing.delete_share_password(4, 9), "DELETE", f"{ONE}sharing/passwords/9/", None),
    # PostHog has renamed this field from one server version to the next.
    (tiles.move_tile(4, 5, 6), "PATCH", f"{ONE}move_tile/", {"tile": {"id": 5}, "toDashboard": 6, "to_dashboard": 6}),
    (stream.stream_tiles(4, layout_size="xs"), "GET", f"{ONE}stream_tiles/?layoutSize=xs", None),
    (
        templates.create_from_template_json(TEMPLATE, creation_context="onboarding"),
        "POST",
        "/api/projects/1/dashboards/create_from_template_json/",
        {"template": TEMPLATE, "creation_context": "onboarding"},
    ),
    (insights.create_insight({"dashboards": [4]}), "POST", "/api/projects/1/insights/", {"dashboards": [4]}),
    (insights.update_insight(8, {"name": "x"}), "PATCH", "/api/projects/1/insights/8/", {"name": "x"}),
]


@pytest.mark.parametrize(("request_", "method", "path", "body"), REQUESTS)
def test_each_call_is_sent_as_posthog_expects_it(request_: Request[Any], method: str, path: str, body: Any) -> None:
    assert request_.endpoint.method == method
    assert SERVER.url(request_) == f"https://us.posthog.com{path}"
    assert (None if request_.body is None else json.loads(request_.body)) == body


def test_no_call_sends_delete_for_a_dashboard_because_posthog_refuses_it() -> None:
    deletes = [one.endpoint.path for one, *_ in REQUESTS if one.endpoint.method == "DELETE"]
    assert [path for path in deletes if path.endswith("/dashboards/{dashboard_id}/")] == []


@pytest.mark.parametrize("bad", [0, -1, True, "4", 4.0, None, "../5", "@current"])
def test_an_invalid_id_is_refused_before_sending(bad: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: dashboards.retrieve_dashboard(bad),
        lambda: dashboards.update_dashboard(bad, {}),
        lambda: dashboards.delete_dashboard(bad),
        lambda: dashboards.restore_dashboard(bad),
        lambda: collaborators.list_collaborators(bad),
        lambda: collaborators.add_collaborator(bad, UUID),
        lambda: collaborators.remove_collaborator(bad, UUID),
        lambda: sharing.get_sharing(bad),
        lambda: sharing.update_sharing(bad),
        lambda: sharing.refresh_sharing(bad),
        lambda: sharing.create_share_password(bad),
        lambda: sharing.delete_share_password(bad, 1),
        lambda: sharing.delete_share_password(1, bad),
        lambda: tiles.move_tile(bad, 1, 1),
        lambda: tiles.move_tile(1, bad, 1),
        lambda: tiles.move_tile(1, 1, bad),
        lambda: stream.stream_tiles(bad),
        lambda: insights.update_insight(bad, {}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="it must be a whole number above 0"):
            call()
    if bad is not None:
        with pytest.raises(ValidationError, match="use_dashboard"):
            dashboards.create_dashboard({"use_dashboard": bad})


@pytest.mark.parametrize("bad", ["", " ", "..", "me", "../5", UUID + "/"])
def test_a_member_is_named_by_uuid(bad: str) -> None:
    for call in (collaborators.add_collaborator, collaborators.remove_collaborator):
        with pytest.raises(ValueError, match="user_uuid"):
            call(4, bad)


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda: dashboards.create_dashboard({"nmae": "x"}), "nmae"),
        (lambda: dashboards.create_dashboard({"name": "x" * 401}), "name"),
        (lambda: dashboards.create_dashboard({"restriction_level": 22}), "restriction_level"),
        (lambda: dashboards.create_dashboard({"filters": []}), "filters"),
        (lambda: dashboards.create_dashboard({"use_template": ""}), "use_template"),
        (lambda: dashboards.create_dashboard({"use_template": "A", "use_dashboard": 1}), "cannot be used together"),
        (lambda: dashboards.create_dashboard({"tiles": []}), "tiles"),
        (lambda: dashboards.create_dashboard({"extra": {"name": "x"}}), "extra repeats known fields: name"),
        (lambda: dashboards.update_dashboard(4, {"use_template": "A"}), "use_template"),
        (lambda: sharing.update_sharing(4, settings={"noHeadr": True}), "noHeadr"),
        (lambda: sharing.update_sharing(4, settings={"theme": "pink"}), "theme"),
        (lambda: sharing.create_share_password(4, raw_password="1234567"), "fewer than 8 characters"),
        (lambda: sharing.create_share_password(4, note="n" * 101), "more than 100 characters"),
        (lambda: stream.stream_tiles(4, layout_size="lg"), "it must be 'sm' or 'xs'"),
        (
            lambda: templates.create_from_template_json({}),
            "template_name, dashboard_description, dashboard_filters, tiles",
        ),
        (lambda: templates.create_from_template_json({**TEMPLATE, "tiles": []}), "one or more objects"),
        (lambda: templates.create_from_template_json({**TEMPLATE, "tiles": ["x"]}), "one or more objects"),
    ],
)
def test_a_value_that_posthog_refuses_or_ignores_is_refused_before_sending(call: Callable[[], Any], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        call()


def test_the_error_does_not_contain_the_invalid_share_password() -> None:
    with pytest.raises(ValueError) as caught:
        sharing.create_share_password(4, raw_password="s3cr3t")
    assert "s3cr3t" not in repr(caught.value)


@pytest.mark.parametrize(
    ("call", "resend"),
    [
        (dashboards.create_dashboard({}), Resend.IF_UNPROCESSED),
        (dashboards.update_dashboard(4, {"name": "x"}), Resend.ALWAYS),
        (dashboards.update_dashboard(4, {"tiles": [{"id": 1, "color": "blue"}]}), Resend.ALWAYS),
        (dashboards.update_dashboard(4, {"tiles": [{"id": 1}, {"text": {"body": "x"}}]}), Resend.IF_UNPROCESSED),
        (dashboards.delete_dashboard(4), Resend.DETECTABLE),
        (sharing.refresh_sharing(4), Resend.IF_UNPROCESSED),
        (sharing.create_share_password(4), Resend.IF_UNPROCESSED),
        (tiles.move_tile(1, 2, 3), Resend.IF_UNPROCESSED),
        (insights.create_insight({}), Resend.IF_UNPROCESSED),
    ],
)
def test_a_call_that_creates_something_each_time_is_not_sent_again_after_an_ambiguous_failure(
    call: Request[Any], resend: Resend
) -> None:
    assert call.endpoint.resend is resend


def refused(status: int, body: object, request: Request[Any] | None = None) -> ApiError:
    """The error that an answer becomes."""
    request = request or dashboards.retrieve_dashboard(4)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(ApiError) as caught:
        interpret(SERVER, request, Reply(status, {"retry-after": "20"} if status == 429 else {}, raw))
    annotate(SERVER, request, caught.value)
    return caught.value


def envelope(kind: str, code: str, detail: str, attr: str | None = None) -> dict[str, Any]:
    return {"type": kind, "code": code, "detail": detail, "attr": attr}


AUTH, VALID = "authentication_error", "validation_error"
REFUSALS: list[tuple[int, object, type[ApiError], str]] = [
    (401, envelope(AUTH, "not_authenticated", "Not provided."), AuthenticationError, "HTTP 401, not_authenticated"),
    (401, envelope(AUTH, "authentication_failed", "Invalid."), AuthenticationError, "'dashboard:read', for this"),
    (403, envelope(AUTH, "permission_denied", "key missing required scope 'a:b'"), AuthenticationError, "scope 'a:b'"),
    (403, envelope(AUTH, "permission_denied", "No personal api key access"), AuthenticationError, "KEY_NOT_ALLOWED"),
    (403, envelope(AUTH, "permission_denied", "You don't have edit permissions"), NotAllowedError, "edit permissions"),
    (403, envelope(AUTH, "permission_denied", "Public sharing is disabled"), NotAllowedError, "sharing is disabled"),
    (403, {"error": "Sharing with password requires the Advanced Permissions feature"}, NotAllowedError, "feature"),
    (400, {"error": "Password protection must be enabled"}, InvalidRequestError, "must be enabled"),
    (400, envelope(VALID, "invalid_choice", "No choice.", "restriction_level"), InvalidRequestError, "level: No choi"),
    (400, envelope(VALID, "min_length", "Too short.", "raw_password"), InvalidRequestError, "raw_password: Too short."),
    (400, envelope(VALID, "invalid_input", "many\nlines\n  of text"), InvalidRequestError, "many lines of text"),
    (400, envelope(VALID, "invalid_input", "User already is a collaborator."), AlreadyExistsError, "already is"),
    (400, {"detail": "tile_order is required"}, InvalidRequestError, "tile_order"),
    (400, ["odd"], InvalidRequestError, "no error message in the answer"),
    (404, envelope("invalid_request", "not_found", "Project not found."), NotFoundError, "Project not found."),
    (404, b"<!doctype html>", NotFoundError, "not JSON"),
    (405, b"", InvalidRequestError, "0 bytes"),
    (406, envelope("invalid_request", "not_acceptable", "Accept"), InvalidRequestError, "Accept"),
    (429, envelope("throttled_error", "throttled", "Slowly."), RateLimitedError, "retry after 20 s"),
    (500, envelope("server_error", "error", "A server error occurred."), ServerError, "A server error occurred."),
    (502, b"<html>Bad gateway", ServerError, "not JSON"),
    (200, b"<html>", MalformedAnswerError, "not JSON"),
    (200, {"name": "no id"}, MalformedAnswerError, "id: Field required"),
]


@pytest.mark.parametrize(("status", "body", "kind", "shown"), REFUSALS)
def test_each_refusal_becomes_the_right_error(status: int, body: object, kind: type[ApiError], shown: str) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert str(error).startswith("retrieve dashboard (dashboard '4') failed")
    assert shown in str(error)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("It REQUIRES THE x Feature.", "PLAN_LACKS_FEATURE"),
        ("first line\nrequires the x feature\nlast line", "PLAN_LACKS_FEATURE"),
        ("requires the  feature", None),
        ("feature requires the", None),
        ("requires the\nfeature", None),
        ("requires the x\n y feature", None),
        # The time of a search at each of these words would grow with the square of their number: hours for this text.
        ("requires the " * 200_000, None),
        ("requires the " * 200_000 + "x feature", "PLAN_LACKS_FEATURE"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_words_of_a_feature_that_the_plan_lacks(text: str, code: str | None) -> None:
    assert endpoint.POSTHOG.find({"error": text}) == (code, text)


@pytest.mark.parametrize(
    ("request_", "instead"),
    [
        (stream.stream_tiles(4), "retrieve_dashboard"),
        (tiles.move_tile(4, 5, 6), "transfer_tile"),
        (templates.create_from_template_json(TEMPLATE), "build_dashboard"),
    ],
)
def test_the_error_of_an_action_that_no_key_may_use_names_the_alternative(request_: Request[Any], instead: str) -> None:
    body = envelope(AUTH, "permission_denied", "This action does not support Personal API Key access")
    error = refused(403, body, request_)
    assert isinstance(error, AuthenticationError)
    assert f"that has scopes, '*' included; use {instead} instead." in str(error)


@pytest.mark.parametrize(
    ("request_", "scope"),
    [
        (dashboards.list_page(), "dashboard:read"),
        (dashboards.create_dashboard({}), "dashboard:write"),
        (sharing.get_sharing(4), "sharing_configuration:read"),
        (sharing.refresh_sharing(4), "sharing_configuration:write"),
        (insights.create_insight({}), "insight:write"),
    ],
)
def test_the_error_for_a_missing_scope_names_the_scope(request_: Request[Any], scope: str) -> None:
    error = refused(401, envelope(AUTH, "authentication_failed", "Invalid."), request_)
    assert f"a personal API key with the scope '{scope}', for this project." in str(error)


def page(*ids: int, count: int | None = 3, following: str | None = None) -> Any:
    return {"count": count, "next": following, "previous": None, "results": [{"id": number} for number in ids]}


def walk(*pages: Any) -> tuple[list[int], list[str]]:
    """The ids that a list reads from these pages, and the limits and offsets that it requests."""
    call, offsets = dashboards.list_dashboards(), []
    request = next(call)
    for answer in pages:
        limit = "" if request.query["limit"] == "5000" else f"{request.query['limit']} "
        offsets.append(f"{limit}{request.query['offset']}")
        try:
            request = call.send(request.read(answer))
        except StopIteration as end:
            return [dashboard.id for dashboard in end.value], offsets
    raise AssertionError("it requests more pages than exist")


@pytest.mark.parametrize(
    ("pages", "ids", "offsets"),
    [
        ([page(count=0)], [], ["0"]),
        ([page(3, 1, 2)], [3, 1, 2], ["0"]),
        # A dashboard was created after the count.
        ([page(3, 1, 2, count=2)], [3, 1, 2], ["0"]),
        # Nothing says how many dashboards exist.
        ([page(3, 1, count=None)], [3, 1], ["0"]),
        # The server returns fewer than requested.
        ([page(1, 2, following="https://elsewhere.example/x?limit=100&offset=100"), page(3)], [1, 2, 3], ["0", "100"]),
        # A dashboard was created meanwhile, so another one is listed twice, and the new one may be missed.
        (
            [page(1, 2, following="/x?offset=2"), page(2, 3, count=4), page(1, 2, 3, 4, count=4)],
            [1, 2, 3, 4],
            ["0", "2", "25000 0"],
        ),
        # One was deleted meanwhile, so another one has moved to a page that was read before.
        (
            [page(1, 2, count=4, following="/x?offset=2"), page(4), page(2, 3, 4)],
            [2, 3, 4],
            ["0", "2", "25000 0"],
        ),
        # Equal names have no fixed order: one is listed twice, one never.
        ([page(1, 2, following="/x?offset=2"), page(1), page(3, 1, 2)], [3, 1, 2], ["0", "2", "25000 0"]),
        ([page(1, 2), page(1), page(1, 2, 3)], [1, 2, 3], ["0", "25000 0", "25000 0"]),
        # What one read misses another one finds.
        ([page(1, 2), page(3, 2)], [1, 2, 3], ["0", "25000 0"]),
        # The count changed after the first read, so what it found does not count.
        ([page(1, 2), page(3, 2, 5, count=4), page(1, 5, count=4)], [3, 2, 5, 1], ["0", "25000 0", "25000 0"]),
        ([page(1, count=1, following="/x?offset=1"), page(count=1, following="/x?offset=2")], [1], ["0", "1"]),
    ],
)
def test_pages_are_followed_to_their_end(pages: list[Any], ids: list[int], offsets: list[str]) -> None:
    assert walk(*pages) == (ids, offsets)


@pytest.mark.parametrize("answer", [page(1, 2), page(1, 2, following="/x?offset=2"), page()])
def test_a_list_that_stays_incomplete_is_an_error(answer: Any) -> None:
    once = [answer, page()] if answer["next"] else [answer]
    found = len(answer["results"])
    with pytest.raises(MalformedAnswerError, match=f"there are 3 dashboards and lists {found}; the list was read 10 t"):
        walk(*once * 10)


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"tags": ["a", "b c"]}, "&tags=a&tags=b%20c"),
        ({"search": "x&y"}, "&search=x%26y"),
        ({"creation_mode": "template", "exclude_generated": True}, "&creation_mode=template&exclude_generated=true"),
    ],
)
def test_a_list_can_be_filtered(filters: dict[str, Any], query: str) -> None:
    request = next(dashboards.list_dashboards(**filters))
    server = Server("https://us.posthog.com", {}, conn_id="ph", parameters={"project_id": "1"})
    assert server.url(request).endswith(f"/api/projects/1/dashboards/?limit=5000&offset=0{query}")


@pytest.mark.parametrize("filters", [{"tags": "a"}, {"search": " "}, {"search": "x" * 201}])
def test_a_filter_that_posthog_would_refuse_or_ignore_is_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tags is 'a'|1 to 200 characters"):
        next(dashboards.list_dashboards(**filters))


@pytest.mark.parametrize("following", ["/x?offset=0", "/x", "/x?offset=", "/x?offset=a", "/x?offset=1&offset=2", "?"])
def test_a_next_page_that_does_not_begin_later_is_malformed(following: str) -> None:
    with pytest.raises(MalformedAnswerError, match="the next page must begin after offset 0, not at"):
        walk(page(1, following=following), page(2))


@pytest.mark.parametrize("body", [{}, {"id": ["?"], "results": "?"}, {"enabled": None}, []])
def test_an_unreadable_sharing_answer_is_not_read_as_not_shared(body: Any) -> None:
    assert isinstance(refused(200, body, sharing.get_sharing(4)), MalformedAnswerError)


def test_every_field_except_the_id_may_be_missing_and_unknown_fields_are_kept() -> None:
    read = Dashboard.model_validate({"id": 4, "tiles": [{"id": 1}], "new_in_2027": [1]})
    assert (read.name, read.tiles and read.tiles[0].insight) == (None, None)
    assert read.as_row() == {"id": 4, "tiles": [{"id": 1}], "new_in_2027": [1]}


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({"enabled": True, "created_at": "2026-01-01T00:00:00Z", "access_token": "t"}, "t"),
        ({"enabled": False, "created_at": "2026-01-01T00:00:00Z", "access_token": "t"}, None),
        # If the configuration was never saved, each answer has a different token.
        ({"enabled": False, "created_at": None, "access_token": "t"}, None),
        ({"enabled": True, "created_at": None, "access_token": "t"}, None),
        ({"enabled": True, "created_at": "2026-01-01T00:00:00Z", "access_token": None}, None),
    ],
)
def test_only_the_token_of_a_saved_and_enabled_configuration_is_used(fields: Any, token: str | None) -> None:
    shared = Sharing.model_validate(fields)
    assert shared.token == token
    address = sharing.public_url("https://us.posthog.com", shared)
    assert address == (token and "https://us.posthog.com/shared/t")
    embedded = sharing.public_url("https://us.posthog.com", shared, embedded=True)
    assert embedded == (token and "https://us.posthog.com/embedded/t")
