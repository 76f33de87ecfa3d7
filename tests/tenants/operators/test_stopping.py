"""A task that is killed, times out, or must wait for the server: what it leaves, and how the next try continues."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from airflow_provider_databrain.client.waits import MAX_WAIT_SECONDS
from airflow_provider_databrain.databrain.operators.tenants import ProvisionTenantDashboardsOperator
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.airflow_names import TaskDeferred
from tests.support import SPEC, make_warehouse
from tests.tenants.operators.test_provision import NAMES, TABLE, TaskInstance, counts

IDS = {name: f"client-{name}" for name in NAMES}
HANGING = Fault(kind="slow", path="dashboard-embeds", every=6, times=2, seconds=8)
"""With two tenants under way at a time, both hang after ten are done."""


def timeout_after(seconds: float) -> Any:
    """What Airflow puts around ``execute`` where a task has an ``execution_timeout``."""
    try:
        module = import_module("airflow.sdk.execution_time.timeout")
    except ImportError:  # Airflow 3.0
        module = import_module("airflow.utils.timeout")
    return module.timeout(seconds)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """25 tenants; the ledger goes into the same file."""
    return make_warehouse(tmp_path / "warehouse.db", monkeypatch, [(name, "EU") for name in NAMES])


def operator(**options: Any) -> ProvisionTenantDashboardsOperator:
    fields = {**TABLE, "spec": SPEC, "ledger_conn_id": "warehouse", "grace_seconds": 0.5, **options}
    return ProvisionTenantDashboardsOperator(task_id="provision", **fields)


def context(instance: TaskInstance) -> Any:
    return {"ti": instance}


def written(path: Path) -> dict[str, str]:
    """The ledger's dashboards."""
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT tenant, dashboard_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL"))


def finish(emulator: Emulator, instance: TaskInstance) -> None:
    """The next try does the rest, and does nothing twice."""
    emulator.control.set_faults([])
    before = emulator.state.count_embeds()
    emulator.control.log.clear()
    assert operator().execute(context(instance)) == IDS
    pushed = instance.pushed["counts"]
    assert pushed["created"] + pushed["adopted"] == 25
    assert sorted(row.client_id for row in emulator.state.embeds()) == NAMES
    posted = [logged for logged in emulator.control.log if logged.method == "POST" and logged.status == 200]
    assert len(posted) <= 25 - before + 2  # the two that hang are logged late


@pytest.fixture
def twelfth(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the twelfth create begins."""
    event = threading.Event()
    begun: list[str] = []
    create = DatabrainTarget.create

    async def counted(self: DatabrainTarget, api: Any, desired: Any) -> Any:
        begun.append(desired.tenant)
        if len(begun) == 12:
            event.set()
        return await create(self, api, desired)

    monkeypatch.setattr(DatabrainTarget, "create", counted)
    return event


def test_a_killed_task_ends_soon_and_the_next_try_continues(
    connection: Emulator, warehouse: Path, twelfth: threading.Event
) -> None:
    connection.control.set_faults([HANGING])
    task = operator(concurrency=2)
    killed: list[float] = []

    def kill() -> None:
        assert twelfth.wait(20)
        killed.append(time.monotonic())
        task.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="the task was killed; 15 of 25 tenants were not finished") as caught:
        task.execute(context(instance))
    assert time.monotonic() - killed[0] < 0.5 + 1
    killer.join()
    assert (caught.value.failed, caught.value.left) == (0, 15)
    assert instance.pushed["counts"] == counts(created=10)
    assert len(instance.pushed["return_value"]) == 10
    assert written(warehouse) == instance.pushed["return_value"]
    finish(connection, TaskInstance(try_number=2))


def test_a_task_that_times_out_pushes_what_is_done(connection: Emulator, warehouse: Path) -> None:
    connection.control.set_faults([HANGING])
    instance = TaskInstance()
    # AirflowTaskTimeout is a BaseException, which no handler of errors catches.
    with pytest.raises(BaseException, match="Timeout") as caught, timeout_after(2):
        operator(concurrency=2).execute(context(instance))
    assert type(caught.value).__name__ == "AirflowTaskTimeout"
    assert instance.pushed["counts"] == counts(created=10)
    assert len(instance.pushed["return_value"]) == 10
    assert written(warehouse) == instance.pushed["return_value"]
    finish(connection, TaskInstance(try_number=2))


def test_a_task_that_did_not_start_can_be_killed() -> None:
    operator().on_kill()


@pytest.mark.parametrize("seconds", [120, 3000], ids=["a wait that a call may take", "a longer one"])
def test_a_long_wait_defers_the_task(connection: Emulator, warehouse: Path, seconds: int) -> None:
    connection.control.set_faults([Fault(kind="too_many", path="dashboard-embeds", every=5, times=1, seconds=seconds)])
    task = operator(concurrency=2, deferrable=True)
    instance = TaskInstance()
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context(instance))
    trigger = caught.value.trigger
    assert isinstance(trigger, TimeDeltaTrigger)
    assert seconds - 10 < trigger.moment.timestamp() - time.time() <= seconds
    assert caught.value.method_name == "resume"
    done = instance.pushed["return_value"]
    assert 4 <= len(done) < 25
    assert written(warehouse) == done
    # The tenant whose call was refused has not failed: it waits, as the others do.
    assert instance.pushed["counts"] == counts(created=len(done))
    with closing(sqlite3.connect(warehouse)) as database:
        assert database.execute("SELECT DISTINCT status FROM tenant_dashboards").fetchall() == [("created",)]
    again = TaskInstance()
    # After a deferral Airflow creates a new task object.
    assert operator(deferrable=True).resume(context(again), {"moment": "now"}) == IDS
    assert again.pushed == {"counts": counts(created=25), "failures": []}
    assert connection.state.count_embeds() == 25


@pytest.mark.usefixtures("warehouse")
def test_an_absurd_wait_defers_the_task_for_a_day_at_most(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="too_many", path="dashboard-embeds", every=5, times=1, seconds=9e8)])
    with pytest.raises(TaskDeferred) as caught:
        operator(concurrency=2, deferrable=True).execute(context(TaskInstance()))
    assert isinstance(caught.value.trigger, TimeDeltaTrigger)
    assert caught.value.trigger.moment.timestamp() - time.time() <= MAX_WAIT_SECONDS


@pytest.mark.usefixtures("warehouse")
def test_an_absurd_wait_ends_a_task_that_cannot_be_deferred(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="too_many", path="dashboard-embeds", every=5, times=1, seconds=9e8)])
    with pytest.raises(ProvisioningError, match="the server asks to wait 86400 s or more; a task does not hold its"):
        operator(concurrency=2).execute(context(TaskInstance()))


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("options", [{}, {"defer_above": 0.2}], ids=["by default", "exactly defer_above"])
def test_a_short_wait_does_not_defer_the_task(connection: Emulator, options: dict[str, Any]) -> None:
    connection.control.set_faults([Fault(kind="too_many", path="dashboard-embeds", every=5, times=1, seconds=0.2)])
    assert operator(deferrable=True, **options).execute(context(TaskInstance())) == IDS
