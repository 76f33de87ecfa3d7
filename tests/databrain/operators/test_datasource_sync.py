"""The operator and the sensor for the sync of a datasource, over HTTP against the emulator."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from airflow_provider_databrain.base.sensor import WaitError
from airflow_provider_databrain.client.errors import ApiError, NotFoundError, ServerError
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.databrain.operators.datasources import SyncDatasourceOperator
from airflow_provider_databrain.databrain.sensors import DatasourceSyncSensor
from airflow_provider_databrain.databrain.triggers.syncs import SyncFailedError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import TaskDeferred

SYNC, PROGRESS = "/api/v2/datasource/sync", "/api/v2/datasource/getDatasourceProgress"
CONTEXT: Any = {}


class Source(NamedTuple):
    """A datasource in the emulator."""

    emulator: Emulator
    name: str
    id: str

    def progress(self, progress: str, error: str = "") -> None:
        self.emulator.catalog.set_progress(self.name, progress, error)

    @property
    def syncs(self) -> int:
        row = self.emulator.catalog.datasource(name=self.name)
        assert row
        return row.syncs

    def asked(self, path: str) -> int:
        return self.emulator.control.arrived["POST", path]


@pytest.fixture
def source(connection: Emulator, fast_retries: None) -> Source:
    """A datasource without a sync."""
    connection.control.arrived.clear()
    name = f"bucket-{uuid.uuid4()}"
    return Source(connection, name, connection.catalog.add_datasource(name, "awss3"))


@pytest.fixture
def done_later(source: Source) -> Iterator[None]:
    """The sync stays half done until its progress was requested twice."""
    source.progress("8/16")
    stop = threading.Event()

    def finish() -> None:
        while not stop.is_set() and source.asked(PROGRESS) < 2:
            stop.wait(0.005)
        source.progress("16/16")

    thread = threading.Thread(target=finish)
    thread.start()
    yield
    stop.set()
    thread.join()


def sync(source: Source, **changes: Any) -> None:
    arguments = {"datasource_id": source.id, "poke_interval": 0.01, "wait_seconds": 20, **changes}
    SyncDatasourceOperator(task_id="sync", **arguments).execute(CONTEXT)


def deferral(task: Any) -> tuple[TaskDeferred, Any]:
    """The deferral of a task, and its trigger after a round trip through Airflow's serialization."""
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(CONTEXT)
    path, arguments = deferred.value.trigger.serialize()
    again = type(deferred.value.trigger)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    return deferred.value, again


def test_a_good_answer_ends_the_task(source: Source) -> None:
    sync(source)
    assert source.syncs == 1
    assert source.asked(PROGRESS) == 0


def test_wait_for_progress_waits_after_a_good_answer(source: Source, done_later: None) -> None:
    sync(source, wait_for_progress=True)
    assert source.syncs == 1
    assert source.asked(PROGRESS) >= 2


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])
def test_an_unclear_sync_is_awaited_and_not_repeated(source: Source, done_later: None, kind: Any) -> None:
    source.emulator.control.set_faults([Fault(kind=kind, path=SYNC)])
    sync(source)
    assert source.asked(SYNC) == 1
    assert source.asked(PROGRESS) >= 2


def test_a_sync_that_outlasts_the_read_timeout_is_awaited(source: Source) -> None:
    source.progress("16/16")
    source.emulator.control.set_faults([Fault(kind="slow", path=SYNC, seconds=2)])
    # Long enough for the calls that are not slowed down, on a busy machine.
    sync(source, read_timeout=1)
    assert source.asked(SYNC) == source.asked(PROGRESS) == 1


def test_a_sync_that_certainly_did_not_start_is_retried(source: Source) -> None:
    source.emulator.control.set_faults([Fault(kind="too_many", path=SYNC, times=1, seconds=0.01)])
    sync(source)
    assert source.syncs == 1
    assert source.asked(SYNC) == 2


def test_a_missing_datasource_raises_at_once(source: Source) -> None:
    with pytest.raises(NotFoundError, match="Invalid datasource id"):
        sync(source, datasource_id=str(uuid.uuid4()), wait_for_progress=True)
    assert source.asked(PROGRESS) == 0


def test_a_failed_sync_fails_the_task_with_the_servers_message(source: Source) -> None:
    source.progress("3/16", "Access denied to bucket")
    with pytest.raises(SyncFailedError, match="3/16: Access denied to bucket"):
        sync(source, wait_for_progress=True)


@pytest.mark.parametrize("error", [True, False])
async def test_no_text_of_a_progress_shows_a_token_that_the_server_repeats(source: Source, error: bool) -> None:
    hook = DatabrainHook()
    for secret in hook.server.secrets():
        text = f"denied for Bearer {secret}"
        source.progress(*(("3/16", text) if error else (text, "")))
        _, trigger = deferral(
            SyncDatasourceOperator(
                task_id="sync", datasource_id=source.id, wait_for_progress=True, wait_seconds=0, deferrable=True
            )
        )
        event = await anext(trigger.run())
        assert "denied for Bearer ***" in event.payload["message"]
        assert secret not in str(event.payload)


