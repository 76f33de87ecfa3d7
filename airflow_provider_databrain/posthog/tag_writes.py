"""Which updates with tags may run at the same time.

Whenever PostHog writes tags, it deletes the project's tags that nothing uses. A tag that another update is about to use
for the first time is such a tag: that update then ends with 500. So an update with a new tag runs alone, and updates
with known tags run side by side.

This makes the 500 rare; it does not exclude it. Another task may write tags too, and a known tag becomes unused if an
update takes it from the last dashboard that has it. Then the refused update is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager


class Tags:
    """The tags that the project is known to use, and the updates that write tags now."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._writers = 0
        self._alone = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    def note(self, tags: Collection[str]) -> None:
        """Note tags that the project uses, or that it ignores."""
        self._known.update(map(_stored, tags))

    @asynccontextmanager
    async def writing(self, tags: Collection[str] | None) -> AsyncIterator[None]:
        """Wait until an update with these tags may run, and let others wait for it.

        :param tags: None if the update writes no tags. An empty list is written too.
        """
        if tags is None:
            yield
            return
        async with self._alone:
            if not self._known.issuperset(map(_stored, tags)):
                await self._idle.wait()
                yield
                return
            self._writers += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._writers -= 1
            if not self._writers:
                self._idle.set()


def _stored(tag: str) -> str:
    return tag.strip().lower()
