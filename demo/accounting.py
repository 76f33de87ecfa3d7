"""Counts each tenant's dashboards. It reads only the API's list of embeds and the ids in XCom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OWNER = "airflowProviderClientId"
"""The key in a dashboard's metadata that names its tenant."""


@dataclass(frozen=True)
class Listed:
    """An embed in the API's list, with its dashboard and that dashboard's tenant."""

    embed_id: str
    dashboard_id: str
    owner: str | None

    @classmethod
    def read(cls, embed: Mapping[str, Any]) -> Listed:
        """Read one embed of the API's answer."""
        dashboard = embed["externalDashboard"]
        owner = (dashboard.get("metadata") or {}).get(OWNER)
        return cls(embed["embedId"], dashboard["externalDashboardId"], owner)


@dataclass(frozen=True)
class Account:
    """The tenants of a run, counted by result. ``account`` says what each number counts."""

    tenants: int
    created: int
    failed: int
    doubled: int


def account(
    tenants: Iterable[str],
    before: Iterable[Mapping[str, Any]],
    after: Iterable[Mapping[str, Any]],
    xcoms: Iterable[Mapping[str, str]],
) -> Account:
    """Count the tenants.

    - ``created``: has a dashboard with its own name in the metadata, and that dashboard did not exist before.
    - ``doubled``: has more than one dashboard.
    - ``failed``: has no dashboard, or XCom has no id for it, several ids, or an id of another dashboard.

    :param before: the embeds that the API listed before the run.
    :param after: the embeds that the API lists after the run.
    :param xcoms: each task's ids, by tenant.
    """
    known = {Listed.read(embed).dashboard_id for embed in before}
    owned: dict[str | None, list[Listed]] = {}
    for embed in map(Listed.read, after):
        owned.setdefault(embed.owner, []).append(embed)
    ids: dict[str, list[str]] = {}
    for xcom in xcoms:
        for tenant, embed_id in xcom.items():
            ids.setdefault(tenant, []).append(embed_id)
    counts: Counter[str] = Counter()
    for tenant in tenants:
        own = owned.get(tenant, [])
        dashboards = {embed.dashboard_id for embed in own}
        named = ids.get(tenant, [])
        counts["tenants"] += 1
        counts["created"] += bool(dashboards - known)
        counts["doubled"] += len(dashboards) > 1
        counts["failed"] += len(named) != 1 or named[0] not in {embed.embed_id for embed in own}
    return Account(counts["tenants"], counts["created"], counts["failed"], counts["doubled"])
