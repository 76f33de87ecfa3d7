"""A task is killed by SIGKILL at any point, under resets and errors after acting; its next try repairs everything."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.journal import LINGER_SECONDS
from tests.chaos.killer import Tasks, Tripwire
from tests.chaos.task import Job
from tests.chaos.vendor import DatabrainVendor, Vendor
from tests.chaos.vendors import ConduitVendor, PostHogVendor
from tests.support import ODD_IDS

TENANTS = [*ODD_IDS, *(f"t{number:03}" for number in range(300 - len(ODD_IDS)))]
STAYING = 200
ROUNDS = 25
REMOVALS = (10, 19)
MID_RUN = 15
"""Kills that must happen while some of the work is done and some is not."""
SEED = 20240607
LONGEST_DELAY = 0.006
LIVE = {"created", "adopted", "updated"}


@dataclass(frozen=True)
class Round:
    """One kill and the next try."""

    number: int
    kind: str
    kill_at: int
    delay: float
    linger: float

    def __str__(self) -> str:
        return f"round {self.number} (SEED {SEED}): {self.kind} killed {self.delay * 1000:.1f} ms after {self.kill_at}"


def rounds(vendor: Vendor) -> Iterator[Round]:
    """Where each round kills: at once, at any request (faults need a third more of them), or after the last one."""
    for number in range(ROUNDS):
        chance = random.Random(SEED + number)
        changing = number % 3 == 2 and vendor.changes_per_update
        kind = "removal" if number in REMOVALS else "update" if changing else "creation"
        changes = {
            "creation": len(TENANTS) * vendor.changes_per_creation,
            "update": len(TENANTS) * vendor.changes_per_update,
            "removal": len(TENANTS) - STAYING,
        }[kind]
        # A ledger that is late shows what is lost. A ledger that is up to date shows what is recorded too early.
        linger = LINGER_SECONDS if chance.random() < 0.5 else 0.0
        yield Round(number, kind, chance.randint(0, changes * 13 // 10), chance.uniform(0, LONGEST_DELAY), linger)


class Play:
    """The setting of one round: a new warehouse and an empty vendor."""

    def __init__(self, vendor: Vendor, tasks: Tasks, folder: Path, what: Round) -> None:
        self.vendor = vendor
        self.what = what
        self.warehouse = folder / f"{what.number}.db"
        self._tasks = tasks
        self._result = folder / f"{what.number}.json"
        self._log = folder / f"{what.number}.log"
        vendor.clear()
        vendor.disturb(on=False)
        with closing(sqlite3.connect(self.warehouse)) as database, database:
            database.execute("CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY)")
            database.executemany("INSERT INTO tenants VALUES (?)", [(tenant,) for tenant in TENANTS])

    def arrange(self) -> None:
        """Create what the killed run changes."""
        if self.what.kind == "creation":
            return
        assert self.run(self._provisioning(0, "first")) == 0, self.shown()
        if self.what.kind == "removal":
            with closing(sqlite3.connect(self.warehouse)) as database, database:
                database.executemany("DELETE FROM tenants WHERE tenant_id = ?", [(name,) for name in TENANTS[STAYING:]])

    def job(self, try_number: int) -> Job:
        """The task that is killed and tried again."""
        if self.what.kind != "removal":
            return self._provisioning(self.wanted, "second", try_number)
        bounds = {"max_deletions": None, "max_deletion_fraction": 1.0, "mode": "full"}
        return self._job(self.vendor.remove, {**bounds, **self.vendor.removal}, "second", try_number)

    @property
    def wanted(self) -> int:
        """The index of the spec that applies in the end."""
        return 1 if self.what.kind == "update" else 0

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec that applies in the end."""
        return self.vendor.specs[self.wanted]

    def run(self, job: Job, wire: Tripwire | None = None) -> int:
        """Run a task; with a tripwire, kill it."""
        self._result.unlink(missing_ok=True)
        return self._tasks.run(job, wire, self.what.delay)

    def mid_run(self) -> bool:
        """Whether some tenants are as they must be in the end, and some are not."""
        if self.what.kind == "removal":
            return STAYING < self.vendor.count() < len(TENANTS)
        return 0 < len(self.vendor.correct(self.spec)) < len(TENANTS)

    def result(self) -> dict[str, Any]:
        """What the last task returned and pushed."""
        found: dict[str, Any] = json.loads(self._result.read_text())
        return found

    def shown(self) -> str:
        """For messages: the round, and the output of the tasks."""
        error = self.result().get("error") if self._result.exists() else None
        log = self._log.read_text()[-2000:] if self._log.exists() else ""
        return f"{self.what}\n{error or ''}\n{log}"

    def ledger(self) -> dict[str, tuple[str, str | None, str, str | None]]:
        """Tenant to dashboard id, embed id, status, spec hash."""
        with closing(sqlite3.connect(self.warehouse)) as database:
            rows = database.execute(
                "SELECT tenant, dashboard_id, embed_id, status, spec_hash FROM tenant_dashboards"
            ).fetchall()
        assert len(rows) == len({row[0] for row in rows}), self.shown()
        return {row[0]: row[1:] for row in rows}

    def _provisioning(self, spec: int, run_id: str, try_number: int = 1) -> Job:
        return self._job(self.vendor.provision, {"spec": self.vendor.specs[spec]}, run_id, try_number)

    def _job(self, operator: str, arguments: Mapping[str, Any], run_id: str, try_number: int) -> Job:
        table = {"sql_conn_id": "warehouse", "ledger_conn_id": "warehouse", "table": "tenants"}
        warehouse = json.dumps({"conn_type": "sqlite", "host": str(self.warehouse)})
        return Job(
            operator=operator,
            arguments={**table, "key_column": "tenant_id", "concurrency": 16, **arguments},
            connections={**self.vendor.connections(), "warehouse": warehouse},
            run_id=run_id,
            try_number=try_number,
            linger=self.what.linger,
            result=str(self._result),
            log=str(self._log),
        )


