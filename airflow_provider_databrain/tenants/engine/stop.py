"""Stopping a batch early and in order: after a signal, a timeout, a long wait or too many failures.

Theory of operation
===================

What always holds:

- The first request decides. Its reason stays, and later requests change nothing.
- After a request no other tenant is started. Calls under way have a grace period; then they are cancelled.
- The engine runs in a thread beside the main thread. Airflow's signals and its timeout raise an exception in the main
  thread only. Inside an event loop the exception could break any line; here it only breaks the wait for the thread.

What can happen in between: a request may come from any thread, from a signal handler, before the event loop runs
(``bind`` then acts on it), or after the loop is closed (then only the reason is set). If the thread does not end within
its grace period, it is left behind; it is a daemon thread and ends with the process.

What is relied on: code that sends or waits looks at ``reason`` or is woken by ``on_stop``. If a task is marked or
cleared in the UI, Airflow before 3.4 kills its process five seconds after it asks the task to end, so the grace period
must be shorter than that. What happens if the whole worker is stopped depends on Airflow's version and on the executor.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Records that the batch must stop, and why."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.wait: float | None = None
        """Seconds after which the task may go on, if known."""
        self.on_stop: Callable[[], None] | None = None
        """Called once, on the event loop."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    def request(self, reason: str, *, wait: float | None = None) -> None:
        """Ask to stop; from any thread or signal handler.

        :param wait: seconds after which the task may go on, if known.
        """
        if self.reason is not None:
            return
        self.reason, self.wait = reason, wait
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify)

    def bind(self) -> None:
        """Use the running event loop from now on."""
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self.reason is not None:
            self._notify()

    async def watch(self, tasks: Sequence[asyncio.Task[Any]], grace: float) -> None:
        """Wait until all tasks are done; after a stop, wait for ``grace`` seconds and then cancel the rest.

        :raises Exception: the error of a task.
        """
        assert self._event is not None  # noqa: S101 - ``bind`` was called
        stopped = asyncio.ensure_future(self._event.wait())
        all_tasks: asyncio.Future[Any] = asyncio.gather(*tasks)
        try:
            await asyncio.wait([all_tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not all_tasks.done():
                await asyncio.wait([all_tasks], timeout=grace)
        finally:
            stopped.cancel()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(all_tasks, stopped, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _notify(self) -> None:
        if self._event is not None and not self._event.is_set():
            self._event.set()
            if self.on_stop is not None:
                self.on_stop()


def in_background(work: Callable[[], T], stop: Stop, grace: float) -> tuple[T, BaseException | None]:
    """Run ``work`` in a thread and return its result.

    If an exception interrupts the wait in the main thread (a signal, a timeout), the work is asked to stop and has
    ``grace`` seconds to end.

    :return: the result, and the exception that interrupted the wait or None. The caller must raise it.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="provisioning", daemon=True).start()
    try:
        return future.result(), None
    except BaseException as interrupt:
        if future.done() and future.exception() is interrupt:
            raise
        stop.request(f"stopped by {type(interrupt).__name__}")
        try:
            return future.result(grace), interrupt
        except BaseException:
            raise interrupt from None
