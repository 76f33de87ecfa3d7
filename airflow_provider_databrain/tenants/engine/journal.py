"""Writing outcomes to the ledger while a batch runs, beside the calls.

Theory of operation
===================

What always holds:

- Entries are written in the order in which they are recorded, by one thread, one transaction after the other.
- A transaction takes all entries that wait. The first one waits ``LINGER_SECONDS`` for others, because a transaction
  costs about the same for one entry as for forty.
- If ``BACKLOG`` entries wait, ``record`` waits too. So a slow database slows the calls, and memory does not grow.
- At the end of the context manager all entries are written, or ``on_error`` was called.

What can happen in between: a killed worker loses the entries that wait. The next try finds these dashboards at the
vendor and adopts them. A ledger that keeps failing is not written again in this batch; ``on_error`` is called once, and
the batch stops.

What is relied on: ``Ledger.write`` tries a failed transaction again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger, LedgerError

if TYPE_CHECKING:
    from typing import Self

BACKLOG = 500
"""Entries that may wait for a transaction; then ``record`` waits too."""
LINGER_SECONDS = 0.1
"""How long the first entry of a transaction waits for others."""


class Journal:
    """Writes recorded entries to the ledger. Use it as an async context manager.

    :param on_error: called once, if the ledger keeps failing.
    """

    def __init__(self, ledger: Ledger, *, on_error: Callable[[LedgerError], None]) -> None:
        self._ledger = ledger
        self._on_error = on_error
        self._waiting: list[Entry] = []
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._closing = asyncio.Event()
        self.error: LedgerError | None = None
        # One thread, so that one transaction follows the other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._writer: asyncio.Task[None] | None = None

    async def record(self, entry: Entry) -> None:
        """Add an entry; it is written soon."""
        self._waiting.append(entry)
        self._arrived.set()
        if len(self._waiting) >= BACKLOG:
            self._has_room.clear()
            await self._has_room.wait()

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._arrived.set()
        if self._writer is not None:
            await self._writer
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing.is_set() and not self._waiting):
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), LINGER_SECONDS)
            self._arrived.clear()
            entries, self._waiting = self._waiting, []
            self._has_room.set()
            if not entries or self.error is not None:
                # After an error the entries are dropped. The next run adopts what the ledger lacks.
                continue
            try:
                await loop.run_in_executor(self._thread, self._ledger.write, entries)
            except Exception as failed:
                error = failed if isinstance(failed, LedgerError) else LedgerError(f"the ledger failed: {failed!r}")
                self.error = error
                self._on_error(error)
