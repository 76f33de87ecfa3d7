"""How the emulated PostHog writes the tags of a dashboard, and how two requests with new tags disturb each other.

The real server gets or creates each tag of the project, attaches it, and then deletes all tags of the project that
nothing uses, without a transaction. So a request may delete the new tag of another request before that one attaches it.
Then the other request fails with 500, after its dashboard was saved. The rate is that of a measured server: 8 of 40
creates with a new tag failed at two at a time, 15 of 40 at four.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import is_storable, server_error
from airflow_provider_databrain.emulator.posthog.state import PostHogState

DELETED = 0.17
"""The probability that a request at the same time deletes a new tag."""
SECONDS = 0.005
"""The time between the creation of a new tag and its use."""
LONGEST_TAG = 255


@dataclass(eq=False)
class _Request:
    """A request that writes tags.

    :param others: the largest number of other such requests at one time.
    """

    others: int = 0


class Tags:
    """Writes dashboards' tags."""

    def __init__(self, state: PostHogState, control: Control) -> None:
        self._state = state
        self._control = control
        self._writing: dict[int, set[_Request]] = defaultdict(set)

    async def write(self, dashboard: int, sent: list[Any]) -> None:
        """Replace a dashboard's tags. If that fails, the old tags and those that were written before stay."""
        names = tag_names(sent)
        [row] = self._state.found(dashboard)
        request = _Request()
        writing = self._writing[row.project]
        writing.add(request)
        for each in writing:
            each.others = max(each.others, len(writing) - 1)
        try:
            if any(is_storable(name) and not self._state.is_tag(row.project, name) for name in names):
                await asyncio.sleep(SECONDS)
            self._attach(dashboard, row.project, names, request)
        finally:
            writing.remove(request)

    def _attach(self, dashboard: int, project: int, names: list[str], request: _Request) -> None:
        [row] = self._state.found(dashboard)
        random = self._control.random("tags")
        attached: list[str] = []
        # The real order is that of a set.
        for name in random.sample(names, len(names)):
            unstorable = len(name) > LONGEST_TAG or not is_storable(name)
            if unstorable or (not self._state.is_tag(project, name) and _deleted(random, request.others)):
                kept = [*row.fields["tags"], *(tag for tag in attached if tag not in row.fields["tags"])]
                self._state.change_dashboard(dashboard, tags=kept)
                raise server_error()
            attached.append(name)
        self._state.change_dashboard(dashboard, tags=names)


def tag_names(sent: list[Any]) -> list[str]:
    """Return tags as they are stored. A tag that is not a string is a server error."""
    if not all(isinstance(tag, str) for tag in sent):
        raise server_error()
    return list(dict.fromkeys(tag.strip().lower() for tag in sent))


def _deleted(random: Random, others: int) -> bool:
    """Whether one of the other requests deletes a tag."""
    return any(random.random() < DELETED for _ in range(others))
