"""The base of every vendor's triggers that poll an API.

What always holds:

- A trigger sends exactly one event, and also if it fails: the operator reports an error better than a dead trigger.
- It never waits longer than its deadline, not even for a call that is being retried.
- Its arguments are JSON values, because Airflow stores them and may start the trigger again elsewhere.
"""

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
from airflow_provider_databrain.printable import printable

JITTER = 0.1
"""Part of the poll interval by which each sleep varies, so that many triggers do not poll at the same time."""
SHORTEST_SECONDS = 1.0
"""Seconds for one poll if the deadline has passed before the trigger starts."""


class PollTrigger(BaseTrigger):
    """Polls an API, and fires when the wait is over, when the time is up, or when a poll fails for good.

    The event is ``{"status": "success" | "timeout" | "error", "message": str}``. A subclass defines the call of each
    poll, and what is still missing. Its sensor uses the same methods without a triggerer.

    :param poke_interval: seconds between two polls.
    :param deadline: when to give up, in Unix seconds.
    :param max_transient_failures: maximum polls in a row that may fail for a transient reason, or with a status that
        may not be the API's own answer.
    :param silent_fail: count every failed poll as "not yet".
    :param timeouts: ``connect_timeout``, ``read_timeout``, ``max_retry_seconds`` and ``max_call_seconds``, in
        seconds; they replace the connection's values.
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
        self._state = "there was no time to poll"

    @abstractmethod
    def hook(self) -> ApiHook[Any]:
        """Make a hook for this trigger alone."""

    @abstractmethod
    def subject(self, hook: ApiHook[Any]) -> str:
        """The subject of the wait, for messages."""

    @abstractmethod
    def call(self, hook: ApiHook[Any]) -> Call[Any]:
        """The call of each poll."""

    @abstractmethod
    def unmet(self, answer: Any) -> str | None:
        """A description of what is still missing; None if the wait is over."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments, as Airflow stores them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait ends; yield exactly one event."""
        try:
            event = {"status": "success", "message": await self.wait()}
        except TimeoutError:
            event = {"status": "timeout", "message": self._state}
        except Exception as error:
            # For example an unknown connection or a wrong token: the operator must report it.
            event = {"status": "error", "message": f"{type(error).__name__}: {printable(str(error))}"}
        yield TriggerEvent(event)

    async def wait(self) -> str:
        """Poll until the wait is over; return a message that says so.

        :raises TimeoutError: the deadline has passed; the message says what was still missing.
        :raises ApiError: a poll failed for good, or too many polls failed in a row.
        """
        seconds = max(self.deadline - time.time(), SHORTEST_SECONDS)
        try:
            # The timeout also ends a call that is being retried.
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
                if not self.silent_fail and (not error.may_pass or failures > self.max_transient_failures):
                    raise
                missing = f"poll failed ({failures} in a row): {error}"
            if missing is None:
                return f"{subject}: the wait is over"
            state = printable(f"{subject}: {missing}")
            if state != self._state:
                self.log.info("%s", state)
                self._state = state
            if time.time() >= self.deadline:
                raise TimeoutError
            await asyncio.sleep(self.poke_interval * random.uniform(1 - JITTER, 1 + JITTER))
