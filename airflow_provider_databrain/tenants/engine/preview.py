"""A dry run: what ``apply`` would do. It sends nothing that changes anything, and writes nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.belief import check_list
from airflow_provider_databrain.tenants.engine.check import CheckedBatch
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.report import Action, Planned, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.target import Target
from airflow_provider_databrain.tenants.engine.workers import Rules

WantedT = TypeVar("WantedT")


async def preview(
    target: Target[WantedT],
    transport: AsyncTransport,
    checked: CheckedBatch[WantedT],
    *,
    rules: Rules,
    stop: Stop,
    ledger: Ledger | None = None,
) -> Report:
    """Plan each tenant: create, adopt or update. Surveys once if the ledger does not know a tenant.

    :return: the report. If ``why`` is set, it was stopped before the end.
    :raises ApiError: the survey failed.
    """
    report = checked.report
    surveyed = False
    stop.bind()
    for item in checked.work:
        desired = item.desired
        existing = item.entry.existing if item.entry else None
        action = "update"
        if existing is None:
            if not surveyed:
                with suppress(StoppedError):
                    await stop.watch([asyncio.create_task(target.survey(transport))], rules.grace_seconds)
                surveyed = True
                if not stop.reason:
                    await check_list(target, transport, ledger)
            if stop.reason:
                break
            try:
                existing = await target.find(transport, desired, ours=False)
            except StoppedError:
                break
            except ApiError as error:
                report.fail(desired.tenant, desired.dashboard_id, error)
                continue
            action = "create" if existing is None else "adopt"
        dashboard_id = existing.dashboard_id if existing else desired.dashboard_id
        report.planned.append(Planned(tenant=desired.tenant, dashboard_id=dashboard_id, action=action))
    handled = len(report.planned) + report.counted[Action.FAILED]
    report.close(stop.reason, stop.wait, left=len(checked.work) - handled)
    return report
