"""The addresses of a batch's dashboards, for operators that push them (``push_urls``)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.report import Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.target import Existing, SharedTarget

log = logging.getLogger(__name__)


async def fetch_addresses(
    target: SharedTarget[Any], transport: AsyncTransport, report: Report, *, concurrency: int, stop: Stop
) -> dict[str, str]:
    """Tenant to address, for every tenant in the report that has a shared dashboard; one call for each tenant.

    A tenant whose address cannot be fetched is noted in the report as failed, besides what was done for it. After the
    API has refused the credentials, no further address is fetched.
    """
    urls: dict[str, str] = {}
    failed: list[tuple[str, str, ApiError]] = []
    refused: list[AuthenticationError] = []
    queue = iter(report.ids.items())

    async def fetch(tenant: str, dashboard_id: str) -> None:
        try:
            url = await target.url(transport, Existing(dashboard_id, report.embed_ids[tenant], ""))
        except ApiError as error:
            failed.append((tenant, dashboard_id, error))
            if isinstance(error, AuthenticationError) and error.from_api:
                refused.append(error)
        else:
            if url is not None:
                urls[tenant] = url

    async def work() -> None:
        with suppress(StoppedError):
            while not (stop.reason or refused) and (item := next(queue, None)):
                await fetch(*item)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    if refused:
        failed.extend((*item, refused[0]) for item in queue)
    for tenant, dashboard_id, error in failed:
        log.error("Tenant %r: %s", tenant, error)
        report.fail(tenant, dashboard_id, error)
    return urls
