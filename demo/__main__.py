"""``make demo``: a tenant table becomes dashboards on a real Airflow, and the ids are read back from XCom."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from demo import warehouse
from demo.local_airflow import FINISHED, LocalAirflow, free_port

ROOT = Path(__file__).parent.parent
DAG_ID = "provision_tenant_dashboards"


@dataclass
class Result:
    """The demo's last line."""

    tenants: int
    created: int
    adopted: int
    unchanged: int
    failed: int
    xcom_ids: int
    api_calls: int
    seconds: float


@dataclass(frozen=True)
class Credentials:
    """The emulator's two tokens; kept in the demo's folder so that a second run meets the same server."""

    api_key: str
    service_token: str

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """Read them, or make them up."""
        if path.exists():
            return cls(**json.loads(path.read_text()))
        made = cls(secrets.token_hex(16), secrets.token_hex(16))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(made)))
        return made


@contextmanager
def emulator(folder: Path, credentials: Credentials) -> Iterator[str]:
    """A running emulator process with its state in the folder; gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "airflow_provider_databrain.emulator", "--port", str(port)]
    environment = {
        **os.environ,
        "DATABRAIN_EMULATOR_API_KEY": credentials.api_key,
        "DATABRAIN_EMULATOR_SERVICE_TOKEN": credentials.service_token,
    }
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
def stack(folder: Path, tenants: int) -> Iterator[tuple[LocalAirflow, str]]:
    """Warehouse, emulator and Airflow, all running; gives Airflow and the emulator's URL."""
    folder.mkdir(parents=True, exist_ok=True)
    credentials = Credentials.load(folder / "credentials.json")
    warehouse.build(folder / "warehouse.sqlite", tenants)
    with emulator(folder, credentials) as url:
        databrain = {
            "conn_type": "databrain",
            "host": url,
            "password": credentials.api_key,
            "extra": {"service_token": credentials.service_token, "workspace_name": "analytics"},
        }
        environment = {
            "AIRFLOW_CONN_DATABRAIN_DEFAULT": json.dumps(databrain),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(folder / "warehouse.sqlite")}),
        }
        airflow = LocalAirflow(folder / "airflow", ROOT / "example_dags", environment)
        with airflow:
            if all(pool["name"] != "databrain" for pool in airflow.get("/pools")["pools"]):
                airflow.call("POST", "/pools", json={"name": "databrain", "slots": 4})
            airflow.wait_for_dag(DAG_ID)
            yield airflow, url


def calls(url: str) -> int:
    """How many calls the emulator has had."""
    counted: dict[str, int] = requests.get(f"{url}/_emulator/calls", timeout=10).json()
    return sum(counted.values())


def run(airflow: LocalAirflow, url: str, tenants: int) -> tuple[Result, dict[str, str]]:
    """Run the Dag, showing progress; returns the result and the ids that XCom holds.

    :param url: the emulator's.
    """
    called = calls(url)
    started = time.monotonic()
    run_id = airflow.trigger(DAG_ID)
    shown = ""
    while True:
        state = airflow.run_state(DAG_ID, run_id)
        instances = airflow.task_instances(DAG_ID, run_id)
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
            ids |= airflow.xcom(DAG_ID, run_id, "provision", one["map_index"])
            counts.update(airflow.xcom(DAG_ID, run_id, "provision", one["map_index"], key="counts"))
    good = {action: counts[action] for action in ("created", "adopted", "unchanged")}
    result = Result(
        tenants,
        **good,
        failed=tenants - sum(good.values()),
        xcom_ids=len(ids),
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
    """Run the demo; 1 where a tenant is without its dashboard."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where the shell has told this process to ignore Ctrl-C: what was started must be stopped.
        signal.signal(number, lambda *_: sys.exit(130))
    arguments = argparse.ArgumentParser(prog="demo", description=__doc__)
    arguments.add_argument("--tenants", type=int, default=500)
    arguments.add_argument("--folder", type=Path, default=ROOT / "build" / "demo")
    arguments.add_argument("--up", action="store_true", help="leave Airflow and the emulator running until Ctrl-C")
    given = arguments.parse_args()
    print("Starting the emulator and Airflow ...", flush=True)
    with stack(given.folder.resolve(), given.tenants) as (airflow, url):
        print(f"Running {DAG_ID} for {given.tenants} tenants ...", flush=True)
        result, ids = run(airflow, url, given.tenants)
        if given.up:
            report(result, ids)
            print(f"\nAirflow:  {airflow.url}\nEmulator: {url}\nCtrl-C ends both.", flush=True)
            with suppress(SystemExit):
                signal.pause()
    if not given.up:
        report(result, ids)
    return 0 if result.failed == 0 and result.xcom_ids == given.tenants else 1


if __name__ == "__main__":
    sys.exit(main())
