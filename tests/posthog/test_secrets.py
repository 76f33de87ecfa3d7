"""PostHog's keys, share passwords, access tokens and public URLs are shown only if a caller requests them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.hook import PostHogHook
from airflow_provider_databrain.posthog.operators.dashboards import CreatePostHogDashboardOperator
from airflow_provider_databrain.posthog.operators.sharing import (
    RefreshPostHogSharingOperator,
    SharePostHogDashboardOperator,
)
from airflow_provider_databrain.posthog.operators.tenants import ProvisionPostHogDashboardsOperator
from airflow_provider_databrain.posthog.sensors import PostHogDashboardRefreshedSensor
from tests.exposure import Exposed
from tests.posthog.support import sent, set_posthog_connection
from tests.support import http_answer, make_warehouse, raw_server
from tests.tenants.operators.test_provision import TABLE, TaskInstance

PASSWORD = "s3cr3t-share-password"
TOKEN = "s3cr3t-access-token"


@pytest.fixture
def exposed(posthog: Emulator, exposed: Exposed) -> Exposed:
    """With the secrets that every case has."""
    exposed.secrets += [posthog.posthog_key, PASSWORD, TOKEN]
    return exposed


def shared(emulator: Emulator, exposed: Exposed) -> int:
    """A shared dashboard with a known token."""
    number = emulator.posthog.add_dashboard(name="one")
    share = emulator.posthog.shares.save(number, enabled=True, password_required=True)
    exposed.secrets.append(share.access_token)
    return number


def note_tokens(emulator: Emulator, exposed: Exposed) -> None:
    """Add every access token that exists now to the secrets."""
    rows = [emulator.posthog.shares.of(row.id) for row in emulator.posthog.dashboards()]
    exposed.secrets += [row.access_token for row in rows if row is not None]


def hook_methods(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Every sharing method of the hook."""
    number, hook = shared(emulator, exposed), PostHogHook()
    password = hook.create_share_password(number, raw_password=PASSWORD)
    made = hook.create_share_password(number)
    exposed.secrets.append(made.password)
    refreshed = hook.refresh_sharing(number)
    exposed.show(password, made, refreshed, hook.get_sharing(number), hook.update_sharing(number, enabled=True))
    exposed.show(hook, hook.server, hook.extras, hook.test_connection())
    note_tokens(emulator, exposed)


