"""The second run of one batch task with a ledger: nothing has changed, or one tenant in a hundred has.

The server counts the calls and takes 20 ms to answer; 16 tenants are under way at a time. Each run is compared with the
first one, which creates all dashboards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from benchmarks.common import (
    Answering,
    answering,
    connect,
    demand,
    fill,
    folder,
    options,
    progress,
    provision,
    show,
    timed,
    verdict,
)

SIZES = (1_000, 10_000, 100_000)
LATENCY = 0.02
CONCURRENCY = 16
BETTER_THAN = 20


@dataclass(frozen=True)
class Result:
    """One run: the calls that the server counted, the seconds, and the operator's own counts."""

    calls: int
    seconds: float
    counts: dict[str, int]


def run(run_id: str, server: Answering, tenants: int) -> Result:
    """Run the task of one Dag run."""
    before = server.counts()
    with timed(tenants) as measured:
        ids, counts = provision(run_id, concurrency=CONCURRENCY, ledger_conn_id="warehouse")
    demand(f"{run_id}: ids", len(ids), tenants)
    calls = (server.counts() - before).total()
    return Result(calls, measured[0].seconds, {action: count for action, count in counts.items() if count})


def change(engine: sa.Engine) -> int:
    """Give each hundredth tenant another name; return the number of those tenants."""
    with engine.begin() as connection:
        statement = "UPDATE tenants SET name = name || ' and Sons' WHERE tenant_id LIKE '%00'"
        return connection.execute(sa.text(statement)).rowcount


def compared(database: str, engine: sa.Engine, server: Answering, tenants: int) -> list[list[str]]:
    """Run all runs of one size; return their lines of the table."""
    fill(engine, tenants)
    first = run("first", server, tenants)
    demand("first: counts", first.counts, {"created": tenants})
    second = run("second", server, tenants)
    demand("second: counts", second.counts, {"unchanged": tenants})
    changed = change(engine)
    third = run("third", server, tenants)
    demand("third: counts", third.counts, {"updated": changed, "unchanged": tenants - changed})
    lines = []
    for name, result, wanted in (("first", first, tenants), ("nothing changed", second, 0), ("1 %", third, changed)):
        share = first.seconds / result.seconds
        goal = verdict(share > BETTER_THAN) if result is second and tenants == SIZES[-1] else ""
        lines.append([
            database, f"{tenants:,}", name, f"{result.calls:,}", verdict(result.calls == wanted),
            f"{result.seconds:.2f}", f"{share:.0f} times" if result is not first else "", goal,
        ])  # fmt: skip
        progress(" | ".join(lines[-1]))
    return lines


@contextmanager
def sqlite(path: Path) -> Iterator[sa.Engine]:
    """Use an empty SQLite file as the warehouse."""
    path.unlink(missing_ok=True)
    connect("warehouse", conn_type="sqlite", host=str(path))
    engine = sa.create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@contextmanager
def postgresql() -> Iterator[sa.Engine]:
    """Use a PostgreSQL server as the warehouse."""
    from demo.services import postgres

    with postgres() as server:
        engine = sa.create_engine(server.create("warehouse"))
        connect("warehouse", **server.airflow_connection("warehouse"))
        yield engine
        engine.dispose()


def main() -> None:
    arguments = options("second_run", __doc__)
    lines: list[list[str]] = []
    with folder() as path, answering(LATENCY) as server:
        with sqlite(path / "warehouse.sqlite") as engine:
            # This run is not counted: it imports the libraries.
            fill(engine, 10)
            run("warm-up", server, 10)
        sizes = [max(100, int(size * arguments.scale) // 100 * 100) for size in SIZES]
        for tenants in sizes:
            with sqlite(path / "warehouse.sqlite") as engine:
                lines += compared("SQLite", engine, server, tenants)
        with postgresql() as engine:
            lines += compared("PostgreSQL", engine, server, sizes[-1])
    header = ["database", "tenants", "run", "calls", "goal: as many as changed"]
    header += ["seconds", "faster than the first run", f"goal: more than {BETTER_THAN} times"]
    show("The second run", header, lines)


if __name__ == "__main__":
    main()
