"""Starts task processes with ``tests.chaos.task``, and kills them at a given request."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.chaos.task import Job

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 60.0


class Tripwire(Counter[tuple[str, str]]):
    """Counts requests, and is reached when ``limit`` requests that change something have arrived; with 0 at once."""

    def __init__(self, changes: Callable[[str, str], bool] = lambda method, path: False, limit: int = 1) -> None:
        super().__init__()
        self._changes = changes
        self._left = limit
        self.reached = threading.Event()
        if limit == 0:
            self.reached.set()

    def __setitem__(self, key: tuple[str, str], value: int) -> None:
        super().__setitem__(key, value)
        if self._changes(*key):
            self._left -= 1
            if self._left == 0:
                self.reached.set()


class Tasks:
    """The process that forks tasks. Use it as a context manager.

    :param patience: seconds that a task may take.
    """

    def __init__(self, patience: float = DEADLINE_SECONDS) -> None:
        self._patience = patience

    def __enter__(self) -> Tasks:
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.task"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        # Airflow may print while it is imported.
        while self._line() != "ready":
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._helper.stdin.close()
        self._helper.wait(10)
        self._helper.stdout.close()

    def run(self, job: Job, wire: Tripwire | None = None, delay: float = 0.0) -> int:
        """Run a task to its end, or kill it ``delay`` seconds after the tripwire was reached; returns its exit code."""
        [code] = self.run_together(job, wire=wire, delay=delay)
        return code

    def run_together(self, *jobs: Job, wire: Tripwire | None = None, delay: float = 0.0) -> list[int]:
        """Run tasks at the same time. The first one can be killed, as with ``run``; returns their exit codes."""
        pids = self._start(*jobs)
        if wire is not None:
            # The helper reports the end after it has waited for the process. Until then no other process has the pid.
            while not wire.reached.wait(0.02) and not self._readable(0):
                pass
            time.sleep(delay)
            if not self._readable(0):
                os.kill(pids[0], signal.SIGKILL)
        return [int(self._line()) for _ in jobs]

    def _start(self, *jobs: Job) -> list[int]:
        assert self._helper.stdin is not None
        self._helper.stdin.write(json.dumps(jobs).encode() + b"\n")
        return [int(self._line()) for _ in jobs]

    def _readable(self, seconds: float) -> bool:
        assert self._helper.stdout is not None
        return bool(select.select([self._helper.stdout], [], [], seconds)[0])

    def _line(self) -> str:
        assert self._helper.stdout is not None
        if not self._readable(self._patience):
            self._helper.kill()
            raise TimeoutError("the task process says nothing")
        line = self._helper.stdout.readline()
        if not line:
            raise EOFError("the task process has ended")
        return line.decode().strip()
