"""A tenant's shared page never shows another tenant's variables, filters or colors, at any moment."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.posthog.api.marks import mark_of
from tests.posthog.fleet.checks import check
from tests.posthog.fleet.conftest import NewFleet
from tests.posthog.fleet.fleet import filled
from tests.posthog.fleet.settings import FULL, KINDS, TENANTS, Setting
from tests.posthog.fleet.watcher import WATCHED

SHORT = [
    Setting("shallow", 8, rough=True),
    Setting("deep", 4, tagging=False, version="2026-07", rough=True),
    Setting("DEFAULT_APP", 16, version="2025-08", rough=True),
]
ALL = [Setting(kind, concurrency, rough=True) for kind in KINDS for concurrency in (4, 16)]


@pytest.mark.parametrize("setting", list(dict.fromkeys([*SHORT, *ALL])) if FULL else SHORT, ids=str)
def test_no_shared_page_ever_shows_what_is_another_tenants(new_fleet: NewFleet, setting: Setting) -> None:
    fleet = new_fleet(setting)
    check(fleet, fleet.run())
    fleet.change_plans()
    check(fleet, fleet.run())
    # The watcher has seen each page twice or more: after it was shared, and after its row changed.
    assert fleet.emulator.watcher.pages >= 2 * len(TENANTS)


def test_the_watcher_notices_a_page_that_shows_what_is_anothers(new_fleet: NewFleet) -> None:
    fleet = new_fleet(Setting("shallow", 1))
    posthog, watcher, source = fleet.emulator.posthog, fleet.emulator.watcher, fleet.spec["use_dashboard"]
    [mine, others] = [filled(fleet.spec, row) for row in fleet.rows()[:2]]
    fields = {name: mine[name] for name in WATCHED}
    key = posthog.add_dashboard(name="Mine", description=f"[{mark_of(TENANTS[0])}]", **fields)
    posthog.shares.save(key, enabled=True)
    fleet.sent()
    assert (watcher.pages, watcher.faults) == (1, [])
    posthog.change_dashboard(key, variables=others["variables"])
    fleet.sent()
    posthog.shares.save(source, enabled=True)
    fleet.sent()
    assert [fault.partition(" it shows ")[0] for fault in watcher.faults] == [
        f"page: of tenant {TENANTS[0]}, dashboard {key}, after GET /_emulator/calls:",
        f"page: of nobody, dashboard {source}, after GET /_emulator/calls:",
    ]
