"""The workers that go through the tenants of a batch, and the record of each outcome. ``apply`` and ``removal`` use it.

What always holds:

- Workers take tenants from one iterator. A slow call holds up no other tenant, and no tenant is handled twice.
- One tenant's failure stops no other tenant. Two things stop a batch early: more failures than ``max_failures``, and a
  refusal of the credentials by the API itself, which every further call would meet too.
- After a stop no other tenant is started. Calls under way have ``grace_seconds``; then they are cancelled. A tenant
  whose call was cancelled has no outcome. It counts as not finished, and the next try of the task handles it.
- Each outcome is counted in the report first and then recorded in the ledger. Only ``amend`` changes an outcome again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.ledger_table import ID_LIMIT
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.stop import Stop

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """The limits of a batch.

    :param concurrency: tenants under way at a time.
    :param max_failures: failed tenants after which no other tenant is started; None means no limit.
    :param grace_seconds: after a stop, how long calls under way may still take.
    """

    concurrency: int = 16
    max_failures: int | None = None
    grace_seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}; it must be 1 or more. Nothing was sent.")
        if self.max_failures is not None and self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}; it must be 0 or more, or None. Nothing was sent.")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds is {self.grace_seconds:g}; it must be 0 or more. Nothing was sent.")


@dataclass(frozen=True)
class Workers:
    """Workers that handle tenants and record their outcomes.

    :param journal: writes the outcomes to the ledger; None without a ledger.
    """

    rules: Rules
    stop: Stop
    progress: Progress
    report: Report
    ledger: Ledger | None = None
    journal: Journal | None = None

    async def share(self, items: Iterable[T], handle: Callable[[T], Awaitable[None]]) -> None:
        """Handle all items, ``concurrency`` of them at a time; returns when all are done or after a stop."""
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

    async def end(self, outcome: Outcome) -> None:
        """Count and record a tenant's outcome; log it if the tenant failed."""
        outcome = self._storable(outcome)
        tenant, existing, error = outcome.tenant, outcome.existing, outcome.error
        if error is not None:
            self._log_failure(tenant, error)
        if existing is not None:
            self.report.set_dashboard(tenant, existing.dashboard_id, existing.embed_id)
        if error is None:
            self.report.count(outcome.action)
        else:
            self.report.fail(tenant, outcome.dashboard_id, error)
        await self._record(outcome)
        self.progress.done(outcome.action)

    async def amend(self, outcome: Outcome) -> None:
        """Correct the outcome of a tenant that is recorded as created.

        Either it has another dashboard now, or ``error`` says why it may have more than one.
        """
        outcome = self._storable(outcome)
        if outcome.existing is not None:
            self.report.set_dashboard(outcome.tenant, outcome.existing.dashboard_id, outcome.existing.embed_id)
        if outcome.error is not None:
            log.error("Tenant %r: %s", outcome.tenant, outcome.error)
            self.report.counted[Action.CREATED] -= 1
            self.report.fail(outcome.tenant, outcome.dashboard_id, outcome.error)
        await self._record(outcome)

    def _storable(self, outcome: Outcome) -> Outcome:
        """The outcome, or a failure if the vendor's id is longer than the ledger stores: it costs this tenant only."""
        existing = outcome.existing
        if self.ledger is None or existing is None:
            return outcome
        longest = max(existing.dashboard_id, existing.embed_id, key=len)
        if len(longest) <= ID_LIMIT:
            return outcome
        error = LedgerError(
            f"the ledger stores at most {ID_LIMIT} characters of an id; the dashboard's has {len(longest)}: "
            f"{longest[:50]!r}..."
        )
        return Outcome.failure(outcome.tenant, outcome.before, None, error)

    def _log_failure(self, tenant: str, error: Exception) -> None:
        if isinstance(error, ApiError | LedgerError):
            log.error("Tenant %r: %s", tenant, error)
        else:
            # A bug that one tenant meets must not cost the other tenants their dashboards.
            log.error("Tenant %r: unexpected error", tenant, exc_info=error)
        if isinstance(error, AuthenticationError) and error.from_api:
            self.stop.request("stopped, because the API refuses the credentials")

    async def _record(self, outcome: Outcome) -> None:
        if self.ledger is not None and self.journal is not None:
            await self.journal.record(outcome.entry(dag_id=self.ledger.dag_id, run_id=self.ledger.run_id))
