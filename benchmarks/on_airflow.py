"""1,000 and 10,000 tenants on a real Airflow: this provider, a mapped HttpOperator, and one task with a loop.

Airflow's metadata and the tenants are in PostgreSQL; the executor is LocalExecutor. The API takes 20 ms to answer. The
time is from a run's trigger to its end, by Airflow's own clock. The Dags are in ``benchmarks/dags``.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from benchmarks.common import (
    KEY,
    ROOT,
    Answering,
    answering,
    connect,
    demand,
    fill,
    folder,
    options,
    progress,
    show,
    verdict,
)
from demo.local_airflow import FINISHED, LocalAirflow
from demo.services import postgres

LATENCY = 0.02
PARALLELISM = 8
WARM_UP = 10
ROUNDS = 3
OURS, MAPPED, LOOP = "this_provider", "http_operator", "plain_task"
NAMES = {OURS: "this provider", MAPPED: "mapped HttpOperator", LOOP: "one task, requests.Session in a loop"}
FASTER_BY = {MAPPED: 20, LOOP: 5}


@dataclass(frozen=True)
class Stack:
    """Everything that runs."""

    airflow: LocalAirflow
    server: Answering
    engine: sa.Engine

    def prepare(self, tenants: int) -> None:
        """Create the tenant table again, and drop the ledger."""
        fill(self.engine, tenants)
        with self.engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS tenant_dashboards, tenant_dashboards_version"))

    def run(self, dag_id: str, tenants: int) -> tuple[str, float, int]:
        """Run a Dag to its end; return the run's state, its seconds, and the creates that the server counted."""
        self.prepare(tenants)
        before = self.server.counts()
        run_id = self.airflow.trigger(dag_id)
        while (state := self.airflow.run_state(dag_id, run_id)) not in FINISHED:
            time.sleep(0.5)
        run = self.airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")
        began, ended = (datetime.fromisoformat(run[moment]) for moment in ("queued_at", "end_date"))
        return state, (ended - began).total_seconds(), (self.server.counts() - before)["create"]

    def seconds(self, dag_id: str, tenants: int) -> float:
        """Seconds of a run that did all of its work."""
        state, seconds, created = self.run(dag_id, tenants)
        demand(f"{dag_id}: state and dashboards", (state, created), ("success", tenants))
        progress(f"{dag_id}: {tenants} tenants in {seconds:.1f} s")
        return seconds


@contextmanager
def stack() -> Iterator[Stack]:
    """Start everything, and run each Dag once to warm up."""
    with folder() as path, postgres() as database, answering(LATENCY) as server:
        host, _, port = server.url.rpartition(":")
        connect("databrain_http", conn_type="http", host=host, port=int(port), password=KEY)
        connect("warehouse", **database.airflow_connection("warehouse"))
        engine = sa.create_engine(database.create("warehouse"))
        environment = {"PYTHONPATH": os.fspath(ROOT), "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}
        dags = ROOT / "benchmarks" / "dags"
        airflow = LocalAirflow(
            path / "airflow", dags, environment, parallelism=PARALLELISM, database=database.create("airflow")
        )
        with airflow:
            running = Stack(airflow, server, engine)
            for dag_id in NAMES:
                airflow.wait_for_dag(dag_id)
                running.seconds(dag_id, WARM_UP)
            yield running
        engine.dispose()


def refused(running: Stack, tenants: int) -> str:
    """Check that Airflow refuses to map that many tenants; return the table cell that says so."""
    state, _, created = running.run(MAPPED, tenants)
    demand(f"{MAPPED}: state and dashboards", (state, created), ("failed", 0))
    return "Airflow refuses to map that many"


def main() -> None:
    arguments = options("on_airflow", __doc__)
    small, large, fewer = (max(20, int(size * arguments.scale)) for size in (1_000, 10_000, 200))
    with stack() as running:
        ours = {size: statistics.median(running.seconds(OURS, size) for _ in range(ROUNDS)) for size in (small, large)}
        loop = {size: running.seconds(LOOP, size) for size in (small, large)}
        mapped = {size: running.seconds(MAPPED, size) for size in (fewer, small)}
        refusal = refused(running, 10_000)
    lines = [[NAMES[OURS], f"median of {ROUNDS} runs", "", f"{ours[small]:.1f}", "", f"{ours[large]:.1f}", "", ""]]
    for contender, seconds in ((MAPPED, mapped), (LOOP, loop)):
        least = FASTER_BY[contender]
        cells = [NAMES[contender], "one run", f"{seconds[fewer]:.1f}" if fewer in seconds else ""]
        for size in (small, large):
            if size in seconds:
                times = seconds[size] / ours[size]
                # The mapped HttpOperator has a goal at 1,000 only, because Airflow maps no more.
                cells += [f"{seconds[size]:.1f}", f"{times:.1f} times: {verdict(times >= least)}"]
            else:
                cells += [refusal, ""]
        lines.append([*cells, f"at least {least} times"])
    header = ["contender", "", f"{fewer:,} tenants: seconds"]
    for size in (small, large):
        header += [f"{size:,} tenants: seconds", "this provider is faster"]
    show("From trigger to end on a real Airflow", [*header, "goal"], lines)


if __name__ == "__main__":
    main()
