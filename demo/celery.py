"""``make demo-celery``: ten thousand tenants on PostgreSQL, Redis and two Celery workers, one of which is killed.

The last line of the output is what became of the tenants, counted at the API.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from demo import services, warehouse
from demo.__main__ import ROOT, emulator
from demo.accounting import Listed, account
from demo.local_airflow import COMPONENTS, FINISHED, LocalAirflow
from demo.targets import Credentials

DAG_ID = "provision_at_scale"
WORKERS = ("worker-1", "worker-2")
SLOTS = 4
"""Tasks at a time on each worker."""
LEDGER = "tenant_dashboards"
BATCH_SIZE = 250
"""As the Dag has it."""
KILL_FROM, KILL_UNTIL = 0.2, 0.5
"""Share of the tenants that have a dashboard when a worker is killed."""
LATENCY = 0.1
"""Seconds that the emulated API takes to answer, as one at the other end of the internet would."""
LONGEST_RUN = 3600

# How a worker's death is noticed soon. Airflow's and Celery's own values are meant for tasks of hours.
RECOVERY = {
    # Tasks that were running: the scheduler misses their heartbeat, and tries them again.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # Tasks that the worker had reserved and not begun: the scheduler sends them anew; this is no try.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    # The broker would too, but Celery looks for such messages no more often than every 100 s.
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
    # A worker reserves no more than it can run.
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
}


@dataclass
class Result:
    """The last line."""

    tenants: int
    created: int
    failed: int
    doubled: int
    workers_killed: int
    seconds: float

    def is_good(self) -> bool:
        """Whether every tenant has exactly one dashboard, in spite of a dead worker."""
        return not self.failed and not self.doubled and self.created == self.tenants and self.workers_killed > 0


@dataclass(frozen=True)
class Api:
    """The emulated API, read apart from the provider."""

    url: str
    key: str

    def slow_down(self) -> None:
        """Take as long to answer as a real API."""
        answer = requests.put(f"{self.url}/_emulator/behaviour", json={"latency": LATENCY}, timeout=30)
        answer.raise_for_status()

    def embeds(self) -> list[dict[str, Any]]:
        """All that it lists."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.get(f"{self.url}/api/v2/data-app/embeds", headers=headers, timeout=120)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


@dataclass(frozen=True)
class Stack:
    """All that is running."""

    airflow: LocalAirflow
    api: Api
    warehouse: sa.Engine


def fill_warehouse(engine: sa.Engine, tenants: int) -> None:
    """The table ``tenants`` as ``make demo`` has it."""
    text = sa.Text()
    columns = (sa.Column(name, text) for name in ("name", "region", "plan"))
    key, active = sa.Column("tenant_id", text, primary_key=True), sa.Column("is_active", sa.Boolean, nullable=False)
    table = sa.Table("tenants", sa.MetaData(), key, *columns, active)
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in warehouse.rows(tenants)]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)


def worker(name: str, home: Path) -> tuple[str, ...]:
    """The ``airflow`` command's arguments that start a Celery worker."""
    return (
        "celery", "worker", "--celery-hostname", f"{name}@%h", "--concurrency", str(SLOTS),
        "--skip-serve-logs", "--pid", str(home / f"{name}.pid"),
    )  # fmt: skip


