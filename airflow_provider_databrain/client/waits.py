"""Which wait an answer asks for.

What always holds:

- ``Retry-After`` counts with the statuses 429 and 503. The rate-limit headers count with 429 only: many servers send
  them with every answer, also with a success.
- What cannot be read asks for nothing. The next header is looked at.
- No wait is longer than ``MAX_WAIT_SECONDS``. If the server asks for more, the error says so.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC

MAX_WAIT_SECONDS = 86_400.0
"""Maximum seconds that anything waits because a server asks for it.

A day: quotas are counted in seconds to days. A longer wait is a mistake of a server, for example a time in a unit that
nobody expects.
"""
RATE_LIMIT_HEADERS = ("ratelimit-reset", "ratelimit", "x-ratelimit-reset", "x-rate-limit-reset")
"""Headers that ask for a wait with status 429 only. The first one that can be read counts."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
# A list is split at its commas, but not at the comma after the weekday of a date.
_COMMA = re.compile(r"(?<!Mon)(?<!Tue)(?<!Wed)(?<!Thu)(?<!Fri)(?<!Sat)(?<!Sun)(?<!day),")
_REMAINING = re.compile(r"(?:^|[;,\s])(?:r|remaining)\s*=\s*([0-9]+)")
_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*([0-9]+)")
# Unix time in seconds is above 1e9 since 2001. In a smaller unit it is 1,000 times as large, each time.
_UNIX_FROM = 1e9
_UNITS = ((1e18, 1e9), (1e15, 1e6), (1e12, 1e3))


@dataclass(frozen=True)
class Wait:
    """A wait that an answer asks for.

    :param seconds: at most ``MAX_WAIT_SECONDS``.
    :param too_long: what the server asked for, in words, if that is longer; empty otherwise.
    """

    seconds: float
    too_long: str = ""


def wait_of(status: int, headers: Mapping[str, str]) -> Wait | None:
    """The wait that an answer asks for; None if it asks for none.

    :param headers: with lower-case names.
    """
    names = ("retry-after",) * (status in (429, 503)) + RATE_LIMIT_HEADERS * (status == 429)
    now = _now(headers.get("date"))
    for name in names:
        if not (value := headers.get(name)):
            continue
        seconds = _of_limits(value) if name == "ratelimit" else _longest(value, now)
        if seconds is None:
            continue
        if seconds <= MAX_WAIT_SECONDS:
            return Wait(seconds)
        return Wait(
            MAX_WAIT_SECONDS,
            f"the server asks for a wait of {seconds:.6g} s ({name}: {value[:40]!a}); nothing waits longer than "
            f"{MAX_WAIT_SECONDS:g} s",
        )
    return None


def _longest(value: str, now: float) -> float | None:
    """The longest wait in a header. If a header comes several times, its values are one list."""
    waits = [_seconds(part.strip(), now) for part in _COMMA.split(value)]
    return max((wait for wait in waits if wait is not None), default=None)


def _of_limits(value: str) -> float | None:
    """The wait in a ``RateLimit`` header, for example ``limit=10, remaining=0, reset=5`` or ``"minute";r=0;t=5``.

    If there are several limits, the longest wait of those that are used up counts. If none says so, the shortest does.
    """
    # In the older form, commas are between the parts of one limit.
    limits = [value] if re.search(r"(?:^|[\s,;])reset\s*=", value) else value.split(",")
    used_up, all_waits = [], []
    for limit in limits:
        reset, remaining = _RESET.search(limit), _REMAINING.search(limit)
        if reset is None:
            continue
        all_waits.append(float(reset[1]))
        if remaining is not None and not float(remaining[1]):
            used_up.append(float(reset[1]))
    return max(used_up) if used_up else min(all_waits, default=None)


def _seconds(value: str, now: float) -> float | None:
    """Read a wait: seconds, an HTTP date, or a point in time in Unix seconds or a smaller unit."""
    if not _NUMBER.fullmatch(value):
        moment = _unix_seconds(value)
        return None if moment is None else max(0.0, moment - now)
    number = float(value)
    if number == float("inf"):
        return None
    if number < _UNIX_FROM:
        return number
    for least, divisor in _UNITS:
        if number >= least:
            number /= divisor
            break
    return max(0.0, number - now)


def _now(date: str | None) -> float:
    """The answer's ``Date`` as Unix seconds: the server's clock and ours may differ. Our time if it has none."""
    moment = _unix_seconds(date) if date else None
    return time.time() if moment is None else moment


def _unix_seconds(date: str) -> float | None:
    """An HTTP date as Unix seconds; None if it cannot be read. A date without a zone is in UTC, as HTTP's are."""
    if not date.isascii():
        return None
    try:
        moment = email.utils.parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, ArithmeticError, OSError):
        return None


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers with lower-case names. If a header comes several times, its values become one list."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
