"""The wait on the triggerer: it ends with exactly one event."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from typing import Any

import pytest

from airflow_provider_databrain.databrain.api.workspaces import Metric
from airflow_provider_databrain.databrain.triggers.waits import WorkspaceMetricsTrigger, unmet
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import METRICS, WORKSPACE, set_connection

ONE_TRY: dict[str, float | None] = {"connect_timeout": None, "read_timeout": None, "max_retry_seconds": 0.0}


def trigger(**changes: Any) -> WorkspaceMetricsTrigger:
    """A trigger that polls without a pause for a minute, one try for each poll."""
    arguments: dict[str, Any] = {
        "databrain_conn_id": "databrain_default",
        "workspace_name": WORKSPACE,
        "metrics": METRICS,
        "at_least": 0,
        "poke_interval": 0.001,
        "deadline": time.time() + 60,
        "max_transient_failures": 3,
        "silent_fail": False,
        "timeouts": ONE_TRY,
    }
    return WorkspaceMetricsTrigger(**{**arguments, **changes})


async def wait(waiting: WorkspaceMetricsTrigger) -> tuple[str, str]:
    """Status and message of the only event."""
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    assert json.loads(json.dumps(events[0])) == events[0]
    assert events[0].keys() == {"status", "message"}
    return events[0]["status"], events[0]["message"]


async def add_late_after(emulator: Emulator, polls: int) -> None:
    """Add the metric ``late`` once the emulator has received ``polls`` requests."""
    while len(emulator.control.log) < polls:  # noqa: ASYNC110  # it runs on a thread and sets no event
        await asyncio.sleep(0)
    emulator.state.add_workspace(WORKSPACE, metrics=["late"])


@pytest.mark.parametrize(
    ("wanted", "at_least", "missing"),
    [
        ([], 0, None),
        ([], 2, None),
        ([], 3, "2 metrics, waiting for 3"),
        (["m1"], 0, None),
        (["Revenue"], 0, None),
        (["m1", "Churn"], 2, None),
        (["revenue"], 0, "1 of 1 metrics are missing: 'revenue'"),
        (["m1", "m3", "x"], 9, "2 of 3 metrics are missing: 'm3', 'x'"),
        (["m1"], 3, "2 metrics, waiting for 3"),
    ],
)
def test_missing_metrics_are_named(wanted: list[str], at_least: int, missing: str | None) -> None:
    there = [Metric(metric_id="m1", name="Revenue"), Metric(metric_id="m2", name="Churn")]
    assert unmet(there, wanted, at_least, "metrics") == missing


def test_of_many_missing_metrics_ten_are_named() -> None:
    shown = unmet([], [f"m{number}" for number in range(30)], 0, "metrics")
    assert shown is not None
    assert shown.startswith("30 of 30 metrics are missing: 'm0', ")
    assert shown.endswith("'m9'")


def test_a_nameless_metric_is_found_by_its_id_only() -> None:
    assert unmet([Metric(metric_id="m1")], ["None"], 0, "metrics") == "1 of 1 metrics are missing: 'None'"


def test_a_trigger_can_be_rebuilt_from_its_serialized_form(connection: Emulator) -> None:
    path, arguments = trigger(metrics=("revenue",), deadline=123.5).serialize()
    stored = json.dumps(arguments)
    assert connection.api_key not in stored
    assert connection.service_token not in stored
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(stored))
    assert type(again) is WorkspaceMetricsTrigger
    assert again.serialize() == (path, json.loads(stored))
    assert arguments == {
        "databrain_conn_id": "databrain_default",
        "workspace_name": WORKSPACE,
        "metrics": ["revenue"],
        "at_least": 0,
        "poke_interval": 0.001,
        "deadline": 123.5,
        "max_transient_failures": 3,
        "silent_fail": False,
        "timeouts": ONE_TRY,
    }


@pytest.mark.parametrize("workspace", [WORKSPACE, None])
async def test_metrics_that_exist_end_the_wait_with_one_request(connection: Emulator, workspace: str | None) -> None:
    assert await wait(trigger(workspace_name=workspace)) == ("success", f"workspace {WORKSPACE!r}: the wait is over")
    assert len(connection.control.log) == 1


@pytest.mark.parametrize("changes", [{"metrics": ["late"]}, {"metrics": ["Late"]}, {"metrics": [], "at_least": 6}])
async def test_metrics_that_come_later_end_the_wait(connection: Emulator, changes: dict[str, Any]) -> None:
    (status, _), _ = await asyncio.gather(wait(trigger(**changes)), add_late_after(connection, polls=1))
    assert status == "success"
    assert len(connection.control.log) >= 2


async def test_the_wait_times_out(connection: Emulator, patient: None) -> None:
    status, message = await wait(trigger(metrics=["never"], deadline=time.time() + 0.1))
    assert status == "timeout"
    assert message == f"workspace {WORKSPACE!r}: 1 of 1 metrics are missing: 'never'"
    assert connection.control.log


async def test_a_trigger_that_starts_after_its_deadline_still_polls_once(connection: Emulator, patient: None) -> None:
    past = time.time() - 100
    assert (await wait(trigger(deadline=past)))[0] == "success"
    assert (await wait(trigger(metrics=["never"], deadline=past)))[0] == "timeout"
    assert len(connection.control.log) == 2


async def test_the_deadline_ends_a_long_pause(connection: Emulator) -> None:
    started = time.monotonic()
    status, _ = await wait(trigger(metrics=["never"], poke_interval=3600, deadline=time.time() + 0.2))
    assert status == "timeout"
    assert time.monotonic() - started < 5
    assert len(connection.control.log) <= 2


@pytest.mark.parametrize("kind", ["error_before", "reset_before", "html", "too_many"])
async def test_transient_failures_are_tolerated(connection: Emulator, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, times=3)])
    assert (await wait(trigger()))[0] == "success"
    assert len(connection.control.log) == 4


async def test_only_failures_in_a_row_count(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", every=2)])
    waiting = wait(trigger(metrics=["late"], max_transient_failures=1))
    (status, _), _ = await asyncio.gather(waiting, add_late_after(connection, polls=8))
    assert status == "success"
    assert [logged.status for logged in connection.control.log][:4] == [200, 500, 200, 500]


async def test_too_many_failures_in_a_row_are_an_error(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before")])
    status, message = await wait(trigger())
    assert status == "error"
    assert message.startswith("ServerError: fetch workspace metrics failed [HTTP 500")
    assert len(connection.control.log) == 4


async def test_a_timeout_after_a_failed_poll_names_the_failure(connection: Emulator, patient: None) -> None:
    connection.control.set_faults([Fault(kind="error_before")])
    status, message = await wait(trigger(deadline=time.time() - 1))
    assert status == "timeout"
    assert "poll failed (1 in a row): fetch workspace metrics failed [HTTP 500" in message


async def test_a_wrong_token_is_an_error_at_once(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": "wrong-s3cret"})
    status, message = await wait(trigger())
    assert status == "error"
    assert message.startswith("AuthenticationError: ")
    assert "wrong-s3cret" not in message
    assert len(connection.control.log) == 1


@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        ({"service_token": None}, "has no service token"),
        ({"workspace_name": None}, "No workspace: give workspace_name"),
        ({"colour": "red"}, "extras that cannot be used: colour"),
    ],
)
async def test_a_connection_that_cannot_be_used_is_an_error(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], shown: str
) -> None:
    set_connection(monkeypatch, connection, extra=extra)
    status, message = await wait(trigger(workspace_name=None))
    assert status == "error"
    assert message.startswith("ConfigurationError: ")
    assert shown in message
    assert not connection.control.log


async def test_an_unknown_workspace_is_an_error(connection: Emulator) -> None:
    status, message = await wait(trigger(workspace_name="nowhere"))
    assert status == "error"
    assert message.startswith("NotFoundError: ")


async def test_an_unknown_connection_is_an_error() -> None:
    status, message = await wait(trigger(databrain_conn_id="nowhere"))
    assert status == "error"
    assert "nowhere" in message


async def test_a_silent_sensor_treats_every_failed_poll_as_not_yet(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": "wrong"})
    # More failed polls than otherwise allowed. The time is up after them.
    waiting = trigger(silent_fail=True, max_transient_failures=3)
    started = time.time()
    monkeypatch.setattr(time, "time", lambda: started + (3600 if len(connection.control.log) >= 5 else 0))
    status, message = await asyncio.wait_for(wait(waiting), 30)
    assert status == "timeout"
    assert "INVALID_DATA_APP_API_KEY" in message
    assert len(connection.control.log) >= 5
