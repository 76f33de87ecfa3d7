"""An event trigger for Airflow's asset watchers: it fires when a workspace has a new metric or dashboard.

What always holds:

- The ids of the last poll are kept in the asset's state (Airflow 3.3 and later), as short digests. They are stored
  after the event is sent. So no new id is lost. If the triggerer stops in between, the next one sends the same event
  again.
- Ids that exist at the first poll are not new.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any, Literal

from airflow_provider_databrain.airflow_compat import BaseEventTrigger, TriggerEvent, asset_state_store
from airflow_provider_databrain.base.templating import number_from_0
from airflow_provider_databrain.base.trigger import JITTER
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.databrain.hook import DatabrainHook

CURSOR = "databrain_known"
"""The key in the asset's state for the ids of the last poll."""
DIGITS = 12
"""Hexadecimal digits of an id's digest. It is short because the size of a state is limited."""


class WorkspaceGrowthTrigger(BaseEventTrigger):
    """Fires each time a workspace has metrics, or dashboards, that did not exist at the poll before.

    Use it in an ``AssetWatcher``. The event is ``{"workspace": str, "kind": str, "ids": list[str]}``, with the new ids.
    Ids that exist at the first poll are not new.

    The ids of the last poll are kept in the asset's state (Airflow 3.3 and later). So a triggerer that starts again
    reports what was added in the meantime. If it stops while it sends an event, it sends that event again. Without such
    a state, what was added while no triggerer ran is not reported. A failed poll is logged, and the watch goes on.

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
            raise ValueError(f"kind is {kind!r}; it must be 'metrics' or 'dashboards'")
        self.databrain_conn_id = databrain_conn_id
        self.workspace_name = workspace_name
        self.kind = kind
        self.poll_interval = number_from_0(poll_interval, "poll_interval")
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
        """Poll forever. Yield an event each time the workspace has new ids."""
        if asset_state_store(self) is None:
            self.log.warning(
                "This Airflow keeps no state for the asset (Airflow 3.3 does): what is added to the workspace while no"
                " triggerer runs is not reported"
            )
        while True:
            try:
                async with DatabrainHook(self.databrain_conn_id) as hook:
                    workspace = hook.workspace(self.workspace_name)
                    ids = await self._ids(hook, workspace)
                known = await self._load()
                new_ids = [] if known is None else [each for each in ids if _digest(each) not in known]
                if new_ids:
                    yield TriggerEvent({"workspace": workspace, "kind": self.kind, "ids": new_ids})
                await self._store({_digest(each) for each in ids})
            except ApiError as error:
                self.log.warning("Poll failed: %s", error)
            await asyncio.sleep(self.poll_interval * random.uniform(1 - JITTER, 1 + JITTER))

    async def _ids(self, hook: DatabrainHook, workspace: str) -> list[str]:
        if self.kind == "metrics":
            return [metric.metric_id for metric in await hook.afetch_workspace_metrics(workspace)]
        return [dashboard.external_dashboard_id for dashboard in await hook.afetch_workspace_dashboards(workspace)]

    async def _load(self) -> set[str] | None:
        state = asset_state_store(self)
        if self._known is None and state is not None:
            stored = await state.aget(CURSOR)
            if isinstance(stored, str):
                self._known = {stored[start : start + DIGITS] for start in range(0, len(stored), DIGITS)}
        return self._known

    async def _store(self, now: set[str]) -> None:
        if now == self._known:
            return
        self._known = now
        state = asset_state_store(self)
        if state is not None:
            await state.aset(CURSOR, "".join(sorted(self._known)))


def _digest(identifier: str) -> str:
    return hashlib.blake2b(identifier.encode(), digest_size=DIGITS // 2).hexdigest()
