"""When each try of one task may start: one pace for all of its workers.

Theory of operation
===================

What always holds:

- Each try takes a turn before it starts (``turn``) and reports its end (``granted`` or ``throttled``).
- A 429 makes all workers hold, for as long as the server asks. No try starts during a hold. A shorter wait never
  shortens a longer one.
- If there is a rate, each try gets a slot of its own, and the slots are 1/rate seconds apart. The rate is never above
  the cap ``most``.
- After ``stop``, no try starts. All workers that wait are woken with ``StoppedError``.

How the rate is found. A cycle lasts from the end of one hold to the next 429.

- Before the first 429 there is no rate; only the cap holds workers back.
- The first 429 sets the rate to a little less than what was granted since the start, the hold included.
- In a cycle, the rate stays for a quiet time. Then it grows in small steps, each larger than the one before, until the
  server refuses a try. The longer the hold, the longer the next quiet time.
- A 429 after a long cycle sets the rate to a little less than it was before the refusal. A cycle that is short compared
  with its hold is too short to measure, because the server counts in windows: the rate is cut by 4 %, then by 10 %, and
  then estimated from scratch.

What may happen in between:

- Calls that are under way when a 429 comes may be refused too. They began before the hold, so they belong to the cycle
  that has ended: they can make the hold longer, but they do not change the rate again.
- A worker that waits for a slot when a 429 comes loses the slot and takes another one after the hold.
- Other tasks may use the same limit. They share nothing with this pace; it learns what the server leaves for it.

What it relies on:

- All calls of a pace are on one event loop. Nothing awaits between reading the state and changing it.
- The clock is monotonic, and ``throttled`` is called with the time that ``turn`` returned.
- The server does not act on a call that it answers with 429.

How well it works, in simulations of a limit of 50 calls per second (``tests/client/transport/test_pace.py``):

- A server that counts in windows: at least 95 % of the limit is used (if it rounds its waits up to whole seconds, at
  least 89 %), and at most 2 % of the calls are refused.
- A token bucket that asks for waits of milliseconds: at least 99 % of the limit is used. But if many workers share the
  pace (32, with calls of 100 ms), more calls are refused: 5 % in a typical run, at most 13 % in nine runs of ten, and
  32 % in the worst of 130 runs. At 100 calls per second it can be half. The reason: many calls are under way when the
  bucket is empty, and each wait is too short to measure the rate. It costs calls but no time: each wait is 20 ms at
  most.
- A token bucket that holds only one or two tokens: few calls are refused, but only 27 % to 67 % of the limit is used.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from airflow_provider_databrain.client.waits import MAX_WAIT_SECONDS
from airflow_provider_databrain.portable import Portable

UNNAMED_WAIT = 1.0
"""Seconds to hold after a 429 that names no wait."""
SLACK = 0.05
"""Seconds that a late try may catch up, so that a busy machine does not fall behind the pace."""
SHARE = 0.98
"""Part of the observed rate that is used at first."""
GROWTH = 0.01
"""Part by which the rate grows in the first step. Each step is larger than the one before."""
SHORTEST_QUIET = 5.0
"""Minimum seconds without growth after a hold."""
LONGEST_QUIET = 600.0
"""Maximum seconds without growth after a hold."""
QUIET_PER_HELD = 60.0
"""Seconds without growth for each second of a hold: after a longer hold, the rate stays unchanged for longer."""
COARSE = 5.0
"""A cycle is short if it is shorter than this many times its hold."""
MISSES = (0.96, 0.9)
"""Part of the rate that remains after the first and the second short cycle in a row; a third starts from scratch."""

NOT_SENT = "stopped before this call was sent"


class StoppedError(Portable, Exception):
    """The task is being stopped. The call that waited for its turn was not sent."""


class Pace:
    """Decides when each try may start. Share one among all calls that share a rate limit.

    :param most: maximum tries per second; None means no limit.
    :param on_hold: called with each wait that the server asks for, in seconds. If it returns True, the task stops
        because of that wait: no other try starts, and the refused calls end with ``StoppedError``.
    :param clock: returns seconds; must be monotonic.
    :raises ValueError: ``most`` is not above 0.
    """

    def __init__(
        self,
        most: float | None = None,
        *,
        on_hold: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if most is not None and most <= 0:
            raise ValueError(f"requests_per_second is {most:g}; it must be more than 0, or None for no limit")
        self._most = most
        self._on_hold = on_hold
        self._clock = clock
        self._stopped: asyncio.Event | None = None
        self.stopped_by_wait = False
        """Whether the task is being stopped because the server asks to wait. A call that it refused has not failed."""
        self._held_until = clock()
        self._next = clock()
        self._base: float | None = None
        self._quiet = SHORTEST_QUIET
        self._short_cycles = 0
        # The present cycle: the end of the last hold, the 429 that ended the last cycle, and the tries granted since.
        self._since = clock()
        self._began = clock()
        self._granted = 0

    async def turn(self) -> float:
        """Wait until a try may start, and return the time at which it does.

        :raises StoppedError: the task is being stopped.
        """
        while True:
            if self._stopped is not None and self._stopped.is_set():
                raise StoppedError(NOT_SENT)
            now = self._clock()
            if now < self._held_until:
                await self.rest(self._held_until - now)
                continue
            rate = self.rate(now)
            if rate is None:
                return now
            slot = max(self._next, now - SLACK)
            self._next = slot + 1 / rate
            if slot <= now:
                return now
            held = self._held_until
            await self.rest(slot - now)
            if self._held_until == held:
                return self._clock()

    async def rest(self, seconds: float) -> None:
        """Sleep, but only until the task is stopped.

        :raises StoppedError: the task is being stopped.
        """
        if self._stopped is None:
            self._stopped = asyncio.Event()
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return
        raise StoppedError(NOT_SENT)

    def stop(self) -> None:
        """Let no other try start, and wake all workers that wait. Call it on the event loop."""
        if self._stopped is None:
            self._stopped = asyncio.Event()
        self._stopped.set()

    def granted(self) -> None:
        """Note that a try ended without a 429."""
        self._granted += 1

    def throttled(self, started: float, retry_after: float | None) -> None:
        """Note a 429: all workers hold, and the first 429 of a cycle sets the rate.

        :param started: when the try started, as ``turn`` returned it.
        :param retry_after: seconds that the server asks to wait; None if it names no wait.
        """
        now = self._clock()
        wait = UNNAMED_WAIT if retry_after is None else min(retry_after, MAX_WAIT_SECONDS)
        until = max(self._held_until, now + wait)
        if started >= self._began:
            # The first 429 of this cycle. The calls under way may be refused too; those 429s say nothing new.
            self._estimate(now, until - now)
            self._began = now
            self._granted = 0
        self._held_until = self._since = self._next = until
        if self._on_hold is not None and self._on_hold(wait) is True:
            self.stopped_by_wait = True
            self.stop()

    def rate(self, now: float) -> float | None:
        """The present limit in tries per second; None means no limit."""
        if self._base is None:
            return self._most
        return self._paced(now) if self._most is None else min(self._paced(now), self._most)

    def _paced(self, now: float) -> float:
        steps = max(0.0, (now - self._since - self._quiet) / (self._quiet / 4))
        return (self._base or 0.0) * math.exp(GROWTH * min(steps * (steps + 1) / 2, 1000.0))

    def _estimate(self, now: float, hold: float) -> None:
        going = max(now - self._since, 1e-3)
        granted = max(self._granted, 1)
        quiet = min(max(SHORTEST_QUIET, QUIET_PER_HELD * hold), LONGEST_QUIET)
        short = going < COARSE * hold
        self._short_cycles = self._short_cycles + 1 if short else 0
        if self._base is None or self._short_cycles > len(MISSES):
            # All tries that were granted, divided by the time that they took, the hold included.
            self._base, self._quiet = SHARE * granted / (going + hold), SHORTEST_QUIET
            self._short_cycles = 0
        elif short:
            self._base, self._quiet = self._base * MISSES[self._short_cycles - 1], quiet
        else:
            # The tries are spread evenly over the server's windows. The limit was exceeded in the window that ends
            # now, so the rate before that window was right.
            self._base, self._quiet = SHARE * min(self._paced(now - hold), 1.25 * granted / going), quiet
