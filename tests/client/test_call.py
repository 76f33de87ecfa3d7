"""Calls as values: waits, URLs, tokens, paging, and models that never show a value."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from pydantic import ValidationError

from airflow_provider_databrain.client.answer import annotate
from airflow_provider_databrain.client.call import Request, walk_pages
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError
from airflow_provider_databrain.client.models import explain, reader
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import ConfigurationError, Server
from airflow_provider_databrain.databrain.api.access import AccessSettings
from airflow_provider_databrain.databrain.api.embeds import (
    LIST_EMBEDS,
    CreateDashboardEmbed,
    create_dashboard_embed,
    list_embeds,
)
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.databrain.api.workspaces import FETCH_WORKSPACE_METRICS, Metric, fetch_workspace_metrics
from tests.support import ACCESS, ODD_IDS, embed

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
EPOCH = NOW.timestamp()
SERVER = Server("https://api.example", {API_KEY: "key-123456", SERVICE_TOKEN: "service-123456"}, conn_id="my_conn")


def request_of(call: Any) -> Request[Any]:
    """Check that a call is a single request, and return it."""
    assert isinstance(call, Request)
    return call


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("12", 12.0),
        ("0.25", 0.25),
        (email.utils.format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (email.utils.format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        (str(int(EPOCH) + 30), 30.0),
        (str(int(EPOCH) - 30), 0.0),
        (str((int(EPOCH) + 30) * 1000), 30.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
    ],
)
@pytest.mark.parametrize("header", ["retry-after", "ratelimit-reset", "x-ratelimit-reset"])
def test_the_wait_that_a_server_asks_for_is_read_in_each_form(header: str, value: str, seconds: float | None) -> None:
    with time_machine.travel(NOW, tick=False):
        assert Reply(429, {header: value}, b"").retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "3", "ratelimit-reset": "2", "retry-after": "1"}, 1.0),
        ({"x-ratelimit-reset": "3", "ratelimit-reset": "2"}, 2.0),
        ({"x-ratelimit-reset": "3", "retry-after": "soon"}, 3.0),
        ({"content-type": "application/json"}, None),
    ],
)
def test_retry_after_comes_first_and_an_unreadable_header_is_skipped(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert Reply(429, headers, b"").retry_after == seconds


def test_legacy_paths_are_used_if_the_endpoint_has_one() -> None:
    legacy = replace(SERVER, legacy_paths=True)
    create = create_dashboard_embed(embed())
    metrics = request_of(fetch_workspace_metrics("w"))
    assert SERVER.url(create) == "https://api.example/api/v2/data-app/dashboard-embeds"
    assert legacy.url(create) == "https://api.example/api/v2/dataApp/dashboard-embeds"
    assert legacy.url(request_of(list_embeds())) == "https://api.example/api/v2/dataApp/embeds"
    assert legacy.url(metrics) == SERVER.url(metrics) == "https://api.example/api/v2/workspace/metrics"


def test_a_path_override_and_a_prefix_in_the_base_url_are_used() -> None:
    server = replace(
        SERVER,
        base_url="https://proxy.example/databrain",
        paths={FETCH_WORKSPACE_METRICS.name: "/v3/metrics"},
        legacy_paths=True,
    )
    assert server.url(request_of(fetch_workspace_metrics("w"))) == "https://proxy.example/databrain/v3/metrics"
    assert server.url(request_of(list_embeds())) == "https://proxy.example/databrain/api/v2/dataApp/embeds"


@pytest.mark.parametrize("client", ODD_IDS)
def test_an_odd_client_id_in_a_query_is_encoded_and_decoded_unchanged(client: str) -> None:
    parts = urlsplit(SERVER.url(request_of(list_embeds(client_id=client, page=2))))
    assert parts.path == "/api/v2/data-app/embeds"
    assert parts.fragment == ""
    assert parts.query.isascii()
    assert parse_qs(parts.query, strict_parsing=True) == {
        "clientId": [client],
        "isPagination": ["true"],
        "pageNumber": ["2"],
    }


@pytest.mark.parametrize(
    ("tokens", "call", "words"),
    [
        ({SERVICE_TOKEN: "x"}, list_embeds(), ["data app API key", "fill Password", "list embeds"]),
        ({API_KEY: "x"}, fetch_workspace_metrics("w"), ["service token", "extra 'service_token'", "workspace metrics"]),
        ({API_KEY: ""}, list_embeds(), ["data app API key", "fill Password", "list embeds"]),
    ],
)
def test_a_missing_token_names_the_field_to_fill(tokens: Any, call: Any, words: list[str]) -> None:
    server = replace(SERVER, tokens=tokens)
    with pytest.raises(ConfigurationError) as caught:
        server.authorization(request_of(call))
    assert all(word in str(caught.value) for word in [*words, "'my_conn'"])


def test_each_call_takes_the_token_of_its_kind() -> None:
    assert SERVER.authorization(request_of(list_embeds())) == "Bearer key-123456"
    assert SERVER.authorization(request_of(fetch_workspace_metrics("w"))) == "Bearer service-123456"


def test_only_a_request_with_a_body_has_a_content_type() -> None:
    assert "Content-Type" not in SERVER.headers(request_of(list_embeds()))
    assert SERVER.headers(create_dashboard_embed(embed()))["Content-Type"] == "application/json"


def test_tokens_are_redacted_and_repr_never_shows_them() -> None:
    assert SERVER.redact("key-123456 and service-123456, not key-1") == "*** and ***, not key-1"
    assert replace(SERVER, tokens={API_KEY: ""}).redact("text") == "text"
    # One secret may be part of another.
    assert SERVER.redact("pass password", "pass", "password") == "*** ***"
    assert replace(SERVER, proxy_auth=("user", "pw-9")).redact("user pw-9") == "user ***"
    shown = repr(replace(SERVER, proxy="http://proxy.example", proxy_auth=("user", "pw-9")))
    assert "api.example" in shown
    assert not any(secret in shown for secret in ("123456", "pw-9"))


@pytest.mark.parametrize(
    "error", [ApiError("bad key-123456"), ApiError("words", code="bad key-123456")], ids=["message", "code"]
)
def test_a_token_is_removed_from_an_error_that_repeats_it(error: ApiError) -> None:
    annotate(SERVER, create_dashboard_embed(embed("acme")), error)
    assert "key-123456" not in str(error)
    assert "***" in str(error)
    assert (error.endpoint, error.tenant, error.dashboard) == ("create dashboard embed", "acme", "client-acme")


def walk(pages: Callable[[int], list[int]], **options: Any) -> tuple[list[int], list[int]]:
    """Walk pages of numbers; return the rows and the page numbers that were requested."""
    asked: list[int] = []

    def page(number: int) -> Request[list[int]]:
        asked.append(number)
        return Request(LIST_EMBEDS, lambda _: [])

    walker = walk_pages(page, **options)
    next(walker)
    try:
        while True:
            walker.send(pages(asked[-1]))
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize(
    ("total", "asked"), [(0, [1]), (3, [1]), (10, [1, 2]), (13, [1, 2]), (20, [1, 2, 3]), (21, [1, 2, 3])]
)
def test_a_list_is_walked_to_its_end(total: int, asked: list[int]) -> None:
    rows = list(range(total))
    assert walk(lambda number: rows[(number - 1) * 10 : number * 10]) == (rows, asked)


@pytest.mark.parametrize(("total", "asked"), [(4, [1]), (10, [1, 2]), (34, [1])])
def test_a_server_that_ignores_paging_gets_no_more_requests_than_needed(total: int, asked: list[int]) -> None:
    rows = list(range(total))
    assert walk(lambda _: rows) == (rows, asked)


def test_a_last_page_that_repeats_ends_the_walk() -> None:
    assert walk(lambda number: list(range(10)) if number == 1 else list(range(10, 20))) == (list(range(20)), [1, 2, 3])


def test_a_list_without_end_is_an_error() -> None:
    with pytest.raises(MalformedAnswerError, match="did not end after 3 pages") as caught:
        walk(lambda number: list(range(number * 10, number * 10 + 10)), max_pages=3)
    assert not caught.value.transient


def test_an_unexpected_answer_is_explained_without_its_values() -> None:
    with pytest.raises(MalformedAnswerError, match="metricId: Input should be a valid string") as caught:
        reader(Metric)({"metricId": ["s3cr3t"], "name": {"s3cr3t": 1}})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("payload", [None, [], "s3cr3t", 3])
def test_an_answer_that_is_not_an_object_is_unexpected(payload: Any) -> None:
    with pytest.raises(MalformedAnswerError, match="unexpected answer: body:") as caught:
        reader(Metric)(payload)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"serviceToken": "s3cr3t"}, "serviceToken: Extra inputs are not permitted"),
        ({"metadata": "s3cr3t"}, "metadata: Input should be a valid dictionary"),
        ({"access_settings": ACCESS | {"isAllowAll": "s3cr3t"}}, "isAllowAll: Extra inputs are not permitted"),
    ],
)
def test_what_we_send_refuses_unknown_fields_and_hides_values(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        embed(**changes)
    assert any(problem in line for line in explain(caught.value))
    assert "s3cr3t" not in str(caught.value)


def test_fields_may_be_passed_by_their_names_in_the_api() -> None:
    ours = embed()
    theirs = CreateDashboardEmbed.model_validate(
        {
            "dashboardId": "client-acme",
            "clientId": "acme",
            "workspaceName": "analytics",
            "accessSettings": AccessSettings.model_validate(ACCESS),
        }
    )
    assert theirs == ours
