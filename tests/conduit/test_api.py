"""What Conduit's calls send, byte for byte, and how its answers and errors are read."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client.answer import annotate, interpret
from airflow_provider_databrain.client.call import Call, Endpoint, Request, Resend
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
)
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.conduit.api import (
    CLONE_DASHBOARD,
    CREATE_WORKSPACE,
    DISABLE_WORKSPACE,
    LIST_DASHBOARDS,
    LIST_WORKSPACES,
    ORGANIZATION_TOKEN,
    SHARE_URL,
    ClonedDashboard,
    Dashboard,
    Workspace,
    clone_dashboard,
    create_workspace,
    disable_workspace,
    find_or_create_workspace,
    list_dashboards,
    list_workspaces,
    share_url,
    workspace_with,
)
from tests.support import ODD_IDS

TOKEN = "organization-token-0123456789"
SERVER = Server("https://conduit.example/v2", {ORGANIZATION_TOKEN: TOKEN}, conn_id="my_conn")
WORKSPACE: dict[str, Any] = {"id": 7, "ext_id": "crm1", "name": "Acme", "token": "workspace-token-7"}
ENDPOINTS = [LIST_WORKSPACES, CREATE_WORKSPACE, DISABLE_WORKSPACE, LIST_DASHBOARDS, SHARE_URL, CLONE_DASHBOARD]


def one(call: Call[Any]) -> Request[Any]:
    """The only or first request of a call."""
    return next(call) if isinstance(call, Generator) else call


def answered(call: Call[Any], status: int, payload: Any = None, *, raw: bytes | None = None) -> Any:
    """The result of a call's first request with this answer."""
    body = (b"" if payload is None else json.dumps(payload).encode()) if raw is None else raw
    return interpret(SERVER, one(call), Reply(status, {"content-type": "application/json"}, body))


def refused(call: Call[Any], status: int, payload: Any = None, *, raw: bytes | None = None) -> ApiError:
    """The error of a call's first request with this answer."""
    request = one(call)
    with pytest.raises(ApiError) as caught:
        answered(request, status, payload, raw=raw)
    annotate(SERVER, request, caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("call", "method", "path", "body", "token"),
    [
        (list_workspaces(), "GET", "/workspaces/", None, TOKEN),
        (create_workspace("Acme"), "POST", "/workspaces/", b'{"name":"Acme"}', TOKEN),
        (create_workspace("É", "a/b"), "POST", "/workspaces/", '{"name":"É","ext_id":"a/b"}'.encode(), TOKEN),
        (disable_workspace(7), "DELETE", "/workspaces/7/", None, TOKEN),
        (list_dashboards(), "GET", "/dashboards/", None, TOKEN),
        (list_dashboards("own-token"), "GET", "/dashboards/", None, "own-token"),
        (share_url(3), "GET", "/dashboards/3/share/", None, TOKEN),
        (share_url(3, "own-token"), "GET", "/dashboards/3/share/", None, "own-token"),
        (clone_dashboard(3, 7), "POST", "/dashboards/3/clone/", b'{"workspace":7}', TOKEN),
        (clone_dashboard(3, 7, "A"), "POST", "/dashboards/3/clone/", b'{"workspace":7,"name":"A"}', TOKEN),
    ],
)
def test_a_call_is_sent_as_the_vendor_documents_it(
    call: Call[Any], method: str, path: str, body: bytes | None, token: str
) -> None:
    request = one(call)
    assert (request.endpoint.method, SERVER.url(request)) == (method, f"https://conduit.example/v2{path}")
    assert request.body == body
    assert SERVER.authorization(request) == f"Bearer {token}"
    assert SERVER.headers(request).get("Content-Type") == (None if body is None else "application/json")
    assert "own-token" not in repr(request)


