"""Which error an answer becomes, and what its message says."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client.answer import annotate, interpret
from airflow_provider_databrain.client.call import Call, Endpoint, in_steps
from airflow_provider_databrain.client.dialect import MESSAGE_LIMIT, classify
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransportError,
    too_large,
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.conduit.api import list_workspaces
from airflow_provider_databrain.databrain.api.datasources import Datasource, create_datasource
from airflow_provider_databrain.databrain.api.embeds import (
    CREATE_DASHBOARD_EMBED,
    DELETE_EMBED,
    LIST_EMBEDS,
    RENAME_EMBED,
    UPDATE_EMBED,
    create_dashboard_embed,
)
from airflow_provider_databrain.databrain.api.endpoint import DATABRAIN
from airflow_provider_databrain.databrain.api.tokens import create_api_token
from airflow_provider_databrain.posthog.api.sharing import get_sharing
from tests.airflow_names import AirflowException
from tests.support import embed

HTML = b"<html><body><h1>Bad gateway</h1></body></html>"


def answer(status: int, payload: Any = None, *, raw: bytes | None = None, **headers: str) -> Reply:
    """Make an answer. In header names, underscores stand for dashes."""
    body = json.dumps(payload).encode() if raw is None else raw
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def error_of(reply: Reply, endpoint: Endpoint = LIST_EMBEDS) -> ApiError:
    """The error that an answer stands for; the answer must not be a success."""
    error = classify(reply, endpoint.dialect, endpoint.codes)
    assert error is not None
    return error


def refusal(code: str, message: str = "words") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "code",
    ["AUTHENTICATION_ERROR", "AUTHENTICATION_ERR", "AUTH_ERROR", "INVALID_DATA_APP_API_KEY", "INVALID_SERVICE_TOKEN"],
)
def test_every_spelling_of_the_authentication_code_is_an_authentication_error(code: str, status: int) -> None:
    error = error_of(answer(status, refusal(code)))
    assert type(error) is AuthenticationError
    assert (error.code, error.status, error.message) == (code, status, "words")
    assert str(error).endswith("]: words. Check the token in the Airflow connection.")


@pytest.mark.parametrize("text", ["Invalid key", "Invalid token", "Unauthorized", "unauthorized"])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_plain_string_about_the_token_is_an_authentication_error(text: str, status: int) -> None:
    error = error_of(answer(status, {"error": text}))
    assert type(error) is AuthenticationError
    assert error.message == text


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "WORKSPACE_ID_ERROR", NotFoundError),
        (400, "INVALID_WORKSPACE_NAME", NotFoundError),
        (400, "WORKSPACE_DOES_NOT_EXIST", NotFoundError),
        (400, "TEMPLATE_DASHBOARD_ERROR", NotFoundError),
        (400, "INVALID_EMBED_ID", NotFoundError),
        (400, "INVALID_REQUEST_BODY", InvalidRequestError),
        (400, "CLIENT_ID_ERROR", InvalidRequestError),
        (400, "INVALID_DASHBOARD_DATA", InvalidRequestError),
        (400, "DASHBOARD_CREATE_ERROR", ServerError),
        (500, "INTERNAL_SERVER_ERROR", ServerError),
        (500, "INTERNAL SERVER ERROR", ServerError),
        (400, "internal server error", ServerError),
        (400, "INVALID_SERVER_ERROR", ServerError),
        (400, "NEVER_HEARD_OF", InvalidRequestError),
        (401, "NEVER_HEARD_OF", AuthenticationError),
        (403, "NEVER_HEARD_OF", AuthenticationError),
        (404, "NEVER_HEARD_OF", NotFoundError),
        (408, "NEVER_HEARD_OF", ServerError),
        (409, "NEVER_HEARD_OF", AlreadyExistsError),
        (500, "NEVER_HEARD_OF", ServerError),
        (503, "NEVER_HEARD_OF", ServerError),
    ],
)
def test_the_code_decides_or_the_status_if_the_code_is_unknown(
    status: int, code: str, expected: type[ApiError]
) -> None:
    error = error_of(answer(status, refusal(code)))
    assert type(error) is expected
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize("endpoint", [UPDATE_EMBED, RENAME_EMBED, DELETE_EMBED], ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize(
    ("message", "code", "expected"),
    [
        ("Embed not found", "EMBED_NOT_FOUND", NotFoundError),
        ("Request failed: embed NOT found.", "EMBED_NOT_FOUND", NotFoundError),
        ('"embedId" is required', "INVALID_REQUEST_BODY", InvalidRequestError),
        ("", "INVALID_REQUEST_BODY", InvalidRequestError),
    ],
)
def test_the_message_distinguishes_a_missing_embed_from_a_wrong_body(
    endpoint: Endpoint, message: str, code: str, expected: type[ApiError]
) -> None:
    error = error_of(answer(400, refusal("INVALID_REQUEST_BODY", message)), endpoint)
    assert type(error) is expected
    assert (error.code, error.message) == (code, message or code)


def test_the_message_alone_does_not_turn_another_code_into_a_missing_embed() -> None:
    error = error_of(answer(400, refusal("INVALID_DATA_APP_API_KEY", "Embed not found")), DELETE_EMBED)
    assert type(error) is AuthenticationError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": "X", "message": "m", "status": 400}, "X", "m"),
        ({"message": "m"}, None, "m"),
        ({"code": "X"}, "X", "X"),
        ({"code": 17, "message": "m"}, "17", "m"),
        ("Something odd", "Something odd", "Something odd"),
        ("a sentence of more than forty characters is no code", None, "a sentence of more than forty characters"),
    ],
)
def test_every_shape_of_error_gives_its_code_and_message(error: Any, code: str | None, message: str) -> None:
    classified = error_of(answer(400, {"error": error}))
    assert type(classified) is InvalidRequestError
    assert classified.code == code
    assert classified.message.startswith(message)


def test_an_error_in_a_success_answer_is_an_error() -> None:
    error = error_of(answer(200, refusal("WORKSPACE_ID_ERROR", "no such workspace")))
    assert type(error) is NotFoundError
    assert error.status == 200


@pytest.mark.parametrize("payload", [{"data": []}, {"data": [], "error": None}, {"error": ""}, {"error": False}, []])
def test_an_answer_without_an_error_is_a_success(payload: Any) -> None:
    assert classify(answer(200, payload), DATABRAIN, {}) is None


@pytest.mark.parametrize("payload", [{}, {"error": None}, [], "text", None])
def test_a_failure_without_a_message_is_still_an_error(payload: Any) -> None:
    error = error_of(answer(400, payload))
    assert type(error) is InvalidRequestError
    assert error.message == "no error message in the answer"


@pytest.mark.parametrize("raw", [HTML, b'{"id": "cli', b"", b"\xff\xfe\x00"], ids=["html", "cut", "empty", "binary"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, MalformedAnswerError),
        (400, InvalidRequestError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (502, ServerError),
    ],
)
def test_a_body_that_is_not_json_is_described(raw: bytes, status: int, expected: type[ApiError]) -> None:
    error = error_of(answer(status, raw=raw, content_type="text/html; charset=utf-8"))
    assert type(error) is expected
    assert f"not JSON (text/html, {len(raw)} bytes)" in str(error)
    assert f"HTTP {status}" in str(error)


def test_a_deeply_nested_body_is_a_malformed_answer() -> None:
    assert type(error_of(answer(200, raw=b"[" * 200_000))) is MalformedAnswerError


@pytest.mark.parametrize("raw", [b'{"error": {"code": "RATE_LIMITED", "message": "slow down"}}', HTML, b""])
def test_429_is_a_rate_limit_with_any_body(raw: bytes) -> None:
    error = error_of(answer(429, raw=raw, retry_after="7"))
    assert type(error) is RateLimitedError
    assert (error.retry_after, error.transient, error.ambiguous) == (7.0, True, False)


def test_a_server_error_keeps_the_wait_that_the_server_asks_for() -> None:
    assert error_of(answer(503, raw=HTML, retry_after="3")).retry_after == 3.0


def test_a_redirect_names_scheme_and_host_and_nothing_else() -> None:
    error = error_of(answer(302, raw=b"", location="https://user:pw@login.example/in?token=s3cr3t#part"))
    assert type(error) is InvalidRequestError
    assert "redirected to https://login.example; check Host in the connection" in str(error)
    assert not any(word in str(error) for word in ("s3cr3t", "pw", "/in", "part"))


@pytest.mark.parametrize("location", ["/login?next=x", "", "http://[::1"], ids=["relative", "absent", "broken"])
def test_a_redirect_without_a_host_is_still_an_api_error_that_reads_well(location: str) -> None:
    error = error_of(answer(302, raw=b"", location=location))
    assert type(error) is InvalidRequestError
    assert "None" not in str(error)
    assert "://;" not in str(error)


def test_invalid_dashboard_id_means_taken_only_if_a_dashboard_is_created() -> None:
    reply = answer(400, refusal("INVALID_DASHBOARD_ID"))
    assert type(error_of(reply, CREATE_DASHBOARD_EMBED)) is AlreadyExistsError
    assert type(error_of(reply, LIST_EMBEDS)) is InvalidRequestError


def test_a_long_message_is_cut() -> None:
    error = error_of(answer(400, refusal("X", "w" * 5000)))
    assert error.message == "w" * MESSAGE_LIMIT


def test_the_text_names_call_tenant_dashboard_status_and_code() -> None:
    error = ApiError("words", status=400, code="X", endpoint="list embeds", tenant="acme", dashboard="d-1")
    assert str(error) == "list embeds for tenant 'acme' (dashboard 'd-1') failed [HTTP 400, X]: words"
    assert str(ApiError("words")) == "API call failed: words"


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("m", status=429, code="X", endpoint="e", tenant="t", dashboard="d", retry_after=2.5),
        TransportError("m", sent=False, transient=False),
        MalformedAnswerError("m", status=200, transient=False),
        too_large(1024),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error: ApiError) -> None:
    error.after_ambiguous = True
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_errors_are_not_airflow_exceptions() -> None:
    assert not issubclass(ApiError, AirflowException)


def test_a_success_of_an_unexpected_shape_keeps_its_status() -> None:
    with pytest.raises(MalformedAnswerError, match="id: Field required") as caught:
        interpret(Server("http://databrain.example", {}), create_dashboard_embed(embed()), answer(201, {"error": None}))
    assert caught.value.status == 201


@pytest.mark.parametrize("status", [200, 400, 409])
def test_an_endpoints_own_meaning_of_a_code_counts_and_not_the_general_one(status: int) -> None:
    reply = answer(status, refusal("workspace id error"))
    assert type(error_of(reply)) is NotFoundError
    error = classify(reply, LIST_EMBEDS.dialect, {"WORKSPACE_ID_ERROR": AlreadyExistsError})
    assert type(error) is AlreadyExistsError


SECRET_ANSWERS: list[Call[Any]] = [create_api_token("app", "name"), get_sharing(1), list_workspaces()]
WITH_SECRETS = create_datasource(
    Datasource(datasource_type="postgres", credentials={"name": "w", "password": "s3cr3t-1"})
)


@pytest.mark.parametrize("call", [*SECRET_ANSWERS, WITH_SECRETS], ids=["Databrain", "PostHog", "Conduit", "datasource"])
def test_a_success_that_may_contain_a_secret_is_not_quoted(call: Call[Any]) -> None:
    request = next(in_steps(call))
    with pytest.raises(MalformedAnswerError, match="the answer is not JSON") as caught:
        interpret(Server("https://x", {}), request, answer(200, raw=b"{'token': 'unknown-secret'}"))
    assert "unknown-secret" not in str(caught.value)


@pytest.mark.parametrize("call", SECRET_ANSWERS, ids=["Databrain", "PostHog", "Conduit"])
def test_a_failure_that_cannot_contain_a_secret_is_quoted(call: Call[Any]) -> None:
    with pytest.raises(ServerError, match="Bad gateway"):
        interpret(Server("https://x", {}), next(in_steps(call)), answer(502, raw=HTML))


@pytest.mark.parametrize("status", [200, 400, 502])
def test_no_answer_to_a_request_with_secrets_is_quoted_if_it_is_not_json(status: int) -> None:
    cut = b"<p>connection to s3cr3t"
    with pytest.raises(ApiError) as caught:
        interpret(Server("https://x", {}), next(in_steps(WITH_SECRETS)), answer(status, raw=cut))
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(("within", "expected"), [(True, NotFoundError), (False, type(None))])
def test_a_success_may_contain_an_error_only_in_some_products(within: bool, expected: type) -> None:
    reply = answer(200, refusal("WORKSPACE_ID_ERROR"))
    assert type(classify(reply, replace(DATABRAIN, within_success=within), {})) is expected


@pytest.mark.parametrize("unread", ["", "it is cut"])
def test_a_success_that_is_never_read_whole_is_not_asked_for_again(unread: str) -> None:
    error = error_of(Reply(200, {}, b"<p>", unread))
    assert isinstance(error, MalformedAnswerError)
    assert error.transient is not bool(unread)


@pytest.mark.parametrize(("raw", "own"), [(None, True), (HTML, False)], ids=["API", "gateway"])
def test_a_rate_limit_says_whether_it_is_the_apis_own(raw: bytes | None, own: bool) -> None:
    error = error_of(answer(429, refusal("AUTH_ERROR"), raw=raw))
    assert type(error) is RateLimitedError
    assert error.from_api is own


def test_refused_credentials_name_the_rights_that_the_endpoint_needs_or_else_the_token() -> None:
    with_needs, without = AuthenticationError("no"), AuthenticationError("no")
    annotate(Server("https://x", {}), get_sharing(1), with_needs)
    annotate(Server("https://x", {}), create_dashboard_embed(embed()), without)
    assert with_needs.hint == get_sharing(1).endpoint.needs != ""
    token = CREATE_DASHBOARD_EMBED.token
    assert without.hint == f"It needs the {token.name}: check {token.field} in the Airflow connection."
