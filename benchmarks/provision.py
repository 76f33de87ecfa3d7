"""``make benchmark``: the batch operator against what a user would use instead, in one run on one machine.

Prints the table that is kept in ``benchmarks/README.md``. Every figure has its counterpart from the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.local_airflow import LocalAirflow

ROOT = Path(__file__).parent.parent
ROUNDS = 15
TENANTS = 1000
CONCURRENCY = 16
MAPPED = (50, 200)
BATCHED = (200, 5000)


@dataclass(frozen=True)
class Line:
    """One comparison."""

    what: str
    ours: str
    theirs: str
    ratio: float
    goal: str
    met: bool

    def markdown(self) -> str:
        """A row of the table."""
        verdict = "met" if self.met else "**not met**"
        return f"| {self.what} | {self.ours} | {self.theirs} | {self.ratio:.2f} | {self.goal} | {verdict} |"


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """An empty emulator, a process of its own; its connections are set in the environment."""
    from demo.__main__ import Credentials, emulator

    folder.mkdir(parents=True)
    credentials = Credentials.load(folder / "credentials.json")
    with emulator(folder, credentials) as url:
        host, _, port = url.rpartition(":")
        key = credentials.api_key
        databrain = {"conn_type": "databrain", "host": url, "password": key}
        plain = {"conn_type": "http", "host": host, "port": int(port), "password": key}
        warehouse = {"conn_type": "sqlite", "host": str(folder.parent / "warehouse.sqlite")}
        os.environ["AIRFLOW_CONN_DATABRAIN_DEFAULT"] = json.dumps(databrain)
        os.environ["AIRFLOW_CONN_DATABRAIN_HTTP"] = json.dumps(plain)
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(warehouse)
        yield url


def seconds_of_operator() -> float:
    """The batch operator's execute, from reading the table to the ids."""
    from airflow_provider_databrain.operators.provisioning import ProvisionTenantDashboardsOperator
    from benchmarks.common import DASHBOARD

    operator = ProvisionTenantDashboardsOperator(
        task_id="provision",
        sql_conn_id="warehouse",
        table="tenants",
        key_column="tenant_id",
        spec=DASHBOARD,
        concurrency=CONCURRENCY,
    )
    started = time.perf_counter()
    ids = operator.execute({})
    elapsed = time.perf_counter() - started
    check(len(ids))
    return elapsed


def seconds_of_bare_loop(url: str) -> float:
    """The same requests with nothing around: no retry, no check of the answer but its status."""
    import aiohttp

    from airflow_provider_databrain.api.databrain import CreateDashboardEmbed, wire
    from benchmarks.common import fields
    from demo.warehouse import rows

    key = json.loads(os.environ["AIRFLOW_CONN_DATABRAIN_DEFAULT"])["password"]
    bodies = [wire(CreateDashboardEmbed.model_validate(fields(tenant))) for tenant, *_ in rows(TENANTS)]
    created = 0

    async def worker(session: aiohttp.ClientSession, queue: Iterator[object]) -> None:
        nonlocal created
        for body in queue:
            async with session.post(f"{url}/api/v2/data-app/dashboard-embeds", json=body) as answer:
                created += answer.status == 200
                await answer.json()

    async def loop() -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            queue = iter(bodies)
            await asyncio.gather(*(worker(session, queue) for _ in range(CONCURRENCY)))

    started = time.perf_counter()
    asyncio.run(loop())
    elapsed = time.perf_counter() - started
    check(created)
    return elapsed


def check(created: int) -> None:
    """A contender that did not do the work has no time."""
    if created != TENANTS:
        raise RuntimeError(f"{created} of {TENANTS} were created")


def against_bare_loop(folder: Path) -> Line:
    """Tenants per second; contenders take turns, each on an empty emulator."""
    from demo import warehouse

    warehouse.build(folder / "warehouse.sqlite", TENANTS)
    ours: list[float] = []
    bare: list[float] = []
    # Round 0 is not counted: in it, the libraries of both are imported.
    for number in range(ROUNDS + 1):
        with server(folder / f"ours-{number}"):
            ours.append(TENANTS / seconds_of_operator())
        with server(folder / f"bare-{number}") as url:
            bare.append(TENANTS / seconds_of_bare_loop(url))
    ours, bare = ours[1:], bare[1:]
    mine, other = statistics.median(ours), statistics.median(bare)
    # Of neighbouring rounds, because this machine's speed drifts.
    ratio = statistics.median(one / another for one, another in zip(ours, bare, strict=True))
    return Line(
        f"tenants a second, {TENANTS} tenants, {CONCURRENCY} at a time, {ROUNDS} rounds: "
        "batch operator / bare aiohttp loop",
        f"{mine:.0f} ({min(ours):.0f} to {max(ours):.0f})",
        f"{other:.0f} ({min(bare):.0f} to {max(bare):.0f})",
        ratio,
        "at least 0.8",
        ratio >= 0.8,
    )


