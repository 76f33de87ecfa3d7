"""An HTTP answer as a value, and how long it asks to wait."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. ``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> object:
        """The decoded body; raises ``ValueError`` where it is not JSON."""
        return json.loads(self.body)

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, from ``Retry-After``, ``RateLimit-Reset`` or ``X-RateLimit-Reset``."""
        for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset"):
            if value := self.headers.get(name):
                seconds = _seconds_from(value, self.headers.get("date"))
                if seconds is not None:
                    return seconds
        return None


def _seconds_from(value: str, date: str | None = None) -> float | None:
    """Read a wait: seconds, an HTTP date, or a point in time in Unix seconds or milliseconds.

    :param date: the server's own ``Date``, because its clock and ours may disagree.
    """
    now = _moment(date) if date else None
    if now is None:
        now = time.time()
    try:
        number = float(value)
    except ValueError:
        moment = _moment(value)
        return None if moment is None else max(0.0, moment - now)
    if not 0 <= number < float("inf"):
        return None
    if number > 1e12:
        number /= 1000
    return max(0.0, number - now) if number > 1e9 else number


def _moment(value: str) -> float | None:
    """An HTTP date as Unix seconds."""
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
