"""Conduit's hook, sync and async, against the emulator."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.conduit import hook as module
from airflow_provider_databrain.conduit.api import Dashboard
from airflow_provider_databrain.conduit.hook import ConduitHook
from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Fault
from tests.airflow_names import redact
from tests.both_ways import Ask, ask_async, ask_sync
from tests.conduit.support import BEHAVIOURS, TOKEN, Conduit, set_conduit_connection
from tests.support import ODD_IDS, http_answer, raw_server

pytestmark = pytest.mark.usefixtures("fast_retries")


@BEHAVIOURS
def test_every_operation_works(ask: Ask, conduit: Conduit, behaviour: ConduitBehaviour) -> None:
    conduit.state.behaviour = behaviour
    hook = ConduitHook()
    made = ask(hook, "create_workspace", "Acme", "crm1")
    plain = ask(hook, "create_workspace", "Other")
    assert (made.id, made.ext_id, made.name, plain.id, plain.ext_id) == (1, "crm1", "Acme", 2, None)
    assert [row.token for row in conduit.state.workspaces()] == [made.token, plain.token]
    assert ask(hook, "list_workspaces") == [made, plain]
    assert [(each.id, each.name) for each in ask(hook, "list_dashboards")] == [(1, "Sales")]
    clone = ask(hook, "clone_dashboard", 1, 1)
    named = ask(hook, "clone_dashboard", 1, 1, name="Acme's")
    assert (clone.id, clone.name, named.id, named.name) == (2, "Sales", 3, "Acme's")
    assert [(each.id, each.name) for each in ask(hook, "list_dashboards", 1)] == [(2, "Sales"), (3, "Acme's")]
    assert ask(hook, "list_dashboards", workspace_id=2) == []
    assert ask(hook, "share_url", 2, 1) == clone.url
    assert ask(hook, "share_url", 1) == conduit.state.dashboards()[0].url
    assert ask(hook, "disable_workspace", 1) is None
    assert ask(hook, "list_workspaces") == [plain]


def test_a_workspace_is_found_or_created(ask: Ask, conduit: Conduit) -> None:
    conduit.state.add_workspace("no ext_id")
    made = ask(ConduitHook(), "find_or_create_workspace", "crm1", "Acme")
    assert (made.id, made.ext_id, made.name) == (2, "crm1", "Acme")
    assert ask(ConduitHook(), "find_or_create_workspace", "crm1", "Another name") == made
    assert conduit.calls == ["2 GET /workspaces/", "1 POST /workspaces/"]


@pytest.mark.parametrize("unique", [False, True])
def test_every_odd_ext_id_is_found_again(ask: Ask, conduit: Conduit, unique: bool) -> None:
    conduit.state.behaviour = ConduitBehaviour(unique_ext_id=unique)
    hook = ConduitHook()
    ids = [ask(hook, "find_or_create_workspace", ext_id, "Acme").id for ext_id in ODD_IDS]
    assert [ask(hook, "find_or_create_workspace", ext_id, "Acme").id for ext_id in ODD_IDS] == ids
    assert [row.ext_id for row in conduit.state.workspaces()] == ODD_IDS


def test_the_older_of_two_workspaces_with_one_ext_id_is_used(ask: Ask, conduit: Conduit) -> None:
    conduit.state.add_workspace("no ext_id")
    first = conduit.state.add_workspace("first", "crm1")
    conduit.state.add_workspace("second", "crm1")
    assert ask(ConduitHook(), "find_or_create_workspace", "crm1", "Acme").id == first
    assert len(conduit.state.workspaces()) == 3


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut", "wrong"])
def test_a_create_whose_answer_is_lost_is_not_sent_twice(ask: Ask, conduit: Conduit, kind: Any) -> None:
    conduit.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    found = ask(ConduitHook(), "find_or_create_workspace", "crm1", "Acme")
    assert [(row.id, row.ext_id) for row in conduit.state.workspaces()] == [(found.id, "crm1")]
    assert conduit.calls == ["2 GET /workspaces/", "1 POST /workspaces/"]


@pytest.mark.parametrize(("kind", "error"), [("error_before", ServerError), ("reset_before", TransportError)])
def test_an_ambiguous_create_that_made_nothing_is_an_error(
    ask: Ask, conduit: Conduit, kind: Any, error: type[ApiError]
) -> None:
    conduit.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    with pytest.raises(error) as caught:
        ask(ConduitHook(), "find_or_create_workspace", "crm1", "Acme")
    assert caught.value.ambiguous
    assert "create workspace for tenant 'crm1' failed" in str(caught.value)
    assert conduit.state.workspaces() == []
    assert conduit.calls == ["2 GET /workspaces/", "1 POST /workspaces/"]


def test_a_create_that_the_rate_limit_refused_is_sent_again(ask: Ask, conduit: Conduit) -> None:
    conduit.control.set_faults([Fault(kind="too_many", times=2, seconds=0.01)])
    assert ask(ConduitHook(), "create_workspace", "Acme").id == 1
    assert conduit.calls == ["3 POST /workspaces/"]


def test_a_lost_race_for_a_unique_ext_id_returns_the_other_callers_workspace(
    ask: Ask, conduit: Conduit, monkeypatch: pytest.MonkeyPatch
) -> None:
    conduit.state.behaviour = ConduitBehaviour(unique_ext_id=True)
    others = conduit.state.add_workspace("other's", "crm1")
    there = conduit.state.workspaces()
    answers = iter([[], there])  # The first list does not have it yet.
    monkeypatch.setattr(conduit.state, "workspaces", lambda: next(answers))
    assert ask(ConduitHook(), "find_or_create_workspace", "crm1", "Acme").id == others
    assert conduit.calls == ["2 GET /workspaces/", "1 POST /workspaces/"]


@pytest.mark.parametrize("method", ["create_workspace", "clone_dashboard"])
def test_a_create_that_may_have_succeeded_is_not_sent_again(ask: Ask, conduit: Conduit, method: str) -> None:
    workspace = conduit.state.add_workspace("Acme")
    conduit.control.set_faults([Fault(kind="error_after", method="POST")])
    with pytest.raises(ServerError):
        ask(ConduitHook(), method, *(("B",) if method == "create_workspace" else (1, workspace)))
    assert len(conduit.state.workspaces()) + len(conduit.state.dashboards(workspace)) == 2


@pytest.mark.parametrize("kind", ["error_before", "reset_after", "html", "cut", "wrong"])
def test_a_call_that_changes_nothing_is_sent_again(ask: Ask, conduit: Conduit, kind: Any) -> None:
    hook = ConduitHook()
    [sales] = conduit.state.dashboards()
    for method, args, expected in (
        ("list_workspaces", (), []),
        ("list_dashboards", (), [Dashboard(id=sales.id, name="Sales")]),
        ("share_url", (sales.id,), sales.url),
    ):
        conduit.control.set_faults([Fault(kind=kind, times=2)])
        assert ask(hook, method, *args) == expected
    assert conduit.calls == ["3 GET /workspaces/", "3 GET /dashboards/", "3 GET /dashboards/1/share/"]


@pytest.mark.parametrize("kind", ["error_before", "error_after", "reset_after", "html", "cut"])
def test_a_workspace_is_disabled_even_if_the_answer_is_lost(ask: Ask, conduit: Conduit, kind: Any) -> None:
    workspace = conduit.state.add_workspace("Acme")
    conduit.control.set_faults([Fault(kind=kind, times=1)])
    assert ask(ConduitHook(), "disable_workspace", workspace) is None
    assert conduit.state.workspaces() == []
    assert conduit.calls == ["2 DELETE /workspaces/1/"]


def test_a_workspace_that_never_existed_cannot_be_disabled(ask: Ask, conduit: Conduit) -> None:
    with pytest.raises(NotFoundError, match="disable workspace for tenant '7' failed"):
        ask(ConduitHook(), "disable_workspace", 7)


def test_one_list_call_fetches_the_tokens_of_all_workspaces(conduit: Conduit) -> None:
    workspaces = [conduit.state.add_workspace(f"w{number}") for number in range(3)]
    hook = ConduitHook()
    assert [hook.list_dashboards(workspace) for workspace in workspaces] == [[], [], []]
    assert conduit.calls == ["1 GET /workspaces/", "3 GET /dashboards/"]


def test_an_unknown_workspace_is_looked_up_once(ask: Ask, conduit: Conduit) -> None:
    hook = ConduitHook()
    assert ask(hook, "list_workspaces") == []
    workspace = conduit.state.add_workspace("later")
    assert ask(hook, "list_dashboards", workspace) == []
    assert conduit.calls == ["2 GET /workspaces/", "1 GET /dashboards/"]
    with pytest.raises(NotFoundError, match="list workspaces failed: the organization has no workspace 99"):
        ask(hook, "list_dashboards", 99)
    with pytest.raises(NotFoundError, match="has no workspace 99, or it is disabled"):
        ask(hook, "share_url", 1, 99)
    assert conduit.calls == ["4 GET /workspaces/", "1 GET /dashboards/"]


@pytest.mark.parametrize("create", ["create_workspace", "find_or_create_workspace"])
def test_the_token_of_a_workspace_created_by_the_hook_is_remembered(ask: Ask, conduit: Conduit, create: str) -> None:
    hook = ConduitHook()
    args = ("Acme", "crm1") if create == "create_workspace" else ("crm1", "Acme")
    made = ask(hook, create, *args)
    before = conduit.control.arrived["GET", "/v2/workspaces/"]
    assert ask(hook, "workspace_token", made.id) == made.token
    assert conduit.control.arrived["GET", "/v2/workspaces/"] == before
    ask(hook, "disable_workspace", made.id)
    with pytest.raises(NotFoundError):
        ask(hook, "workspace_token", made.id)


@pytest.mark.parametrize("number", [True, 0, "1"])
def test_an_invalid_workspace_id_is_never_sent(ask: Ask, conduit: Conduit, number: Any) -> None:
    conduit.state.add_workspace("Acme")
    for method, *args in (("list_dashboards",), ("share_url", 1), ("clone_dashboard", 1), ("disable_workspace",)):
        with pytest.raises(ValueError, match=r"workspace_id is .*a whole number above 0"):
            ask(ConduitHook(), method, *args, number)
    assert conduit.calls == []


def test_a_dashboard_of_another_workspace_is_not_found(ask: Ask, conduit: Conduit) -> None:
    workspace = conduit.state.add_workspace("Acme")
    with pytest.raises(
        NotFoundError, match=r"share dashboard \(dashboard '1'\) failed \[HTTP 404, not_found\]: Not found"
    ):
        ask(ConduitHook(), "share_url", 1, workspace)


def test_the_error_says_what_must_be_set_up(ask: Ask, conduit: Conduit) -> None:
    workspace = conduit.state.add_workspace("Acme")
    conduit.state.behaviour = ConduitBehaviour(has_company_name=False, has_white_label=False)
    for method, *args in (("list_workspaces",), ("find_or_create_workspace", "a", "A"), ("disable_workspace", 1)):
        with pytest.raises(InvalidRequestError, match=r"company_name_missing.*'Your company name' in Conduit"):
            ask(ConduitHook(), method, *args)
    with pytest.raises(InvalidRequestError, match=r"white_label_missing.*white-label in Conduit"):
        ask(ConduitHook(), "clone_dashboard", 1, workspace)


def test_the_error_explains_a_workspace_token_in_the_connection(
    ask: Ask, conduit: Conduit, monkeypatch: pytest.MonkeyPatch
) -> None:
    conduit.state.add_workspace("Acme")
    [row] = conduit.state.workspaces()
    set_conduit_connection(monkeypatch, host=conduit.url, password=row.token)
    with pytest.raises(AuthenticationError, match="It needs the organization's token") as caught:
        ask(ConduitHook(), "list_workspaces")
    assert row.token not in str(caught.value)


def test_a_missing_token_is_a_configuration_error(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    set_conduit_connection(monkeypatch, password=None)
    with pytest.raises(ConfigurationError, match=r"has no organization token.*fill Password"):
        ask(ConduitHook(), "list_workspaces")


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.getconduit.app/v2"),
        ({"host": "conduit.example/v2/"}, "https://conduit.example/v2"),
        ({"host": "http://127.0.0.1/proxy/v2", "port": 8095}, "http://127.0.0.1:8095/proxy/v2"),
    ],
)
def test_the_host_may_have_a_prefix(monkeypatch: pytest.MonkeyPatch, fields: Any, url: str) -> None:
    set_conduit_connection(monkeypatch, **fields)
    assert ConduitHook().server.base_url == url


def test_only_the_common_extras_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    set_conduit_connection(monkeypatch, extra={"read_timeout": 5})
    assert ConduitHook().server.read_timeout == 5
    assert ConduitHook(read_timeout=7).server.read_timeout == 7
    set_conduit_connection(monkeypatch, extra={"service_token": "s3cr3t"})
    with pytest.raises(ConfigurationError, match="service_token: Extra inputs are not permitted") as caught:
        _ = ConduitHook().server
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "method", ["list_workspaces", "create_workspace", "find_or_create_workspace", "workspace_token"]
)
def test_the_token_of_a_workspace_is_masked_in_logs(ask: Ask, conduit: Conduit, method: str) -> None:
    workspace = conduit.state.add_workspace("Acme", "crm1")
    args: dict[str, tuple[Any, ...]] = {
        "create_workspace": ("Acme",),
        "find_or_create_workspace": ("crm1", "Acme"),
        "workspace_token": (workspace,),
    }
    ask(ConduitHook(), method, *args.get(method, ()))
    token = conduit.state.workspaces()[-1].token
    assert redact(f"with {token}, {TOKEN}") == "with ***, ***"


def test_a_token_of_a_long_list_is_masked_when_it_is_used(
    ask: Ask, conduit: Conduit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MASKED_AT_ONCE", 2)
    for number in range(3):
        conduit.state.add_workspace(f"w{number}")
    tokens = [row.token for row in conduit.state.workspaces()]
    hook = ConduitHook()
    shown = str(ask(hook, "list_workspaces"))
    assert not any(token in shown for token in tokens)
    assert redact(tokens[1]) == tokens[1]
    assert ask(hook, "workspace_token", 2) == tokens[1]
    assert redact(f"with {tokens[1]}") == "with ***"


OWN = "workspace-s3cr3t-0123456789"
LISTED = f'[{{"id": 1, "ext_id": null, "name": "a", "token": "{OWN}"}}]'.encode()
ECHO = f'{{"code": "{OWN}", "message": "{OWN} {TOKEN}"}}'.encode()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([http_answer(200, LISTED), http_answer(500, ECHO)], "share dashboard (dashboard '1') failed [HTTP 500, ***]"),
        ([http_answer(200, LISTED[:-4])], "list workspaces failed [HTTP 200]: the answer is not JSON"),
        ([http_answer(200, LISTED.replace(b'"a"', b"[]"))], "list workspaces failed [HTTP 200]: unexpected answer"),
    ],
    ids=["echo", "cut", "wrong"],
)
def test_no_token_gets_into_an_error_or_a_log(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answers: list[bytes], words: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with raw_server(*answers) as (url, met):
        set_conduit_connection(monkeypatch, host=url)
        hook = ConduitHook(max_retry_seconds=0.05)
        with pytest.raises(ApiError) as caught:
            ask(hook, "share_url", 1, 1)
    assert words in str(caught.value)
    assert "next try in" in caplog.text
    assert f"Bearer {TOKEN}".encode() in met[0]
    assert len(answers) == 1 or f"Bearer {OWN}".encode() in met[-1]
    shown = f"{caught.value!s} {caught.value!r} {vars(caught.value)} {hook!r} {caplog.text}"
    assert not any(secret in shown for secret in (OWN, TOKEN))


def test_errors_are_the_same_sync_and_async(conduit: Conduit) -> None:
    conduit.control.set_faults([Fault(kind="wrong")])
    texts = []
    for chosen in (ask_sync, ask_async):
        with pytest.raises(MalformedAnswerError) as caught:
            chosen(ConduitHook(max_retry_seconds=0), "list_workspaces")
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert "list workspaces failed [HTTP 200]: unexpected answer: body: Input should be a valid list" in texts[0]


def test_the_error_has_the_servers_retry_after(ask: Ask, conduit: Conduit) -> None:
    conduit.control.set_faults([Fault(kind="too_many", seconds=7)])
    with pytest.raises(RateLimitedError) as caught:
        ask(ConduitHook(max_retry_seconds=0), "list_dashboards")
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("fields", "works", "words"),
    [
        ({}, True, "organization token: works"),
        (
            {"password": "wrong-token"},
            False,
            "organization token: list dashboards failed [HTTP 401, invalid_token]: Invalid token",
        ),
        ({"password": ""}, False, "organization token: Connection 'conduit_default' has no organization token"),
        ({"extra": {"typo": 1}}, False, "typo: Extra inputs are not permitted"),
        ({"host": "ftp://x"}, False, "host that is not a server address"),
    ],
)
def test_the_test_button_says_whether_the_token_works(
    conduit: Conduit, monkeypatch: pytest.MonkeyPatch, fields: Any, works: bool, words: str
) -> None:
    set_conduit_connection(monkeypatch, **{"host": conduit.url, **fields})
    verdict, text = ConduitHook().test_connection()
    assert verdict is works
    assert words in text
    assert "wrong-token" not in text


def test_the_test_button_hints_at_a_host_without_the_version(conduit: Conduit, monkeypatch: pytest.MonkeyPatch) -> None:
    set_conduit_connection(monkeypatch, host=conduit.url.removesuffix("/v2"))
    verdict, text = ConduitHook().test_connection()
    assert not verdict
    assert text.endswith(
        "(application/json). Host must include the API's version, as in https://api.getconduit.app/v2."
    )


def test_the_test_button_sends_one_request(conduit: Conduit) -> None:
    hook = ConduitHook()
    hook.list_dashboards()
    conduit.control.set_faults([Fault(kind="error_before")])
    verdict, text = hook.test_connection()
    assert not verdict
    assert "Internal server error" in text
    assert conduit.calls == ["2 GET /dashboards/"]
