"""The sensor waits on the worker, or defers to the triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_databrain.base.sensor import WaitError
from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.sensors import WorkspaceMetricsSensor
from airflow_provider_databrain.databrain.triggers.waits import WorkspaceMetricsTrigger
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from tests.support import WORKSPACE, set_connection, transports


def sensor(**options: Any) -> WorkspaceMetricsSensor:
    """A sensor with one try for each poll."""
    return WorkspaceMetricsSensor(task_id="t", **{"max_retry_seconds": 0, "poke_interval": 0.001, **options})


@pytest.mark.parametrize(
    ("options", "over"),
    [
        ({}, True),
        ({"metrics": ["revenue"]}, True),
        ({"metrics": ["Churn Rate", "mrr"]}, True),
        ({"metrics": "revenue"}, True),
        ({"metrics": "never"}, False),
        ({"metrics": ["revenue", "never"]}, False),
        ({"metrics": ["REVENUE"]}, False),
        ({"at_least": 5}, True),
        ({"at_least": "5"}, True),
        ({"at_least": 6}, False),
        ({"at_least": "None"}, True),
        ({"metrics": ["revenue"], "at_least": 6}, False),
        ({"workspace_name": "empty"}, False),
        ({"workspace_name": "empty", "at_least": 0}, True),
    ],
)
def test_a_poke_asks_once(connection: Emulator, options: dict[str, Any], over: bool) -> None:
    connection.state.add_workspace("empty")
    assert sensor(**options).poke({}) is over
    assert len(connection.control.log) == 1


def test_templates_are_rendered(connection: Emulator) -> None:
    task = sensor(workspace_name="{{ w }}", metrics=["{{ m }}", "mrr"], at_least="{{ 2 + 4 }}")
    task.render_template_fields({"w": WORKSPACE, "m": "revenue"})  # type: ignore[typeddict-unknown-key]
    assert (task.workspace_name, task.metrics, task.at_least) == (WORKSPACE, ["revenue", "mrr"], "6")
    assert task.poke({}) is False


def test_transient_failures_are_tolerated_up_to_a_number(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", times=5)])
    task = sensor(max_transient_failures=2)
    assert [task.poke({}), task.poke({})] == [False, False]
    with pytest.raises(ServerError):
        task.poke({})
    assert len(connection.control.log) == 3


def test_only_failures_in_a_row_count(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", every=2)])
    task = sensor(max_transient_failures=1)
    assert [task.poke({}) for _ in range(6)] == [True, False] * 3


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("extra", "options", "error"),
    [
        ({"service_token": "wrong"}, {}, AuthenticationError),
        ({"service_token": None}, {}, ConfigurationError),
        ({"workspace_name": None}, {}, ConfigurationError),
        ({}, {"workspace_name": "nowhere"}, NotFoundError),
    ],
)
def test_an_error_that_waiting_cannot_fix_fails_at_once(
    connection: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    extra: dict[str, Any],
    options: dict[str, Any],
    error: type[Exception],
    deferrable: bool,
) -> None:
    set_connection(monkeypatch, connection, extra=extra)
    with pytest.raises(error):
        sensor(**options, deferrable=deferrable).execute({})
    assert len(connection.control.log) <= 1


def test_it_waits_on_the_worker(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", times=3)])
    sensor(metrics=["revenue"]).execute({})
    assert len(connection.control.log) == 4


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_the_wait_on_the_worker_times_out(connection: Emulator, soft_fail: bool, error: type[Exception]) -> None:
    with pytest.raises(error):
        sensor(metrics=["never"], timeout=0.05, soft_fail=soft_fail).execute({})
    assert connection.control.log


def test_nothing_is_deferred_if_the_wait_is_over(connection: Emulator) -> None:
    sensor(metrics=["revenue"], deferrable=True).execute({})
    assert len(connection.control.log) == 1


def deferred(**options: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor(metrics=["late"], deferrable=True, **options).execute({})
    return caught.value


def test_the_trigger_of_a_deferred_wait_has_all_arguments(connection: Emulator) -> None:
    started = time.time()
    handed = deferred(
        timeout=600, poke_interval=30, at_least=3, max_transient_failures=7, connect_timeout=2, read_timeout=3
    )
    path, arguments = handed.trigger.serialize()
    stored = json.dumps(arguments)
    assert connection.service_token not in stored
    assert connection.api_key not in stored
    assert path == "airflow_provider_databrain.databrain.triggers.waits.WorkspaceMetricsTrigger"
    deadline = arguments.pop("deadline")
    assert started + 600 <= deadline <= time.time() + 600
    assert arguments == {
        "databrain_conn_id": "databrain_default",
        "workspace_name": None,
        "metrics": ["late"],
        "at_least": 3,
        "poke_interval": 30.0,
        "max_transient_failures": 7,
        "silent_fail": False,
        "timeouts": {"connect_timeout": 2, "read_timeout": 3, "max_retry_seconds": 0, "max_call_seconds": None},
    }
    assert handed.method_name == "execute_complete"
    # Airflow's own timeout comes later, so that the trigger's message is reported.
    assert handed.timeout is not None
    assert handed.timeout.total_seconds() > 600


def test_a_transient_failure_of_the_first_poll_defers(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="reset_before")])
    assert isinstance(deferred().trigger, WorkspaceMetricsTrigger)


def test_a_deferred_wait_runs_to_its_end(connection: Emulator) -> None:
    handed = deferred()
    connection.state.add_workspace(WORKSPACE, metrics=["late"])

    async def first_event() -> dict[str, Any]:
        _, arguments = handed.trigger.serialize()
        again = WorkspaceMetricsTrigger(**json.loads(json.dumps(arguments)))
        payloads = [event.payload async for event in again.run()]
        assert len(payloads) == 1
        return dict(payloads[0])

    event = asyncio.run(first_event())
    assert event["status"] == "success"
    resumed = sensor(metrics=["late"], deferrable=True)
    assert getattr(resumed, handed.method_name)({}, event=event) is None


@pytest.mark.parametrize(
    ("event", "options", "error", "shown"),
    [
        ({"status": "timeout", "message": "m1 is missing"}, {}, AirflowSensorTimeout, "Timed out: m1 is missing"),
        ({"status": "timeout", "message": "m1"}, {"soft_fail": True}, AirflowSkipException, "Timed out: m1"),
        ({"status": "error", "message": "ServerError: x"}, {}, WaitError, r"ServerError: x \(event 'error'\)"),
        ({"status": "error", "message": "x"}, {"soft_fail": True}, WaitError, "x"),
        ({"status": "new", "message": "x"}, {}, WaitError, "event 'new'"),
        ({}, {}, WaitError, r"the trigger sent no message \(event None\)"),
        (None, {}, WaitError, r"the trigger sent no message \(event None\)"),
    ],
)
def test_the_event_decides_how_the_task_ends(
    event: dict[str, Any] | None, options: dict[str, Any], error: type[Exception], shown: str
) -> None:
    with pytest.raises(error, match=shown):
        sensor(**options).execute_complete({}, event)


def test_arguments_are_not_read_before_the_sensor_runs() -> None:
    assert sensor(at_least="{{ x }}", metrics="{{ y }}", databrain_conn_id="{{ z }}").at_least == "{{ x }}"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_that_never_fails_skips(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": "wrong"})
    with pytest.raises(AirflowSkipException):
        sensor(metrics=["revenue"], never_fail=True, deferrable=deferrable).execute({})


@pytest.mark.parametrize("status", ["timeout", "error", "odd"])
def test_a_deferred_sensor_that_never_fails_skips_on_each_event(status: str) -> None:
    with pytest.raises(AirflowSkipException, match="words"):
        sensor(never_fail=True).execute_complete({}, {"status": status, "message": "words"})


def test_a_silent_sensor_defers_despite_a_wrong_token(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": "wrong"})
    _, arguments = deferred(silent_fail=True).trigger.serialize()
    assert arguments["silent_fail"] is True


@pytest.mark.parametrize("fault", [None, "error_before", "html"])
def test_after_a_poke_no_connection_is_open(connection: Emulator, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    open_transports = transports(monkeypatch)
    connection.control.set_faults([Fault(kind=fault)] if fault else [])
    sensor().poke({})
    assert len(connection.control.log) == 1
    assert open_transports == []
