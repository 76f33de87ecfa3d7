"""Which answers are the API's own words, and what is concluded from the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.client.answer import NOT_THE_API, annotate, interpret
from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.conduit.api import disable_workspace, list_workspaces
from airflow_provider_databrain.databrain.api.embeds import delete_embed
from airflow_provider_databrain.posthog.api.dashboards import retrieve_dashboard

SERVER = Server("http://localhost", {})
ENVELOPE = {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}
CALLS = {"databrain": delete_embed("e"), "posthog": retrieve_dashboard(4), "conduit": list_workspaces()}
OWN: list[tuple[str, object]] = [
    ("databrain", {"error": {"code": "INVALID_EMBED_ID", "message": "no"}}),
    ("databrain", {"error": {"code": "NEVER_HEARD_OF", "message": "no", "status": 400}}),
    ("databrain", {"error": {"code": "INVALID REQUEST BODY", "message": "no"}}),
    ("posthog", ENVELOPE),
    ("posthog", {"error": "Sharing with password requires the Advanced Permissions feature"}),
    ("conduit", {"code": "bad", "message": "no"}),
]
NOT_OWN: list[tuple[str, object]] = [
    ("databrain", {"error": {"code": 404, "message": "no"}}),
    ("databrain", {"error": {"code": "NOT_FOUND", "message": "no"}}),
    ("databrain", {"error": {"code": "ResourceNotFound", "message": "no"}}),
    ("databrain", {"error": {"message": "no"}}),
    ("databrain", {"error": "Unauthorized"}),
    ("databrain", ENVELOPE),
    ("posthog", {**ENVELOPE, "type": "about:blank"}),
    ("posthog", {**ENVELOPE, "code": 404}),
    ("posthog", {"detail": "Not Found"}),
    ("posthog", {"error": "forbidden"}),
    ("conduit", {"code": 404, "message": "no"}),
    ("conduit", {"message": "no Route matched"}),
    ("conduit", {"detail": "Not found"}),
    ("conduit", {"detail": "Not found", "path": "/"}),
    ("conduit", "Not found"),
]

WORDLESS: list[object] = [b"<p>no", b"", {}, [], None]


def error_of(call: Any, status: int, body: object) -> ApiError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(ApiError) as caught:
        interpret(SERVER, call, Reply(status, {}, raw))
    annotate(SERVER, call, caught.value)
    return caught.value


@pytest.mark.parametrize(("system", "body"), OWN)
def test_the_apis_own_errors_are_believed(system: str, body: object) -> None:
    error = error_of(CALLS[system], 404, body)
    assert (error.from_api, error.may_pass) == (True, False)
    assert NOT_THE_API not in str(error)
    error.raise_unless_from_api()


@pytest.mark.parametrize(("system", "body"), [*NOT_OWN, *((system, body) for system in CALLS for body in WORDLESS)])
@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_a_status_with_another_body_proves_nothing(system: str, body: object, status: int) -> None:
    error = error_of(CALLS[system], status, body)
    assert (error.from_api, error.may_pass, error.transient) == (False, True, False)
    assert NOT_THE_API in str(error)
    with pytest.raises(type(error)):
        error.raise_unless_from_api()


@pytest.mark.parametrize(("listed", "gone"), [([], True), ([7], False)])
@pytest.mark.parametrize("after_ambiguous", [False, True])
def test_after_a_bare_404_the_list_shows_whether_a_workspace_is_gone(
    listed: list[int], gone: bool, after_ambiguous: bool
) -> None:
    call: Any = disable_workspace(7)
    error = error_of(next(call), 404, b"default backend - 404")
    error.after_ambiguous = after_ambiguous
    assert call.throw(error).endpoint.name == "list workspaces"
    rows = [{"id": number, "ext_id": None, "name": "w", "token": "t"} for number in listed]
    with pytest.raises(StopIteration if gone and after_ambiguous else NotFoundError):
        call.send(list_workspaces().read(rows))
    assert error.from_api is gone
