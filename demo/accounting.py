"""What became of every tenant, told from the API's list of embeds and the ids in XCom alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OWNER = "airflowProviderClientId"
"""The key in a dashboard's metadata that says whose it is."""


@dataclass(frozen=True)
class Listed:
    """A dashboard as the API lists it."""

    embed_id: str
    dashboard_id: str
    owner: str | None

    @classmethod
    def read(cls, embed: Mapping[str, Any]) -> Listed:
        """One element of the API's answer."""
        dashboard = embed["externalDashboard"]
        owner = (dashboard.get("metadata") or {}).get(OWNER)
        return cls(embed["embedId"], dashboard["externalDashboardId"], owner)


@dataclass(frozen=True)
class Account:
    """How many tenants the run has served, and how."""

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

    ``created`` have a dashboard that is proved to be theirs and was not there before; ``doubled`` have more than one;
    ``failed`` have none, or XCom gives them no id, several, or one that is not their dashboard's.

    :param before: embeds that the API listed before the run.
    :param after: embeds that it lists after the run.
    :param xcoms: of each task, the ids by tenant.
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