def share_operators(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The sharing operators with their defaults."""
    number, password = shared(emulator, exposed), token_hex(12)
    exposed.secrets.append(password)
    for operator in (
        SharePostHogDashboardOperator(task_id="t", dashboard_id=number, password=password),
        RefreshPostHogSharingOperator(task_id="t", dashboard_id=number),
        CreatePostHogDashboardOperator(task_id="t", name="x"),
    ):
        assert exposed.task(operator, TaskInstance()) is None
    note_tokens(emulator, exposed)


def errors(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Each kind of failure of each call that handles secrets."""
    number, hook = shared(emulator, exposed), PostHogHook(max_retry_seconds=0)
    acts: list[Callable[[], Any]] = [
        lambda: hook.get_sharing(number),
        lambda: hook.update_sharing(number, enabled=True),
        lambda: hook.refresh_sharing(number),
        lambda: hook.create_share_password(number, raw_password=PASSWORD),
        lambda: SharePostHogDashboardOperator(
            task_id="t", dashboard_id=number, password=PASSWORD, max_retry_seconds=0
        ).execute({}),
    ]
    kinds: list[Any] = ["error_before", "reset_before", "reset_midway", "html", "cut", "wrong", "too_many"]
    for kind in kinds:
        emulator.control.set_faults([Fault(kind=kind)])
        for act in acts:
            exposed.fails(act)
    emulator.control.set_faults([])
    emulator.control.behaviour = Behaviour(advanced_permissions=False)
    exposed.fails(acts[-1])
    emulator.control.behaviour = Behaviour()
    # Failures after the first step, and of what closes the page again.
    for method, path in (("POST", "/passwords/$"), ("PATCH", "/sharing/$"), ("DELETE", "/passwords/"), ("GET", "")):
        for kind in kinds:
            emulator.posthog.shares.save(number, enabled=False)
            emulator.control.set_faults([Fault(kind=kind, method=method, path=path, every=1 + (method == "PATCH"))])
            exposed.tries(acts[-1])
    emulator.control.set_faults([])
    emulator.posthog_keys.clear()
    for act in acts:
        exposed.fails(act)
    note_tokens(emulator, exposed)


def echoes(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A server or a proxy that repeats what it received, or answers in an unknown shape."""
    key = emulator.posthog_key
    sharing = {"enabled": True, "created_at": "2026-01-01T00:00:00Z", "access_token": TOKEN}
    detail = {"type": "authentication_error", "code": key, "detail": f"no such key: {key}", "attr": None}
    answers = [
        http_answer(401, json.dumps(detail).encode()),
        http_answer(502, f"<html>Bearer {key}".encode(), "text/html"),
        http_answer(302, b"", Location=f"https://elsewhere.example/?key={key}"),
        http_answer(200, f"<html>{TOKEN}".encode(), "text/html"),
        http_answer(200, json.dumps({**sharing, "share_passwords": TOKEN}).encode()),
        http_answer(200, json.dumps(sharing).encode()[:-5]),
    ]
    for answer in answers:
        with raw_server(answer) as (url, _):
            set_posthog_connection(monkeypatch, emulator, host=url)
            exposed.fails(lambda: PostHogHook(max_retry_seconds=0).get_sharing(1))
    locked = http_answer(200, json.dumps({**sharing, "password_required": True}).encode())
    opened = http_answer(200, json.dumps(sharing).encode())
    refusal = {"type": "validation_error", "code": "min_length", "detail": f"{PASSWORD} is weak", "attr": PASSWORD}
    refused = http_answer(400, json.dumps(refusal).encode())
    for one in ((opened, opened), (locked, refused), (locked, refused, opened)):
        with raw_server(*one) as (url, _):
            set_posthog_connection(monkeypatch, emulator, host=url)
            exposed.fails(lambda: PostHogHook().update_sharing(1, enabled=True, password=PASSWORD))
    password = {"id": "?", "password": PASSWORD}
    for body in (json.dumps(password), json.dumps(password)[:-3]):
        with raw_server(http_answer(201, body.encode())) as (url, _):
            set_posthog_connection(monkeypatch, emulator, host=url)
            exposed.fails(lambda: PostHogHook().create_share_password(1))


def stream_echoes(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A stream whose error repeats the key."""
    event = {"type": "error", "error": f"no such key: {emulator.posthog_key}"}
    with raw_server(http_answer(200, f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")) as (url, _):
        set_posthog_connection(monkeypatch, emulator, host=url)
        exposed.fails(lambda: list(PostHogHook().stream_tiles(1)))


def connections(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Invalid connections."""
    bad: list[dict[str, Any]] = [
        {"host": "us.i.posthog.com"},
        {"host": f"https://{TOKEN}@us.posthog.com"},
        {"extra": {"api_key": TOKEN}},
        {"extra": {"project_id": TOKEN}},
        {"password": f"{emulator.posthog_key}\n{TOKEN}"},
        {"password": f"{emulator.posthog_key}ü"},
    ]
    for changes in bad:
        set_posthog_connection(monkeypatch, emulator, **changes)
        exposed.fails(lambda: PostHogHook().list_dashboards())
        exposed.fails(lambda: PostHogDashboardRefreshedSensor(task_id="t", dashboard_id=1, since="2026-01-01").poke({}))


def provisioning(emulator: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A tenant table with good and failed tenants, and the content of the ledger."""
    make_warehouse(folder / "warehouse.db", monkeypatch, [(f"t{number}", "EU") for number in range(4)])
    fields: dict[str, Any] = {**TABLE, "ledger_conn_id": "warehouse", "spec": {"name": "{tenant_id}"}}
    assert exposed.task(ProvisionPostHogDashboardsOperator(task_id="t", **fields), TaskInstance()) is None
    emulator.control.set_faults([Fault(kind="wrong", path="/sharing/$"), Fault(kind="cut", method="PATCH")])
    spec = {"name": "new {tenant_id}", "sharing": {"settings": {"legend": True}}}
    instance = TaskInstance(run_id="run-2")
    again = ProvisionPostHogDashboardsOperator(task_id="t", **{**fields, "spec": spec, "max_retry_seconds": 0})
    exposed.fails(lambda: again.execute({"ti": instance}))  # type: ignore[typeddict-item]
    exposed.kept(again)
    exposed.show(instance.pushed)
    note_tokens(emulator, exposed)
    with closing(sqlite3.connect(folder / "warehouse.db")) as database:
        exposed.show(database.execute("SELECT * FROM tenant_dashboards").fetchall())


CASES = [hook_methods, share_operators, errors, echoes, stream_echoes, connections, provisioning]


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_shown(
    posthog: Emulator, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: Callable[..., None]
) -> None:
    case(posthog, exposed, monkeypatch, tmp_path)
    assert exposed.texts
    assert exposed.leaks() == []


def test_no_request_url_contains_a_secret(posthog: Emulator, exposed: Exposed) -> None:
    number, hook = shared(posthog, exposed), PostHogHook()
    hook.create_share_password(number, raw_password=PASSWORD)
    hook.refresh_sharing(number)
    assert [call for call in sent(posthog) if any(secret in call for secret in exposed.secrets)] == []
