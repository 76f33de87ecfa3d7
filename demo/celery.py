"""``make demo-celery``: ten thousand tenants on PostgreSQL, Redis and two Celery workers. One worker is killed.

The last line of the output is the result, counted at the API.
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
"""Number of tasks that each worker runs at a time."""
LEDGER = "tenant_dashboards"
BATCH_SIZE = 250
"""The batch size in the Dag."""
KILL_FROM, KILL_UNTIL = 0.2, 0.5
"""The share of tenants with a dashboard from which, and until which, a worker is killed."""
LATENCY = 0.1
"""Seconds that the emulated API takes to answer, like a server on the internet."""
LONGEST_RUN = 3600
"""Seconds after which a run is given up."""

# Short times, so that a dead worker is noticed soon. The defaults of Airflow and Celery are for tasks that take hours.
RECOVERY = {
    # Running tasks: without a heartbeat, the scheduler tries them again.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # Tasks that the worker had reserved but not started: the scheduler queues them again. This does not count as a try.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    # The broker would do this too, but Celery looks for such messages only every 100 seconds.
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
    # A worker reserves only as many tasks as it can run.
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
}


@dataclass
class Result:
    """The last line of the output. ``account`` says what the numbers of tenants count."""

    tenants: int
    created: int
    failed: int
    doubled: int
    workers_killed: int
    seconds: float

    def is_good(self) -> bool:
        """Whether each tenant has exactly one dashboard although a worker was killed."""
        return not self.failed and not self.doubled and self.created == self.tenants and self.workers_killed > 0


@dataclass(frozen=True)
class Api:
    """The emulated API, read without the provider's code."""

    url: str
    key: str

    def slow_down(self) -> None:
        """Make the API as slow as a real one."""
        answer = requests.put(f"{self.url}/_emulator/behaviour", json={"latency": LATENCY}, timeout=30)
        answer.raise_for_status()

    def embeds(self) -> list[dict[str, Any]]:
        """Return all embeds that the API lists."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.get(f"{self.url}/api/v2/data-app/embeds", headers=headers, timeout=120)
        answer.raise_for_status()
        embeds: list[dict[str, Any]] = answer.json()["data"]
        return embeds


@dataclass(frozen=True)
class Stack:
    """The running Airflow, API and warehouse."""

    airflow: LocalAirflow
    api: Api
    warehouse: sa.Engine


def fill_warehouse(engine: sa.Engine, tenants: int) -> None:
    """Create the table ``tenants`` with the same rows as ``make demo``."""
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
    """Return the arguments of the ``airflow`` command that start a Celery worker."""
    return (
        "celery", "worker", "--celery-hostname", f"{name}@%h", "--concurrency", str(SLOTS),
        "--skip-serve-logs", "--pid", str(home / f"{name}.pid"),
    )  # fmt: skip


@contextmanager
def stack(folder: Path, tenants: int) -> Iterator[Stack]:
    """Run PostgreSQL, Redis, the emulator and Airflow. Files of an earlier run in the folder are deleted first."""
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
    """One run of the Dag, during which a worker is killed."""

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
        """Run the Dag to its end. Return the seconds that it took."""
        self._run_id = self._airflow.trigger(DAG_ID)
        while True:
            state = self._airflow.run_state(DAG_ID, self._run_id)
            batches = self._batches()
            if not self.killed:
                self._kill_a_worker()
            states = Counter(str(batch["state"]) for batch in batches)
            self._show("batches: " + (", ".join(f"{count} {name}" for name, count in sorted(states.items())) or "none"))
            if state in FINISHED:
                self._show(f"the run ended: {state}")
                return round(time.monotonic() - self._started, 1)
            if time.monotonic() - self._started > LONGEST_RUN:
                raise RuntimeError(f"the run has not ended after {LONGEST_RUN} seconds")
            time.sleep(1 if self.killed else 0.3)

    def ids(self) -> list[dict[str, str]]:
        """Return each successful batch's ids in XCom, by tenant."""
        return [self._xcom(batch) for batch in self._batches()]

    def tries(self) -> Counter[int]:
        """Return the number of batches by their number of tries."""
        return Counter(batch["try_number"] for batch in self._batches())

    def tried_again(self) -> tuple[int, int]:
        """Return the number of tenants in batches that were tried again.

        The second number counts those that already had a dashboard when the worker was killed.
        """
        tenants = {tenant for batch in self._batches() if batch["try_number"] > 1 for tenant in self._xcom(batch)}
        return len(tenants), len(tenants & self._served_at_kill)

    def _xcom(self, batch: dict[str, Any]) -> dict[str, str]:
        if batch["state"] != "success":
            return {}
        ids: dict[str, str] = self._airflow.xcom(DAG_ID, self._run_id, "provision", batch["map_index"])
        return ids

    def _batches(self) -> list[dict[str, Any]]:
        instances = self._airflow.task_instances(DAG_ID, self._run_id)
        return [batch for batch in instances if batch["task_id"] == "provision" and batch["map_index"] >= 0]

    def _kill_a_worker(self) -> None:
        """Kill a worker while it runs batches, once enough tenants have a dashboard."""
        served = {Listed.read(embed).owner for embed in self._api.embeds()}
        done = len(served)
        if done < KILL_FROM * self._tenants:
            return
        batches = self._batches()
        under_way = done - BATCH_SIZE * sum(batch["state"] == "success" for batch in batches)
        running = sorted(
            (batch["start_date"], name)
            for batch in batches if batch["state"] == "running" and batch["pid"]
            for name in WORKERS if self._airflow.runs_in(name, batch["pid"])
        )  # fmt: skip
        if not running or (under_way < BATCH_SIZE / 4 and done < KILL_UNTIL * self._tenants):
            return
        # The batch that started first has the most dashboards.
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
    """Return the number of rows in the provider's table in the warehouse, or None if the table does not exist."""
    if not sa.inspect(engine).has_table(LEDGER):
        return None
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(LEDGER))).scalar_one())


