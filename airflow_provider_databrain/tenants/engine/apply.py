"""Applying a batch: make, adopt or change what its first pass has set aside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, NotFoundError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.check import CheckedBatch, Work
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import SHOWN, Action, Report
from airflow_provider_databrain.tenants.engine.spool import Spool
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.survey import SharedSurvey
from airflow_provider_databrain.tenants.engine.target import Existing, Target
from airflow_provider_databrain.tenants.engine.workers import Rules, Workers

log = logging.getLogger(__name__)
WantedT = TypeVar("WantedT")
ROUNDS = 3
"""How often it is decided about a create that ended unclearly; in all but the last it is sent again where nothing is
there."""


@dataclass(frozen=True)
class _Open(Generic[WantedT]):
    """A tenant about which only a new survey can decide.

    :param error: what its create ended with.
    """

    work: Work[WantedT]
    error: ApiError


class _Applying(Generic[WantedT]):
    """One batch being applied."""

    def __init__(self, target: Target[WantedT], transport: AsyncTransport, workers: Workers) -> None:
        self._target = target
        self._transport = transport
        self._workers = workers
        self._survey = SharedSurvey(target, transport)
        self._look_first = target.look_first
        self._started = time.monotonic()
        self._open: list[_Open[WantedT]] = []
        self._made = Spool[tuple[Work[WantedT], Existing]]()

    async def one(self, work: Work[WantedT]) -> None:
        """Bring one tenant to an end, or leave it open."""
        try:
            if work.entry is not None and work.entry.existing is not None:
                if await self._changed(work):
                    return
                # Gone: from here on, the tenant has none.
                work = work._replace(entry=replace(work.entry, spec_hash=None))
            if not await self._found(work):
                await self._create(work)
        except StoppedError:
            return
        except Exception as error:
            await self._fail(work, error)

    async def settle(self) -> None:
        """Decide about those that were left open: their create found the id taken, or ended unclearly."""
        rounds = ROUNDS if self._target.creates_once else 1
        while self._open and not self._workers.stop.reason:
            rounds -= 1
            left, self._open = self._open, []
            await self._settle(left, again=rounds > 0)

    async def _settle(self, all_left: Sequence[_Open[WantedT]], *, again: bool) -> None:
        asked = time.monotonic()

        async def decide(left: _Open[WantedT]) -> None:
            ours = left.error.ambiguous or left.error.after_ambiguous
            try:
                await self._survey.no_older_than(asked)
                found = await self._own(left.work, ours=ours)
                if found is not None:
                    await self._adopt(left.work, found, Action.CREATED if ours else Action.ADOPTED)
                elif again and ours:
                    await self._create(left.work)
                else:
                    await self._fail(left.work, left.error)
            except StoppedError:
                return
            except Exception as error:
                await self._fail(left.work, error)

        await self._workers.share(all_left, decide)

    async def confirm(self) -> None:
        """Where a vendor makes a second dashboard for whoever asks: see that each new one is the tenant's only one."""
        asked = time.monotonic()

        async def one(made: tuple[Work[WantedT], Existing]) -> None:
            work, existing = made
            try:
                await self._survey.no_older_than(asked)
                kept = await self._own(work, ours=True, known=existing)
                if kept is not None and kept.dashboard_id != existing.dashboard_id:
                    kept = await self._target.update(self._transport, work.desired, kept)
                    await self._workers.amend(self._outcome(work, Action.CREATED, kept))
            except StoppedError:
                return
            except Exception as error:
                await self._workers.amend(
                    Outcome(work.desired.tenant, Action.FAILED, work.entry, existing, error=error)
                )

        try:
            if len(self._made) and not self._workers.stop.reason:
                await self._workers.share(self._made, one)
        finally:
            self._made.close()

    async def _changed(self, work: Work[WantedT]) -> bool:
        """Update the dashboard that the ledger knows; False where it is gone."""
        entry = work.entry
        existing = entry.existing if entry else None
        if entry is not None and existing is not None and entry.status == Action.FAILED:
            # The call that failed may have been done nevertheless: only a look shows what is there now, and whose.
            await self._survey.no_older_than(self._started)
            existing = await self._own(work, ours=True, known=existing)
        if existing is None:
            return False
        try:
            updated = await self._target.update(self._transport, work.desired, existing)
        except NotFoundError:
            log.warning("Tenant %r: dashboard %r is gone, and made anew", work.desired.tenant, existing.dashboard_id)
            return False
        await self._end(work, Action.UPDATED, updated)
        return True

    async def _found(self, work: Work[WantedT]) -> bool:
        """Adopt what a survey shows, where there is reason to look."""
        if not self._look_first:
            return False
        await self._survey.no_older_than(self._started)
        found = await self._own(work, ours=False)
        if found is None:
            return False
        await self._adopt(work, found, Action.ADOPTED)
        return True

    async def _create(self, work: Work[WantedT]) -> None:
        try:
            created = await self._target.create(self._transport, work.desired)
        except ApiError as error:
            if not (isinstance(error, AlreadyExistsError) or error.ambiguous):
                raise
            # Where one is taken others may be: from here on, look first.
            self._look_first = True
            self._open.append(_Open(work, error))
        else:
            await self._end(work, Action.CREATED, created)
            if self._target.can_duplicate:
                self._made.append((work, created))

    async def _own(self, work: Work[WantedT], *, ours: bool, known: Existing | None = None) -> Existing | None:
        """What the last survey shows to be the tenant's; removes what it shows beside it.

        :param known: what is its own for sure.
        :raises AlreadyExistsError: something of that is another tenant's by the ledger.
        """
        kept = await self._target.find(self._transport, work.desired, ours=ours)
        duplicates = self._target.duplicates(work.desired)
        found = {one.dashboard_id for one in (kept, *duplicates) if one is not None}
        await self._check_holders(work, found - ({known.dashboard_id} if known else set()))
        for duplicate in duplicates:
            log.warning(
                "Tenant %r: dashboard %r is a second one; it is removed", work.desired.tenant, duplicate.dashboard_id
            )
            await self._target.delete(self._transport, work.desired.tenant, duplicate)
        return kept

    async def _adopt(self, work: Work[WantedT], found: Existing, action: Action) -> None:
        """Take over a dashboard. With a ledger, which notes what it is like, it is also made as the table says."""
        if (self._workers.ledger is not None or found.unfinished) and self._target.differs(work.desired, found):
            found = await self._target.update(self._transport, work.desired, found)
        await self._end(work, action, found)

    async def _check_holders(self, work: Work[WantedT], dashboard_ids: Collection[str]) -> None:
        """Where the vendor chose the ids: raise where the ledger has one of them as another tenant's."""
        ledger = self._workers.ledger
        if ledger is None or work.desired.dashboard_id is not None or not dashboard_ids:
            return
        for dashboard_id, holder in (await asyncio.to_thread(ledger.tenants_by_dashboard, list(dashboard_ids))).items():
            if holder != work.desired.tenant:
                raise AlreadyExistsError(
                    f"by the ledger it belongs to tenant {holder!r}; it was neither handed over nor removed",
                    endpoint="adoption",
                    tenant=work.desired.tenant,
                    dashboard=dashboard_id,
                )

    async def _end(self, work: Work[WantedT], action: Action, existing: Existing) -> None:
        await self._workers.end(self._outcome(work, action, existing))

    async def _fail(self, work: Work[WantedT], error: Exception) -> None:
        desired = work.desired
        await self._workers.end(Outcome.failure(desired.tenant, work.entry, desired.dashboard_id, error))

    @staticmethod
    def _outcome(work: Work[WantedT], action: Action, existing: Existing) -> Outcome:
        return Outcome(work.desired.tenant, action, work.entry, existing, input_hash=work.input_hash)


