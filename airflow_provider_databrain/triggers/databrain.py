"""Waiting for metrics of a workspace, on the triggerer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_databrain.api.databrain import Metric
from airflow_provider_databrain.api.errors import ApiError
from airflow_provider_databrain.hooks.databrain import DatabrainHook

JITTER = 0.1
"""Share of the poll interval by which each sleep varies, so that many triggers do not poll at once."""
SHORTEST_SECONDS = 1.0
"""Time for one poll where the deadline has passed before the trigger starts."""


def unmet(metrics: Sequence[Metric], wanted: Sequence[str], at_least: int) -> str | None:
    """What is still missing, in words, or None where the wait is over.

    :param metrics: what the workspace has.
    :param wanted: names or ids of metrics that must be there.
    :param at_least: how many metrics there must be.
    """
    there = {metric.metric_id for metric in metrics} | {metric.name for metric in metrics}
    missing = [name for name in wanted if name not in there]
    if missing:
        return f"{len(missing)} of {len(wanted)} metrics are missing: {', '.join(map(repr, missing[:10]))}"
    if len(metrics) < at_least:
        return f"{len(metrics)} metrics, waiting for {at_least}"
    return None


class WorkspaceMetricsTrigger(BaseTrigger):
    """Fires once a workspace has the wanted metrics, the time is up, or waiting has become pointless.

    The event is ``{"status": "success" | "timeout" | "error", "message": str}``.

    :param databrain_conn_id: the Airflow connection.
    :param workspace_name: the workspace.
    :param metrics: names or ids of metrics that must be there.
    :param at_least: how many metrics there must be.
    :param poke_interval: seconds between two polls.
    :param deadline: when to give up, in Unix seconds.
    :param max_transient_failures: polls in a row that may fail for a passing reason.
    :param silent_fail: take every failed poll for "not yet".
    :param timeouts: ``connect_timeout``, ``read_timeout`` and ``max_retry_seconds``, in seconds, instead of
        the connection's.
    """

    def __init__(
        self,
        *,
        databrain_conn_id: str,
        workspace_name: str | None,
        metrics: Sequence[str],
        at_least: int,
        poke_interval: float,
        deadline: float,
        max_transient_failures: int,
        silent_fail: bool = False,
        timeouts: dict[str, float | None],
    ) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            "databrain_conn_id": databrain_conn_id,
            "workspace_name": workspace_name,
            "metrics": list(metrics),
            "at_least": at_least,
            "poke_interval": poke_interval,
            "deadline": deadline,
            "max_transient_failures": max_transient_failures,
            "silent_fail": silent_fail,
            "timeouts": dict(timeouts),
        }
        self.databrain_conn_id = databrain_conn_id
        self.workspace_name = workspace_name
        self.metrics = metrics
        self.at_least = at_least
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.max_transient_failures = max_transient_failures
        self.silent_fail = silent_fail
        self.timeouts = timeouts
        self._state = "the workspace's metrics could not be asked for in time"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an end; yields exactly one event."""
        yield TriggerEvent(await self._wait())

    async def _wait(self) -> dict[str, str]:
        seconds = max(self.deadline - time.time(), SHORTEST_SECONDS)
        try:
            # Ends also a call that is being tried again.
            async with asyncio.timeout(seconds), DatabrainHook(self.databrain_conn_id, **self.timeouts) as hook:
                return await self._poll(hook, hook.workspace(self.workspace_name))
        except TimeoutError:
            return {"status": "timeout", "message": self._state}
        except Exception as error:
            # An unknown connection, a wrong token: the operator tells it better than a dead trigger.
            return {"status": "error", "message": f"{type(error).__name__}: {error}"}

    async def _poll(self, hook: DatabrainHook, workspace: str) -> dict[str, str]:
        failures = 0
        while True:
            try:
                missing = unmet(await hook.afetch_workspace_metrics(workspace), self.metrics, self.at_least)
                failures = 0
            except ApiError as error:
                failures += 1
                if not self.silent_fail and (not error.transient or failures > self.max_transient_failures):
                    raise
                missing = f"poll failed ({failures} in a row): {error}"
            if missing is None:
                return {"status": "success", "message": f"workspace {workspace!r} has the metrics"}
            state = f"workspace {workspace!r}: {missing}"
            if state != self._state:
                self.log.info("%s", state)
                self._state = state
            if time.time() >= self.deadline:
                raise TimeoutError
            await asyncio.sleep(self.poke_interval * random.uniform(1 - JITTER, 1 + JITTER))