def check(play: Play) -> None:
    """One dashboard per tenant, its own and as the table says; ledger and XCom say the same."""
    shown = play.shown()
    staying = TENANTS[:STAYING] if play.what.kind == "removal" else TENANTS
    found = play.vendor.correct(play.spec)
    assert set(found) == set(staying), shown
    assert play.vendor.count() == len(staying), shown

    ledger = play.ledger()
    live = {tenant: (row[0], row[1], row[3]) for tenant, row in ledger.items() if row[2] in LIVE}
    assert live == {tenant: (*ids, play.vendor.spec_hash(tenant, play.spec)) for tenant, ids in found.items()}, shown
    gone = {tenant: row[1:] for tenant, row in ledger.items() if row[2] not in LIVE}
    assert gone == dict.fromkeys(set(TENANTS) - set(staying), (None, "deleted", None)), shown

    result = play.result()
    assert result["pushed"]["failures"] == [], shown
    counts = {action: count for action, count in result["pushed"]["counts"].items() if count}
    if play.what.kind == "removal":
        assert result["returned"] == {}, shown
        assert set(counts) <= {"deleted"}, shown
        return
    assert result["returned"] == {tenant: dashboard for tenant, (dashboard, _) in found.items()}, shown
    # The changes of the killed try are counted too.
    assert sum(counts.values()) == len(TENANTS), shown
    assert set(counts) <= ({"updated"} if play.what.kind == "update" else {"created", "adopted"}), shown


class UntracedEmulator(Emulator):
    """An emulator without measured coverage. It answers very many requests here, and its own tests measure it."""

    def serve(self) -> None:
        sys.settrace(None)
        super().serve()


@pytest.fixture(params=[DatabrainVendor, PostHogVendor, ConduitVendor], ids=["databrain", "posthog", "conduit"])
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    with UntracedEmulator() as emulator:
        yield request.param(emulator)


def test_the_next_try_of_a_killed_task_repairs_everything(vendor: Vendor, tmp_path: Path) -> None:
    mid_run = []
    with Tasks() as tasks:
        for what in rounds(vendor):
            play = Play(vendor, tasks, tmp_path, what)
            play.arrange()
            vendor.disturb(on=True)
            code = play.run(play.job(1), vendor.watch(what.kill_at))
            assert code in (0, -signal.SIGKILL), play.shown()
            if code and play.mid_run():
                mid_run.append(what.number)
            vendor.wait_for_calls()
            vendor.disturb(on=True)
            assert play.run(play.job(2)) == 0, play.shown()
            check(play)
    print(f"killed in mid-run: {len(mid_run)} of {ROUNDS}: {mid_run}")  # noqa: T201
    assert len(mid_run) >= MID_RUN, mid_run
