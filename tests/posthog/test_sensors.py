"""The sensor for a dashboard's refresh: it waits on the worker, or defers to the triggerer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_databrain.base.sensor import WaitError
from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.sensors import PostHogDashboardRefreshedSensor
from airflow_provider_databrain.posthog.triggers import DashboardRefreshedTrigger
from tests.airflow_names import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from tests.posthog.support import sent, set_posthog_connection
from tests.support import transports

REFRESHED = "2026-03-01T12:00:00.402833Z"
BEFORE, AFTER = "2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"


@pytest.fixture
def number(posthog: Emulator) -> int:
    """A dashboard that was refreshed."""
    return posthog.posthog.add_dashboard(name="one", last_refresh=REFRESHED)


def sensor(**options: Any) -> PostHogDashboardRefreshedSensor:
    """A sensor that sends one request in each poll: it waits until a person refreshes the dashboard."""
    fixed = {"max_retry_seconds": 0, "poke_interval": 0.001, "since": AFTER, "compute": False}
    return PostHogDashboardRefreshedSensor(task_id="t", **{**fixed, **options})


@pytest.mark.parametrize(
    ("since", "over"),
    [
        (BEFORE, True),
        (REFRESHED, True),
        (AFTER, False),
        ("2026-03-01", True),
        ("2026-03-02", False),
        ("2026-03-01 12:00:00", True),
        ("2026-03-01T13:00:00", False),
        ("2026-03-01T13:00:00+01:00", True),
        ("2026-03-01T12:00:00-01:00", False),
        (datetime(2026, 3, 1, 12), True),
        (datetime(2026, 3, 1, 13), False),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), True),
        (datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1))), True),
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=-1))), False),
    ],
)
def test_a_poke_sends_one_request(posthog: Emulator, number: int, since: Any, over: bool) -> None:
    assert sensor(dashboard_id=number, since=since).poke({}) is over
    assert sent(posthog) == [f"GET dashboards/{number}/"]


def test_the_sensor_waits_for_a_dashboard_that_was_never_refreshed(posthog: Emulator) -> None:
    never = posthog.posthog.add_dashboard(name="never")
    assert sensor(dashboard_id=never, since="1970-01-01").poke({}) is False


def test_templates_are_rendered(number: int) -> None:
    task = sensor(dashboard_id="{{ n }}", since="{{ since }}", project_id="{{ p }}", posthog_conn_id="{{ c }}")
    context: Any = {"n": number, "since": datetime(2026, 3, 1, tzinfo=UTC), "p": 1, "c": "posthog_default"}
    task.render_template_fields(context)
    assert (task.dashboard_id, task.since) == (str(number), "2026-03-01 00:00:00+00:00")
    assert task.poke({}) is True


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"dashboard_id": "x"}, "dashboard_id is 'x'; it must be a whole number above 0. Nothing was sent"),
        ({"dashboard_id": ""}, "dashboard_id is ''"),
        ({"since": "yesterday"}, "since is 'yesterday'; it must be a time in ISO 8601. Nothing was sent"),
        ({"since": ""}, "since is ''"),
    ],
)
def test_an_invalid_wait_is_refused_before_sending(
    posthog: Emulator, options: dict[str, Any], shown: str, deferrable: bool
) -> None:
    with pytest.raises(ValueError, match=shown):
        sensor(**{"dashboard_id": 4, "deferrable": deferrable, **options}).execute({})
    assert sent(posthog) == []


def test_no_argument_is_checked_before_the_task_runs() -> None:
    assert sensor(dashboard_id="{{ x }}", since="{{ y }}").since == "{{ y }}"


def test_transient_failures_are_tolerated_up_to_a_limit(posthog: Emulator, number: int) -> None:
    posthog.control.set_faults([Fault(kind="error_before", times=5)])
    task = sensor(dashboard_id=number, max_transient_failures=2)
    assert [task.poke({}), task.poke({})] == [False, False]
    with pytest.raises(ServerError):
        task.poke({})


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("changes", "options", "error"),
    [
        ({"password": "phx_wrong"}, {}, AuthenticationError),
        ({"password": ""}, {}, ConfigurationError),
        ({}, {"dashboard_id": 99999}, NotFoundError),
        ({}, {"project_id": 99}, NotFoundError),
    ],
)
def test_a_permanent_failure_fails_at_once(
    posthog: Emulator,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    options: dict[str, Any],
    error: type[Exception],
    deferrable: bool,
) -> None:
    set_posthog_connection(monkeypatch, posthog, **changes)
    with pytest.raises(error):
        sensor(**{"dashboard_id": number, "deferrable": deferrable, **options}).execute({})
    assert len(sent(posthog)) <= 1


def test_the_sensor_waits_on_the_worker(posthog: Emulator, number: int) -> None:
    posthog.control.set_faults([Fault(kind="error_before", times=3)])
    sensor(dashboard_id=number, since=BEFORE).execute({})
    assert len(sent(posthog)) == 4


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_the_sensor_times_out_on_the_worker(number: int, soft_fail: bool, error: type[Exception]) -> None:
    with pytest.raises(error):
        sensor(dashboard_id=number, timeout=0.05, soft_fail=soft_fail).execute({})


def test_nothing_is_deferred_if_the_wait_is_already_over(posthog: Emulator, number: int) -> None:
    sensor(dashboard_id=number, since=BEFORE, deferrable=True).execute({})
    assert len(sent(posthog)) == 1


def test_a_deferred_wait_stores_all_arguments_and_no_secret(posthog: Emulator, number: int) -> None:
    task = sensor(dashboard_id=str(number), since=datetime(2026, 3, 2), project_id=1, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})
    path, arguments = caught.value.trigger.serialize()
    assert path == "airflow_provider_databrain.posthog.triggers.DashboardRefreshedTrigger"
    assert posthog.posthog_key not in json.dumps(arguments)
    named = ("posthog_conn_id", "project_id", "dashboard_id", "since", "compute")
    assert [arguments[name] for name in named] == ["posthog_default", "1", number, "2026-03-02T00:00:00", False]


def test_a_deferred_wait_succeeds(posthog: Emulator, number: int) -> None:
    task = sensor(dashboard_id=number, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})
    posthog.posthog.change_dashboard(number, last_refresh="2026-03-01T12:00:02Z")

    async def events() -> list[dict[str, Any]]:
        _, arguments = caught.value.trigger.serialize()
        again = DashboardRefreshedTrigger(**json.loads(json.dumps(arguments)))
        return [dict(event.payload) async for event in again.run()]

    [event] = asyncio.run(events())
    assert event == {"status": "success", "message": f"dashboard {number}: the wait is over"}
    assert getattr(task, caught.value.method_name)({}, event=event) is None


def test_a_deferred_wait_that_failed_says_why(number: int) -> None:
    with pytest.raises(WaitError, match="it was never refreshed"):
        sensor(dashboard_id=number).execute_complete({}, {"status": "error", "message": "it was never refreshed"})


@pytest.mark.parametrize("fault", [None, "error_before", "html"])
def test_after_a_poke_no_connection_is_open(
    posthog: Emulator, number: int, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    open_transports = transports(monkeypatch)
    posthog.control.set_faults([Fault(kind=fault)] if fault else [])
    sensor(dashboard_id=number).poke({})
    assert len(posthog.control.log) == 1
    assert open_transports == []
