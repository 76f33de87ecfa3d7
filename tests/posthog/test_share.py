"""Sharing that is safe or not at all: what is open to the public at each step, with faults and on older servers."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
import requests

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import (
    ApiError,
    InvalidRequestError,
    MalformedAnswerError,
    NotAllowedError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault, Kind
from airflow_provider_databrain.emulator.posthog import sharing as emulated
from airflow_provider_databrain.emulator.posthog.shares import ShareRow, Shares
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import sharing
from airflow_provider_databrain.posthog.api.endpoint import Steps
from airflow_provider_databrain.posthog.api.models import Sharing
from airflow_provider_databrain.posthog.hook import PostHogHook
from airflow_provider_databrain.posthog.operators.sharing import SharePostHogDashboardOperator
from tests.both_ways import Ask
from tests.exposure import FAULTS
from tests.posthog.operators.support import run
from tests.posthog.support import sent, set_posthog_connection
from tests.support import http_answer, raw_server

PASSWORD = "a long password"
ASKED: list[dict[str, Any]] = [{"password_required": True}, {"password": PASSWORD}]


@pytest.fixture
def older(posthog: Emulator) -> None:
    """A PostHog from before share passwords: it ignores ``password_required`` and does not show it."""
    posthog.control.behaviour = Behaviour(posthog_version="2025-08")


class Page:
    """The public page of a dashboard.

    :param before: how the page is before the test: ``shut``, ``open`` or ``locked`` (it asks for a password).
    """

    def __init__(self, emulator: Emulator, before: str = "shut") -> None:
        self.emulator = emulator
        self.dashboard = emulator.posthog.add_dashboard(name="one")
        if before != "shut":
            self.shares.save(self.dashboard, enabled=True, password_required=before == "locked")
        self.seen: list[str] = []

    @property
    def shares(self) -> Shares:
        return self.emulator.posthog.shares

    def state(self) -> str:
        """What anybody sees at the public URL."""
        share = self.shares.of(self.dashboard)
        if share is None:
            return "shut"
        answer = requests.get(f"{self.emulator.url}/shared/{share.access_token}.json", timeout=5)
        if answer.status_code == 404:
            return "shut"
        return "locked" if answer.json()["type"] == "unlock" else "open"

    def passwords(self) -> int:
        share = self.shares.of(self.dashboard)
        return len(self.shares.passwords(share.id)) if share else 0

    def watch(self, steps: Steps[Any]) -> Generator[Request[Any], Any, Any]:
        """The same steps. After each one, ``seen`` gets what anybody sees."""
        answer: Any = None
        error: ApiError | None = None
        while True:
            try:
                request = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
            try:
                answer, error = (yield request), None
            except ApiError as failed:
                error = failed
            self.seen.append(self.state())


@pytest.mark.parametrize("version", ["2026-01", "2026-07"])
@pytest.mark.parametrize("before", ["shut", "open", "locked"])
@pytest.mark.parametrize("asked", ASKED)
def test_a_page_that_must_ask_for_a_password_is_never_open_without_one(
    posthog: Emulator, before: str, asked: dict[str, Any], version: Any
) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version)
    page = Page(posthog, before)
    shown = PostHogHook().run(page.watch(sharing.share(page.dashboard, enabled=True, **asked)))
    assert (shown.enabled, shown.password_required, page.state()) == (True, True, "locked")
    assert "open" not in page.seen
    assert page.passwords() == ("password" in asked) == len(shown.share_passwords or ())


@pytest.mark.parametrize("required", [None, False])
def test_a_server_without_passwords_shares_with_anybody_if_no_password_is_asked_for(
    posthog: Emulator, ask: Ask, older: None, required: bool | None
) -> None:
    page, hook = Page(posthog), PostHogHook()
    for enabled, state in ((True, "open"), (False, "shut")):
        asked = {"enabled": enabled, "settings": {"whitelabel": True}, "password_required": required}
        shown = ask(hook, "update_sharing", page.dashboard, **asked)
        assert (shown.enabled, shown.settings, page.state()) == (enabled, {"whitelabel": True}, state)
    assert len(sent(posthog)) == 2


@pytest.mark.parametrize("before", ["shut", "open"])
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("enabled", [True, False, None])
def test_a_server_without_passwords_opens_nothing_and_the_error_says_what_to_do(
    posthog: Emulator, ask: Ask, older: None, before: str, asked: dict[str, Any], enabled: bool | None
) -> None:
    page = Page(posthog, before)
    now = "Sharing is switched off now" if before == "open" and enabled is not False else "The dashboard is not shared"
    with pytest.raises(NotAllowedError, match=rf"dashboard '{page.dashboard}'.*{now}\..* update PostHog, or share"):
        ask(PostHogHook(), "update_sharing", page.dashboard, enabled=enabled, **asked)
    assert page.state() == "shut"


@pytest.mark.parametrize("before", ["shut", "open"])
def test_nothing_is_opened_at_any_step_on_a_server_without_passwords(
    posthog: Emulator, older: None, before: str
) -> None:
    page = Page(posthog, before)
    with pytest.raises(NotAllowedError):
        PostHogHook().run(page.watch(sharing.share(page.dashboard, enabled=True, password=PASSWORD)))
    assert page.seen == (["shut"] if before == "shut" else ["open", "shut"])


@pytest.mark.parametrize("before", ["shut", "open"])
@pytest.mark.parametrize("asked", ASKED)
def test_a_plan_without_passwords_opens_nothing(posthog: Emulator, ask: Ask, before: str, asked: Any) -> None:
    page = Page(posthog, before)
    posthog.control.behaviour = Behaviour(advanced_permissions=False)
    with pytest.raises(NotAllowedError, match="requires the Advanced Permissions feature"):
        ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True, **asked)
    assert page.state() == "shut"


def test_a_page_is_closed_although_the_plan_lacks_the_password_that_is_asked_for_too(posthog: Emulator) -> None:
    page = Page(posthog, "open")
    posthog.control.behaviour = Behaviour(advanced_permissions=False)
    with pytest.raises(NotAllowedError, match=r"Sharing is switched off now\..*Advanced Permissions"):
        PostHogHook().update_sharing(page.dashboard, enabled=False, password_required=True)
    assert page.state() == "shut"


@pytest.mark.parametrize("server", ["newer", "older"])
@pytest.mark.parametrize("before", ["shut", "open", "locked"])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_fault_at_any_step_leaves_no_page_open_that_must_ask_for_a_password(
    posthog: Emulator, request: pytest.FixtureRequest, kind: Kind, before: str, server: str, step: int
) -> None:
    if server == "older":
        request.getfixturevalue("older")
        before = "open" if before == "locked" else before
    page = Page(posthog, before)
    posthog.control.set_faults([Fault(kind=kind, path="/sharing/", every=step, times=1)])
    error: ApiError | None = None
    try:
        PostHogHook(max_retry_seconds=0).run(page.watch(sharing.share(page.dashboard, enabled=True, password=PASSWORD)))
    except ApiError as failed:
        error = failed
    end = page.state()
    if error is None:
        assert (end, page.passwords(), server) == ("locked", 1, "newer")
    elif before == "shut":
        assert (end, page.passwords()) == ("shut", 0)
    else:
        # A page that is open before the first step stays open only if the call that should close it fails too.
        assert end != "open" or "The page may be open: sharing could not be switched off" in str(error)
        assert end != "shut" or before == "open"
    assert "open" not in page.seen or before == "open"


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_no_change_opens_a_page_that_must_ask_for_a_password(
    posthog: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch, kind: Kind, step: int
) -> None:
    page = Page(posthog)
    states: list[tuple[bool, bool]] = []
    save = Shares.save

    def watched(self: Shares, dashboard: int, **changes: Any) -> ShareRow:
        row = save(self, dashboard, **changes)
        states.append((row.enabled, row.password_required))
        return row

    monkeypatch.setattr(Shares, "save", watched)
    posthog.control.set_faults([Fault(kind=kind, path="/sharing/", every=step, times=1)])
    with suppress(ApiError):
        ask(PostHogHook(max_retry_seconds=0), "update_sharing", page.dashboard, enabled=True, password=PASSWORD)
    assert (True, False) not in states
    assert page.state() in ("shut", "locked")


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_stays_is_named_with_what_may_be_open(posthog: Emulator, ask: Ask, kind: Kind) -> None:
    page = Page(posthog, "open")
    posthog.control.set_faults([Fault(kind=kind, path="/sharing/")])
    shown = rf"dashboard '{page.dashboard}'.*If the dashboard was shared before, its page may be open"
    with pytest.raises(ApiError, match=shown):
        ask(PostHogHook(max_retry_seconds=0), "update_sharing", page.dashboard, enabled=True, password_required=True)


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut", "html", "wrong"])
def test_a_lost_answer_is_replaced_by_a_look(posthog: Emulator, ask: Ask, kind: Kind) -> None:
    page = Page(posthog)
    posthog.control.set_faults([Fault(kind=kind, path="/sharing/$", method="PATCH")])
    hook = PostHogHook(max_retry_seconds=0)
    for enabled, state in ((True, "open"), (False, "shut")):
        settings = {"legend": enabled, "noHeader": False}
        shown = ask(hook, "update_sharing", page.dashboard, enabled=enabled, settings=settings)
        assert (shown.enabled, page.state()) == (enabled, state)
    path = f"dashboards/{page.dashboard}/sharing/"
    assert sent(posthog) == [f"PATCH {path}", f"GET {path}"] * 2


def test_a_lost_change_is_not_taken_for_done(posthog: Emulator, ask: Ask) -> None:
    page = Page(posthog, "open")
    posthog.control.set_faults([Fault(kind="error_before", path="/sharing/$", method="PATCH")])
    with pytest.raises(ServerError, match="A server error occurred"):
        ask(PostHogHook(max_retry_seconds=0), "update_sharing", page.dashboard, enabled=True, settings={"legend": True})
    # It was open before, without a password, and nobody asked for one.
    assert page.state() == "open"


def test_a_failed_change_does_not_keep_a_page_open_that_must_be_closed(posthog: Emulator, ask: Ask) -> None:
    page, hook = Page(posthog, "open"), PostHogHook(max_retry_seconds=0)
    posthog.control.set_faults([Fault(kind="too_many", path="/sharing/$", method="PATCH", times=1)])
    with pytest.raises(RateLimitedError, match="Sharing is switched off now"):
        ask(hook, "update_sharing", page.dashboard, enabled=False, settings={"legend": True})
    assert page.state() == "shut"


@pytest.mark.parametrize("before", ["shut", "open"])
def test_a_page_that_would_show_more_than_asked_is_closed(posthog: Emulator, ask: Ask, before: str) -> None:
    page = Page(posthog, before)
    settings = {"legend": True, "extra": {"hideEverything": True}}
    with pytest.raises(InvalidRequestError, match=r"Sharing is switched off now\..*did not keep the settings hideEver"):
        ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True, settings=settings)
    assert page.state() == "shut"


def test_a_page_that_shows_more_than_asked_is_closed_although_the_answer_was_lost(posthog: Emulator, ask: Ask) -> None:
    page, hook = Page(posthog), PostHogHook(max_retry_seconds=0)
    posthog.control.set_faults([Fault(kind="cut", path="/sharing/$", method="PATCH", times=1)])
    with pytest.raises(MalformedAnswerError, match="Sharing is switched off now"):
        ask(hook, "update_sharing", page.dashboard, enabled=True, settings={"extra": {"hideEverything": True}})
    assert page.state() == "shut"


@pytest.mark.parametrize("name", ["hide_extra_details", "no_header", "detailed", "show_inspector"])
def test_a_setting_that_hides_must_be_kept_and_one_that_shows_need_not(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr(emulated, "SETTINGS", ("legend",))
    page = Page(posthog)
    hides = name in ("hide_extra_details", "no_header")
    asked: dict[str, Any] = {"enabled": True, "settings": {name: True}}
    if hides:
        with pytest.raises(InvalidRequestError, match="would show more than was asked"):
            PostHogHook().update_sharing(page.dashboard, **asked)
    else:
        PostHogHook().update_sharing(page.dashboard, **asked)
    assert page.state() == ("shut" if hides else "open")
    assert ("did not keep the sharing setting" in caplog.text) is not hides
    PostHogHook().update_sharing(page.dashboard, enabled=True, settings={name: False})
    assert page.state() == "open"


def test_an_unknown_theme_is_a_warning(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(emulated, "SETTINGS", ("legend",))
    page = Page(posthog)
    PostHogHook().update_sharing(page.dashboard, enabled=True, settings={"theme": "dark", "legend": True})
    assert page.state() == "open"
    assert f"dashboard {page.dashboard}: PostHog did not keep the sharing setting theme" in caplog.text


def test_a_page_that_asks_for_a_password_already_goes_on_doing_so(posthog: Emulator, ask: Ask) -> None:
    page = Page(posthog, "locked")
    assert ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True).password_required is True
    assert page.state() == "locked"
    assert len(sent(posthog)) == 1
    ask(PostHogHook(), "update_sharing", page.dashboard, password_required=False)
    assert page.state() == "open"


def shared_answer(**fields: Any) -> bytes:
    """PostHog's answer about a configuration."""
    saved = {"created_at": "2026-01-01T00:00:00Z", "access_token": "t", "settings": None}
    return http_answer(200, json.dumps({**saved, **fields}).encode())