@pytest.mark.parametrize("ext_id", ODD_IDS)
def test_an_odd_ext_id_is_sent_as_it_is(ext_id: str) -> None:
    body = create_workspace("Acme", ext_id).body
    assert body is not None
    assert json.loads(body) == {"name": "Acme", "ext_id": ext_id}


@pytest.mark.parametrize("number", [0, -1, True, False, "7", 7.0, None])
def test_an_invalid_id_is_never_sent(number: Any) -> None:
    with pytest.raises(ValueError, match=r"workspace_id is .*a whole number above 0"):
        disable_workspace(number)
    with pytest.raises(ValueError, match=r"dashboard_id is .*a whole number above 0"):
        share_url(number)
    with pytest.raises(ValueError, match=r"dashboard_id is .*a whole number above 0"):
        clone_dashboard(number, 7)
    with pytest.raises(ValueError, match=r"workspace_id is .*a whole number above 0"):
        clone_dashboard(3, number)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_blank_value_is_never_sent(text: str) -> None:
    with pytest.raises(ValueError, match="name is empty"):
        create_workspace(text)
    with pytest.raises(ValueError, match="ext_id is empty"):
        create_workspace("Acme", text)
    with pytest.raises(ValueError, match="ext_id is empty"):
        find_or_create_workspace(text, "Acme")
    with pytest.raises(ValueError, match="name is empty"):
        find_or_create_workspace("crm1", text)
    with pytest.raises(ValueError, match="name is empty"):
        clone_dashboard(3, 7, text)


@pytest.mark.parametrize("token", ["", "s3cr3t 1", "s3cr3t\n", "s3cr3té"])
def test_a_workspace_token_that_cannot_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ValueError, match="workspace_token must not be empty and must not have blanks") as listed:
        list_dashboards(token)
    with pytest.raises(ValueError, match="workspace_token must not be empty and must not have blanks") as shared:
        share_url(3, token)
    assert "s3cr3t" not in f"{listed.value} {shared.value}"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_is_a_success(status: int) -> None:
    assert answered(list_workspaces(), status, [WORKSPACE]) == [Workspace(**WORKSPACE)]
    assert answered(list_workspaces(), status, []) == []
    assert answered(create_workspace("Acme"), status, WORKSPACE) == Workspace(**WORKSPACE)
    assert answered(list_dashboards(), status, [{"id": 3, "name": "Sales"}]) == [Dashboard(id=3, name="Sales")]
    assert answered(share_url(3), status, {"url": "https://u.example"}) == "https://u.example"
    clone = {"id": 4, "name": "Sales", "url": "https://u.example"}
    assert answered(clone_dashboard(3, 7), status, clone) == ClonedDashboard(**clone)


@pytest.mark.parametrize(("status", "payload"), [(204, None), (200, None), (200, {}), (202, {"message": "disabled"})])
def test_the_answer_of_a_disable_needs_no_body(status: int, payload: Any) -> None:
    assert answered(disable_workspace(7), status, payload) is None


def test_a_success_with_the_fields_of_an_error_is_still_a_success() -> None:
    odd = {"code": "created", "message": "done", "detail": "x", "error": "none", "errors": []}
    assert answered(create_workspace("Acme"), 201, WORKSPACE | odd).id == 7
    assert answered(clone_dashboard(3, 7), 200, {"id": 4, "name": "S", "url": "u"} | odd).id == 4
    assert answered(share_url(3), 200, {"url": "u"} | odd) == "u"


def test_a_clone_answer_needs_only_the_id() -> None:
    """If this were an error, the clone would be made again."""
    clone = answered(clone_dashboard(3, 7), 200, {"id": 4})
    assert (clone.id, clone.name, clone.url) == (4, None, None)


