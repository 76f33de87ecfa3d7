"""Removing dashboards of tenants that are no more, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_databrain.client.errors import AlreadyExistsError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.journal import Journal
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Planned, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow, TenantTableError
from airflow_provider_databrain.tenants.engine.target import Target
from airflow_provider_databrain.tenants.engine.workers import Rules, Workers

Mode = Literal["incremental", "full"]

NAMED = 10
"""Tenants that a refusal names."""


class RemovalGuardError(Exception):
    """More dashboards would be removed than allowed; nothing was.

    :param tenants: how many would have been.
    """

    def __init__(self, message: str, tenants: int) -> None:
        super().__init__(message)
        self.tenants = tenants


@dataclass(frozen=True)
class Guard:
    """How much one run may remove.

    :param max_deletions: tenants at most; None for no bound.
    :param max_fraction: of the tenants that the ledger holds, from 0 to 1.
    """

    max_deletions: int | None = 100
    max_fraction: float = 0.1

    def __post_init__(self) -> None:
        if self.max_deletions is not None and self.max_deletions < 0:
            raise ValueError(f"max_deletions is {self.max_deletions}; it is 0 or more, or None. Nothing was removed.")
        if not 0 <= self.max_fraction <= 1:
            raise ValueError(f"max_deletion_fraction is {self.max_fraction:g}; it is 0 to 1. Nothing was removed.")

    def check(self, entries: Sequence[Entry], held: int) -> None:
        """Raise ``RemovalGuardError`` where that is more than allowed."""
        bounds = []
        if self.max_deletions is not None and len(entries) > self.max_deletions:
            bounds.append(f"max_deletions is {self.max_deletions}")
        # A quotient, because 0.29 * 100 is less than 29.
        if entries and len(entries) / held > self.max_fraction:
            bounds.append(f"max_deletion_fraction is {self.max_fraction:g}")
        if bounds:
            named = ", ".join(repr(entry.tenant) for entry in entries[:NAMED])
            more = f" and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
            raise RemovalGuardError(
                f"nothing was removed: the dashboards of {len(entries)} of {held} tenants would have been, but "
                f"{' and '.join(bounds)}. They are of {named}{more}. If that is right, raise the bound for one run.",
                len(entries),
            )


@dataclass(frozen=True)
class RemovalPlan:
    """What is to be removed.

    :param entries: the tenants' ledger entries.
    :param held: tenants with a dashboard in the ledger.
    :param foreign: of the vanished ones, those that another Dag has provisioned; they stay.
    """

    entries: list[Entry]
    held: int
    foreign: int


def plan_removal(rows: Iterable[TenantRow], ledger: Ledger, mode: Mode) -> RemovalPlan:
    """The tenants whose dashboards are to be removed. Reads the whole table before it answers.

    ``incremental``: those whose row says that they are not active. ``full``: also those that have no row, as far as
    this Dag provisioned them; another Dag may have another table.

    :raises RemovalGuardError: ``full``, and the table has no row: rather it was not loaded.
    :raises TenantTableError: the table cannot be read, or holds rows that no tenant can be made of.
    """
    if mode not in ("incremental", "full"):
        raise ValueError(f"mode is {mode!r}; it is 'incremental' or 'full'. Nothing was removed.")
    states: dict[str, bool] = {}
    for row in rows:
        if row.tenant in states:
            # Not side by side, where the table's order is not that of the keys' texts.
            raise TenantTableError(f"tenant {row.tenant!r} has more than one row. Nothing was removed.")
        states[row.tenant] = row.active
    held = foreign = 0
    found: list[Entry] = []
    for entry in ledger.live():
        held += 1
        active = states.get(entry.tenant)
        if active is False:
            found.append(entry)
        elif active is None and mode == "full":
            if entry.dag_id == ledger.dag_id:
                found.append(entry)
            else:
                foreign += 1
    if mode == "full" and not states and held:
        raise RemovalGuardError(
            f"nothing was removed: the tenant table is empty, and mode 'full' would remove all {held} tenants of the "
            "ledger. An empty table is never taken for the truth; if nobody is left, set them inactive.",
            held,
        )
    return RemovalPlan(found, held, foreign)


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
    """Remove these tenants' dashboards, after one survey that shows whose they are now.

    :return: the report; where ``why`` is set, not all was done.
    :raises ApiError: the survey failed; nothing was removed.
    """
    stop.bind()
    tenants = {entry.tenant for entry in entries}
    sharers = await asyncio.to_thread(ledger.tenants_by_embed, [entry.embed_id for entry in entries if entry.embed_id])

    async def one(entry: Entry) -> None:
        existing = entry.existing
        assert existing is not None  # noqa: S101 - plan_removal takes only entries with a dashboard
        if others := sharers.get(existing.embed_id, set()) - tenants:
            shared = AlreadyExistsError(
                f"by the ledger {existing.embed_id!r} belongs to tenant {min(others)!r} too; it was not removed",
                endpoint="removal",
                tenant=entry.tenant,
                dashboard=existing.dashboard_id,
            )
            await workers.end(Outcome.failure(entry.tenant, entry, entry.dashboard_id, shared))
            return
        try:
            await target.delete(transport, entry.tenant, existing)
        except StoppedError:
            return
        except Exception as error:
            await workers.end(Outcome.failure(entry.tenant, entry, entry.dashboard_id, error))
        else:
            await workers.end(Outcome(entry.tenant, Action.DELETED, entry, wanted_id=entry.dashboard_id))

    if entries:
        with suppress(StoppedError):
            # Watched as the deletions are: a stop must not wait for a slow list.
            await stop.watch([asyncio.create_task(target.survey(transport))], rules.grace_seconds)
    if entries and not stop.reason:
        async with Journal(ledger, on_error=lambda error: stop.request(str(error))) as journal:
            workers = Workers(rules, stop, progress, report, ledger, journal)
            await workers.share(entries, one)
    progress.flush()
    report.close(stop.reason, stop.wait, left=len(entries) - progress.finished)
    return report


def planned(entries: Sequence[Entry]) -> list[Planned]:
    """What ``remove`` would do."""
    return [Planned(tenant=entry.tenant, dashboard_id=entry.dashboard_id, action="delete") for entry in entries]
