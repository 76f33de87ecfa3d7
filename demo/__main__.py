"""``make demo``: a real Airflow creates a dashboard for each row of a tenant table; the ids are read back from XCom."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import requests

from demo import warehouse
from demo.local_airflow import FINISHED, LocalAirflow, free_port
from demo.targets import TARGETS, Credentials, DemoTarget

ROOT = Path(__file__).parent.parent


@dataclass
class Result:
    """The demo's last line. ``dashboards`` is the number of tenants' dashboards on the emulated server at the end."""

    tenants: int
    created: int
    adopted: int
    unchanged: int
    failed: int
    xcom_ids: int
    dashboards: int
    api_calls: int
    seconds: float


@contextmanager
def emulator(folder: Path, credentials: Credentials) -> Iterator[str]:
    """Run an emulator process with its state in the folder. Yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "airflow_provider_databrain.emulator", "--port", str(port)]
    environment = {**os.environ, **credentials.environment()}
    with (folder / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--db", str(folder / "emulator.sqlite")], env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(150):
            if process.poll() is not None:
                raise RuntimeError(f"the emulator has exited; see {folder / 'emulator.log'}")
            try:
                requests.get(url, timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.2)
        else:
            raise RuntimeError(f"the emulator does not answer; see {folder / 'emulator.log'}")
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stack(
    folder: Path, tenants: int, targets: Iterable[DemoTarget], dags: Path = ROOT / "example_dags"
) -> Iterator[tuple[LocalAirflow, str]]:
    """Run warehouse, emulator and Airflow. Yields Airflow and the emulator's URL.

    :param dags: the folder of the Dag files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    credentials = Credentials.load(folder / "credentials.json")
    warehouse.build(folder / "warehouse.sqlite", tenants)
    with emulator(folder, credentials) as url:
        environment = {
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(folder / "warehouse.sqlite")})
        }
        for target in targets:
            environment |= target.environment(url, credentials)
        airflow = LocalAirflow(folder / "airflow", dags, environment)
        with airflow:
            if all(pool["name"] != "databrain" for pool in airflow.get("/pools")["pools"]):
                airflow.call("POST", "/pools", json={"name": "databrain", "slots": 4})
            for target in targets:
                airflow.wait_for_dag(target.dag_id)
            yield airflow, url


def calls(url: str) -> int:
    """Return the number of API calls that the emulator has received."""
    counted: dict[str, int] = requests.get(f"{url}/_emulator/calls", timeout=10).json()
    return sum(counted.values())


def run(
    airflow: LocalAirflow, url: str, tenants: int, folder: Path, target: DemoTarget
) -> tuple[Result, dict[str, str]]:
    """Run the Dag and print its progress. Return the result, and the ids in XCom by tenant.

    :param url: the emulator's URL.
    :param folder: the folder with the emulator's file.
    """
    dag_id = target.dag_id
    calls_before = calls(url)
    started = time.monotonic()
    run_id = airflow.trigger(dag_id)
    shown = ""
    while True:
        state = airflow.run_state(dag_id, run_id)
        instances = airflow.task_instances(dag_id, run_id)
        batches = [instance for instance in instances if instance["task_id"] == "provision"]
        states = Counter(str(batch["state"]) for batch in batches)
        line = "batches: " + (", ".join(f"{count} {name}" for name, count in sorted(states.items())) or "planning")
        if line != shown:
            print(f"  {time.monotonic() - started:5.1f} s  {line}", flush=True)
            shown = line
        if state in FINISHED:
            break
        time.sleep(1)
    seconds = round(time.monotonic() - started, 1)
    ids: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for batch in batches:
        if batch["state"] in FINISHED:
            ids |= airflow.xcom(dag_id, run_id, "provision", batch["map_index"])
            counts.update(airflow.xcom(dag_id, run_id, "provision", batch["map_index"], key="counts"))
    succeeded = {action: counts[action] for action in ("created", "adopted", "unchanged")}
    result = Result(
        tenants,
        **succeeded,
        failed=tenants - sum(succeeded.values()),
        xcom_ids=len(ids),
        dashboards=target.dashboards(folder / "emulator.sqlite"),
        api_calls=calls(url) - calls_before,
        seconds=seconds,
    )
    return result, ids


def report(result: Result, ids: dict[str, str]) -> None:
    """Print a table, five ids and, as the last line, the result as JSON."""
    print()
    for name, value in asdict(result).items():
        print(f"  {name:<10} {value}")
    print("\n  five of the ids, read back from XCom through Airflow's REST API:")
    step = max(1, len(ids) // 5)
    for tenant in sorted(ids)[::step][:5]:
        print(f"  {tenant:<14} {ids[tenant]}")
    print()
    print(json.dumps(asdict(result)))


def main() -> int:
    """Run the demo. Return 1 if a tenant does not have exactly one dashboard, else 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell may start this process with Ctrl-C ignored. It must still stop what it started.
        signal.signal(number, lambda *_: sys.exit(130))
    arguments = argparse.ArgumentParser(prog="demo", description=__doc__)
    arguments.add_argument("--tenants", type=int, default=500, help="number of tenants (default: %(default)s)")
    arguments.add_argument(
        "--target", choices=sorted(TARGETS), default="databrain", help="system to provision (default: %(default)s)"
    )
    arguments.add_argument(
        "--folder", type=Path, help="folder of all files (default: build/demo-<target>-<version of Airflow>)"
    )
    arguments.add_argument("--up", action="store_true", help="leave Airflow and the emulator running until Ctrl-C")
    options = arguments.parse_args()
    print("Starting the emulator and Airflow ...", flush=True)
    target = TARGETS[options.target]
    # An older Airflow cannot use the database of a newer one.
    default = ROOT / "build" / f"demo-{options.target}-{version('apache-airflow')}"
    folder = (options.folder or default).resolve()
    with stack(folder, options.tenants, [target]) as (airflow, url):
        print(f"Running {target.dag_id} for {options.tenants} tenants ...", flush=True)
        result, ids = run(airflow, url, options.tenants, folder, target)
        if options.up:
            report(result, ids)
            print(f"\nAirflow:  {airflow.url}\nEmulator: {url}\nCtrl-C ends both.", flush=True)
            with suppress(SystemExit):
                signal.pause()
    if not options.up:
        report(result, ids)
    return 0 if result.failed == 0 and result.xcom_ids == result.dashboards == options.tenants else 1


if __name__ == "__main__":
    sys.exit(main())
