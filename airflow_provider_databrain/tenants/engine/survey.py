"""Surveys that many tenants share."""

from __future__ import annotations

import asyncio
import time
from typing import Generic, TypeVar

from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.target import Target

WantedT = TypeVar("WantedT")


class SharedSurvey(Generic[WantedT]):
    """Surveys for many tenants at once: whoever asks for a look that was had already gets that one."""

    def __init__(self, target: Target[WantedT], transport: AsyncTransport) -> None:
        self._target = target
        self._transport = transport
        self._lock = asyncio.Lock()
        self._began = float("-inf")
        self._done = False
        self._error: Exception | None = None

    async def no_older_than(self, moment: float) -> None:
        """Survey, unless the last one began at or after ``moment``.

        :raises Exception: it failed, now or then.
        """
        if self._done and self._began >= moment and self._error is None:
            return
        async with self._lock:
            if self._began < moment:
                self._began, self._done, self._error = time.monotonic(), False, None
                try:
                    await self._target.survey(self._transport)
                    self._done = True
                except Exception as error:
                    # Any: whoever comes next must not take half a look, or none, for "nothing is there".
                    self._error = error
            if self._error is not None:
                # Without the traceback, which would grow with each tenant.
                raise self._error.with_traceback(None)
