"""Tenants per second and CPU time per tenant: the batch operator compared with a bare aiohttp loop.

Both run in one process, in turns. The start of the process and its imports are not counted. The bare loop posts bodies
that were made beforehand, and reads only the status of each answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from benchmarks.common import (
    CREATE_PATH,
    KEY,
    Answering,
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


@dataclass(frozen=True)
class Cell:
    """One line of the table. It has enough tenants for a run of two seconds or more."""

    latency: float
    concurrency: int
    tenants: int


CELLS = (
    Cell(0, 1, 4000),
    Cell(0, 8, 8000),
    Cell(0, 32, 8000),
    Cell(0.02, 1, 200),
    Cell(0.02, 8, 1200),
    Cell(0.02, 32, 4000),
    Cell(0.1, 1, 100),
    Cell(0.1, 8, 400),
    Cell(0.1, 32, 1200),
)
LEAST_SHARE = 0.9
MOST_CPU = 2.0


def operator(path: Path, cell: Cell, *, ledger: bool) -> Run:
    """Run the batch operator, from reading the table to the ids. A ledger does not exist yet and is created."""
    path.unlink(missing_ok=True)
    connect("ledger", conn_type="sqlite", host=str(path))
    with timed(cell.tenants) as measured:
        ids, _ = provision("run", concurrency=cell.concurrency, ledger_conn_id="ledger" if ledger else None)
    demand("ids", len(ids), cell.tenants)
    return measured[0]


def bare_loop(url: str, cell: Cell) -> Run:
    """Send the same requests from a plain loop."""
    import aiohttp

    bodies = [json.dumps(body(tenant, name)).encode() for tenant, name, _ in rows(cell.tenants)]
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    created = 0

    async def worker(session: aiohttp.ClientSession, queue: Iterator[bytes]) -> None:
        nonlocal created
        for data in queue:
            async with session.post(f"{url}{CREATE_PATH}", data=data) as answer:
                await answer.read()
                created += answer.status == 200

    async def loop() -> None:
        connector = aiohttp.TCPConnector(limit=cell.concurrency)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            queue = iter(bodies)
            await asyncio.gather(*(worker(session, queue) for _ in range(cell.concurrency)))

    with timed(cell.tenants) as measured:
        asyncio.run(loop())
    demand("answers with status 200", created, cell.tenants)
    return measured[0]


def measured(cell: Cell, server: Answering, path: Path, rounds: int) -> dict[str, list[Run]]:
    """Run each contender once per round. The small round 0 is not counted: it imports the libraries."""
    engine = sa.create_engine(f"sqlite:///{path / 'warehouse.sqlite'}")
    connect("warehouse", conn_type="sqlite", host=str(path / "warehouse.sqlite"))
    contenders: dict[str, Callable[[Cell], Run]] = {
        "bare": lambda cell: bare_loop(server.url, cell),
        "ledger": lambda cell: operator(path / "ledger.sqlite", cell, ledger=True),
        "plain": lambda cell: operator(path / "ledger.sqlite", cell, ledger=False),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        now = cell if number else Cell(cell.latency, cell.concurrency, 50)
        if number < 2:
            fill(engine, now.tenants)
        for name, contender in contenders.items():
            before = server.counts()
            gc.collect()
            run = contender(now)
            demand(f"{name}: calls that create", (server.counts() - before)["create"], now.tenants)
            if number:
                runs[name].append(run)
    engine.dispose()
    return runs


def compared(runs_of: dict[str, list[Run]], figure: Callable[[Run], float], goal: Callable[[float], str]) -> list[str]:
    """Format the cells of one line: medians, their ratios to the bare loop, and whether each meets the goal."""
    medians = {name: statistics.median(figure(run) for run in runs) for name, runs in runs_of.items()}
    cells = [f"{medians['bare']:,.0f}"]
    for name in ("ledger", "plain"):
        ratio = medians[name] / medians["bare"]
        cells += [f"{medians[name]:,.0f}", f"{ratio:.2f}", goal(ratio)]
    return cells


def fast_enough(share: float) -> str:
    """Whether the throughput meets its goal."""
    return verdict(share >= LEAST_SHARE)


def cheap_enough(times: float) -> str:
    """Whether the CPU time meets its goal."""
    return verdict(times <= MOST_CPU)


def no_goal(_: float) -> str:
    """Without latency, throughput has no goal."""
    return "no goal"


class Trivial(asyncio.Protocol):
    """A client that only sends one request again and again. It shows what the server itself can do."""

    def __init__(self, request: bytes, times: int, done: asyncio.Future[None]) -> None:
        self._request, self._left, self._done = request, times, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - TCP
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Send the next request. An answer is one packet."""
        self._left -= 1
        if self._left:
            self._transport.write(self._request)
        else:
            self._transport.close()
            self._done.set_result(None)


def cost_of_server(server: Answering, times: int) -> str:
    """Measure what the server can do, and what a call costs it."""
    data = json.dumps(body("tenant-000001", "Tenant 1")).encode()
    request = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (CREATE_PATH.encode(), len(data), data)
    port = int(server.url.rpartition(":")[2])

    async def connections(count: int) -> None:
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in range(count)]
        for end in ends:
            await loop.create_connection(partial(Trivial, request, times // count, end), "127.0.0.1", port)
        await asyncio.gather(*ends)

    before, cpu = server.counts(), server.cpu()
    with timed(times) as measured:
        asyncio.run(connections(8))
    demand("trivial client's calls", (server.counts() - before)["create"], times)
    return (
        f"A client that does nothing else gets {measured[0].per_second:,.0f} answers per second from the server "
        f"(8 connections, latency 0). "
        f"Each call costs the server {(server.cpu() - cpu) / times * 1e6:.0f} µs of CPU time."
    )


def main() -> None:
    arguments = options("throughput", __doc__, rounds={"type": int, "default": 3})
    rates, costs = [], []
    with folder() as path:
        for planned in CELLS:
            cell = Cell(planned.latency, planned.concurrency, max(50, int(planned.tenants * arguments.scale)))
            with answering(cell.latency) as server:
                runs = measured(cell, server, path, arguments.rounds)
            named = [f"{cell.latency * 1000:.0f} ms", str(cell.concurrency), f"{cell.tenants:,}"]
            rates.append(named + compared(runs, lambda run: run.per_second, fast_enough if cell.latency else no_goal))
            costs.append(named + compared(runs, lambda run: run.microseconds, cheap_enough))
            progress(f"{rates[-1]} {costs[-1][3:]}")
        with answering() as server:
            note = cost_of_server(server, int(40_000 * arguments.scale) // 8 * 8)
    ours = ["with ledger", "ratio", "", "without ledger", "ratio", ""]
    header = ["latency", "concurrency", "tenants", "bare aiohttp loop", *ours]
    show(f"Tenants per second; goal: at least {LEAST_SHARE:g} of the bare loop at 20 ms and above", header, rates, note)
    show(f"Microseconds of CPU time for each tenant; goal: at most {MOST_CPU:g} times the bare loop", header, costs)


if __name__ == "__main__":
    main()
