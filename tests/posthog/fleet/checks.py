"""What must be true after tasks have run: each tenant has one dashboard, its own and as asked. No other exists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_databrain.emulator.posthog.state import DashboardRow
from airflow_provider_databrain.posthog.api.marks import mark_of
from tests.posthog.fleet.fleet import Fleet, Ran, filled
from tests.posthog.fleet.settings import TEMPLATE, TEMPLATE_DESCRIPTION, TENANTS
from tests.posthog.fleet.watcher import EMPTY, WATCHED

LIST = "GET /api/projects/N/dashboards/"
Row = Mapping[str, str]
"""One row of the tenant table."""


def check(fleet: Fleet, *runs: Ran) -> None:
    """Check everything; the message names the tenants.

    :param runs: the tasks that must have succeeded.
    """
    fleet.wait()
    found, strays = _by_tenant(fleet)
    faults = [*_of_runs(runs), *fleet.emulator.watcher.faults, *strays]
    for row in fleet.rows():
        faults += _of_tenant(fleet, row, found[row["tenant_id"]], runs)
    faults += _of_insights(fleet, found)
    assert not faults, _shown(fleet, faults)


def check_repeated(fleet: Fleet) -> None:
    """Run once more: that changes nothing. With a ledger it makes no call, or it lists the dashboards once."""
    fleet.sent()
    before = fleet.dashboards()
    again = fleet.run()
    calls = fleet.sent()
    after = fleet.dashboards()
    faults = [*_of_runs([again]), *fleet.emulator.watcher.faults]
    for key in before.keys() | after.keys():
        was, now = before.get(key), after.get(key)
        if was != now:
            tenant = fleet.owner((was or now or fleet.others[key]).fields)
            faults.append(f"repeated: the second run changed dashboard {key} of tenant {tenant}: {was}, now {now}")
    if fleet.setting.ledger and calls not in ([], [LIST]):
        faults.append(f"calls: the second run sent {dict(Counter(calls))}")
    assert not faults, _shown(fleet, faults)


def _of_runs(runs: Sequence[Ran]) -> Iterator[str]:
    for number, ran in enumerate(runs, 1):
        yield from (f"failed: tenant {tenant} in run {number}: {text}" for tenant, text in ran.failures.items())
        if ran.code and not ran.failures:
            yield f"ended: run {number} with {ran.code}: {ran.error}"


def _by_tenant(fleet: Fleet) -> tuple[defaultdict[str, list[DashboardRow]], list[str]]:
    """The dashboards of each tenant, by their marks, and the faults of those that are no tenant's."""
    found: defaultdict[str, list[DashboardRow]] = defaultdict(list)
    faults: list[str] = []
    existing = fleet.dashboards()
    for key, row in existing.items():
        if key in fleet.others:
            continue
        tenant = fleet.owner(row.fields)
        if tenant is None:
            faults.append(f"unmarked: dashboard {key}: {row}")
        else:
            found[tenant].append(row)
    faults += [
        f"others: dashboard {key}, which is no tenant's, has changed: {row}, now {existing.get(key)}"
        for key, row in fleet.others.items()
        if existing.get(key) != row
    ]
    return found, faults


def _of_tenant(fleet: Fleet, row: Row, found: Sequence[DashboardRow], runs: Sequence[Ran]) -> Iterator[str]:
    tenant = row["tenant_id"]
    if len(found) != 1:
        yield f"number: tenant {tenant} has {len(found)} dashboards: {[each.id for each in found]}"
        return
    [dashboard] = found
    key = str(dashboard.id)
    for what, so in [*_of_fields(fleet, row, dashboard), *_of_sharing(fleet, dashboard)]:
        yield f"{what}: tenant {tenant}, dashboard {key}: {so}"
    ledger = fleet.ledger()
    if ledger is not None and ledger.get(tenant) != key:
        yield f"ledger: tenant {tenant} has dashboard {key}; the ledger says {ledger.get(tenant)}"
    for number, ran in enumerate(runs, 1):
        if ran.ids.get(tenant) != key:
            yield f"returned: tenant {tenant} has dashboard {key}; run {number} says {ran.ids.get(tenant)}"


def _of_fields(fleet: Fleet, row: Row, dashboard: DashboardRow) -> Iterator[tuple[str, str]]:
    """What is not as asked."""
    default = {**EMPTY, "name": TEMPLATE, "description": TEMPLATE_DESCRIPTION}
    asked: dict[str, Any] = {**default, **filled(fleet.spec, row)}
    asked["tags"] = sorted({tag.strip().lower() for tag in asked["tags"]}) if fleet.setting.tagging else []
    asked["description"] += f"\n[{mark_of(row['tenant_id'])}]"
    shown = {**dashboard.fields, "tags": sorted(dashboard.fields["tags"])}
    for name in ("name", "description", "tags", *WATCHED):
        if shown[name] != asked[name]:
            yield name, f"{shown[name]!r}, not {asked[name]!r}"
    tiles = fleet.emulator.posthog.contents.tiles(dashboard.id)
    if len(tiles) != fleet.kind.tiles:
        yield "tiles", f"{len(tiles)}, not {fleet.kind.tiles}"


def _of_sharing(fleet: Fleet, dashboard: DashboardRow) -> Iterator[tuple[str, str]]:
    share = fleet.emulator.posthog.shares.of(dashboard.id)
    asked = fleet.spec["sharing"]["settings"]
    if share is None or not share.enabled:
        yield "sharing", "not shared"
    elif share.settings != asked:
        yield "sharing", f"{share.settings}, not {asked}"


def _of_insights(fleet: Fleet, found: Mapping[str, Sequence[DashboardRow]]) -> Iterator[str]:
    """Which insights are on several dashboards, and must not be."""
    if fleet.kind.copies is False:
        return
    owners: dict[int, str] = {}
    for tenant, rows in found.items():
        for row in rows:
            for tile in fleet.emulator.posthog.contents.tiles(row.id):
                if tile.insight_id is not None and owners.setdefault(tile.insight_id, tenant) != tenant:
                    yield f"insight: tenant {tenant} has insight {tile.insight_id} of {owners[tile.insight_id]}"


def _shown(fleet: Fleet, faults: Sequence[str]) -> str:
    """How many faults of each kind, then the first ones of each kind."""
    kinds = Counter(fault.partition(":")[0] for fault in faults)
    existing = len(fleet.dashboards()) - len(fleet.others)
    numbers = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    lines = [f"{fleet.setting}: {existing} dashboards for {len(TENANTS)} tenants; faults: {numbers}"]
    for kind in kinds:
        lines += [fault[:600] for fault in faults if fault.startswith(f"{kind}:")][:2]
    return "\n".join(lines)
