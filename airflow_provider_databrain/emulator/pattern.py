"""Patterns for paths: a small part of regular expressions, matched in a time that grows only with the text.

``re`` may take for ever for some patterns, and it has no time limit. So this module follows all ways through a pattern
at once and never goes back.
"""

from __future__ import annotations

import re

_PART = re.compile(r"(\\.|\[\^?\]?[^\]\\]*(?:\\.[^\]\\]*)*\]|[^\\\[\](){}|*+?])([*+?]?)", re.DOTALL)
LIMIT = 200
"""Maximum characters of a pattern."""


class PathPattern:
    r"""A pattern that can be searched for in a path.

    It may have characters, ``.``, ``[...]``, escapes such as ``\d``, each with ``?``, ``*`` or ``+``; ``^`` at the
    beginning and ``$`` at the end; and ``|`` between whole alternatives. Groups and ``{n}`` are refused.

    :raises ValueError: the pattern has something else.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LIMIT:
            raise ValueError(f"a pattern has at most {LIMIT} characters")
        self._alternatives = [_Alternative(part) for part in _split(text)]

    def is_in(self, path: str) -> bool:
        """Whether the path contains a match."""
        return any(alternative.is_in(path) for alternative in self._alternatives)


class _Alternative:
    def __init__(self, text: str) -> None:
        self._begins = text.startswith("^")
        text = text.removeprefix("^")
        self._ends = text.endswith("$") and (len(text) - len(text[:-1].rstrip("\\"))) % 2 == 1
        if self._ends:
            text = text[:-1]
        self._parts: list[tuple[re.Pattern[str], str]] = []
        at = 0
        while at < len(text):
            part = _PART.match(text, at)
            if part is None or part[1] in ("^", "$"):
                raise ValueError(
                    f"{text[at:]!r} cannot be used here: a pattern has no groups, no {{n}}, and has ^ and $ only at "
                    "its ends"
                )
            try:
                # It matches one character, so it cannot take long.
                self._parts.append((re.compile(part[1], re.DOTALL), part[2]))
            except re.error as error:
                raise ValueError(f"{part[1]!r} is not valid: {error}") from None
            at = part.end()

    def is_in(self, path: str) -> bool:
        states: set[int] = set()
        for index in range(len(path) + 1):
            if index == 0 or not self._begins:
                states.add(0)
            states = self._closed(states)
            if len(self._parts) in states and (not self._ends or index == len(path)):
                return True
            if index < len(path):
                states = self._step(states, path[index])
        return False

    def _closed(self, states: set[int]) -> set[int]:
        """The states, and those that are reached without a character."""
        closed = set(states)
        for state in range(len(self._parts)):
            if state in closed and self._parts[state][1] in ("?", "*"):
                closed.add(state + 1)
        return closed

    def _step(self, states: set[int], character: str) -> set[int]:
        following: set[int] = set()
        for state in states:
            if state < len(self._parts) and self._parts[state][0].fullmatch(character):
                following.add(state + 1)
                if self._parts[state][1] in ("*", "+"):
                    following.add(state)
        return following


def _split(text: str) -> list[str]:
    """The alternatives: the text is cut at each ``|`` that is neither escaped nor in brackets."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "|":
            parts.append(text[start:at])
            start = at + 1
        elif text[at] in "\\[":
            whole = _PART.match(text, at)
            at = whole.end() - 1 if whole else at
        at += 1
    return [*parts, text[start:]]