@pytest.mark.parametrize("progress", ["3/16", ""])
def test_a_timeout_reports_the_last_progress(source: Source, progress: str) -> None:
    source.progress(progress)
    with pytest.raises(TimeoutError, match=f"Timed out: .*: {progress or 'no progress'}"):
        sync(source, wait_for_progress=True, wait_seconds=0.05)


def test_transient_failures_of_the_progress_are_tolerated_up_to_a_limit(source: Source) -> None:
    source.progress("16/16")
    fault = Fault(kind="error_before", path=PROGRESS, times=3)
    source.emulator.control.set_faults([fault])
    sync(source, wait_for_progress=True, max_retry_seconds=0, max_transient_failures=3)
    source.emulator.control.set_faults([fault])
    with pytest.raises(ServerError):
        sync(source, wait_for_progress=True, max_retry_seconds=0, max_transient_failures=2)


async def test_a_deferred_wait_ends_on_the_triggerer(source: Source, done_later: None) -> None:
    task = SyncDatasourceOperator(
        task_id="sync", datasource_id=source.id, poke_interval=0.01, wait_for_progress=True, deferrable=True
    )
    deferred, trigger = deferral(task)
    assert deferred.method_name == "execute_complete"
    event = await anext(trigger.run())
    assert event.payload["status"] == "success"
    task.execute_complete(CONTEXT, event.payload)
    assert source.syncs == 1


@pytest.mark.parametrize(
    ("error", "wait_seconds", "raised", "words"),
    [("Access denied", 60, SyncFailedError, "Access denied"), ("", 0, TimeoutError, "Timed out: .*3/16")],
)
async def test_a_deferred_wait_that_fails_fails_the_task(
    source: Source, error: str, wait_seconds: float, raised: type[Exception], words: str
) -> None:
    source.progress("3/16", error)
    source.emulator.control.set_faults([Fault(kind="reset_after", path=SYNC)])
    task = SyncDatasourceOperator(
        task_id="sync", datasource_id=source.id, poke_interval=0.01, wait_seconds=wait_seconds, deferrable=True
    )
    _, trigger = deferral(task)
    event = await anext(trigger.run())
    with pytest.raises(raised, match=words):
        task.execute_complete(CONTEXT, event.payload)


@pytest.mark.parametrize("event", [None, {}, {"status": "odd"}])
def test_an_unknown_event_is_a_failure(event: Any) -> None:
    with pytest.raises(SyncFailedError, match="sent no message"):
        SyncDatasourceOperator(task_id="sync", datasource_id="x").execute_complete(CONTEXT, event)


def test_nothing_is_deferred_after_a_good_answer(source: Source) -> None:
    sync(source, deferrable=True)
    assert source.syncs == 1


def test_the_sensor_waits_for_a_sync(source: Source) -> None:
    sensor = DatasourceSyncSensor(task_id="wait", datasource_id=source.id)
    for shown, met in (("", False), ("15/16", False), ("16/16", True)):
        source.progress(shown)
        assert sensor.poke(CONTEXT) is met
    source.progress("16/16", "Out of space")
    with pytest.raises(SyncFailedError, match="Out of space"):
        sensor.poke(CONTEXT)


async def test_the_deferred_sensor_ends_with_the_sync(source: Source, done_later: None) -> None:
    _, trigger = deferral(
        DatasourceSyncSensor(task_id="wait", datasource_id=source.id, poke_interval=0.01, deferrable=True)
    )
    event = await anext(trigger.run())
    assert event.payload["status"] == "success"


async def test_the_deferred_sensor_fails_with_the_sync(source: Source) -> None:
    sensor = DatasourceSyncSensor(task_id="wait", datasource_id=source.id, poke_interval=0.01, deferrable=True)
    _, trigger = deferral(sensor)
    source.progress("3/16", "Access denied")
    event = await anext(trigger.run())
    with pytest.raises(WaitError, match="Access denied"):
        sensor.execute_complete(CONTEXT, event.payload)


def test_a_sensor_of_a_missing_datasource_fails(source: Source) -> None:
    with pytest.raises(ApiError):
        DatasourceSyncSensor(task_id="wait", datasource_id=str(uuid.uuid4())).poke(CONTEXT)


@pytest.mark.parametrize("kind", [SyncDatasourceOperator, DatasourceSyncSensor])
def test_templates_are_rendered(source: Source, kind: Any) -> None:
    source.progress("1/1")
    task = kind(task_id="t", datasource_id="{{ source }}")
    context: Any = {"source": source.id}
    task.render_template_fields(context)
    task.execute(context)
