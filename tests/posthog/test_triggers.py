"""The trigger that waits for a dashboard's refresh: it always sends exactly one event."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.triggers import BY_HAND, DashboardRefreshedTrigger
from tests.exposure import Exposed
from tests.posthog.support import sent, set_posthog_connection

ONE_TRY: dict[str, float | None] = {"connect_timeout": None, "read_timeout": None, "max_retry_seconds": 0.0}
SINCE = "2026-03-01T12:00:00+00:00"


def trigger(number: int = 4, **changes: Any) -> DashboardRefreshedTrigger:
    """A trigger that polls without pause for one minute and sends one request in each poll."""
    arguments: dict[str, Any] = {
        "posthog_conn_id": "posthog_default",
        "project_id": None,
        "dashboard_id": number,
        "since": SINCE,
        "compute": False,
        "poke_interval": 0.001,
        "deadline": time.time() + 60,
        "max_transient_failures": 3,
        "silent_fail": False,
        "timeouts": ONE_TRY,
    }
    return DashboardRefreshedTrigger(**{**arguments, **changes})


async def wait(waiting: DashboardRefreshedTrigger) -> tuple[str, str]:
    """Status and message of the only event."""
    [event] = [event.payload async for event in waiting.run()]
    assert event.keys() == {"status", "message"}
    return event["status"], event["message"]


@pytest.fixture
def number(posthog: Emulator) -> int:
    """A dashboard that was refreshed a second too early."""
    return posthog.posthog.add_dashboard(name="one", last_refresh="2026-03-01T11:59:59Z")


@pytest.mark.parametrize(
    ("refreshed", "missing"),
    [
        (None, f"it was never refreshed; waiting for {SINCE}; {BY_HAND}"),
        (
            "2026-03-01T11:59:59.999999Z",
            f"it was last refreshed at 2026-03-01T11:59:59.999999Z; waiting for {SINCE}; {BY_HAND}",
        ),
        (
            "2026-03-01T13:59:59+02:00",
            f"it was last refreshed at 2026-03-01T13:59:59+02:00; waiting for {SINCE}; {BY_HAND}",
        ),
        ("2026-03-01T12:00:00Z", None),
        ("2026-03-01T12:00:00", None),
        ("2026-03-01T14:00:00+02:00", None),
    ],
)
def test_the_trigger_says_what_is_missing(refreshed: str | None, missing: str | None) -> None:
    assert trigger().unmet(Dashboard(id=4, last_refresh=refreshed)) == missing


def test_the_trigger_can_be_stored_and_loaded(posthog: Emulator) -> None:
    path, arguments = trigger(7, deadline=123.5, project_id="9").serialize()
    stored = json.dumps(arguments)
    assert posthog.posthog_key not in stored
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(stored))
    assert type(again) is DashboardRefreshedTrigger
    assert again.serialize() == (path, json.loads(stored))
    assert arguments == {
        "posthog_conn_id": "posthog_default",
        "project_id": "9",
        "dashboard_id": 7,
        "since": SINCE,
        "compute": False,
        "poke_interval": 0.001,
        "deadline": 123.5,
        "max_transient_failures": 3,
        "silent_fail": False,
        "timeouts": ONE_TRY,
    }


async def test_a_refresh_in_the_past_ends_the_wait_with_one_request(posthog: Emulator, number: int) -> None:
    shown = await wait(trigger(number, since="2026-03-01T00:00:00"))
    assert shown == ("success", f"dashboard {number}: the wait is over")
    assert sent(posthog) == [f"GET dashboards/{number}/"]


async def test_a_later_refresh_ends_the_wait(posthog: Emulator, number: int) -> None:
    waiting = asyncio.create_task(wait(trigger(number)))
    while not waiting.done():
        if posthog.control.arrived.total() >= 3:
            # Repeated, because the emulator's own thread may write the old time back.
            posthog.posthog.change_dashboard(number, last_refresh="2026-03-01T12:00:00Z")
        await asyncio.sleep(0)
    assert await waiting == ("success", f"dashboard {number}: the wait is over")
    assert len(sent(posthog)) >= 3


async def test_the_same_state_is_logged_once(posthog: Emulator, number: int, exposed: Exposed) -> None:
    status, _ = await wait(trigger(number, deadline=time.time() + 0.5))
    assert status == "timeout"
    assert sent(posthog)
    assert len([record for record in exposed.records if "waiting for" in record.getMessage()]) == 1


async def test_transient_failures_are_tolerated(posthog: Emulator, number: int) -> None:
    posthog.control.set_faults([Fault(kind="reset_before", times=3)])
    assert (await wait(trigger(number, since="2026-01-01")))[0] == "success"


@pytest.mark.parametrize(
    ("changes", "options", "shown"),
    [
        ({"password": "phx_wrong"}, {}, "AuthenticationError: retrieve dashboard"),
        ({"password": ""}, {}, "ConfigurationError: Connection 'posthog_default' has no personal API key"),
        ({}, {"dashboard_id": 99999}, "NotFoundError: retrieve dashboard (dashboard '99999') failed"),
        ({}, {"project_id": "99"}, "Project not found."),
        ({"extra": {"project": 1}}, {}, "project: Extra inputs are not permitted"),
    ],
)
async def test_a_permanent_failure_ends_the_wait(
    posthog: Emulator,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    options: dict[str, Any],
    shown: str,
) -> None:
    set_posthog_connection(monkeypatch, posthog, **changes)
    status, message = await wait(trigger(**{"number": number, **options}))
    assert status == "error"
    assert shown in message
    assert "phx_wrong" not in message


async def test_a_timeout_says_what_was_missing(posthog: Emulator, number: int, patient: None) -> None:
    ended = await wait(trigger(number, deadline=time.time() - 1))
    missing = f"it was last refreshed at 2026-03-01T11:59:59Z; waiting for {SINCE}; {BY_HAND}"
    assert ended == ("timeout", f"dashboard {number}: {missing}")
    assert len(sent(posthog)) == 1
