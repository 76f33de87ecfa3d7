"""Days with a gateway in between: faults come and go, the tenant table changes, and a healthy run puts all right."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.gateway import Bare, Gateway
from tests.tenants.operators.test_gateway import BODIES, JSON, PLAIN, World, world
from tests.tenants.operators.test_gateway_lists import WRONG_LISTS
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import change

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("fast_retries")
SEEDS = range(6)
DAYS = 4
STATUSES = [404] * 8 + [403] * 3 + [401, 409, 502] * 2 + [400, 405, 410, 429, 500, 503, 504]
SUCCESSES = [b"<html>Sign in</html>", b"{}", b"[]", b"null", b""]
REQUESTS = ["^(DELETE|PUT|PATCH) "] * 4 + [
    "^GET ",
    "^POST ",
    "^",
    "t1",
    "t4",
    "sharing",
    "clone",
    "embeds",
    "workspaces/",
]


class SometimesGateway:
    """Gives the gateway a rule that holds for some of the requests.

    :param first: it holds for this many requests.
    :param every: it holds for each such request.
    """

    def __init__(self, gateway: Gateway, pattern: str, answer: Bare, *, first: int, every: int) -> None:
        self._pattern, self._first, self._every = re.compile(pattern), first, every
        self._seen = 0
        gateway.refuse_some(self._is_due, answer)

    def _is_due(self, request: str) -> bool:
        if not self._pattern.search(request):
            return False
        self._seen += 1
        return self._seen <= self._first and self._seen % self._every == 0


def trouble(dice: random.Random, system: str) -> tuple[str, Bare, int, int]:
    kind = dice.choice(["status"] * 6 + ["success", "list", "redirect"])
    if kind == "status":
        answer = Bare(dice.choice(STATUSES), *dice.choice(list(BODIES.values())))
    elif kind == "success":
        body = dice.choice(SUCCESSES)
        answer = Bare(200, JSON if body[:1] in b"{[n" else PLAIN, body)
    elif kind == "redirect":
        answer = Bare(dice.choice([301, 302, 307]), PLAIN, b"")
    else:
        answer = WRONG_LISTS[system]
    pattern = dice.choice(REQUESTS)
    if kind == "list":
        pattern = "^GET "
    return pattern, answer, dice.choice([1, 2, 5, 1000]), dice.choice([1, 1, 2, 3])


class Days:
    """A world that is run day after day, and what must hold after each run."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.world, self.dice = world, dice
        self.number = 0
        change(world.path, "ALTER TABLE tenants ADD COLUMN title TEXT DEFAULT 'a'")

    def change_table(self) -> None:
        dice, path = self.dice, self.world.path
        for _ in range(dice.randrange(2, 6)):
            self.number += 1
            known = [tenant for (tenant,) in read(path, "SELECT tenant_id FROM tenants ORDER BY 1")]
            tenant = dice.choice(known)
            match dice.randrange(5):
                case 0 | 1:
                    change(path, "INSERT INTO tenants VALUES (?, 1, 'a')", f"t{3 + self.number}")
                case 2:
                    change(path, "UPDATE tenants SET title = ? WHERE tenant_id = ?", f"n{self.number}", tenant)
                case 3:
                    change(path, "UPDATE tenants SET active = 1 - active WHERE tenant_id = ?", tenant)
                case _ if len(known) > 2:
                    change(path, "DELETE FROM tenants WHERE tenant_id = ?", tenant)

    def active(self) -> dict[str, str]:
        return dict(read(self.world.path, "SELECT tenant_id, title FROM tenants WHERE active ORDER BY 1"))

    def spec(self) -> dict[str, Any]:
        titled = {} if self.world.name == "conduit" else {"name": "{title} {tenant_id}"}
        return {**self.world.system.spec, **titled}

    def run(self) -> None:
        dice, world = self.dice, self.world
        world.provision(spec=self.spec(), concurrency=dice.choice([1, 4]))
        world.remove(mode="full", concurrency=dice.choice([1, 4]))

    def run_in_trouble(self) -> None:
        dice, world = self.dice, self.world
        jobs: list[Callable[[], Any]] = [
            lambda: world.provision(spec=self.spec(), concurrency=dice.choice([1, 4])),
            lambda: world.remove(mode="full", concurrency=dice.choice([1, 4])),
            lambda: world.provision(spec=self.spec(), dry_run=True),
        ]
        dice.shuffle(jobs)
        for job in jobs:
            pattern, answer, first, every = trouble(dice, world.name)
            SometimesGateway(world.gateway, pattern, answer, first=first, every=every)
            before = set(world.ledger().values())
            with suppress(ProvisioningError, ApiError):
                job()
            self.check_nothing_is_lost(before)
        world.gateway.pass_all()

    def check_nothing_is_lost(self, before: set[str]) -> None:
        """No dashboard that the ledger had is there and forgotten, or in the ledger and gone without a word."""
        existing, noted = self.world.system.existing(), set(self.world.ledger().values())
        assert not (before & existing) - noted
        assert len(noted) == len(self.world.ledger())

    def check_all_is_right(self) -> None:
        world, active = self.world, self.active()
        ledger = world.ledger()
        assert set(ledger) == set(active)
        assert world.system.existing() == set(ledger.values())
        shown = world.system.shown()
        assert sorted(shown) == sorted(
            (ledger[tenant], tenant if world.name == "conduit" else f"{title} {tenant}")
            for tenant, title in active.items()
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_run_puts_right_what_a_gateway_has_disturbed(world: World, seed: int) -> None:
    days = Days(world, random.Random(seed))
    days.run()
    days.check_all_is_right()
    for _ in range(DAYS):
        days.change_table()
        days.run_in_trouble()
        days.run()
        days.check_all_is_right()
    world.gateway.passed.clear()
    days.run()
    assert [request for request in world.gateway.passed if not request.startswith("GET ")] == []
    days.check_all_is_right()
