"""One survey for many tenants.

What always holds: two surveys never run at the same time, and a tenant never reads a survey that failed, is not
complete or is not believed (see ``belief``). If several tenants need a survey that began after the same moment, they
share one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.target import Target

WantedT = TypeVar("WantedT")


class SharedSurvey(Generic[WantedT]):
    """The last survey of a batch, done again if it is too old.

    :param check: raises an error if the last survey is not to be believed.
    """

    def __init__(
        self, target: Target[WantedT], transport: AsyncTransport, check: Callable[[], Awaitable[None]]
    ) -> None:
        self._target = target
        self._transport = transport
        self._check = check
        self._lock = asyncio.Lock()
        self._began = float("-inf")
        self._done = False
        self._error: Exception | None = None

    async def no_older_than(self, moment: float) -> None:
        """Survey, unless the last survey began at or after ``moment`` (seconds, monotonic).

        :raises Exception: the survey failed, either now or when another tenant asked for it.
        """
        if self._done and self._began >= moment and self._error is None:
            return
        async with self._lock:
            if self._began < moment:
                self._began, self._done, self._error = time.monotonic(), False, None
                try:
                    await self._target.survey(self._transport)
                    await self._check()
                    self._done = True
                except Exception as error:
                    # Every kind of error: the next tenant must not read a missing or partial list as "no dashboard".
                    self._error = error
            if self._error is not None:
                # Without the traceback, which would grow with each tenant.
                raise self._error.with_traceback(None)