def provision(running: Stack, tenants: int) -> Result:
    """Run the Dag and count the tenants' dashboards."""
    before = running.api.embeds()
    running.api.slow_down()
    run = Run(running, tenants)
    seconds = run.go()
    names = [row[0] for row in warehouse.rows(tenants)]
    counted = account(names, before, running.api.embeds(), run.ids())
    tries = ", ".join(f"{count} with {number}" for number, count in sorted(run.tries().items()))
    again, served = run.tried_again()
    print(f"\n  batches by number of tries: {tries}")
    print(f"  tenants in batches that were tried again: {again}; {served} of them had a dashboard before the kill")
    print(f"  rows in the ledger {LEDGER}: {ledger_rows(running.warehouse)}\n")
    return Result(**asdict(counted), workers_killed=run.killed, seconds=seconds)


def _leave(*_: object) -> None:
    # The processes are being stopped. A second Ctrl-C must not leave some of them running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def main() -> int:
    """Run the demo. Return 1 if a tenant does not have exactly one dashboard or no worker was killed, else 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    arguments = argparse.ArgumentParser(prog="demo.celery", description=__doc__)
    arguments.add_argument("--tenants", type=int, default=10_000, help="number of tenants (default: %(default)s)")
    arguments.add_argument("--folder", type=Path, default=ROOT / "build" / "demo-celery", help="deleted first")
    options = arguments.parse_args()
    print("Starting PostgreSQL, Redis, the emulator, Airflow and two Celery workers ...", flush=True)
    with stack(options.folder.resolve(), options.tenants) as running:
        print(f"Running {DAG_ID} for {options.tenants} tenants ...", flush=True)
        result = provision(running, options.tenants)
    print(json.dumps(asdict(result)))
    return 0 if result.is_good() else 1


if __name__ == "__main__":
    sys.exit(main())
