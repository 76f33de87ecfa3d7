"""What applying and removing share: workers with a failure budget and an orderly stop, and outcomes on record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.target import Existing

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """How a batch is applied.

    :param concurrency: tenants under way at a time.
    :param max_failures: failed tenants after which no further one is begun; None for no bound.
    :param grace_seconds: after a stop, how long calls under way may still take.
    """

    concurrency: int = 16
    max_failures: int | None = None
    grace_seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}; it is 1 or more. Nothing was sent.")
        if self.max_failures is not None and self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}; it is 0 or more, or None. Nothing was sent.")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds is {self.grace_seconds:g}; it is 0 or more. Nothing was sent.")


@dataclass(frozen=True)
class Workers:
    """Workers over tenants.

    :param journal: where outcomes are recorded; None without a ledger.
    """

    rules: Rules
    stop: Stop
    progress: Progress
    report: Report
    ledger: Ledger | None = None
    journal: Journal | None = None

    async def share(self, items: Iterable[T], handle: Callable[[T], Awaitable[None]]) -> None:
        """Have workers draw from one iterator, so that a slow call holds up no other tenant."""
        queue = iter(items)
        workers = [asyncio.create_task(self._work(queue, handle)) for _ in range(self.rules.concurrency)]
        await self.stop.watch(workers, self.rules.grace_seconds)

    async def _work(self, queue: Iterator[T], handle: Callable[[T], Awaitable[None]]) -> None:
        for item in queue:
            if self.stop.reason:
                return
            await handle(item)
            failed = self.report.counted[Action.FAILED]
            if self.rules.max_failures is not None and failed > self.rules.max_failures:
                self.stop.request(f"stopped after {failed} failures (max_failures is {self.rules.max_failures})")

    async def end(
        self,
        tenant: str,
        action: Action,
        before: Entry | None,
        existing: Existing | None,
        *,
        input_hash: str | None = None,
        wanted_id: str | None = None,
        error: Exception | None = None,
    ) -> None:
        """Record a tenant's outcome.

        :param before: its ledger entry so far.
        :param existing: its dashboard as it is now.
        :param wanted_id: the dashboard's id where there is none.
        """
        if existing is not None:
            self.report.has(tenant, existing.dashboard_id, existing.embed_id)
        if error is None:
            self.report.count(action)
        else:
            self.report.fail(tenant, existing.dashboard_id if existing else wanted_id, error)
        await self._note(tenant, action, before, existing, input_hash=input_hash, wanted_id=wanted_id, error=error)
        self.progress.done(action)

    async def amend(
        self,
        tenant: str,
        before: Entry | None,
        existing: Existing,
        *,
        input_hash: str | None = None,
        error: Exception | None = None,
    ) -> None:
        """Correct the outcome of a tenant on record as created: it has another dashboard, or is not sure to have one.

        :param existing: its dashboard as it is now.
        """
        self.report.has(tenant, existing.dashboard_id, existing.embed_id)
        if error is not None:
            log.error("Tenant %r: %s", tenant, error)
            self.report.counted[Action.CREATED] -= 1
            self.report.fail(tenant, existing.dashboard_id, error)
        action = Action.CREATED if error is None else Action.FAILED
        await self._note(tenant, action, before, existing, input_hash=input_hash, error=error)

    async def _note(
        self,
        tenant: str,
        action: Action,
        before: Entry | None,
        existing: Existing | None,
        *,
        input_hash: str | None = None,
        wanted_id: str | None = None,
        error: Exception | None = None,
    ) -> None:
        if self.ledger is not None and self.journal is not None:
            entry = self.ledger.entry(
                tenant,
                before,
                action,
                existing=existing,
                input_hash=input_hash,
                wanted_id=wanted_id,
                error=str(error) if error is not None else None,
            )
            await self.journal.record(entry)

    async def fail(self, tenant: str, before: Entry | None, wanted_id: str | None, error: Exception) -> None:
        """Record a failed tenant; its dashboard, if it had one, is as it was."""
        if isinstance(error, ApiError):
            log.error("Tenant %r: %s", tenant, error)
        else:
            # A fault of ours at one tenant must not cost the others their dashboards.
            log.error("Tenant %r: unexpected error", tenant, exc_info=error)
        if isinstance(error, AuthenticationError):
            self.stop.request("stopped, because the API refuses the credentials")
        await self.end(
            tenant, Action.FAILED, before, before.existing if before else None, wanted_id=wanted_id, error=error
        )
