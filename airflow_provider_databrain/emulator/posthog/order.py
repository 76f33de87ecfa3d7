"""The order of the emulated PostHog's list of dashboards.

The real server sorts by pinned and name, without a tie-break. So dashboards of equal name change places between two
requests, and a client that reads page after page misses some and reads others twice: 1 to 7 of 1,200 were missed.
"""

from __future__ import annotations

from itertools import groupby
from random import Random

MOVES = 4
"""Number of dashboards in a list that are out of place."""


def unsteady(rows: list[tuple[int, bool, str | None]], random: Random) -> list[int]:
    """Return the ids of dashboards in order, with some out of place among those of equal name.

    :param rows: id, pinned and name of each dashboard, in order.
    """
    keys: list[int] = []
    groups: list[tuple[int, int]] = []
    for _, group in groupby(rows, lambda row: row[1:]):
        start = len(keys)
        keys += [row[0] for row in group]
        groups += [(start, len(keys))] * (len(keys) - start > 1) * (len(keys) - start)
    for start, end in random.sample(groups, min(MOVES, len(groups))):
        keys.insert(random.randrange(start, end), keys.pop(random.randrange(start, end)))
    return keys
