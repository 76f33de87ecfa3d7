"""``make demo``: a tenant table becomes dashboards on a real Airflow, and the ids are read back from XCom."""

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
from pathlib import Path

import requests

from demo import warehouse
from demo.local_airflow import FINISHED, LocalAirflow, free_port
from demo.targets import TARGETS, Credentials, DemoTarget

ROOT = Path(__file__).parent.parent


@dataclass
class Result:
    """The demo's last line; ``dashboards`` are those of tenants on the emulated server in the end."""

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
    """A running emulator process with its state in the folder; gives its URL."""
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
                raise RuntimeError(f"the emulator ended by itself; see {folder / 'emulator.log'}")
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
def stack(folder: Path, tenants: int, targets: Iterable[DemoTarget]) -> Iterator[tuple[LocalAirflow, str]]:
    """Warehouse, emulator and Airflow, all running; gives Airflow and the emulator's URL."""
    folder.mkdir(parents=True, exist_ok=True)
    credentials = Credentials.load(folder / "credentials.json")
    warehouse.build(folder / "warehouse.sqlite", tenants)
    with emulator(folder, credentials) as url:
        environment = {
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(folder / "warehouse.sqlite")})
        }
        for target in targets:
            environment |= target.environment(url, credentials)
        airflow = LocalAirflow(folder / "airflow", ROOT / "example_dags", environment)
        with airflow:
            if all(pool["name"] != "databrain" for pool in airflow.get("/pools")["pools"]):
                airflow.call("POST", "/pools", json={"name": "databrain", "slots": 4})
            for target in targets:
                airflow.wait_for_dag(target.dag_id)
            yield airflow, url


def calls(url: str) -> int:
    """How many calls the emulator has had."""
    counted: dict[str, int] = requests.get(f"{url}/_emulator/calls", timeout=10).json()
    return sum(counted.values())


def run(
    airflow: LocalAirflow, url: str, tenants: int, folder: Path, target: DemoTarget
) -> tuple[Result, dict[str, str]]:
    """Run the Dag, showing progress; returns the result and the ids that XCom holds.

    :param url: the emulator's.
    :param folder: with the emulator's file.
    """
    dag_id = target.dag_id
    called = calls(url)
    started = time.monotonic()
    run_id = airflow.trigger(dag_id)
    shown = ""
    while True:
        state = airflow.run_state(dag_id, run_id)
        instances = airflow.task_instances(dag_id, run_id)
        states = Counter(str(one["state"]) for one in instances if one["task_id"] == "provision")
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
    for one in instances:
        if one["task_id"] == "provision" and one["state"] in FINISHED:
            ids |= airflow.xcom(dag_id, run_id, "provision", one["map_index"])
            counts.update(airflow.xcom(dag_id, run_id, "provision", one["map_index"], key="counts"))
    good = {action: counts[action] for action in ("created", "adopted", "unchanged")}
    result = Result(
        tenants,
        **good,
        failed=tenants - sum(good.values()),
        xcom_ids=len(ids),
        dashboards=target.dashboards(folder / "emulator.sqlite"),
        api_calls=calls(url) - called,
        seconds=seconds,
    )
    return result, ids


def report(result: Result, ids: dict[str, str]) -> None:
    """Print the table and, as the last line, the result as JSON."""
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
    """Run the demo; 1 where a tenant has none, or more than one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where the shell has told this process to ignore Ctrl-C: what was started must be stopped.
        signal.signal(number, lambda *_: sys.exit(130))
    arguments = argparse.ArgumentParser(prog="demo", description=__doc__)
    arguments.add_argument("--tenants", type=int, default=500)
    arguments.add_argument("--target", choices=sorted(TARGETS), default="databrain", help="the system")
    arguments.add_argument("--folder", type=Path, help="default: build/demo-<target>")
    arguments.add_argument("--up", action="store_true", help="leave Airflow and the emulator running until Ctrl-C")
    given = arguments.parse_args()
    print("Starting the emulator and Airflow ...", flush=True)
    target = TARGETS[given.target]
    folder = (given.folder or ROOT / "build" / f"demo-{given.target}").resolve()
    with stack(folder, given.tenants, [target]) as (airflow, url):
        print(f"Running {target.dag_id} for {given.tenants} tenants ...", flush=True)
        result, ids = run(airflow, url, given.tenants, folder, target)
        if given.up:
            report(result, ids)
            print(f"\nAirflow:  {airflow.url}\nEmulator: {url}\nCtrl-C ends both.", flush=True)
            with suppress(SystemExit):
                signal.pause()
    if not given.up:
        report(result, ids)
    return 0 if result.failed == 0 and result.xcom_ids == result.dashboards == given.tenants else 1


if __name__ == "__main__":
    sys.exit(main())