@pytest.mark.parametrize(
    ("call", "payload"),
    [
        (list_workspaces(), {"results": [WORKSPACE]}),
        (list_workspaces(), [WORKSPACE | {"id": "s3cr3t"}]),
        (list_workspaces(), [WORKSPACE | {"id": True}]),
        (list_workspaces(), [WORKSPACE | {"token": None}]),
        (list_workspaces(), [WORKSPACE | {"token": "s3cr3t\nX-Evil: 1"}]),
        (list_workspaces(), ["s3cr3t"]),
        (create_workspace("Acme"), [WORKSPACE]),
        (create_workspace("Acme"), {"id": 7, "token": "s3cr3t"}),
        (list_dashboards(), {"id": 3, "name": "s3cr3t"}),
        (list_dashboards(), [{"id": 0, "name": "s3cr3t"}]),
        (share_url(3), ["s3cr3t"]),
        (share_url(3), {"url": ""}),
        (clone_dashboard(3, 7), [{"id": 4}]),
        (clone_dashboard(3, 7), {"url": "s3cr3t"}),
    ],
)
def test_an_answer_with_an_unknown_shape_is_malformed_and_its_values_are_not_shown(
    call: Call[Any], payload: Any
) -> None:
    error = refused(call, 200, payload)
    assert type(error) is MalformedAnswerError
    assert error.ambiguous
    assert "unexpected answer: " in str(error)
    assert not any(secret in str(error) for secret in ("s3cr3t", WORKSPACE["token"]))


@pytest.mark.parametrize(
    "raw", [b'[{"id": 1, "token": "s3cr3t', b"<html>s3cr3t</html>", b"s3cr3t", b"\xff\xfes3cr3t", b""]
)
@pytest.mark.parametrize(
    "call",
    [list_workspaces(), create_workspace("Acme"), share_url(3), clone_dashboard(3, 7)],
    ids=lambda call: call.endpoint.name,
)
def test_an_unreadable_success_is_not_quoted_if_it_may_hold_secrets(call: Call[Any], raw: bytes) -> None:
    error = refused(call, 200, raw=raw)
    assert type(error) is MalformedAnswerError
    assert f"the answer is not JSON (application/json, {len(raw)} bytes)" in str(error)
    assert "s3cr3t" not in f"{error!s} {error!r} {vars(error)}"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (405, InvalidRequestError),
        (409, AlreadyExistsError),
        (422, InvalidRequestError),
        (429, RateLimitedError),
        (500, ServerError),
        (503, ServerError),
    ],
)
@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        (b'{"code": "bad_name", "message": "Too long"}', "bad_name", "Too long"),
        (b'{"code": "bad_name"}', "bad_name", "bad_name"),
        (b'{"code": 17, "message": "Too long"}', "17", "Too long"),
        (b'{"message": "Too long"}', None, "Too long"),
        (b'{"detail": "Too long"}', None, "Too long"),
        (b'{"error": "Too long"}', None, "Too long"),
        (b'"Too long"', None, "Too long"),
        (b"Too long", None, "the answer is not JSON (application/json, 8 bytes): 'Too long'"),
        (b"<p>Too\n long", None, "the answer is not JSON (application/json, 12 bytes): '<p>Too long'"),
        (b"", None, "the answer is not JSON (application/json, 0 bytes): ''"),
        (b"{}", None, "no error message in the answer"),
        (b"[]", None, "no error message in the answer"),
        (b'" "', None, "no error message in the answer"),
        (b'{"code": null, "message": null}', None, "no error message in the answer"),
    ],
)
def test_the_status_decides_and_not_the_body(
    status: int, expected: type[ApiError], raw: bytes, code: str | None, message: str
) -> None:
    error = refused(create_workspace("Acme", "crm1"), status, raw=raw)
    assert type(error) is expected
    assert (error.status, error.code, error.message) == (status, code, message)
    assert (error.endpoint, error.tenant) == ("create workspace", "crm1")