def seconds_on_airflow(folder: Path, dag_id: str, tenants: int) -> float:
    """From trigger to the run's end, on an Airflow of its own with an empty emulator, warmed up with one run."""
    from demo import warehouse
    from demo.local_airflow import LocalAirflow

    folder.mkdir()
    warehouse.build(folder / "warehouse.sqlite", 0)
    with server(folder / "server") as url:
        environment = {"PYTHONPATH": str(ROOT)}
        with LocalAirflow(folder / "airflow", ROOT / "benchmarks" / "dags", environment) as airflow:
            airflow.wait_for_dag(dag_id)
            finish(airflow, dag_id)
            warehouse.build(folder / "warehouse.sqlite", tenants)
            started = time.perf_counter()
            state = finish(airflow, dag_id)
            elapsed = time.perf_counter() - started
        found = embeds(url)
    if state != "success" or found != tenants:
        raise RuntimeError(f"{dag_id} ended {state} with {found} of {tenants} dashboards")
    return elapsed


def finish(airflow: LocalAirflow, dag_id: str) -> str:
    """Run a Dag to its end; returns the run's state."""
    from demo.local_airflow import FINISHED

    run_id = airflow.trigger(dag_id)
    while (state := airflow.run_state(dag_id, run_id)) not in FINISHED:
        time.sleep(0.1)
    return state


def embeds(url: str) -> int:
    """How many dashboards the emulator has."""
    import requests

    key = json.loads(os.environ["AIRFLOW_CONN_DATABRAIN_DEFAULT"])["password"]
    answer = requests.get(f"{url}/api/v2/data-app/embeds", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    return len(answer.json()["data"])


def against_http_operator(folder: Path) -> list[Line]:
    """On a real scheduler with LocalExecutor."""
    mapped = [seconds_on_airflow(folder / f"http-{count}", "http_operator", count) for count in MAPPED]
    batched = [seconds_on_airflow(folder / f"ours-{count}", "this_provider", count) for count in BATCHED]
    whole = mapped[1] / batched[0]
    per_mapped = (mapped[1] - mapped[0]) / (MAPPED[1] - MAPPED[0]) * 1000
    per_batched = max(batched[1] - batched[0], 1e-3) / (BATCHED[1] - BATCHED[0]) * 1000
    further = per_mapped / per_batched
    return [
        Line(
            f"seconds from trigger to end, {MAPPED[1]} tenants: mapped HttpOperator / this provider",
            f"{batched[0]:.1f}",
            f"{mapped[1]:.1f}",
            whole,
            "at least 20",
            whole >= 20,
        ),
        Line(
            f"milliseconds for each further tenant: mapped HttpOperator ({MAPPED[0]} to {MAPPED[1]}) / "
            f"this provider ({BATCHED[0]} to {BATCHED[1]})",
            f"{per_batched:.2f}",
            f"{per_mapped:.1f}",
            further,
            "at least 100",
            further >= 100,
        ),
    ]


def import_milliseconds(statement: str) -> float:
    """What a statement adds to ``import airflow.sdk``, in a new process each time."""
    script = (
        "import time; from airflow.sdk import BaseOperator; started = time.perf_counter();"
        f"{statement}; print((time.perf_counter() - started) * 1000)"
    )
    times = []
    for _ in range(ROUNDS):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        times.append(float(done.stdout.split()[-1]))
    return statistics.median(times)


def against_import_of_http_operator() -> Line:
    """What parsing a Dag file pays."""
    ours = import_milliseconds("import airflow_provider_databrain.operators.databrain")
    theirs = import_milliseconds("import airflow.providers.http.operators.http")
    ratio = ours / theirs
    return Line(
        "milliseconds that the import adds to `import airflow.sdk`: ours / HttpOperator's",
        f"{ours:.1f}",
        f"{theirs:.1f}",
        ratio,
        "at most 0.1",
        ratio <= 0.1,
    )


def main() -> None:
    """Run all comparisons and print one table."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    os.environ["AIRFLOW_HOME"] = str(folder / "home")
    try:
        lines = [against_import_of_http_operator(), against_bare_loop(folder), *against_http_operator(folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}\n")
    print("| what | ours | theirs | ratio | goal | |\n|---|---|---|---|---|---|")
    for line in lines:
        print(line.markdown())


if __name__ == "__main__":
    main()