@pytest.mark.parametrize(
    ("asked", "answered", "shown"),
    [
        ({"enabled": True}, {"enabled": False}, "PostHog answered 200, but the dashboard is not shared"),
        ({"enabled": False}, {"enabled": True}, "The page may be open.*the dashboard is still shared"),
        ({"password_required": False}, {"enabled": True, "password_required": True}, "still asks for a password"),
    ],
)
def test_an_answer_that_is_not_as_asked_is_an_error(
    posthog: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch, asked: Any, answered: Any, shown: str
) -> None:
    with raw_server(shared_answer(**answered)) as (url, _):
        set_posthog_connection(monkeypatch, posthog, host=url)
        with pytest.raises(NotAllowedError, match=rf"update sharing \(dashboard '7'\) failed: .*{shown}"):
            ask(PostHogHook(), "update_sharing", 7, **asked)


def test_public_sharing_that_the_organization_forbids_leaves_nothing_open(
    posthog: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    detail = "Public sharing is disabled for this organization."
    refusal = {"type": "authentication_error", "code": "permission_denied", "detail": detail, "attr": None}
    locked = shared_answer(enabled=False, password_required=True, share_passwords=[])
    added = http_answer(201, json.dumps({"id": 5, "password": PASSWORD, "note": ""}).encode())
    refused, deleted = http_answer(403, json.dumps(refusal).encode()), http_answer(204, b"")
    with raw_server(locked, added, refused, locked, deleted) as (url, received):
        set_posthog_connection(monkeypatch, posthog, host=url)
        with pytest.raises(NotAllowedError, match=f"The dashboard is not shared. {detail}$"):
            ask(PostHogHook(), "update_sharing", 7, enabled=True, password=PASSWORD)
    assert [line.split(b" ")[0] for line in received] == [b"PATCH", b"POST", b"PATCH", b"GET", b"DELETE"]
    assert b"/sharing/passwords/5/ " in received[-1]


def test_a_password_that_cannot_be_taken_back_is_named(
    posthog: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = shared_answer(enabled=False, password_required=True, share_passwords=[])
    added = http_answer(201, json.dumps({"id": 5, "password": PASSWORD, "note": ""}).encode())
    busy = http_answer(429, b"")
    with raw_server(locked, added, busy) as (url, _):
        set_posthog_connection(monkeypatch, posthog, host=url)
        hook = PostHogHook(max_retry_seconds=0)
        with pytest.raises(RateLimitedError, match=r"The page may be open.*. Password 5 was added and could not be"):
            ask(hook, "update_sharing", 7, enabled=True, password=PASSWORD)


def test_a_server_without_passwords_says_so_when_one_is_created(posthog: Emulator, ask: Ask, older: None) -> None:
    shown = (
        r"create share password \(dashboard '1'\) failed \[HTTP 404, ENDPOINT_NOT_FOUND\]: this PostHog has no.* update"
    )
    with pytest.raises(NotAllowedError, match=shown):
        ask(PostHogHook(), "create_share_password", Page(posthog).dashboard)


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut"])
def test_a_lost_answer_about_a_password(posthog: Emulator, ask: Ask, kind: Kind) -> None:
    page = Page(posthog, "locked")
    posthog.control.set_faults([Fault(kind=kind, path="/passwords/")])
    with pytest.raises(ApiError, match=r"The password may exist.*delete it with delete_share_password"):
        ask(PostHogHook(), "create_share_password", page.dashboard)
    # The value was given, so it is known, although the answer is lost.
    ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True, password=PASSWORD, note="for Acme")
    assert page.passwords() == 2
    assert page.state() == "locked"


@pytest.mark.parametrize("password", ["", "short"])
def test_a_password_that_is_too_short_opens_nothing(posthog: Emulator, ask: Ask, password: str) -> None:
    page = Page(posthog)
    with pytest.raises(ValueError, match="fewer than 8 characters"):
        ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True, password=password)
    assert sent(posthog) == []


