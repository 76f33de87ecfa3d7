"""Updates with a new tag run alone; updates with known tags run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from airflow_provider_databrain.posthog.tag_writes import Tags


class Updates:
    """Updates under way at the same time."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self.tags = Tags()
        self.tags.note(known)
        self.now: list[Collection[str] | None] = []
        self.together: list[list[Collection[str] | None]] = []

    async def update(self, tags: Collection[str] | None, *, fails: bool = False) -> None:
        async with self.tags.writing(tags):
            self.now.append(tags)
            await asyncio.sleep(0)
            self.together.append(list(self.now))
            await asyncio.sleep(0)
            self.now.remove(tags)
            if fails:
                raise OSError("no")
            self.tags.note(tags or ())


async def test_a_new_tag_is_written_alone_and_known_tags_together() -> None:
    updates = Updates(["a", "b"])
    sent: list[list[str]] = [["a"], ["b", " A "], ["new"], [], ["a", "b"], ["new", "other"], ["NEW"], ["b"], []]
    await asyncio.gather(*(updates.update(tags) for tags in sent))
    assert all(len(together) == 1 for together in updates.together if ["new"] in together)
    assert all(len(together) == 1 for together in updates.together if ["new", "other"] in together)
    assert max(map(len, updates.together)) > 1
    assert len(updates.together) == len(sent)


async def test_updates_without_tags_wait_for_nothing() -> None:
    updates = Updates()
    await asyncio.gather(updates.update(["new"]), updates.update(None), updates.update(None))
    assert max(map(len, updates.together)) == 3


@pytest.mark.parametrize("tags", [["new"], ["a"]])
async def test_an_update_that_fails_or_is_cancelled_holds_up_no_other(tags: list[str]) -> None:
    updates = Updates(["a"])
    with pytest.raises(OSError, match="no"):
        await updates.update(tags, fails=True)
    for _ in range(2):
        cancelled = asyncio.create_task(updates.update(tags))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    # One that waits for the others may be cancelled too.
    running, waiting = asyncio.create_task(updates.update(["a"])), asyncio.create_task(updates.update(["newer"]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(asyncio.gather(running, updates.update(["new"]), updates.update(["a"])), 5)
    with pytest.raises(asyncio.CancelledError):
        await waiting
