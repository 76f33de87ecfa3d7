"""Days with a gateway in between: faults come and go, the tenant table changes, and a healthy run puts all right."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.transport import pace
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.gateway import Bare, Gateway
from tests.support import ACCESS
from tests.tenants.operators.test_gateway import BODIES, JSON, PLAIN, World, world
from tests.tenants.operators.test_gateway_lists import LISTS, WRONG_LISTS
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import change, counts

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
        self.is_open = False
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

        self.is_open ^= dice.random() < 0.3

    def active(self) -> dict[str, str]:
        return dict(read(self.world.path, "SELECT tenant_id, title FROM tenants WHERE active ORDER BY 1"))

    def spec(self) -> dict[str, Any]:
        """The spec of today. Conduit can change neither a name nor an access setting."""
        changing: dict[str, Any] = {}
        if self.world.name == "databrain":
            access = {**ACCESS, "is_allow_underlying_data": self.is_open}
            changing = {"name": "{title} {tenant_id}", "access_settings": access}
        elif self.world.name == "posthog":
            changing = {"name": "{title} {tenant_id}", "sharing": {"enabled": self.is_open}}
        return {**self.world.system.spec, **changing}

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
        assert len(world.system.shown()) == len(active)
        self.check_tenants(active)

    def check_tenants(self, tenants: Collection[str]) -> None:
        """These tenants have the dashboards, names and settings of today."""
        world, active, ledger = self.world, self.active(), self.world.ledger()
        expected = {
            ledger[tenant]: tenant if world.name == "conduit" else f"{active[tenant]} {tenant}" for tenant in tenants
        }
        assert {number: name for number, name in world.system.shown() if number in expected} == expected
        if world.system.is_open:
            assert {world.system.is_open(number) for number in expected} <= {self.is_open}

    def next_day(self) -> None:
        """New titles for all, other access settings, a new tenant, two that leave, and a call that failed before."""
        path = self.world.path
        change(path, "UPDATE tenants SET title = title || 'x'")
        change(path, "INSERT INTO tenants VALUES ('t4', 1, 'new'), ('t5', 1, 'new')")
        change(path, "UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
        change(path, "DELETE FROM tenants WHERE tenant_id = 't3'")
        change(path, "UPDATE tenant_dashboards SET status = 'failed' WHERE tenant = 't0'")
        self.is_open = True


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


WRITES = "^(POST|PUT|PATCH|DELETE) "
TROUBLES: dict[str, tuple[str, int | None, int]] = {
    "writes-404": (WRITES, 404, 1000),
    "writes-409": (WRITES, 409, 1000),
    "writes-401": (WRITES, 401, 1000),
    "second-requests-404": (r"^PUT .*rename|sharing|clone|dashboards/ ", 404, 1000),
    "one-write-404": (WRITES, 404, 1),
    "one-write-403": (WRITES, 403, 1),
    "lists-404": (LISTS, 404, 1000),
    "empty-lists": (LISTS, None, 1000),
    "first-list-empty": (LISTS, None, 1),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_bad_day_loses_nothing(world: World, name: str) -> None:
    days = Days(world, random.Random(0))
    days.run()
    days.next_day()
    pattern, status, first = TROUBLES[name]
    answer = Bare(status, *BODIES["words"]) if status else WRONG_LISTS[world.name]
    jobs: list[Callable[[], Any]] = [lambda: world.provision(spec=days.spec()), lambda: world.remove(mode="full")]
    for job in jobs:
        SometimesGateway(world.gateway, pattern, answer, first=first, every=1)
        before = set(world.ledger().values())
        with suppress(ProvisioningError, ApiError):
            job()
        days.check_nothing_is_lost(before)
    assert world.gateway.refused
    world.gateway.pass_all()
    days.run()
    days.check_all_is_right()


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 502, 503])
def test_one_tenants_trouble_costs_one_tenant(world: World, status: int) -> None:
    days = Days(world, random.Random(0))
    days.run()
    ids = world.ledger()
    days.next_day()
    bare = Bare(status, *BODIES["words"])
    conduit = world.name == "conduit"
    # Conduit can change no dashboard, so there a new tenant has the trouble.
    victim = "t4" if conduit else "t1"
    update = world.system.update.format(id=ids["t1"])
    world.gateway.refuse(world.system.create.replace("t1", "t4") if conduit else update, bare)
    with pytest.raises(ProvisioningError) as failed:
        world.provision(spec=days.spec())
    assert [failure["tenant"] for failure in failed.value.failures] == [victim]
    assert failed.value.left == 0
    others = set(days.active()) - {victim}
    days.check_tenants(others)
    done = {"created": 1, "updated": 1, "unchanged": 1} if conduit else {"created": 2, "updated": 1}
    assert world.instance.pushed["counts"] == counts(**done, failed=1, inactive=1)
    assert set(world.ledger()) == others | {"t2", "t3"} | (set() if conduit else {victim})
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id = 't1'")
    world.gateway.refuse(world.system.delete.format(id=ids["t1"]), bare)
    with pytest.raises(ProvisioningError) as failed:
        world.remove(mode="full")
    assert [failure["tenant"] for failure in failed.value.failures] == ["t1"]
    assert failed.value.left == 0
    assert world.instance.pushed["counts"]["deleted"] == 2
    assert world.system.existing() == set(world.ledger().values()) >= {ids["t1"]}
    assert not set(world.ledger()) & {"t2", "t3"}
    world.gateway.pass_all()
    days.run()
    days.check_all_is_right()


@pytest.mark.parametrize(
    ("bare", "first"),
    [(Bare(429, PLAIN, b"slow down"), 3), (Bare(503, PLAIN, b"", (("Retry-After", "1"),)), 1)],
    ids=["429-without-headers", "503-with-a-wait"],
)
def test_a_wait_that_the_gateway_asks_for_costs_no_tenant(
    world: World, monkeypatch: pytest.MonkeyPatch, bare: Bare, first: int
) -> None:
    monkeypatch.setattr(pace, "UNNAMED_WAIT", 0.01)
    days = Days(world, random.Random(0))
    days.run()
    days.next_day()
    SometimesGateway(world.gateway, WRITES, bare, first=first, every=1)
    world.provision(spec=days.spec(), max_retry_seconds=60)
    assert len(world.gateway.refused) == first
    days.check_tenants(days.active())
    SometimesGateway(world.gateway, WRITES, bare, first=first, every=1)
    world.remove(mode="full", max_retry_seconds=60)
    assert len(world.gateway.refused) == 2 * first
    days.check_all_is_right()


def test_a_wait_that_is_too_long_is_the_tasks(world: World) -> None:
    days = Days(world, random.Random(0))
    days.run()
    ids = world.ledger()
    days.next_day()
    world.gateway.refuse(world.system.delete.format(id=ids["t2"]), Bare(503, PLAIN, b"", (("Retry-After", "77"),)))
    with pytest.raises(ProvisioningError) as failed:
        world.remove(mode="full")
    assert failed.value.retry_after == 77
    assert [failure["tenant"] for failure in failed.value.failures] == ["t2"]
    assert ids["t2"] in world.system.existing()
    world.gateway.pass_all()
    days.run()
    days.check_all_is_right()
