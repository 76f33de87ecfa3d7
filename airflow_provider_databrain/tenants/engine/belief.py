"""Whether the vendor's list can be believed.

A gateway, a cache or a firewall may answer a list call with a well-formed list that is empty or old. Such a list looks
as if no dashboard exists. Then each tenant would get a second dashboard, and each removal would be recorded as done. So
a list that shows none of the ledger's dashboards is not believed: it is the same as a list call that failed. One
dashboard alone may have been deleted by hand, so it proves nothing if the list shows other dashboards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.target import Target


async def check_list(target: Target[Any], ledger: Ledger | None, gone: Collection[str] = ()) -> None:
    """Compare the last survey with the ledger. Without a ledger nothing is checked.

    :param gone: tenants whose dashboards need not be listed: this run has deleted them, or the API has answered that
        they do not exist.
    :raises MalformedAnswerError: the ledger has several dashboards, and the survey shows none of them; or the ledger
        has one, and the survey shows no dashboard at all.
    """
    if ledger is None:
        return
    missing = await asyncio.to_thread(_missing, target, ledger, gone)
    if missing > 1 or (missing and target.lists_nothing):
        error = MalformedAnswerError(
            f"the list shows none of the {missing} dashboards that the ledger has, so it is not believed; something in "
            "between may have answered. If they no longer exist, delete their rows from the ledger",
            ambiguous=False,
        )
        error.endpoint = "survey"
        raise error


def _missing(target: Target[Any], ledger: Ledger, gone: Collection[str]) -> int:
    """The number of the ledger's dashboards; 0 if the survey shows one of them."""
    missing = 0
    for entry in ledger.live():
        if entry.tenant in gone or entry.existing is None:
            continue
        if target.lists(entry.existing):
            return 0
        missing += 1
    return missing