@pytest.mark.parametrize("options", ASKED)
def test_the_operator_fails_on_a_server_without_passwords(posthog: Emulator, older: None, options: Any) -> None:
    page = Page(posthog)
    with pytest.raises(NotAllowedError, match=r"The dashboard is not shared\. PostHog ignored password_required"):
        run(SharePostHogDashboardOperator, dashboard_id=page.dashboard, **options)
    assert page.state() == "shut"


def test_a_retry_of_the_operator_adds_no_second_password_if_the_page_could_not_be_opened(posthog: Emulator) -> None:
    page = Page(posthog)
    posthog.control.set_faults([Fault(kind="error_before", path="/sharing/$", method="PATCH", every=2, times=1)])
    with pytest.raises(ServerError):
        run(SharePostHogDashboardOperator, dashboard_id=page.dashboard, password=PASSWORD)
    assert (page.state(), page.passwords()) == ("shut", 0)
    run(SharePostHogDashboardOperator, dashboard_id=page.dashboard, password=PASSWORD)
    assert (page.state(), page.passwords()) == ("locked", 1)


def test_a_page_that_is_shut_may_get_a_password_for_later(posthog: Emulator, ask: Ask) -> None:
    page = Page(posthog)
    shown = ask(PostHogHook(), "update_sharing", page.dashboard, enabled=False, password=PASSWORD)
    assert (shown.enabled, shown.password_required, page.passwords()) == (False, True, 1)
    ask(PostHogHook(), "update_sharing", page.dashboard, enabled=True)
    assert page.state() == "locked"


