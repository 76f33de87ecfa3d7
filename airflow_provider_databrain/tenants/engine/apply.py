"""Applying a batch: create, adopt or update the dashboard of each tenant that ``check`` put on the work list.

Theory of operation
===================

What always holds:

- Each tenant ends with one outcome, or with none if the task was stopped first. A run never has more than one call
  under way for a tenant.
- A create that ended unclearly is not a failure yet. "Unclear" means that the server may have acted
  (``error.ambiguous``) or that the id is taken (``AlreadyExistsError``). The decision waits for a survey that began
  after the call ended.
- A create is sent again only if such a survey shows no dashboard, at most ``ROUNDS`` - 1 times, and only for a vendor
  that chooses the ids (``creates_once``). Where the id is ours, the transport itself has sent the create again.
- A dashboard is adopted only if ``Target.find`` proves that it is the tenant's. Where the vendor chooses the ids, the
  ledger must not name another tenant as its owner. The same check protects a dashboard from being deleted as a
  duplicate.
- An update that failed in an earlier run may have been done. So a tenant whose last status is ``failed`` is looked up
  before it is updated.

The steps of a batch:

1. ``handle``, each work item: update the dashboard that the ledger knows, or adopt what a survey shows, or create.
   Unclear creates are put aside.
2. ``resolve_unclear``: a new survey decides about those, in up to ``ROUNDS`` rounds.
3. ``confirm_unique``, only for a vendor that can make duplicates: one more survey after all creates. The oldest
   dashboard of a tenant stays, the others are deleted. So two runs at the same time keep the same one. A dashboard that
   is unfinished again is updated again: a create that seemed lost may have ended after our update.
4. ``_refuse_shared``, only for a vendor with places that two tenants must not share: the ledger shows whether another
   batch has put a tenant into the same place.

What can happen in between:

- An answer is lost: steps 1 and 2 treat the create as unclear.
- The worker is killed: the calls under way and the entries that are not written yet are lost. The next try finds no
  entry, gets "already exists" or looks first, and adopts.
- A second run works on the same tenants: the create that comes second fails with "already exists" and the dashboard is
  adopted, or step 3 deletes the younger dashboard.
- Somebody removes what ``find`` looks for, for example a mark: a dashboard that the ledger knows and the survey shows
  stays the tenant's (``find_known``).
- Somebody deletes a dashboard: its update fails with the API's own "not found" and the dashboard is created again.
- Something in between answers 401, 403, 404 or 409: the tenant fails and keeps its entry. The next run looks it up.
- Something in between answers the list: if it shows none of the ledger's dashboards, it counts as failed, unless the
  API itself says that they do not exist (``belief``).
  If it does not show a dashboard that was just created, that tenant fails, and the next run looks it up.

What is relied on: a survey shows every dashboard whose create was answered before the survey began. For a vendor where
the id is ours, a second create with the same id is refused. The ledger is not relied on; it only adds checks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, MalformedAnswerError, NotFoundError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.belief import check_list
from airflow_provider_databrain.tenants.engine.check import CheckedBatch, WorkItem
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
"""How often a survey decides about an unclear create. In each round but the last, the create may be sent again."""


@dataclass(frozen=True)
class _UnclearCreate(Generic[WantedT]):
    """A tenant for which only a new survey can decide.

    :param error: the error of its create.
    """

    item: WorkItem[WantedT]
    error: ApiError


class _Applier(Generic[WantedT]):
    """Applies one batch; see the module's docstring."""

    def __init__(self, target: Target[WantedT], transport: AsyncTransport, workers: Workers) -> None:
        self._target = target
        self._transport = transport
        self._workers = workers
        self._gone: set[str] = set()
        self._kept: dict[str, Existing] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._survey = SharedSurvey(target, transport, self._check_list)
        self._look_first = target.look_first
        self._started = time.monotonic()
        self._unclear: list[_UnclearCreate[WantedT]] = []
        self._created = Spool[tuple[WorkItem[WantedT], Existing]]()

    async def handle(self, item: WorkItem[WantedT]) -> None:
        """Step 1 for one tenant: it gets its outcome, or its unclear create is put aside."""
        try:
            if item.entry is not None and item.entry.existing is not None:
                if await self._update_known(item):
                    return
                if item.desired.tenant in self._gone:
                    # From here on the tenant has none.
                    item = item._replace(entry=replace(item.entry, spec_hash=None))
            if not await self._adopt_if_found(item):
                await self._create(item)
        except StoppedError:
            return
        except Exception as error:
            await self._fail(item, error)

    async def resolve_unclear(self) -> None:
        """Step 2: decide about the unclear creates."""
        rounds = ROUNDS if self._target.creates_once else 1
        while self._unclear and not self._workers.stop.reason:
            rounds -= 1
            unclear, self._unclear = self._unclear, []
            await self._resolve(unclear, create_again=rounds > 0)

    async def _resolve(self, unclear_creates: Sequence[_UnclearCreate[WantedT]], *, create_again: bool) -> None:
        round_started = time.monotonic()

        async def decide(unclear: _UnclearCreate[WantedT]) -> None:
            item, error = unclear.item, unclear.error
            ours = error.ambiguous or error.after_ambiguous
            try:
                await self._survey.no_older_than(round_started)
                existing = await self._find_single(item, ours=ours)
                if existing is not None:
                    # If the create is not sent twice, its answer was not seen: nothing says that all was done.
                    existing = replace(existing, unfinished=existing.unfinished or (ours and self._target.creates_once))
                    adopted = await self._adopt(item, existing, Action.CREATED if ours else Action.ADOPTED)
                    if ours and self._target.can_duplicate:
                        # The vendor may still be at work on that create. The last survey shows whether it undid ours.
                        self._created.append((item, adopted))
                elif create_again and ours:
                    await self._create(item)
                else:
                    await self._fail(item, error)
            except StoppedError:
                return
            except Exception as failure:
                await self._fail(item, failure)

        await self._workers.share(unclear_creates, decide)

    async def confirm_unique(self) -> None:
        """Step 3: confirm that each new dashboard is the tenant's only one."""
        round_started = time.monotonic()

        async def confirm(created: tuple[WorkItem[WantedT], Existing]) -> None:
            item, existing = created
            try:
                await self._survey.no_older_than(round_started)
                kept = await self._find_single(item, ours=True, known=existing)
                if kept is None:
                    await self._workers.amend(_not_listed(item, existing))
                elif kept.dashboard_id != existing.dashboard_id or kept.unfinished:
                    kept = await self._target.update(self._transport, item.desired, kept)
                    await self._workers.amend(_outcome(item, Action.CREATED, kept))
                elif self._target.duplicates(item.desired):
                    # Another run may have recorded the younger one, which is deleted now, and then have been killed.
                    await self._workers.amend(_outcome(item, Action.CREATED, existing))
            except StoppedError:
                return
            except Exception as error:
                await self._workers.amend(
                    Outcome(item.desired.tenant, Action.FAILED, item.entry, existing, error=error)
                )

        try:
            if len(self._created) and not self._workers.stop.reason:
                await self._workers.share(self._created, confirm)
        finally:
            self._created.close()

    async def _update_known(self, item: WorkItem[WantedT]) -> bool:
        """Update the dashboard that the ledger knows; False if it no longer exists."""
        entry = item.entry
        existing = entry.existing if entry else None
        if entry is not None and existing is not None and entry.status == Action.FAILED:
            # The failed call may have been done. Only a survey shows the dashboard's state and owner.
            await self._survey.no_older_than(self._started)
            found = await self._find_single(item, ours=True, known=existing)
            existing = found or self._target.find_known(item.desired, existing)
            if existing is not None:
                # The ledger may name a younger one, which is deleted now.
                self._kept[item.desired.tenant] = existing
        if existing is None:
            # Where the id is ours, the list is not checked and proves nothing: the entry stays until a create succeeds.
            if self._target.creates_once:
                self._gone.add(item.desired.tenant)
            return False
        try:
            updated = await self._target.update(self._transport, item.desired, existing)
        except NotFoundError as error:
            # The ledger keeps the dashboard, unless the API itself says that it is gone. The next run looks first.
            error.raise_unless_from_api()
            log.warning(
                "Tenant %r: dashboard %r no longer exists; it is created again",
                item.desired.tenant,
                existing.dashboard_id,
            )
            self._gone.add(item.desired.tenant)
            return False
        await self._end(item, Action.UPDATED, updated)
        return True

    async def _adopt_if_found(self, item: WorkItem[WantedT]) -> bool:
        """Adopt the dashboard that a survey shows, if the batch looks first; False if there is none."""
        if not self._look_first:
            return False
        await self._survey.no_older_than(self._started)
        existing = await self._find_single(item, ours=False)
        if existing is None:
            return False
        adopted = await self._adopt(item, existing, Action.ADOPTED)
        if existing.unfinished and self._target.can_duplicate:
            # The call that made it may still be under way.
            self._created.append((item, adopted))
        return True

    async def _create(self, item: WorkItem[WantedT]) -> None:
        try:
            created = await self._target.create(self._transport, item.desired)
            self._claim(item, created)
        except ApiError as error:
            if not (isinstance(error, AlreadyExistsError) or error.ambiguous):
                raise
            # If one id is taken, others may be taken too: look first from here on.
            self._look_first = True
            self._unclear.append(_UnclearCreate(item, error))
        else:
            await self._end(item, Action.CREATED, created)
            if self._target.can_duplicate:
                self._created.append((item, created))

    def _claim(self, item: WorkItem[WantedT], created: Existing) -> None:
        """Raise if the vendor chooses the ids and has answered with a dashboard of this batch's other tenant.

        Something in between may have sent the answer to another create. So the own create is unclear.
        """
        if item.desired.dashboard_id is not None:
            return
        owner = self._owners.setdefault((created.dashboard_id, created.embed_id), item.desired.tenant)
        if owner != item.desired.tenant:
            error = MalformedAnswerError(f"the answer shows the dashboard that was created for tenant {owner!r}")
            error.endpoint, error.tenant, error.dashboard = "create", item.desired.tenant, created.dashboard_id
            raise error

    async def _find_single(
        self, item: WorkItem[WantedT], *, ours: bool, known: Existing | None = None
    ) -> Existing | None:
        """Find the tenant's dashboard in the last survey, and delete its duplicates.

        :param ours: an earlier try of the same create may have made the dashboard.
        :param known: a dashboard that is the tenant's for certain; its owner is not checked.
        :raises AlreadyExistsError: a dashboard belongs to another tenant, by the vendor's data or by the ledger.
        """
        kept = await self._target.find(self._transport, item.desired, ours=ours)
        duplicates = self._target.duplicates(item.desired)
        found_ids = {existing.dashboard_id for existing in (kept, *duplicates) if existing is not None}
        await self._check_owners(item, found_ids - ({known.dashboard_id} if known else set()))
        for duplicate in duplicates:
            log.warning(
                "Tenant %r: dashboard %r is a duplicate; it is deleted", item.desired.tenant, duplicate.dashboard_id
            )
            await self._target.delete(self._transport, item.desired.tenant, duplicate)
        return kept

    async def _adopt(self, item: WorkItem[WantedT], existing: Existing, action: Action) -> Existing:
        """Take over a dashboard. With a ledger, which records the dashboard's state, it is also updated."""
        must_match = self._workers.ledger is not None or existing.unfinished
        if must_match and self._target.differs(item.desired, existing):
            existing = await self._target.update(self._transport, item.desired, existing)
        await self._end(item, action, existing)
        return existing

    async def _check_owners(self, item: WorkItem[WantedT], dashboard_ids: Collection[str]) -> None:
        """Raise if the vendor chooses the ids and the ledger names another tenant as the owner of one of them."""
        ledger = self._workers.ledger
        if ledger is None or item.desired.dashboard_id is not None or not dashboard_ids:
            return
        owners = await asyncio.to_thread(ledger.tenants_by_dashboard, list(dashboard_ids))
        for dashboard_id, owner in owners.items():
            if owner != item.desired.tenant:
                raise AlreadyExistsError(
                    f"according to the ledger it belongs to tenant {owner!r}; it was neither adopted nor deleted",
                    endpoint="adoption",
                    tenant=item.desired.tenant,
                    dashboard=dashboard_id,
                )

    async def _check_list(self) -> None:
        # Where the id is ours, the API refuses a second create, and the entry stays: a wrong list does no harm.
        if self._target.creates_once:
            await check_list(self._target, self._transport, self._workers.ledger, self._gone)

    async def _end(self, item: WorkItem[WantedT], action: Action, existing: Existing) -> None:
        await self._workers.end(_outcome(item, action, existing))

    async def _fail(self, item: WorkItem[WantedT], error: Exception) -> None:
        desired, before, kept = item.desired, item.entry, self._kept.get(item.desired.tenant)
        if before is not None and before.existing is not None and kept is not None:
            before = replace(before, dashboard_id=kept.dashboard_id, embed_id=kept.embed_id)
        await self._workers.end(Outcome.failure(desired.tenant, before, desired.dashboard_id, error))


