"""Applying a batch: everything is checked first, then sent with bounded concurrency."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from airflow_provider_databrain.api.errors import ApiError
from airflow_provider_databrain.provisioning.report import Action, Outcome, Report
from airflow_provider_databrain.provisioning.spec import Spec, SpecError, fill
from airflow_provider_databrain.provisioning.targets.base import Desired, Target
from airflow_provider_databrain.transport.aio import AsyncTransport

log = logging.getLogger(__name__)
WantedT = TypeVar("WantedT")

SHOWN = 10
"""Bad rows that an error names at most."""
PROGRESS_SECONDS = 5.0


def desire_all(target: Target[WantedT], spec: Spec, rows: Mapping[str, Mapping[str, Any]]) -> list[Desired[WantedT]]:
    """What each tenant's dashboard shall be. Sends nothing.

    :param rows: tenant key to row.
    :raises SpecError: names every tenant (up to ten) whose row or spec cannot be used, or two tenants that
        would share a dashboard id.
    """
    wanted: list[Desired[WantedT]] = []
    problems: list[str] = []
    holder: dict[str, str] = {}
    for tenant, row in rows.items():
        try:
            desired = target.desire(tenant, fill(spec, row, tenant))
        except SpecError as error:
            problems.append(str(error))
            continue
        first = holder.setdefault(desired.dashboard_id, tenant)
        if first != tenant:
            problems.append(f"tenants {first!r} and {tenant!r} would share dashboard id {desired.dashboard_id!r}")
        wanted.append(desired)
    if problems:
        more = f"\nand {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "\n".join(f"- {problem}" for problem in problems[:SHOWN])
        raise SpecError(
            f"{len(problems)} of {len(rows)} tenants cannot be provisioned; nothing was sent.\n{listed}{more}"
        )
    return wanted


async def provision(
    target: Target[WantedT],
    api: AsyncTransport,
    wanted: Sequence[Desired[WantedT]],
    *,
    concurrency: int,
) -> Report:
    """Make every wanted dashboard exist, ``concurrency`` at a time; one tenant's failure stops no other.

    :raises ValueError: ``concurrency`` is less than 1.
    :raises ApiError: the first survey failed; nothing was sent that changes anything.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; it is 1 or more. Nothing was sent.")
    if not wanted:
        return Report([])
    await target.survey(api)
    outcomes: dict[str, Outcome] = {}
    undecided: list[Desired[WantedT]] = []
    progress = _Progress(len(wanted))

    async def work(queue: Iterable[Desired[WantedT]]) -> None:
        for desired in queue:
            outcome = await _guarded(target, api, desired)
            if outcome is None:
                undecided.append(desired)
            else:
                outcomes[desired.tenant] = outcome
                progress.note(outcome)

    # All workers draw from one iterator, so that a slow call holds up no other tenant.
    queue = iter(wanted)
    await asyncio.gather(*(work(queue) for _ in range(min(concurrency, len(wanted)))))
    if undecided:
        outcomes |= await _settled(target, api, undecided)
    for outcome in outcomes.values():
        if outcome.action is Action.FAILED:
            log.error("Tenant %r: %s", outcome.tenant, outcome.error)
    return Report([outcomes[desired.tenant] for desired in wanted])


async def _guarded(target: Target[WantedT], api: AsyncTransport, desired: Desired[WantedT]) -> Outcome | None:
    try:
        return await target.provision(api, desired)
    except ApiError as error:
        return Outcome(desired.tenant, desired.dashboard_id, Action.FAILED, error=error)
    except Exception as error:
        # A fault of ours at one tenant must not cost the others their dashboards.
        log.exception("Tenant %r: unexpected error", desired.tenant)
        return Outcome(desired.tenant, desired.dashboard_id, Action.FAILED, error=error)


async def _settled(
    target: Target[WantedT], api: AsyncTransport, undecided: Sequence[Desired[WantedT]]
) -> dict[str, Outcome]:
    """Survey again and decide about what was left open; a failure here is theirs alone."""
    outcomes: dict[str, Outcome] = {}
    try:
        await target.survey(api)
        for desired in undecided:
            outcomes[desired.tenant] = target.settle(desired)
    except Exception as error:
        if not isinstance(error, ApiError):
            log.exception("Unexpected error while deciding about dashboards whose id is taken")
        for desired in undecided:
            failed = Outcome(desired.tenant, desired.dashboard_id, Action.FAILED, error=error)
            outcomes.setdefault(desired.tenant, failed)
    return outcomes


class _Progress:
    """A log line every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._failed = 0
        self._next = time.monotonic() + PROGRESS_SECONDS

    def note(self, outcome: Outcome) -> None:
        self._done += 1
        self._failed += outcome.action is Action.FAILED
        if time.monotonic() >= self._next:
            self._next += PROGRESS_SECONDS
            log.info("%d of %d tenants done, %d failed", self._done, self._total, self._failed)
