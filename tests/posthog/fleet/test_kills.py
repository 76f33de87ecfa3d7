"""A task is killed by SIGKILL at any request; its next try gives each tenant its own dashboard, as asked."""

from __future__ import annotations

import random
import signal

import pytest

from tests.posthog.fleet.checks import check, check_repeated
from tests.posthog.fleet.conftest import NewFleet
from tests.posthog.fleet.settings import CONCURRENCIES, FULL, KINDS, LONGEST_DELAY, SEED, TENANTS, VERSIONS, Setting

KILLS = 25 if FULL else 6
MOST_CHANGES = 4
"""Changes per tenant: a create, an update and the sharing, and some that are repeated."""


@pytest.mark.parametrize("number", range(KILLS))
def test_the_next_try_of_a_killed_task_repairs_everything(new_fleet: NewFleet, number: int) -> None:
    chance = random.Random(SEED + number)
    setting = Setting(
        list(KINDS)[number % len(KINDS)],
        chance.choice(CONCURRENCIES[1:]),
        tagging=chance.random() < 0.7,
        version=chance.choice(VERSIONS),
        ledger=chance.random() < 0.7,
        rough=chance.random() < 0.7,
    )
    fleet = new_fleet(setting, seed=number)
    if number % 4 == 3:
        # The rows change, and the task that updates the dashboards is killed.
        check(fleet, fleet.run())
        fleet.change_plans()
    wire = fleet.watch_changes(chance.randint(0, MOST_CHANGES * len(TENANTS)))
    killed = fleet.run(wire, chance.uniform(0, LONGEST_DELAY))
    assert killed.code in (0, -signal.SIGKILL), f"{setting}: {killed.error}"
    check(fleet, fleet.run(retry=True))
    check_repeated(fleet)