def _not_listed(item: WorkItem[WantedT], existing: Existing) -> Outcome:
    error = MalformedAnswerError(
        "the dashboard was just created, and the list does not show it; something in between may have answered, or "
        "somebody has deleted it. The next run looks again",
        ambiguous=False,
    )
    error.endpoint, error.dashboard = "survey", existing.dashboard_id
    return Outcome(item.desired.tenant, Action.FAILED, item.entry, existing, error=error)


def _outcome(item: WorkItem[WantedT], action: Action, existing: Existing) -> Outcome:
    return Outcome(item.desired.tenant, action, item.entry, existing, input_hash=item.input_hash)


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
    """Apply a checked batch; one tenant's failure stops no other tenant.

    :param stop: after a stop no other tenant is started; calls under way have ``rules.grace_seconds`` to end.
    :return: the report. If ``why`` is set, the batch was not finished: it was stopped, or the ledger kept failing.
    """
    report = checked.report
    stop.bind()
    if ledger is None:
        await _apply(target, transport, Workers(rules, stop, progress, report), checked)
    else:
        async with Journal(ledger, on_error=lambda error: stop.request(str(error))) as journal:
            for entry in checked.new_hashes:
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


async def _apply(
    target: Target[WantedT], transport: AsyncTransport, workers: Workers, checked: CheckedBatch[WantedT]
) -> None:
    applier = _Applier(target, transport, workers)
    await workers.share(checked.work, applier.handle)
    await applier.resolve_unclear()
    await applier.confirm_unique()


async def _refuse_shared(ledger: Ledger, report: Report) -> None:
    """Step 4: fail each tenant whose place another tenant has too, in this batch or in another one.

    It runs at the end, when the ledger has what other batches have done in the meantime. If two batches end at the same
    moment, the next run finds it.
    """
    for embed_id, tenants in (await asyncio.to_thread(ledger.shared_embeds)).items():
        for tenant in sorted(tenants & report.ids.keys()):
            others = ", ".join(repr(other) for other in sorted(tenants - {tenant})[:SHOWN])
            error = AlreadyExistsError(
                f"according to the ledger it is in {embed_id!r}, as is the dashboard of {others}; two tenants must not "
                "share one: fix the tenant table or the spec, and delete the wrong tenant's row from the ledger",
                endpoint="provisioning",
                tenant=tenant,
                dashboard=report.ids[tenant],
            )
            log.error("Tenant %r: %s", tenant, error)
            report.refuse(tenant, error)
