"""How fast the calls of one task go: one pace for all of its workers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

UNNAMED_WAIT = 1.0
"""Seconds to hold after a 429 that names no wait."""
SLACK = 0.05
"""Seconds that a late try may make up for, so that a busy machine does not fall behind the pace."""
SHARE = 0.98
"""Of the rate that the server was seen to grant, the part that is used at first."""
GROWTH = 0.01
"""By which share the pace grows each time it has gone well for a while; each step is larger than the one before."""
SHORTEST_QUIET = 5.0
LONGEST_QUIET = 600.0
QUIET_PER_HELD = 60.0
"""Seconds without growth for each second held: the dearer a 429 was, the rarer the next one is risked."""
COARSE = 5.0
"""A cycle shorter than so many times its hold is too short to tell the rate from: the server counts in windows."""
MISSES = (0.96, 0.9)
"""What a first and a second short cycle in a row leave of the rate; a third has it estimated from scratch."""


NOT_SENT = "stopped before this call was sent"


class StoppedError(Exception):
    """The task is being stopped; what waited for its turn was not sent."""


class Pace:
    """Lets tries start: all wait together after a 429, and afterwards share the rate that the server grants.

    Without a cap there is no rate until the first 429. Then the rate is estimated from what was granted since the
    last one, used a little below, and raised slowly, so that few calls meet the limit and little of it is
    left unused.

    :param most: tries a second at most; None for no cap.
    :param on_hold: told of each wait that a server asks for, in seconds.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        most: float | None = None,
        *,
        on_hold: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if most is not None and most <= 0:
            raise ValueError(f"requests_per_second is {most:g}; it is more than 0, or None for no cap")
        self._most = most
        self._on_hold = on_hold
        self._clock = clock
        self._stopped: asyncio.Event | None = None
        self._held_until = clock()
        self._next = clock()
        self._base: float | None = None
        self._quiet = SHORTEST_QUIET
        self._short_cycles = 0
        # Of the cycle since the last hold:
        self._since = clock()
        self._began = clock()
        self._granted = 0

    async def turn(self) -> float:
        """Wait until a try may start; returns when it did.

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
        """Sleep, unless the task is stopped meanwhile.

        :raises StoppedError: it is.
        """
        if self._stopped is None:
            self._stopped = asyncio.Event()
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return
        raise StoppedError(NOT_SENT)

    def stop(self) -> None:
        """Send nothing more; wakes all who wait. Call it on the event loop."""
        if self._stopped is None:
            self._stopped = asyncio.Event()
        self._stopped.set()

    def granted(self) -> None:
        """Note a try that the rate limit let through."""
        self._granted += 1

    def throttled(self, started: float, retry_after: float | None) -> None:
        """Note a 429: everyone holds, and the rate is estimated anew.

        :param started: when the try began, as ``turn`` said.
        :param retry_after: seconds that the server asks to wait.
        """
        now = self._clock()
        wait = UNNAMED_WAIT if retry_after is None else retry_after
        until = max(self._held_until, now + wait)
        if started >= self._began:
            # The first of this cycle. Others that were under way by then tell the same once more.
            self._estimate(now, until - now)
            self._began = now
            self._granted = 0
        self._held_until = self._since = self._next = until
        if self._on_hold is not None:
            self._on_hold(wait)

    def rate(self, now: float) -> float | None:
        """Tries a second at present, None for no bound."""
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
            # All that was granted, in all the time that it took, the hold included.
            self._base, self._quiet = SHARE * granted / (going + hold), SHORTEST_QUIET
            self._short_cycles = 0
        elif short:
            self._base, self._quiet = self._base * MISSES[self._short_cycles - 1], quiet
        else:
            # Spread evenly over the server's windows. The limit was passed in the one that ends now, so what went well
            # is the rate before it.
            self._base, self._quiet = SHARE * min(self._paced(now - hold), 1.25 * granted / going), quiet
