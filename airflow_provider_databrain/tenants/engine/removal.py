"""Removing the dashboards of tenants that are not active or no longer exist.

Theory of operation
===================

What always holds:

- One task looks at the whole tenant table and the whole ledger. A limit for each batch would not limit the run.
- The whole table is read before anything is planned. If it cannot be read, has a bad row, or is empty in mode ``full``,
  nothing is removed.
- ``Guard`` compares the number of tenants with the limits before anything is sent.
- A dashboard is deleted only if a survey of this run shows that it is still the tenant's (``Target.delete`` checks it),
  and only if no tenant that stays has the same embed id in the ledger.
- If the survey proves that other dashboards are the tenant's too (``Target.leftovers``), they are deleted with it,
  except those that the ledger names for another tenant.
- Mode ``full`` leaves tenants without a row alone if another Dag provisioned them: that Dag may have another table.

What can happen in between:

- Something in between answers a deletion with 404: this proves nothing (``ApiError.from_api``). After the other
  deletions there is one more survey. A dashboard that it does not show is recorded as deleted; for the others, the
  deletion is sent once more, and the tenant fails if that has no better answer.
- The worker is killed or an answer is lost: the entry stays live or ``failed``. The next try plans the tenant again,
  finds no dashboard, and records it as deleted.
- A tenant becomes active again while the task runs: its dashboard is deleted, and the next provisioning run creates a
  new one.
- Somebody else takes the dashboard id: the survey shows the new owner and the deletion is refused.

What is relied on: the ledger knows every tenant whose dashboard is to be removed. For a tenant without an entry nothing
is removed. The survey is complete: if it fails, or is not believed (see ``belief``), nothing is removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, NotFoundError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.tenants.engine.belief import check_list
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Planned, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow, TenantTableError
from airflow_provider_databrain.tenants.engine.target import Existing, Target
from airflow_provider_databrain.tenants.engine.workers import Rules, Workers

log = logging.getLogger(__name__)
Mode = Literal["incremental", "full"]

NAMED = 10
"""Tenants that an error names at most."""


class RemovalGuardError(Portable, Exception):
    """More dashboards would be removed than allowed. Nothing was removed.

    :param tenants: how many would have been removed.
    """

    def __init__(self, message: str, tenants: int) -> None:
        super().__init__(message)
        self.tenants = tenants


@dataclass(frozen=True)
class Guard:
    """How much one run may remove.

    :param max_deletions: maximum number of tenants; None means no limit.
    :param max_fraction: maximum fraction of the tenants in the ledger, from 0 to 1.
    """

    max_deletions: int | None = 100
    max_fraction: float = 0.1

    def __post_init__(self) -> None:
        if self.max_deletions is not None and self.max_deletions < 0:
            raise ValueError(
                f"max_deletions is {self.max_deletions}; it must be 0 or more, or None. Nothing was removed."
            )
        if not 0 <= self.max_fraction <= 1:
            raise ValueError(
                f"max_deletion_fraction is {self.max_fraction:g}; it must be from 0 to 1. Nothing was removed."
            )

    def check(self, entries: Sequence[Entry], in_ledger: int) -> None:
        """Raise ``RemovalGuardError`` if these are more tenants than allowed.

        :param in_ledger: tenants with a dashboard in the ledger.
        """
        exceeded = []
        if self.max_deletions is not None and len(entries) > self.max_deletions:
            exceeded.append(f"max_deletions is {self.max_deletions}")
        # Divided, not multiplied, because in floating point 0.29 * 100 is less than 29.
        if entries and len(entries) / in_ledger > self.max_fraction:
            exceeded.append(f"max_deletion_fraction is {self.max_fraction:g}")
        if exceeded:
            named = ", ".join(repr(entry.tenant) for entry in entries[:NAMED])
            more = f" and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
            raise RemovalGuardError(
                f"nothing was removed: this run would remove the dashboards of {len(entries)} of {in_ledger} tenants, "
                f"but {' and '.join(exceeded)}. The tenants are {named}{more}. If this is right, raise the limit for "
                "one run.",
                len(entries),
            )


@dataclass(frozen=True)
class RemovalPlan:
    """What is to be removed.

    :param entries: the ledger entries of the tenants.
    :param in_ledger: tenants with a dashboard in the ledger.
    :param other_dags: tenants without a row that another Dag provisioned; they stay.
    """

    entries: list[Entry]
    in_ledger: int
    other_dags: int


def plan_removal(rows: Iterable[TenantRow], ledger: Ledger, mode: Mode) -> RemovalPlan:
    """Find the tenants whose dashboards are to be removed. Reads the whole table first.

    ``incremental``: tenants whose row says that they are not active. ``full``: also tenants without a row, if this Dag
    provisioned them.

    :raises RemovalGuardError: mode is ``full`` and the table is empty; it was probably not loaded.
    :raises TenantTableError: the table cannot be read, or some of its rows cannot be used.
    """
    if mode not in ("incremental", "full"):
        raise ValueError(f"mode is {mode!r}; it must be 'incremental' or 'full'. Nothing was removed.")
    states: dict[str, bool] = {}
    for row in rows:
        if row.tenant in states:
            # The reader finds only neighbours. Two keys may become the same string and not be neighbours.
            raise TenantTableError(f"tenant {row.tenant!r} has more than one row. Nothing was removed.")
        states[row.tenant] = row.active
    in_ledger = other_dags = 0
    entries: list[Entry] = []
    for entry in ledger.live():
        in_ledger += 1
        active = states.get(entry.tenant)
        if active is False:
            entries.append(entry)
        elif active is None and mode == "full":
            if entry.dag_id == ledger.dag_id:
                entries.append(entry)
            else:
                other_dags += 1
    if mode == "full" and not states and in_ledger:
        raise RemovalGuardError(
            f"nothing was removed: the tenant table is empty, and mode 'full' would remove all {in_ledger} tenants of "
            "the ledger. To remove all tenants, keep their rows and set them inactive.",
            in_ledger,
        )
    return RemovalPlan(entries, in_ledger, other_dags)


class _Remover:
    """Removes the dashboards of some tenants; see the module's docstring.

    :param others: embed id to the tenants that have it in the ledger and stay.
    """

    def __init__(
        self, target: Target[Any], transport: AsyncTransport, workers: Workers, others: Mapping[str, set[str]]
    ) -> None:
        self._target = target
        self._transport = transport
        self._workers = workers
        self._others = others
        self._done: set[str] = set()
        self._unproved: dict[str, tuple[Entry, NotFoundError]] = {}

    async def remove(self, entry: Entry) -> None:
        """Remove one tenant's dashboard: it gets its outcome, or it is put aside because its end is not proved."""
        existing = entry.existing
        assert existing is not None  # noqa: S101 - plan_removal takes only entries with a dashboard
        if staying := self._others.get(existing.embed_id):
            shared = AlreadyExistsError(
                f"according to the ledger {existing.embed_id!r} also belongs to tenant {min(staying)!r}; it was not "
                "removed",
                endpoint="removal",
                tenant=entry.tenant,
                dashboard=existing.dashboard_id,
            )
            await self._fail(entry, shared)
            return
        try:
            await self._target.delete(self._transport, entry.tenant, existing)
            await self._delete_leftovers(entry.tenant, existing)
        except StoppedError:
            return
        except NotFoundError as error:
            if entry.tenant in self._unproved:
                await self._fail(entry, error)
            else:
                self._unproved[entry.tenant] = entry, error
        except Exception as error:
            await self._fail(entry, error)
        else:
            self._done.add(entry.tenant)
            await self._workers.end(Outcome(entry.tenant, Action.DELETED, entry, wanted_id=entry.dashboard_id))

    async def _delete_leftovers(self, tenant: str, existing: Existing) -> None:
        """Delete the tenant's other dashboards, except those that the ledger names for another tenant."""
        leftovers, ledger = self._target.leftovers(existing), self._workers.ledger
        if not leftovers or ledger is None:
            return
        ids = [leftover.dashboard_id for leftover in leftovers]
        owners = await asyncio.to_thread(ledger.tenants_by_dashboard, ids)
        for leftover in leftovers:
            owner = owners.get(leftover.dashboard_id, tenant)
            if owner != tenant:
                log.warning(
                    "Tenant %r: dashboard %r looks like its too, but the ledger names %r; it is not deleted",
                    tenant,
                    leftover.dashboard_id,
                    owner,
                )
                continue
            log.warning("Tenant %r has another dashboard, %r; it is deleted too", tenant, leftover.dashboard_id)
            await self._target.delete(self._transport, tenant, leftover)

    async def look_again(self) -> None:
        """Decide by a new survey about the tenants that were put aside."""
        if not self._unproved or self._workers.stop.reason:
            return
        try:
            await self._survey_again()
        except StoppedError:
            return
        except ApiError as failed:
            log.warning("%d deletions are not proved, and the list failed: %s", len(self._unproved), failed)
            for entry, error in self._unproved.values():
                await self._fail(entry, error)
        else:
            if not self._workers.stop.reason:
                await self._workers.share([entry for entry, _ in self._unproved.values()], self.remove)

    async def _survey_again(self) -> None:
        workers = self._workers
        await _survey(self._target, self._transport, workers.stop, workers.rules)
        if not workers.stop.reason:
            await check_list(self._target, self._transport, workers.ledger, self._done | self._unproved.keys())

    async def _fail(self, entry: Entry, error: Exception) -> None:
        await self._workers.end(Outcome.failure(entry.tenant, entry, entry.dashboard_id, error))


