"""How much of a server's rate limit is used, and how many calls are answered 429.

The limit is 50 calls in each second of the clock; the operator does not know it. It is compared with a bare aiohttp
loop, in which each call sleeps as long as its own 429 asks and is then sent again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from benchmarks.common import (
    CREATE_PATH,
    KEY,
    Run,
    answering,
    body,
    connect,
    demand,
    fill,
    folder,
    options,
    progress,
    provision,
    rows,
    show,
    timed,
    verdict,
)

LIMIT = 50
TENANTS = 3_000
LATENCY = 0.02
CONCURRENCY = 16
LEAST_SHARE = 0.95
MOST_REFUSED = 0.02


def operator(path: Path, tenants: int) -> Run:
    """Run the batch operator with a new ledger."""
    path.unlink(missing_ok=True)
    connect("ledger", conn_type="sqlite", host=str(path))
    with timed(tenants) as measured:
        ids, _ = provision("run", concurrency=CONCURRENCY, ledger_conn_id="ledger")
    demand("ids", len(ids), tenants)
    return measured[0]


def bare_loop(url: str, tenants: int) -> Run:
    """Run the loop. Each worker waits as long as the server asks it to, and knows nothing about the others."""
    import aiohttp

    bodies = [json.dumps(body(tenant, name)).encode() for tenant, name, _ in rows(tenants)]
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    async def worker(session: aiohttp.ClientSession, queue: Iterator[bytes]) -> None:
        for data in queue:
            while True:
                async with session.post(f"{url}{CREATE_PATH}", data=data) as answer:
                    await answer.read()
                if answer.status != 429:
                    break
                await asyncio.sleep(float(answer.headers["Retry-After"]))
            answer.raise_for_status()

    async def loop() -> None:
        async with aiohttp.ClientSession(headers=headers) as session:
            queue = iter(bodies)
            await asyncio.gather(*(worker(session, queue) for _ in range(CONCURRENCY)))

    with timed(tenants) as measured:
        asyncio.run(loop())
    return measured[0]


def line(retry_after: str, name: str, run: Run, counts: Counter[str]) -> list[str]:
    """Format a line of the table."""
    demand(f"{name}: calls that were granted", counts["create"] - counts["limited"], run.tenants)
    demand(f"{name}: other calls", counts.total() - counts["create"] - counts["limited"], 0)
    share = run.per_second / LIMIT
    refused = counts["limited"] / counts["create"]
    ours = name == "batch operator"
    cells = [
        retry_after, name, f"{run.seconds:.1f}",
        f"{share:.3f}", verdict(share >= LEAST_SHARE) if ours else "",
        f"{counts['limited']:,} of {counts['create']:,}",
        f"{refused:.2%}", verdict(refused <= MOST_REFUSED) if ours else "",
    ]  # fmt: skip
    progress(" | ".join(cells))
    return cells


def main() -> None:
    arguments = options("rate_limit", __doc__)
    tenants = max(100, int(TENANTS * arguments.scale))
    lines = []
    with folder() as path:
        warehouse = path / "warehouse.sqlite"
        connect("warehouse", conn_type="sqlite", host=str(warehouse))
        engine = sa.create_engine(f"sqlite:///{warehouse}")
        fill(engine, tenants)
        engine.dispose()
        for retry_after in ("fractional", "whole"):
            for name in ("batch operator", "bare aiohttp loop"):
                with answering(LATENCY, "--per-second", str(LIMIT), "--retry-after", retry_after) as server:
                    ours = name == "batch operator"
                    run = operator(path / "ledger.sqlite", tenants) if ours else bare_loop(server.url, tenants)
                    lines.append(line(f"{retry_after} seconds", name, run, server.counts()))
    header = ["Retry-After", "", f"seconds for {tenants:,} tenants", f"share of {LIMIT} calls per second"]
    header += [f"goal: at least {LEAST_SHARE:g}", "calls answered 429", "share", f"goal: at most {MOST_REFUSED:.0%}"]
    show("Under a rate limit", header, lines)


if __name__ == "__main__":
    main()
