"""Peak resident memory of one batch task, imports included. Each task runs in a process of its own.

The ledger is in an SQLite file. The first run creates all dashboards; in the second, nothing has changed. At the end,
the process holds the ids and their JSON at the same time, as Airflow does when it pushes a task's result.
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
    """Peak memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024 / 1024


def child(run_id: str) -> None:
    """Run the task that is measured, and make its result JSON."""
    ids, counts = provision(run_id, concurrency=CONCURRENCY, ledger_conn_id="warehouse")
    before = peak_mib()
    text = json.dumps(ids)
    result = {"before": before, "peak": peak_mib(), "ids": len(ids), "json": len(text), "counts": counts}
    print(json.dumps(result))


def build(path: Path, tenants: int) -> None:
    """Make the tenant table; this runs in a process of its own too."""
    import sqlalchemy as sa

    from benchmarks.common import fill

    fill(sa.create_engine(f"sqlite:///{path}"), tenants)


def spawn(*arguments: str) -> str:
    """Run this module in a new process; returns its last line."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().rpartition("\n")[2]


def task(run_id: str, action: str, tenants: int) -> tuple[float, float]:
    """Peak memory of one task in MiB, and the peak before the ids became JSON."""
    result = json.loads(spawn("--child", run_id))
    demand(f"{run_id}: ids", result["ids"], tenants)
    demand(f"{run_id}: {action}", result["counts"][action], tenants)
    # A new process starts with the peak of the process that started it.
    demand("more memory than the process that measures", result["before"] > peak_mib(), expected=True)
    progress(f"{tenants} {run_id}: {result}")
    return result["peak"], result["before"]


def line(name: str, peaks: Sequence[float], *, goal: bool) -> list[str]:
    """Format a line of the table."""
    ratio = peaks[-1] / peaks[0]
    return [name, *(f"{value:.1f}" for value in peaks), f"{ratio:.2f}", verdict(ratio <= MOST) if goal else ""]


def main() -> None:
    arguments = options(
        "memory", __doc__, child={"metavar": "RUN_ID", "help": "run the task in this process and measure it"},
        build={"nargs": 2, "metavar": ("PATH", "TENANTS"), "help": "make a tenant table"},
    )  # fmt: skip
    if arguments.child:
        child(arguments.child)
        return
    if arguments.build:
        build(Path(arguments.build[0]), int(arguments.build[1]))
        return
    sizes = [max(100, int(size * arguments.scale)) for size in SIZES]
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
        lines.append(line("before the ids become JSON", [before for _, before in peaks[run]], goal=False))
    header = ["run", *(f"{size:,} rows: MiB" for size in sizes), "largest / smallest", f"goal: at most {MOST:g}"]
    show("Peak memory of one batch task", header, lines)


if __name__ == "__main__":
    main()
