"""Waiting for something that an API tells, on the triggerer."""

from __future__ import annotations

import asyncio
import random
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow_provider_databrain.airflow_compat import BaseTrigger, TriggerEvent
from airflow_provider_databrain.base.hook import ApiHook
from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.client.errors import ApiError

JITTER = 0.1
"""Share of the poll interval by which each sleep varies, so that many triggers do not poll at once."""
SHORTEST_SECONDS = 1.0
"""Time for one poll where the deadline has passed before the trigger starts."""


class PollTrigger(BaseTrigger):
    """Fires once what it asks for is there, the time is up, or waiting has become pointless.

    The event is ``{"status": "success" | "timeout" | "error", "message": str}``. A subclass says what is asked, and
    what is still missing; its sensor asks the same without a triggerer.

    :param poke_interval: seconds between two polls.
    :param deadline: when to give up, in Unix seconds.
    :param max_transient_failures: polls in a row that may fail for a passing reason.
    :param silent_fail: take every failed poll for "not yet".
    :param timeouts: ``connect_timeout``, ``read_timeout`` and ``max_retry_seconds``, in seconds, instead of
        the connection's.
    :param condition: the subclass's own arguments, JSON values.
    """

    def __init__(
        self,
        *,
        poke_interval: float,
        deadline: float,
        max_transient_failures: int,
        silent_fail: bool = False,
        timeouts: dict[str, float | None],
        **condition: Any,
    ) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            **condition,
            "poke_interval": poke_interval,
            "deadline": deadline,
            "max_transient_failures": max_transient_failures,
            "silent_fail": silent_fail,
            "timeouts": dict(timeouts),
        }
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.max_transient_failures = max_transient_failures
        self.silent_fail = silent_fail
        self.timeouts = timeouts
        self._state = "there was no time to ask"

    @abstractmethod
    def hook(self) -> ApiHook[Any]:
        """A hook of its own."""

    @abstractmethod
    def subject(self, hook: ApiHook[Any]) -> str:
        """What messages say the wait is about."""

    @abstractmethod
    def call(self, hook: ApiHook[Any]) -> Call[Any]:
        """What is asked at each poll."""

    @abstractmethod
    def unmet(self, answer: Any) -> str | None:
        """What is still missing, in words, or None where the wait is over."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an end; yields exactly one event."""
        try:
            event = {"status": "success", "message": await self.wait()}
        except TimeoutError:
            event = {"status": "timeout", "message": self._state}
        except Exception as error:
            # An unknown connection, a wrong token: the operator tells it better than a dead trigger.
            event = {"status": "error", "message": f"{type(error).__name__}: {error}"}
        yield TriggerEvent(event)

    async def wait(self) -> str:
        """Poll until the wait is over, and say so.

        :raises TimeoutError: the deadline is over; says how far it was.
        :raises ApiError: a poll has failed for good, or too often in a row.
        """
        seconds = max(self.deadline - time.time(), SHORTEST_SECONDS)
        try:
            # Ends also a call that is being tried again.
            async with asyncio.timeout(seconds), self.hook() as hook:
                return await self._poll(hook, self.subject(hook))
        except TimeoutError:
            raise TimeoutError(f"Timed out: {self._state}") from None

    async def _poll(self, hook: ApiHook[Any], subject: str) -> str:
        failures = 0
        while True:
            try:
                missing = self.unmet(await hook.arun(self.call(hook)))
                failures = 0
            except ApiError as error:
                failures += 1
                if not self.silent_fail and (not error.transient or failures > self.max_transient_failures):
                    raise
                missing = f"poll failed ({failures} in a row): {error}"
            if missing is None:
                return f"{subject}: the wait is over"
            state = f"{subject}: {missing}"
            if state != self._state:
                self.log.info("%s", state)
                self._state = state
            if time.time() >= self.deadline:
                raise TimeoutError
            await asyncio.sleep(self.poke_interval * random.uniform(1 - JITTER, 1 + JITTER))
