"""Peak memory of one batch task, each in a process of its own: the peak of its resident memory, imports included.

With a ledger in an SQLite file; first the run that creates all dashboards, then one in which nothing has changed. At
the end, the ids and their JSON are held side by side, as Airflow does when it pushes a task's result.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import ROOT, answering, connect, demand, folder, options, progress, provision, show, verdict

SIZES = (1_000, 10_000, 100_000)
RUNS = {"first": "created", "second": "unchanged"}
MOST = 1.2
CONCURRENCY = 16


def peak_mib() -> float:
    """Of this process, so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024 / 1024


def child(run_id: str) -> None:
    """What is measured: the task, and its result as JSON."""
    ids, counts = provision(run_id, concurrency=CONCURRENCY, ledger_conn_id="warehouse")
    before = peak_mib()
    text = json.dumps(ids)
    found = {"before": before, "peak": peak_mib(), "ids": len(ids), "json": len(text), "counts": counts}
    print(json.dumps(found))


def build(path: Path, tenants: int) -> None:
    """The tenant table, made by a process of its own too."""
    import sqlalchemy as sa

    from benchmarks.common import fill

    fill(sa.create_engine(f"sqlite:///{path}"), tenants)


def spawn(*arguments: str) -> str:
    """Run this module in a new process; returns its last line."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().rpartition("\n")[2]


def task(run_id: str, action: str, tenants: int) -> tuple[float, float]:
    """Peak memory of one task in MiB, and what it was before the ids became JSON."""
    result = json.loads(spawn("--child", run_id))
    demand(f"{run_id}: ids", result["ids"], tenants)
    demand(f"{run_id}: {action}", result["counts"][action], tenants)
    # A new process starts with the peak of the one that started it.
    demand("more memory than the process that measures", result["before"] > peak_mib(), wanted=True)
    progress(f"{tenants} {run_id}: {result}")
    return result["peak"], result["before"]


def line(name: str, found: Sequence[float], *, goal: bool) -> list[str]:
    """A line of the table."""
    ratio = found[-1] / found[0]
    return [name, *(f"{value:.1f}" for value in found), f"{ratio:.2f}", verdict(ratio <= MOST) if goal else ""]


def main() -> None:
    given = options(
        "memory", __doc__, child={"metavar": "RUN_ID", "help": "of a task to be measured in this process"},
        build={"nargs": 2, "metavar": ("PATH", "TENANTS"), "help": "make a tenant table"},
    )  # fmt: skip
    if given.child:
        child(given.child)
        return
    if given.build:
        build(Path(given.build[0]), int(given.build[1]))
        return
    sizes = [max(100, int(size * given.scale)) for size in SIZES]
    peaks: dict[str, list[tuple[float, float]]] = {run: [] for run in RUNS}
    with folder() as path, answering():
        for tenants in sizes:
            warehouse = path / f"{tenants}.sqlite"
            connect("warehouse", conn_type="sqlite", host=os.fspath(warehouse))
            spawn("--build", str(warehouse), str(tenants))
            for run, action in RUNS.items():
                peaks[run].append(task(run, action, tenants))
    lines = []
    for run, action in RUNS.items():
        lines.append(line(f"{run}, all {action}", [peak for peak, _ in peaks[run]], goal=True))
        lines.append(line("before the ids are JSON too", [before for _, before in peaks[run]], goal=False))
    header = ["run", *(f"{size:,} rows: MiB" for size in sizes), "largest / smallest", f"goal: at most {MOST:g}"]
    show("Peak memory of one batch task", header, lines)


if __name__ == "__main__":
    main()
