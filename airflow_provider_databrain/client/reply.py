"""An HTTP answer as a value, with the wait that it asks for.

A ``Reply`` needs no connection: its body has been read, and its header names are lower-case. What it means for a call
is decided elsewhere (``client.answer``).
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

WAIT_HEADERS = ("retry-after", "ratelimit-reset", "x-ratelimit-reset")
"""Headers that ask for a wait. The first one that can be read counts."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer.

    :param headers: with lower-case names.
    :param unread: why the body may not be what the server meant, for example because it is cut; empty if it is.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    unread: str = ""

    @cached_property
    def json(self) -> object:
        """The decoded body.

        :raises ValueError: the body is not JSON.
        """
        return json.loads(self.body)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait; None if no header says so."""
        for name in WAIT_HEADERS:
            if value := self.headers.get(name):
                seconds = _seconds_from(value, self.headers.get("date"))
                if seconds is not None:
                    return seconds
        return None


def _seconds_from(value: str, date: str | None = None) -> float | None:
    """Read a wait: seconds, an HTTP date, or a point in time in Unix seconds or milliseconds.

    :param date: the answer's ``Date`` header. It is used as the present time, because the server's clock and ours may
        differ.
    """
    now = _unix_seconds(date) if date else None
    if now is None:
        now = time.time()
    try:
        number = float(value)
    except ValueError:
        moment = _unix_seconds(value)
        return None if moment is None else max(0.0, moment - now)
    if not 0 <= number < float("inf"):
        return None
    if number > 1e12:
        number /= 1000
    return max(0.0, number - now) if number > 1e9 else number


def _unix_seconds(date: str) -> float | None:
    """An HTTP date as Unix seconds; None if it cannot be read."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