@pytest.mark.parametrize(("asked", "state"), [({"enabled": False}, "shut"), ({"password_required": True}, "locked")])
def test_the_old_url_stays_open_for_a_time_after_a_refresh(posthog: Emulator, asked: Any, state: str) -> None:
    page = Page(posthog, "open")
    hook = PostHogHook()
    old = hook.public_url(page.dashboard)
    hook.refresh_sharing(page.dashboard)
    hook.update_sharing(page.dashboard, **asked)
    assert page.state() == state
    assert requests.get(f"{old}.json", timeout=5).json()["type"] == "scene"


def test_two_answers_about_two_pages_are_not_believed() -> None:
    call = sharing.share(4, enabled=True, password_required=True)
    answer = {"enabled": False, "created_at": "2026-01-01T00:00:00Z", "password_required": True}
    next(call)
    call.send(Sharing.model_validate({**answer, "access_token": "one"}))
    # The page must not stay open, so it is switched off.
    off = call.send(Sharing.model_validate({**answer, "access_token": "two", "enabled": True}))
    assert off.endpoint.name == "update sharing"
    assert json.loads(off.body or b"") == {"enabled": False}
    with pytest.raises(MalformedAnswerError, match="two answers show two pages"):
        call.send(Sharing.model_validate({**answer, "access_token": "one"}))
