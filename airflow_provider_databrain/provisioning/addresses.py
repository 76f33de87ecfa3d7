"""The addresses of the dashboards of a batch, for who asks for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from airflow_provider_databrain.api.errors import ApiError, AuthenticationError
from airflow_provider_databrain.provisioning.report import Report
from airflow_provider_databrain.provisioning.stop import Stop
from airflow_provider_databrain.provisioning.targets.base import Existing, SharedTarget
from airflow_provider_databrain.transport.aio import AsyncTransport
from airflow_provider_databrain.transport.pace import StoppedError

log = logging.getLogger(__name__)


async def addresses(
    target: SharedTarget[Any], api: AsyncTransport, report: Report, *, concurrency: int, stop: Stop
) -> dict[str, str]:
    """Tenant to address, for all tenants of a report that have a shared dashboard; a call for each.

    A tenant whose address cannot be had is noted in the report as failed, besides what was done for it. Once the API
    has refused the credentials, no further one is asked for.
    """
    found: dict[str, str] = {}
    failed: list[tuple[str, str, ApiError]] = []
    refused: list[AuthenticationError] = []

    async def work(queue: Iterator[tuple[str, str]]) -> None:
        for tenant, dashboard_id in queue:
            if stop.reason:
                return
            if refused:
                failed.append((tenant, dashboard_id, refused[0]))
                continue
            try:
                url = await target.url(api, Existing(dashboard_id, report.embed_ids[tenant], ""))
            except StoppedError:
                return
            except ApiError as error:
                failed.append((tenant, dashboard_id, error))
                if isinstance(error, AuthenticationError):
                    refused.append(error)
            else:
                if url is not None:
                    found[tenant] = url

    queue = iter(report.ids.items())
    await asyncio.gather(*(work(queue) for _ in range(concurrency)))
    for tenant, dashboard_id, error in failed:
        log.error("Tenant %r: %s", tenant, error)
        report.fail(tenant, dashboard_id, error)
    return found