async def provision(
    target: Target[WantedT],
    transport: AsyncTransport,
    checked: CheckedBatch[WantedT],
    *,
    progress: Progress,
    rules: Rules,
    stop: Stop,
    ledger: Ledger | None = None,
) -> Report:
    """Do what a batch's first pass has set aside; one tenant's failure stops no other.

    :param stop: asked to stop, it begins no further tenant; calls under way have the rules' grace.
    :return: the report; where ``why`` is set, not all was done: stopped, or the ledger went on failing.
    """
    report = checked.report
    stop.bind()
    if ledger is None:
        await _apply(target, transport, Workers(rules, stop, progress, report), checked)
    else:
        async with Journal(ledger, on_error=lambda error: stop.request(str(error))) as journal:
            for entry in checked.renewed:
                await journal.record(entry)
            await _apply(target, transport, Workers(rules, stop, progress, report, ledger, journal), checked)
        if target.has_shared_places and not stop.reason:
            try:
                await _refuse_shared(ledger, report)
            except LedgerError as error:
                stop.request(str(error))
    progress.flush()
    report.close(stop.reason, stop.wait, left=len(checked.work) - progress.finished)
    return report


async def _refuse_shared(ledger: Ledger, report: Report) -> None:
    """Hand on no dashboard from a place that another tenant has too, be that one in this batch or in another.

    Asked at the end, when the ledger has what other batches have done meanwhile. Where two batches end in the same
    moment, the next run sees it.
    """
    for embed_id, tenants in (await asyncio.to_thread(ledger.shared_embeds)).items():
        for tenant in sorted(tenants & report.ids.keys()):
            others = ", ".join(repr(other) for other in sorted(tenants - {tenant})[:SHOWN])
            error = AlreadyExistsError(
                f"by the ledger it is in {embed_id!r}, which is also that of {others}, and no two tenants may share "
                "one: mend the tenant table or the spec, and delete the line of the wrong one in the ledger",
                endpoint="provisioning",
                tenant=tenant,
                dashboard=report.ids[tenant],
            )
            log.error("Tenant %r: %s", tenant, error)
            report.refuse(tenant, error)


async def _apply(
    target: Target[WantedT], transport: AsyncTransport, workers: Workers, checked: CheckedBatch[WantedT]
) -> None:
    applying = _Applying(target, transport, workers)
    await workers.share(checked.work, applying.one)
    await applying.settle()
    await applying.confirm()