@contextmanager
def stack(folder: Path, tenants: int) -> Iterator[Stack]:
    """Everything, running and new; what an earlier run left in the folder is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    credentials = Credentials.load(folder / "credentials.json")
    home = folder / "airflow"
    with (
        services.postgres() as postgres,
        services.redis(folder / "redis.log") as broker,
        emulator(folder, credentials) as url,
    ):
        engine = sa.create_engine(postgres.create("warehouse"))
        fill_warehouse(engine, tenants)
        databrain = {"conn_type": "databrain", "host": url, "password": credentials.api_key}
        environment = {
            "AIRFLOW_CONN_DATABRAIN_DEFAULT": json.dumps(databrain),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(postgres.airflow_connection("warehouse")),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": broker,
            **RECOVERY,
        }
        components = {**COMPONENTS, **{name: worker(name, home) for name in WORKERS}}
        airflow = LocalAirflow(
            home, ROOT / "demo" / "dags", environment,
            parallelism=32, database=postgres.create("airflow"), components=components,
        )  # fmt: skip
        with airflow:
            airflow.wait_for_dag(DAG_ID)
            yield Stack(airflow, Api(url, credentials.api_key), engine)
        engine.dispose()


class Run:
    """One run of the Dag, with a worker killed on the way."""

    def __init__(self, running: Stack, tenants: int) -> None:
        self._airflow = running.airflow
        self._api = running.api
        self._tenants = tenants
        self._started = time.monotonic()
        self._shown = ""
        self._run_id = ""
        self._served_at_kill: set[str | None] = set()
        self.killed = 0

    def go(self) -> float:
        """Run to the end; returns the seconds it took."""
        self._run_id = self._airflow.trigger(DAG_ID)
        while True:
            state = self._airflow.run_state(DAG_ID, self._run_id)
            batches = self._batches()
            if not self.killed:
                self._kill_a_worker()
            states = Counter(str(one["state"]) for one in batches)
            self._show("batches: " + (", ".join(f"{count} {name}" for name, count in sorted(states.items())) or "none"))
            if state in FINISHED:
                self._show(f"the run ended: {state}")
                return round(time.monotonic() - self._started, 1)
            if time.monotonic() - self._started > LONGEST_RUN:
                raise RuntimeError(f"the run has not ended after {LONGEST_RUN} s")
            time.sleep(1 if self.killed else 0.3)

    def ids(self) -> list[dict[str, str]]:
        """Of each batch that ended well, the ids by tenant that XCom holds."""
        return [self._xcom(one) for one in self._batches()]

    def tries(self) -> Counter[int]:
        """How many batches took how many tries."""
        return Counter(one["try_number"] for one in self._batches())

    def tried_again(self) -> tuple[int, int]:
        """Tenants in batches that were tried again, and those of them that had a dashboard when the worker died."""
        tenants = {tenant for one in self._batches() if one["try_number"] > 1 for tenant in self._xcom(one)}
        return len(tenants), len(tenants & self._served_at_kill)

    def _xcom(self, batch: dict[str, Any]) -> dict[str, str]:
        if batch["state"] != "success":
            return {}
        ids: dict[str, str] = self._airflow.xcom(DAG_ID, self._run_id, "provision", batch["map_index"])
        return ids

    def _batches(self) -> list[dict[str, Any]]:
        found = self._airflow.task_instances(DAG_ID, self._run_id)
        return [one for one in found if one["task_id"] == "provision" and one["map_index"] >= 0]

    def _kill_a_worker(self) -> None:
        """Kill a worker in the middle of its batches, once enough tenants have a dashboard."""
        served = {Listed.read(embed).owner for embed in self._api.embeds()}
        done = len(served)
        if done < KILL_FROM * self._tenants:
            return
        batches = self._batches()
        under_way = done - BATCH_SIZE * sum(one["state"] == "success" for one in batches)
        running = sorted(
            (one["start_date"], name)
            for one in batches if one["state"] == "running" and one["pid"]
            for name in WORKERS if self._airflow.runs_in(name, one["pid"])
        )  # fmt: skip
        if not running or (under_way < BATCH_SIZE / 4 and done < KILL_UNTIL * self._tenants):
            return
        # Of the batch that began first, the most has been done.
        name = running[0][1]
        self._airflow.kill(name)
        self.killed += 1
        self._served_at_kill = served
        count = sum(name == other for _, other in running)
        self._show(
            f"{done} of {self._tenants} tenants have a dashboard; "
            f"killed {name} with SIGKILL while it was running {count} batches"
        )

    def _show(self, line: str) -> None:
        if line != self._shown:
            print(f"  {time.monotonic() - self._started:5.1f} s  {line}", flush=True)
            self._shown = line


def ledger_rows(engine: sa.Engine) -> int | None:
    """Rows of the table that the provider keeps in the warehouse; None where there is none."""
    if not sa.inspect(engine).has_table(LEDGER):
        return None
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(LEDGER))).scalar_one())


def provision(running: Stack, tenants: int) -> Result:
    """Run the Dag and count what became of the tenants."""
    before = running.api.embeds()
    running.api.slow_down()
    run = Run(running, tenants)
    seconds = run.go()
    names = [row[0] for row in warehouse.rows(tenants)]
    counted = account(names, before, running.api.embeds(), run.ids())
    tries = ", ".join(f"{count} in {number}" for number, count in sorted(run.tries().items()))
    again, served = run.tried_again()
    print(f"\n  batches by number of tries: {tries}")
    print(f"  tenants in batches that were tried again: {again}; {served} of them had a dashboard from the first try")
    print(f"  rows in the ledger {LEDGER}: {ledger_rows(running.warehouse)}\n")
    return Result(**asdict(counted), workers_killed=run.killed, seconds=seconds)


def _leave(*_: object) -> None:
    # What was started is being stopped; a second Ctrl-C must not leave half of it running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def main() -> int:
    """Run the demo; 1 where a tenant has not exactly one dashboard, or no worker was killed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    arguments = argparse.ArgumentParser(prog="demo.celery", description=__doc__)
    arguments.add_argument("--tenants", type=int, default=10_000)
    arguments.add_argument("--folder", type=Path, default=ROOT / "build" / "demo-celery")
    given = arguments.parse_args()
    print("Starting PostgreSQL, Redis, the emulator, Airflow and two Celery workers ...", flush=True)
    with stack(given.folder.resolve(), given.tenants) as running:
        print(f"Running {DAG_ID} for {given.tenants} tenants ...", flush=True)
        result = provision(running, given.tenants)
    print(json.dumps(asdict(result)))
    return 0 if result.is_good() else 1


if __name__ == "__main__":
    sys.exit(main())
