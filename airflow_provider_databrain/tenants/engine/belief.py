"""Whether the vendor's list can be believed.

A gateway, a cache or a firewall may answer a list call with a well-formed list that is empty or old. Such a list looks
as if no dashboard exists. Then each tenant would get a second dashboard, and each removal would be recorded as done. So
a list that shows none of the ledger's dashboards is not believed: it is the same as a list call that failed. One
dashboard alone may have been deleted by hand, so it proves nothing if the list shows other dashboards.

An account may also have been emptied on purpose. Where the vendor has a call that asks for one dashboard, the engine
asks for some of the missing ones. If the API itself says that none of those exists, the list is believed. Where there
is no such call, a person must decide, and the message says how.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Collection
from hashlib import blake2b
from typing import Any

from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.target import Existing, Target

ASKED = 10
"""How many of the missing dashboards are asked for. Each run asks for the same ones, spread over all tenants."""


async def check_list(
    target: Target[Any], transport: AsyncTransport, ledger: Ledger | None, gone: Collection[str] = ()
) -> None:
    """Compare the last survey with the ledger. Without a ledger nothing is checked.

    :param gone: tenants whose dashboards need not be listed: this run has deleted them, or the API has answered that
        they do not exist.
    :raises MalformedAnswerError: the ledger has several dashboards, and the survey shows none of them; or the ledger
        has one, and the survey shows no dashboard at all. The API itself does not say that they are gone.
    :raises ApiError: a call that asks for one of these dashboards failed.
    """
    if ledger is None:
        return
    missing, some = await asyncio.to_thread(_missing, target, ledger, gone)
    if missing > 1 or (missing and target.lists_nothing):
        for existing in some:
            if not await target.is_gone(transport, existing):
                raise _not_believed(missing, ledger)


def _not_believed(missing: int, ledger: Ledger) -> MalformedAnswerError:
    error = MalformedAnswerError(
        f"the list shows none of the {missing} dashboards that the ledger has, so it is not believed; something in "
        "between may have answered. If the dashboards really no longer exist, delete their rows from the ledger: "
        f"{ledger.delete_statement}",
        ambiguous=False,
    )
    error.endpoint = "survey"
    return error


def _missing(target: Target[Any], ledger: Ledger, gone: Collection[str]) -> tuple[int, list[Existing]]:
    """The number of the ledger's dashboards, and some of them; none if the survey shows one of them."""
    missing = 0
    some: list[tuple[bytes, str, Existing]] = []
    for entry in ledger.live():
        existing = entry.existing
        if entry.tenant in gone or existing is None:
            continue
        if target.lists(existing):
            return 0, []
        missing += 1
        some = heapq.nsmallest(ASKED, [*some, (_place(entry), entry.tenant, existing)])
    return missing, [existing for _, _, existing in some]


def _place(entry: Entry) -> bytes:
    return blake2b(entry.tenant.encode("utf-8", "surrogatepass"), digest_size=8).digest()
