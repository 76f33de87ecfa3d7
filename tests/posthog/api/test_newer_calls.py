"""The calls that only newer PostHog servers have: what they send, and how refusals are read. No network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_databrain.client.answer import NOT_THE_API, annotate, interpret
from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    EndpointMissingError,
    InvalidRequestError,
    NotFoundError,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.posthog.api import dashboards, endpoint, insights, sharing, tiles

SERVER = Server("https://us.posthog.com", {endpoint.API_KEY: "phx_0123456789"}, parameters={"project_id": "1"})
ONE = "/api/projects/1/dashboards/4/"
PLACE = {"sm": {"x": 0, "y": 0, "w": 12, "h": 1}}
COPY = tiles.copy_tile(3, 5, 4)
WRITE = tiles.create_text_tile(4, "# x")
CHANGE = tiles.update_text_tile(4, 5, "# y")
DELETE = tiles.delete_tile(4, 5)
REORDER = tiles.reorder_tiles(4, [7, 5])
RUN = insights.run_insights(4)

REQUESTS: list[tuple[Request[Any], str, str, Any]] = [
    (COPY, "POST", f"{ONE}copy_tile/", {"fromDashboardId": 3, "tileId": 5}),
    (WRITE, "POST", f"{ONE}create_text_tile/", {"body": "# x"}),
    (
        tiles.create_text_tile(4, "# x", layouts=PLACE, color="blue"),
        "POST",
        f"{ONE}create_text_tile/",
        {"body": "# x", "layouts": PLACE, "color": "blue"},
    ),
    (CHANGE, "POST", f"{ONE}update_text_tile/", {"tile_id": 5, "body": "# y"}),
    (tiles.update_text_tile(4, 5, color=""), "POST", f"{ONE}update_text_tile/", {"tile_id": 5, "color": ""}),
    (tiles.update_text_tile(4, 5, layouts={}), "POST", f"{ONE}update_text_tile/", {"tile_id": 5, "layouts": {}}),
    (DELETE, "POST", f"{ONE}delete_tile/", {"tile_id": 5}),
    (REORDER, "POST", f"{ONE}reorder_tiles/", {"tile_order": [7, 5], "layout": "preserve"}),
    (
        tiles.reorder_tiles(4, (5,), layout="two_column"),
        "POST",
        f"{ONE}reorder_tiles/",
        {"tile_order": [5], "layout": "two_column"},
    ),
    (RUN, "GET", f"{ONE}run_insights/?refresh=force_cache&output_format=json", None),
    (
        insights.run_insights(4, refresh="blocking"),
        "GET",
        f"{ONE}run_insights/?refresh=blocking&output_format=json",
        None,
    ),
]


@pytest.mark.parametrize(("request_", "method", "path", "body"), REQUESTS)
def test_each_call_is_sent_as_posthog_expects_it(request_: Request[Any], method: str, path: str, body: Any) -> None:
    assert request_.endpoint.method == method
    assert SERVER.url(request_) == f"https://us.posthog.com{path}"
    assert (None if request_.body is None else json.loads(request_.body)) == body


@pytest.mark.parametrize("bad", [0, -1, True, "4", 4.0, None, "../5"])
def test_an_invalid_id_is_refused_before_sending(bad: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: tiles.copy_tile(bad, 1, 2),
        lambda: tiles.copy_tile(1, bad, 2),
        lambda: tiles.copy_tile(1, 1, bad),
        lambda: tiles.create_text_tile(bad, "x"),
        lambda: tiles.update_text_tile(bad, 1, "x"),
        lambda: tiles.update_text_tile(1, bad, "x"),
        lambda: tiles.delete_tile(bad, 1),
        lambda: tiles.delete_tile(1, bad),
        lambda: tiles.reorder_tiles(bad, [1]),
        lambda: tiles.reorder_tiles(1, [1, bad]),
        lambda: insights.run_insights(bad),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="it must be a whole number above 0"):
            call()


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda: tiles.copy_tile(4, 5, 4), "to_dashboard is 4, the dashboard that the tile is on"),
        (lambda: tiles.create_text_tile(4, ""), "body must have 1 to 4000 characters"),
        (lambda: tiles.create_text_tile(4, " \n"), "body must have 1 to 4000 characters"),
        (lambda: tiles.create_text_tile(4, "x" * 4001), "body must have 1 to 4000 characters"),
        (lambda: tiles.create_text_tile(4, "x", color="x" * 401), "color has more than 400 characters"),
        (lambda: tiles.update_text_tile(4, 5, " "), "body must have 1 to 4000 characters"),
        (lambda: tiles.update_text_tile(4, 5), "nothing is to change"),
        (lambda: tiles.reorder_tiles(4, []), "at least one id"),
        (lambda: tiles.reorder_tiles(4, [5, 6, 5]), "each id only once"),
        (lambda: tiles.reorder_tiles(4, [5], layout="x"), "layout is 'x'; it must be one of preserve, two_column"),  # type: ignore[arg-type] # it is wrong on purpose
        (lambda: insights.run_insights(4, refresh="async"), "refresh is 'async'; it must be one of force_cache"),  # type: ignore[arg-type] # it is wrong on purpose
    ],
)
def test_a_value_that_posthog_refuses_is_refused_before_sending(call: Callable[[], Any], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        call()


@pytest.mark.parametrize(
    ("call", "resend"),
    [
        # A second copy of the same insight is refused, and so is a second removal.
        (COPY, Resend.DETECTABLE),
        (DELETE, Resend.DETECTABLE),
        # Each call adds another text.
        (WRITE, Resend.IF_UNPROCESSED),
        (CHANGE, Resend.ALWAYS),
        (REORDER, Resend.ALWAYS),
        (RUN, Resend.ALWAYS),
        (insights.run_insights(4, refresh="blocking"), Resend.ALWAYS),
        # It changes nothing, but each call calculates everything again.
        (insights.run_insights(4, refresh="force_blocking"), Resend.IF_UNPROCESSED),
    ],
)
def test_which_call_is_sent_again_after_an_ambiguous_failure(call: Request[Any], resend: Resend) -> None:
    assert call.endpoint.resend is resend


def refused(status: int, body: object, request: Request[Any]) -> ApiError:
    """The error that an answer becomes."""
    with pytest.raises(ApiError) as caught:
        interpret(SERVER, request, Reply(status, {}, json.dumps(body).encode()))
    annotate(SERVER, request, caught.value)
    return caught.value


def envelope(code: str, detail: str, kind: str = "validation_error") -> dict[str, Any]:
    return {"type": kind, "code": code, "detail": detail, "attr": None}


MISSING = envelope("not_found", "Endpoint not found.", "invalid_request")
GONE = envelope("not_found", "Not found.", "invalid_request")


@pytest.mark.parametrize(
    ("request_", "instead"),
    [
        (COPY, "Use update_insight"),
        (WRITE, "Use update_dashboard with tiles=[{'text': {'body': ...}}]."),
        (CHANGE, "Use update_dashboard with tiles=[{'id': ..., 'text': {'id': ..., 'body': ...}}]."),
        (DELETE, "Use update_dashboard with tiles=[{'id': ..., 'deleted': True}]."),
        (REORDER, "Use update_dashboard with tiles=[{'id': ..., 'layouts': ...}]."),
        (RUN, "Use retrieve_dashboard"),
    ],
)
def test_an_older_server_has_its_own_error_that_says_what_to_use_instead(request_: Request[Any], instead: str) -> None:
    error = refused(404, MISSING, request_)
    assert (type(error), error.code, error.from_api) == (EndpointMissingError, "ENDPOINT_NOT_FOUND", True)
    assert (error.transient, error.ambiguous, error.may_pass) == (False, False, False)
    assert "Endpoint not found. This server is too old for this call, or Host in the Air" in str(error)
    assert instead in str(error)
    assert NOT_THE_API not in str(error)
    assert type(refused(404, GONE, request_)) is NotFoundError


@pytest.mark.parametrize("request_", [dashboards.retrieve_dashboard(4), sharing.delete_share_password(4, 1)])
def test_a_missing_endpoint_never_means_that_a_dashboard_is_gone(request_: Request[Any]) -> None:
    error = refused(404, MISSING, request_)
    assert not isinstance(error, NotFoundError)
    assert str(error).endswith("or Host in the Airflow connection is wrong.")


@pytest.mark.parametrize("what", ["insight", "text card"])
def test_a_second_copy_has_its_own_error(what: str) -> None:
    error = refused(400, envelope("invalid_input", f"This {what} is already on the destination dashboard."), COPY)
    assert (type(error), error.code, error.from_api) == (AlreadyExistsError, "ALREADY_ON_DASHBOARD", True)


def test_tiles_that_are_not_on_the_dashboard_are_named_without_posthogs_envelope() -> None:
    error = refused(404, {"detail": "Tile IDs not found on this dashboard: [5, 9]"}, REORDER)
    assert (type(error), error.from_api) == (NotFoundError, True)
    assert "[5, 9]" in str(error)
    assert NOT_THE_API not in str(error)
    twice = refused(400, {"detail": "tile_order must contain unique tile IDs"}, REORDER)
    assert type(twice) is InvalidRequestError
    # A gateway words its 404 so.
    assert refused(404, {"detail": "Not found"}, REORDER).from_api is False


@pytest.mark.parametrize(("request_", "scope"), [(COPY, "dashboard:write"), (RUN, "query:read")])
def test_the_error_for_a_missing_scope_names_the_scope(request_: Request[Any], scope: str) -> None:
    body = envelope("permission_denied", f"API key missing required scope '{scope}'", "authentication_error")
    error = refused(403, body, request_)
    assert type(error) is AuthenticationError
    assert f"a personal API key with the scope '{scope}', for this project." in str(error)


def test_the_results_keep_what_posthog_sent() -> None:
    raw = {"id": 5, "order": 0, "last_refresh": None, "insight": {"id": 8, "short_id": "a", "result": [1]}}
    [tile] = RUN.read({"results": [raw]})
    assert tile.as_row() == raw
