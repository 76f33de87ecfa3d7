"""An orderly stop: requested from any thread, with a grace period."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_databrain.tenants.engine.stop import Stop, in_background


class Alarm(BaseException):
    """What a signal handler raises, as Airflow's handlers do."""


@contextmanager
def alarm_after(seconds: float) -> Iterator[None]:
    """Raise ``Alarm`` in the main thread."""

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def until_asked(stop: Stop) -> str:
    """Work until a stop is requested."""
    deadline = time.monotonic() + 30
    while stop.reason is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return f"ended: {stop.reason}"


async def forever() -> None:
    await asyncio.Event().wait()


def test_the_first_reason_stays() -> None:
    stop = Stop()
    stop.request("first", wait=3.0)
    stop.request("second", wait=5.0)
    assert (stop.reason, stop.wait) == ("first", 3.0)


async def test_without_a_stop_all_tasks_end_by_themselves() -> None:
    stop = Stop()
    stop.bind()
    tasks = [asyncio.create_task(asyncio.sleep(0.01 * number, number)) for number in range(3)]
    await stop.watch(tasks, 0)
    assert [task.result() for task in tasks] == [0, 1, 2]


async def test_the_error_of_a_task_is_raised_and_the_others_are_cancelled() -> None:
    async def fail() -> None:
        raise RuntimeError("our fault")

    stop = Stop()
    stop.bind()
    other = asyncio.create_task(forever())
    with pytest.raises(RuntimeError, match="our fault"):
        await stop.watch([other, asyncio.create_task(fail())], 30)
    assert other.cancelled()


@pytest.mark.parametrize("when", ["before the loop", "on the loop", "from a thread"])
async def test_a_request_ends_the_wait_after_the_grace_and_notifies_once(when: str) -> None:
    notified: list[str | None] = []
    stop = Stop()
    stop.on_stop = lambda: notified.append(stop.reason)
    if when == "before the loop":
        stop.request("enough")
    stop.bind()
    if when == "on the loop":
        asyncio.get_running_loop().call_later(0.01, stop.request, "enough")
    if when == "from a thread":
        threading.Timer(0.01, stop.request, ["enough"]).start()
    quick, slow = asyncio.create_task(asyncio.sleep(0.02)), asyncio.create_task(forever())
    await asyncio.wait_for(stop.watch([quick, slow], 0.2), 30)
    stop.request("once more")
    await asyncio.sleep(0)
    assert (quick.cancelled(), slow.cancelled()) == (False, True)
    assert notified == ["enough"]


def test_a_request_after_the_end_only_sets_the_reason() -> None:
    stop = Stop()

    async def batch() -> None:
        stop.bind()

    asyncio.run(batch())
    stop.request("too late")
    assert stop.reason == "too late"


async def test_within_the_grace_nothing_is_cancelled() -> None:
    stop = Stop()
    stop.request("enough")
    stop.bind()
    task = asyncio.create_task(asyncio.sleep(0.05, "done"))
    await stop.watch([task], 30)
    assert task.result() == "done"


async def test_cancelling_the_watcher_cancels_the_tasks() -> None:
    stop = Stop()
    stop.bind()
    task = asyncio.create_task(forever())
    watching = asyncio.create_task(stop.watch([task], 30))
    await asyncio.sleep(0.01)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert task.cancelled()


def test_work_in_the_background_returns_its_result_and_sees_the_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    main = threading.get_ident()
    assert in_background(lambda: (variable.get(), threading.get_ident() != main), Stop(), 0) == (("mine", True), None)


def test_work_in_the_background_does_not_keep_the_process_alive() -> None:
    assert in_background(lambda: threading.current_thread().daemon, Stop(), 0) == (True, None)


def test_the_error_of_the_work_is_raised() -> None:
    def fail() -> None:
        raise RuntimeError("our fault")

    stop = Stop()
    with pytest.raises(RuntimeError, match="our fault"):
        in_background(fail, stop, 0)
    assert stop.reason is None


def test_an_interrupt_asks_the_work_to_stop_and_waits_for_its_end() -> None:
    stop = Stop()
    with alarm_after(0.05):
        result, interrupt = in_background(lambda: until_asked(stop), stop, 30)
    assert result == "ended: stopped by Alarm"
    assert isinstance(interrupt, Alarm)


def test_work_that_does_not_end_within_the_grace_is_left_behind() -> None:
    stop = Stop()
    release = threading.Event()
    with alarm_after(0.05), pytest.raises(Alarm):
        in_background(lambda: release.wait(30), stop, 0.05)
    release.set()
    assert stop.reason == "stopped by Alarm"


def test_work_that_fails_when_interrupted_does_not_hide_the_interrupt() -> None:
    stop = Stop()

    def fail() -> None:
        until_asked(stop)
        raise RuntimeError("broken off")

    with alarm_after(0.05), pytest.raises(Alarm):
        in_background(fail, stop, 30)