@pytest.mark.parametrize(
    ("call", "needs", "setup"),
    [
        (list_workspaces(), "It needs the organization's token", "'Your company name'"),
        (create_workspace("Acme"), "It needs the organization's token", "'Your company name'"),
        (disable_workspace(7), "It needs the organization's token", "'Your company name'"),
        (list_dashboards(), "and a workspace's own token for the dashboards of that workspace", None),
        (share_url(3), "It needs the token of the workspace that the dashboard is in", None),
        (clone_dashboard(3, 7), "one of the organization's dashboards", "white-label"),
    ],
)
def test_the_error_says_which_token_is_needed_and_what_must_be_set_up(
    call: Call[Any], needs: str, setup: str | None
) -> None:
    request = one(call)
    assert needs in str(refused(request, 401))
    assert needs in str(refused(request, 403))
    assert needs not in str(refused(request, 400))
    invalid = str(refused(request, 400, {"code": "x", "message": "words"}))
    assert (setup in invalid) if setup else invalid.endswith("words")
    assert not any(words in str(refused(request, 404)) for words in (needs, setup) if words)


def test_errors_name_the_workspace_and_the_dashboard() -> None:
    assert "disable workspace for tenant '7' failed [HTTP 404]" in str(refused(disable_workspace(7), 404))
    assert "clone dashboard for tenant '7' (dashboard '3') failed" in str(refused(clone_dashboard(3, 7), 404))
    assert "share dashboard (dashboard '3') failed" in str(refused(share_url(3), 404))


@pytest.mark.parametrize("call", [share_url(3, "own-s3cr3t"), list_dashboards("own-s3cr3t")])
@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize(
    "raw",
    [
        f'{{"code": "no own-s3cr3t {TOKEN}", "message": "no own-s3cr3t {TOKEN}"}}'.encode(),
        f"<html>own-s3cr3t {TOKEN}</html>".encode(),
        f"{'w' * 290} own-s3cr3t {TOKEN}".encode(),
    ],
)
def test_a_token_that_the_server_repeats_is_masked(call: Call[Any], status: int, raw: bytes) -> None:
    error = refused(call, status, raw=raw)
    assert not any(secret in f"{error!s} {error!r} {vars(error)}" for secret in ("s3cr3t", TOKEN[-10:], TOKEN[:15]))


def test_a_workspace_shows_its_token_nowhere() -> None:
    workspace = answered(create_workspace("Acme"), 201, WORKSPACE | {"admin_token": "s3cr3t"})
    assert workspace.token == "workspace-token-7"
    shown = f"{workspace!r} {workspace!s} {workspace.as_row()} {workspace.model_dump_json()} {[workspace]}"
    assert "workspace-token-7" not in shown
    assert "s3cr3t" not in shown
    assert workspace.as_row() == {"id": 7, "ext_id": "crm1", "name": "Acme"}


