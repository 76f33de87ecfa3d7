"""An orderly end before the end: asked for from any thread, waited for with a grace."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Says whether, and why, a batch shall begin no further tenant. The first reason stays."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.wait: float | None = None
        self.on_stop: Callable[[], None] | None = None
        """Called on the event loop, once."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    def request(self, reason: str, *, wait: float | None = None) -> None:
        """Ask to stop; from any thread, and from a signal handler.

        :param wait: seconds after which to go on, where that is known.
        """
        if self.reason is not None:
            return
        self.reason, self.wait = reason, wait
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def bind(self) -> None:
        """Use the running event loop from now on."""
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self.reason is not None:
            self._ring()

    async def watch(self, tasks: Sequence[asyncio.Task[Any]], grace: float) -> None:
        """Wait until all tasks are done, or, once asked to stop, for ``grace`` seconds; then cancel the rest.

        :raises Exception: what a task raised.
        """
        assert self._event is not None  # noqa: S101 - bound first
        asked = asyncio.ensure_future(self._event.wait())
        everything: asyncio.Future[Any] = asyncio.gather(*tasks)
        try:
            await asyncio.wait([everything, asked], return_when=asyncio.FIRST_COMPLETED)
            if not everything.done():
                await asyncio.wait([everything], timeout=grace)
        finally:
            asked.cancel()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(everything, asked, return_exceptions=True)
        for end in ended:
            if isinstance(end, Exception):
                raise end

    def _ring(self) -> None:
        if self._event is not None and not self._event.is_set():
            self._event.set()
            if self.on_stop is not None:
                self.on_stop()


def in_background(work: Callable[[], T], stop: Stop, grace: float) -> tuple[T, BaseException | None]:
    """Run ``work`` in a thread, and return what it returns.

    Signals reach the main thread only, wherever it is: a timeout's exception would end an event loop there at any
    point. Here it ends the waiting, the work is asked to stop, and has ``grace`` seconds to come to its end.

    :return: the result, and the exception that broke the waiting, if one did; to be raised by the caller.
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
