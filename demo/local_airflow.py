"""A real Airflow on this machine: api server, scheduler, dag processor, triggerer and more, each a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import requests

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    name: (name,) for name in ("api-server", "scheduler", "dag-processor", "triggerer")
}
"""What every Airflow consists of: a name, and the arguments of the ``airflow`` command."""
FINISHED = ("success", "failed")


class LocalAirflow:
    """Starts Airflow with a home of its own, talks to its REST API, stops what it started.

    :param home: AIRFLOW_HOME; logs of the components go to ``home/components``.
    :param dags: folder of Dag files.
    :param environment: further environment variables, such as ``AIRFLOW_CONN_...`` or an executor's.
    :param parallelism: tasks at a time. SQLite as metadata database bears no more than 16.
    :param database: URL of the metadata database; an SQLite file in ``home`` where there is none.
    :param components: what is started; workers of an executor go here.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str] | None = None,
        *,
        parallelism: int = 8,
        database: str | None = None,
        components: Mapping[str, Sequence[str]] = COMPONENTS,
    ) -> None:
        self.home = home
        self._components = components
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        secret = os.urandom(16).hex()
        self.environment = {
            # Of this machine's own Airflow, nothing: not its database, nor its executor.
            **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW__", "_AIRFLOW"))},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(parallelism),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # Airflow's processes each compile all they import where Python may write no bytecode.
            "PYTHONDONTWRITEBYTECODE": "",
            # Task processes are forked; on macOS that needs this.
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
            **(environment or {}),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def command(self, *arguments: str) -> None:
        """Run one airflow command to its end."""
        log = self._log(arguments[0])
        with log.open("ab") as output:
            subprocess.run(
                [sys.executable, "-m", "airflow", *arguments],
                env=self.environment, stdout=output, stderr=subprocess.STDOUT, check=True,
            )  # fmt: skip

    def start(self) -> None:
        """Migrate the database, start all components and wait until they are healthy."""
        self.command("db", "migrate")
        for component, arguments in self._components.items():
            with self._log(component).open("ab") as output:
                # A session of its own, so that a component's children end with it.
                self._processes[component] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", *arguments],
                    env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        self._wait_until_healthy()
        token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def stop(self) -> None:
        """End every process that was started, with its children."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        deadline = time.monotonic() + 15
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill_session(process)
        self._processes.clear()

    def kill(self, component: str) -> None:
        """Kill a component and all its children with SIGKILL, as a machine does that goes down."""
        _kill_session(self._processes.pop(component))

    def runs_in(self, component: str, pid: int) -> bool:
        """Whether a process is one of the component's."""
        return _session(pid) == self._processes[component].pid

    def pids(self) -> list[int]:
        """Process ids of the components, each the leader of a process group."""
        return [process.pid for process in self._processes.values()]

    def __enter__(self) -> LocalAirflow:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def get(self, path: str, **query: Any) -> Any:
        """GET below ``/api/v2``, decoded."""
        return self.call("GET", path, params=query)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Any call below ``/api/v2``, decoded; raises where Airflow refuses it."""
        response = self._session.request(method, f"{self.url}/api/v2{path}", timeout=60, **arguments)
        if not response.ok:
            raise RuntimeError(f"Airflow answered {response.status_code} to {method} {path}: {response.text[:500]}")
        return response.json() if response.content else None

    def wait_for_dag(self, dag_id: str, seconds: float = 90) -> None:
        """Wait until the Dag has been parsed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(dag["dag_id"] == dag_id for dag in self.get("/dags", limit=1000)["dags"]):
                return
            time.sleep(0.5)
        errors = self.get("/importErrors")["import_errors"]
        raise RuntimeError(f"Dag {dag_id!r} was not parsed in {seconds:g} s; import errors: {errors}")

    def trigger(self, dag_id: str) -> str:
        """Unpause the Dag and start a run; returns its id."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {}})
        run_id: str = run["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run."""
        state: str = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run, mapped ones too."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100, offset=len(found))
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """The value of an XCom."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize=True)["value"]

    def _wait_until_healthy(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        state: object = "no answer"
        while time.monotonic() < deadline:
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"airflow {component} ended by itself; see {self._log(component)}")
            try:
                health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
                state = {name: part.get("status") for name, part in health.items()}
                if all(state.get(part) == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                    return
            except (requests.RequestException, ValueError):
                pass
            time.sleep(0.5)
        raise RuntimeError(f"Airflow is not healthy after {seconds:g} s: {state}; see {self.home / 'components'}")

    def _log(self, component: str) -> Path:
        folder = self.home / "components"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{component}.log"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a session's leader and all members: a task has a process group of its own, but no session."""
    for _ in range(2):  # again, for what was forked while the first round went on
        for pid in psutil.pids():
            if _session(pid) == leader.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    leader.wait()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