def test_a_create_is_sent_again_only_if_the_server_cannot_have_acted_on_it() -> None:
    assert {endpoint.name: endpoint.resend for endpoint in ENDPOINTS} == {
        "list workspaces": Resend.ALWAYS,
        "create workspace": Resend.IF_UNPROCESSED,
        "disable workspace": Resend.DETECTABLE,
        "list dashboards": Resend.ALWAYS,
        "share dashboard": Resend.ALWAYS,
        "clone dashboard": Resend.IF_UNPROCESSED,
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_path_ends_in_a_slash(endpoint: Endpoint) -> None:
    """What the server does without the slash is not documented."""
    assert endpoint.path.endswith("/")


@pytest.mark.parametrize(("after_ambiguous", "gone"), [(True, True), (False, False)])
def test_a_workspace_that_is_missing_after_an_ambiguous_try_counts_as_disabled(
    after_ambiguous: bool, gone: bool
) -> None:
    call = disable_workspace(7)
    assert isinstance(call, Generator)
    next(call)
    error = NotFoundError("gone", status=404)
    error.after_ambiguous = after_ambiguous
    with pytest.raises(StopIteration if gone else NotFoundError):
        call.throw(error)


def workspace(number: int, ext_id: str | None) -> Workspace:
    return Workspace(id=number, ext_id=ext_id, name=f"w{number}", token=f"t{number}")


def test_of_several_workspaces_with_one_ext_id_the_lowest_id_counts() -> None:
    several = [workspace(9, "a"), workspace(2, None), workspace(4, "a"), workspace(5, "a"), workspace(1, "A")]
    found = workspace_with("a", several)
    assert found is not None
    assert found.id == 4
    assert workspace_with("b", several) is None
    assert workspace_with("None", several) is None
    assert workspace_with("a", []) is None


def drive(*answers: Any) -> tuple[list[str], Any]:
    """Find or create ``a`` with these answers and errors; returns the requests' names, and the result or error."""
    call = find_or_create_workspace("a", "Acme")
    assert isinstance(call, Generator)
    asked: list[str] = []
    request = next(call)
    try:
        for answer in answers:
            asked.append(request.endpoint.name)
            assert request.tenant == "a"
            request = call.throw(answer) if isinstance(answer, ApiError) else call.send(answer)
    except StopIteration as end:
        return asked, end.value
    except ApiError as error:
        return asked, error
    raise AssertionError(f"it asks for more: {request.endpoint.name}")


LIST, CREATE = "list workspaces", "create workspace"


def test_an_existing_workspace_is_found_with_one_call() -> None:
    asked, found = drive([workspace(9, "a"), workspace(4, "a"), workspace(1, None)])
    assert (asked, found) == ([LIST], workspace(4, "a"))


def test_a_missing_workspace_is_created() -> None:
    asked, made = drive([workspace(1, None), workspace(2, "A")], workspace(3, "a"))
    assert (asked, made) == ([LIST, CREATE], workspace(3, "a"))


@pytest.mark.parametrize(
    "error",
    [
        ServerError("500"),
        TransportError("reset"),
        MalformedAnswerError("HTML"),
        InvalidRequestError("taken"),
        AlreadyExistsError("taken"),
    ],
)
def test_after_an_ambiguous_create_the_list_decides(error: ApiError) -> None:
    asked, found = drive([], error, [workspace(5, "a"), workspace(3, "a")])
    assert (asked, found) == ([LIST, CREATE, LIST], workspace(3, "a"))
    asked, failed = drive([], error, [workspace(1, None)])
    assert asked == [LIST, CREATE, LIST]
    assert failed is error


@pytest.mark.parametrize(
    "error", [AuthenticationError("no"), RateLimitedError("slow"), TransportError("never sent", sent=False)]
)
def test_after_a_create_that_made_nothing_the_error_is_raised(error: ApiError) -> None:
    asked, failed = drive([], error)
    assert asked == [LIST, CREATE]
    assert failed is error


def test_the_error_of_a_failed_list_is_raised() -> None:
    first, second = ServerError("first"), ServerError("second")
    assert drive(first) == ([LIST], first)
    assert drive([], TransportError("reset"), second) == ([LIST, CREATE, LIST], second)


@pytest.mark.parametrize("ext_id", [None, "A", ""])
def test_a_new_workspace_with_another_ext_id_is_an_error_that_names_it(ext_id: str | None) -> None:
    call = find_or_create_workspace("a", "Acme")
    assert isinstance(call, Generator)
    next(call)
    error = refused(call.send([]), 201, WORKSPACE | {"ext_id": ext_id})
    assert type(error) is MalformedAnswerError
    assert not error.transient
    assert f"the new workspace 7 has the ext_id {ext_id!r}, not the one that was sent" in str(error)
    assert "workspace-token-7" not in str(error)


def test_the_path_of_another_host_is_kept() -> None:
    server = replace(SERVER, base_url="http://127.0.0.1:8095/proxy/conduit/v2")
    assert server.url(share_url(3)) == "http://127.0.0.1:8095/proxy/conduit/v2/dashboards/3/share/"