async def _survey(target: Target[Any], transport: AsyncTransport, stop: Stop, rules: Rules) -> None:
    # Watched, as the deletions are: a stop must not wait for a slow list.
    await stop.watch([asyncio.create_task(target.survey(transport))], rules.grace_seconds)


async def remove(
    target: Target[Any],
    transport: AsyncTransport,
    entries: Sequence[Entry],
    *,
    report: Report,
    progress: Progress,
    rules: Rules,
    stop: Stop,
    ledger: Ledger,
) -> Report:
    """Remove these tenants' dashboards, after one survey that shows who owns them now.

    :return: the report. If ``why`` is set, the removal was not finished.
    :raises ApiError: the survey failed; nothing was removed.
    """
    stop.bind()
    leaving = {entry.tenant for entry in entries}
    tenants_by_embed = await asyncio.to_thread(
        ledger.tenants_by_embed, [entry.embed_id for entry in entries if entry.embed_id]
    )
    others = {embed_id: tenants - leaving for embed_id, tenants in tenants_by_embed.items()}
    if entries:
        with suppress(StoppedError):
            await _survey(target, transport, stop, rules)
        if not stop.reason:
            await check_list(target, transport, ledger)
    if entries and not stop.reason:
        async with Journal(ledger, on_error=lambda error: stop.request(str(error))) as journal:
            workers = Workers(rules, stop, progress, report, ledger, journal)
            remover = _Remover(target, transport, workers, others)
            await workers.share(entries, remover.remove)
            await remover.look_again()
    progress.flush()
    report.close(stop.reason, stop.wait, left=len(entries) - progress.finished)
    return report


def preview(entries: Sequence[Entry]) -> list[Planned]:
    """A dry run: what ``remove`` would do."""
    return [Planned(tenant=entry.tenant, dashboard_id=entry.dashboard_id, action="delete") for entry in entries]
