"""Runs tasks that can be killed: imports Airflow once, then forks a process for each job from stdin.

A line of stdin is a JSON list of jobs (see ``Job``) that run at the same time. For each job, stdout has two lines:
first come all process ids, then the results of ``os.waitstatus_to_exitcode`` in the same order (minus the signal's
number if a signal ended the process).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import Any, TypedDict

import airflow_provider_databrain
from airflow_provider_databrain.airflow_compat import BaseHook, BaseOperator
from airflow_provider_databrain.client import retry
from airflow_provider_databrain.conduit import operators as conduit
from airflow_provider_databrain.databrain.operators import tenants as databrain
from airflow_provider_databrain.posthog.operators import tenants as posthog
from airflow_provider_databrain.tenants.engine import journal

OPERATORS = {"conduit": conduit, "posthog": posthog, "databrain": databrain}


class Job(TypedDict):
    """One task to run."""

    operator: str
    """Module and class name, below ``operators``."""
    arguments: dict[str, Any]
    connections: dict[str, str]
    """Connection id to its JSON."""
    run_id: str
    try_number: int
    linger: float
    """How long the ledger's journal waits for more entries; with 0 it writes as early as possible."""
    result: str
    """The file for the returned value and the XComs, or for the error."""
    log: str


class TaskInstance:
    """The part of a task instance that the operators use; keeps what is pushed."""

    dag_id = "chaos"

    def __init__(self, run_id: str, try_number: int) -> None:
        self.run_id = run_id
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.pushed[key] = value


def run(job: Job) -> int:
    """Run the task in this process; returns its exit code."""
    os.environ.update({f"AIRFLOW_CONN_{name.upper()}": value for name, value in job["connections"].items()})
    retry.BACKOFF_SECONDS = 0.001
    journal.LINGER_SECONDS = job["linger"]
    task_instance = TaskInstance(job["run_id"], job["try_number"])
    module, _, name = job["operator"].partition(".")
    kind = getattr(OPERATORS[module], name)
    outcome: dict[str, Any] = {}
    try:
        operator: BaseOperator = kind(task_id="chaos", **job["arguments"])
        context: Any = {"ti": task_instance}
        outcome["returned"] = operator.execute(context)
    except BaseException:
        outcome["error"] = traceback.format_exc()
    Path(job["result"]).write_text(json.dumps({**outcome, "pushed": task_instance.pushed}))
    return 1 if "error" in outcome else 0


def fork(job: Job) -> int:
    """Run the task in a process of its own; returns the process id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 2
    try:
        # stdout is used for the protocol.
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = run(job)
    finally:
        os._exit(code)


def import_all() -> None:
    """Import what operators import only when they run. Otherwise each task would do it again."""
    package = airflow_provider_databrain
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".emulator" not in module.name:
            importlib.import_module(module.name)


def main() -> None:
    """Serve jobs until stdin ends."""
    # Airflow discovers its providers when the first hook is created; this hook opens nothing.
    os.environ["AIRFLOW_CONN_WARM_UP"] = '{"conn_type": "sqlite", "host": ":memory:"}'
    BaseHook.get_hook("warm_up")
    import_all()
    # Otherwise each task would collect garbage among all modules, and so copy their memory.
    gc.collect()
    gc.freeze()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pids = [fork(job) for job in json.loads(line)]
        sys.stdout.write("".join(f"{pid}\n" for pid in pids))
        sys.stdout.flush()
        for pid in pids:
            _, status = os.waitpid(pid, 0)
            sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
