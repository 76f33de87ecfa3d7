"""Two tasks provision the same tenants at the same time."""

from __future__ import annotations

import random
import signal

import pytest

from tests.posthog.fleet.checks import check, check_repeated
from tests.posthog.fleet.conftest import NewFleet
from tests.posthog.fleet.settings import FULL, KINDS, LONGEST_DELAY, SEED, TENANTS, VERSIONS, Setting

SHORT = [
    Setting("DEFAULT_APP", 4),
    Setting("bare", 8, ledger=False),
    Setting("shallow", 4, tagging=False, version="2025-08", rough=True),
    Setting("blank", 8, version="2026-07", ledger=False, rough=True),
]
ALL = [
    Setting(kind, concurrency, ledger=ledger, version=VERSIONS[number % 3], rough=number % 2 == 1)
    for number, kind in enumerate(KINDS)
    for concurrency, ledger in ((4, True), (16, False))
]


@pytest.mark.parametrize("setting", list(dict.fromkeys([*SHORT, *ALL])) if FULL else SHORT, ids=str)
def test_two_runs_at_once_leave_each_tenant_one_dashboard(new_fleet: NewFleet, setting: Setting) -> None:
    fleet = new_fleet(setting)
    check(fleet, *fleet.run_two())
    check_repeated(fleet)


@pytest.mark.parametrize("number", range(6 if FULL else 2))
def test_one_of_two_runs_is_killed(new_fleet: NewFleet, number: int) -> None:
    chance = random.Random(SEED + number)
    setting = Setting(list(KINDS)[1 + number % 5], 8, ledger=number % 2 == 0, rough=chance.random() < 0.5)
    fleet = new_fleet(setting, seed=number)
    # Each tenant has at most one create of each run, and one update and one sharing.
    wire = fleet.watch_changes(chance.randint(1, 4 * len(TENANTS)))
    killed, other = fleet.run_two(wire, chance.uniform(0, LONGEST_DELAY))
    assert killed.code in (0, -signal.SIGKILL), f"{setting}: {killed.error}"
    assert (other.code, other.failures) == (0, {}), f"{setting}: {other.error}"
    check(fleet, fleet.run())
    check_repeated(fleet)
