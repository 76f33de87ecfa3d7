"""An event trigger for Airflow's asset watchers: a workspace gains a metric or a dashboard."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any, Literal

from airflow_provider_databrain.airflow_compat import BaseEventTrigger, TriggerEvent, asset_state_store
from airflow_provider_databrain.base.trigger import JITTER
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.databrain.hook import DatabrainHook

CURSOR = "databrain_known"
"""Key in the asset's state under which the ids are noted that were there at the last poll."""
DIGITS = 12


class WorkspaceGrowthTrigger(BaseEventTrigger):
    """Fires each time a workspace has metrics, or dashboards, that were not there at the poll before.

    Give it to an ``AssetWatcher``. The event is ``{"workspace": str, "kind": str, "ids": list[str]}``, with the ids
    of what is new. What is there at the first poll of all is not new.

    What is known is noted in the asset's state (Airflow 3.3 and later), so that a triggerer that starts anew does not
    miss what came meanwhile. One that dies while it tells of something tells it again. Without such a state, whatever
    came while no triggerer ran counts as there from the start. A poll that fails is logged and does not end the watch.

    :param databrain_conn_id: the Airflow connection; needs the service token.
    :param workspace_name: the workspace; None for the connection's default.
    :param kind: ``metrics`` or ``dashboards``.
    :param poll_interval: seconds between two polls.
    """

    def __init__(
        self,
        *,
        databrain_conn_id: str = "databrain_default",
        workspace_name: str | None = None,
        kind: Literal["metrics", "dashboards"] = "metrics",
        poll_interval: float = 300.0,
    ) -> None:
        super().__init__()
        if kind not in ("metrics", "dashboards"):
            raise ValueError(f"kind is {kind!r}; it is 'metrics' or 'dashboards'")
        self.databrain_conn_id = databrain_conn_id
        self.workspace_name = workspace_name
        self.kind = kind
        self.poll_interval = poll_interval
        self._known: set[str] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        arguments = {
            "databrain_conn_id": self.databrain_conn_id,
            "workspace_name": self.workspace_name,
            "kind": self.kind,
            "poll_interval": self.poll_interval,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for good; yields an event for each growth."""
        while True:
            try:
                async with DatabrainHook(self.databrain_conn_id) as hook:
                    workspace = hook.workspace(self.workspace_name)
                    ids = await self._ids(hook, workspace)
                known = await self._load()
                gained = [] if known is None else [one for one in ids if _digest(one) not in known]
                if gained:
                    yield TriggerEvent({"workspace": workspace, "kind": self.kind, "ids": gained})
                await self._store({_digest(one) for one in ids})
            except ApiError as error:
                self.log.warning("Poll failed: %s", error)
            await asyncio.sleep(self.poll_interval * random.uniform(1 - JITTER, 1 + JITTER))

    async def _ids(self, hook: DatabrainHook, workspace: str) -> list[str]:
        if self.kind == "metrics":
            return [metric.metric_id for metric in await hook.afetch_workspace_metrics(workspace)]
        return [one.external_dashboard_id for one in await hook.afetch_workspace_dashboards(workspace)]

    async def _load(self) -> set[str] | None:
        state = asset_state_store(self)
        if self._known is None and state is not None:
            noted = await state.aget(CURSOR)
            if isinstance(noted, str):
                self._known = {noted[start : start + DIGITS] for start in range(0, len(noted), DIGITS)}
        return self._known

    async def _store(self, now: set[str]) -> None:
        if now == self._known:
            return
        self._known = now
        state = asset_state_store(self)
        if state is not None:
            await state.aset(CURSOR, "".join(sorted(self._known)))


def _digest(identifier: str) -> str:
    """Short, because a state has its limit."""
    return hashlib.blake2b(identifier.encode(), digest_size=DIGITS // 2).hexdigest()
