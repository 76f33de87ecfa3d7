"""A real Airflow on this machine. Each component (API server, scheduler, triggerer and so on) is a process."""

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
"""The components of every Airflow: name, and arguments of the ``airflow`` command."""
FINISHED = ("success", "failed")


class LocalAirflow:
    """Starts Airflow with its own home, calls its REST API, and stops what it started.

    :param home: AIRFLOW_HOME; logs of the components go to ``home/components``.
    :param dags: folder of Dag files.
    :param environment: more environment variables, for example ``AIRFLOW_CONN_...`` or those of an executor.
    :param parallelism: maximum number of tasks at a time. With SQLite as metadata database, at most 16 work.
    :param database: URL of the metadata database; None means an SQLite file in ``home``.
    :param components: the components to start, including an executor's workers.
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
            # Nothing of this machine's own Airflow: neither its database nor its executor.
            **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW__", "_AIRFLOW"))},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            # Before Airflow 3.1, the REST API otherwise refuses to return an XCom as a value.
            "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",
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
            # If Python may not write bytecode, each Airflow process compiles all that it imports.
            "PYTHONDONTWRITEBYTECODE": "",
            # On macOS, forked task processes need this.
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
            **(environment or {}),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def command(self, *arguments: str) -> None:
        """Run one ``airflow`` command and wait for its end."""
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
                # Its own session, so that a component's children end with it.
                self._processes[component] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", *arguments],
                    env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        self._wait_until_healthy()
        token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def stop(self) -> None:
        """Stop every started process and its children."""
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
        """Kill a component and all its children with SIGKILL, as if its machine had crashed."""
        _kill_session(self._processes.pop(component))

    def runs_in(self, component: str, pid: int) -> bool:
        """Whether a process belongs to a component."""
        return _session(pid) == self._processes[component].pid

    def pids(self) -> list[int]:
        """Return the process ids of the components. Each is the leader of a process group."""
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
        """Send a GET below ``/api/v2``. Return the decoded answer."""
        return self.call("GET", path, params=query)

    def call(self, method: str, path: str, *, below: str = "/api/v2", **arguments: Any) -> Any:
        """Send any request. Return the decoded answer.

        :param below: the API: ``/api/v2`` is the public one, ``/ui`` that of Airflow's UI.
        :raises RuntimeError: Airflow answers an error.
        """
        response = self._session.request(method, f"{self.url}{below}{path}", timeout=60, **arguments)
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
        raise RuntimeError(f"Airflow did not parse the Dag {dag_id!r} in {seconds:g} seconds; import errors: {errors}")

    def trigger(self, dag_id: str) -> str:
        """Unpause the Dag and start a run. Return the run's id."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {}})
        run_id: str = run["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        state: str = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, including mapped ones."""
        instances: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100, offset=len(instances))
            instances += page["task_instances"]
            if not page["task_instances"] or len(instances) >= page["total_entries"]:
                return instances

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return the value of an XCom."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize=True)["value"]

    def _wait_until_healthy(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        state: object = "no answer"
        while time.monotonic() < deadline:
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"airflow {component} has exited; see {self._log(component)}")
            try:
                health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
                state = {name: part.get("status") for name, part in health.items()}
                if all(state.get(part) == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                    return
            except (requests.RequestException, ValueError):
                pass
            time.sleep(0.5)
        raise RuntimeError(f"Airflow is not healthy after {seconds:g} seconds: {state}; see {self.home / 'components'}")

    def _log(self, component: str) -> Path:
        folder = self.home / "components"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{component}.log"


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a session's leader and all its members. A task has its own process group, but not its own session."""
    for _ in range(2):  # twice, because processes may have forked during the first round
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
