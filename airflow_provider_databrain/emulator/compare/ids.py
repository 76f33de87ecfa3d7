"""The ids and tokens of the emulator that correspond to recorded ones.

The emulator gives other ids and tokens than the recorded server. They are learned from pairs of answers to the same
request.
"""

from __future__ import annotations

import re
from typing import Any

_PLACES = {
    "dashboards": "dashboard",
    "insights": "insight",
    "passwords": "password",
    "collaborators": "word",
    "shared": "word",
    "embedded": "word",
}
"""The kind of the id that follows each of these words in a path."""
_PATH = re.compile(rf"(?<=/)({'|'.join(_PLACES)})/([^/]+)")
WORDS = {"uuid", "access_token", "accessToken", "short_id"}
INSIDE = {
    "tiles": "tile",
    "tile": "tile",
    "dashboard_tiles": "tile",
    "insight": "insight",
    "text": "text",
    "share_passwords": "password",
    "dashboard": "dashboard",
    "created_by": "user",
    "last_modified_by": "user",
    "user": "user",
}
"""The kind of the ``id`` inside each of these fields."""
_NAMED = {"use_dashboard": "dashboard", "toDashboard": "dashboard", "to_dashboard": "dashboard", "user_uuid": "word"}
"""Fields of a request that hold an id, and the id's kind."""


class Ids:
    """Pairs of a recorded and an emulated id, by kind. UUIDs and tokens have the kind ``word``."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], Any] = {}

    def knows(self, kind: str, recorded: Any) -> bool:
        """Whether the emulated id of a recorded id is known."""
        return (kind, recorded) in self._known

    def add(self, kind: str, recorded: Any, emulated: Any) -> None:
        """Add a pair. A known pair does not change."""
        self._known.setdefault((kind, recorded), emulated)

    def replace(self, kind: str, recorded: Any, emulated: Any) -> None:
        """Add a pair, or change a known one."""
        self._known[kind, recorded] = emulated

    def of(self, kind: str, recorded: Any) -> Any:
        """Return the emulated id, or the recorded one if no pair is known."""
        return self._known.get((kind, recorded), recorded)

    def is_used(self, kind: str, emulated: Any) -> bool:
        """Whether an emulated id is in a pair."""
        return any(pair[0] == kind and value == emulated for pair, value in self._known.items())

    def learn(self, recorded: Any, emulated: Any, kind: str) -> None:
        """Learn from two answers to the same request.

        :param kind: the kind of ``id`` that the answers show.
        """
        if isinstance(recorded, list) and isinstance(emulated, list):
            for one, other in zip(recorded, emulated, strict=False):
                self.learn(one, other, kind)
        if not isinstance(recorded, dict) or not isinstance(emulated, dict):
            return
        for name in recorded.keys() & emulated.keys():
            one, other = recorded[name], emulated[name]
            if name == "id":
                self.add("word" if isinstance(one, str) else kind, one, other)
            elif name in WORDS:
                self.add("word", one, other)
            else:
                self.learn(one, other, INSIDE.get(name, kind))

    def path(self, recorded: str) -> str:
        """Return a recorded path with the emulated ids."""
        return _PATH.sub(lambda match: f"{match[1]}/{self._part(*match.groups())}", recorded)

    def data(self, recorded: Any, kind: str = "") -> Any:
        """Return a recorded JSON body with the emulated ids.

        :param kind: the kind of the body's ``id``.
        """
        if isinstance(recorded, list):
            return [self.data(item, kind) for item in recorded]
        if not isinstance(recorded, dict):
            return recorded
        return {name: self._field(name, value, kind) for name, value in recorded.items()}

    def _field(self, name: str, value: Any, kind: str) -> Any:
        if name == "id":
            return self.of(kind, value)
        if name == "dashboards" and isinstance(value, list):
            return [self.of("dashboard", item) for item in value]
        if name in _NAMED:
            return self.of(_NAMED[name], value)
        return self.data(value, INSIDE.get(name, "")) if name in ("tile", "tiles", "text") else value

    def _part(self, place: str, part: str) -> str:
        kind = _PLACES[place]
        if kind == "word":
            word, dot, ending = part.partition(".")
            return f"{self.of(kind, word)}{dot}{ending}"
        return str(self.of(kind, int(part))) if part.isdecimal() else part


def named(path: str) -> list[tuple[str, Any]]:
    """Return kind and id of each resource in a path, outermost first."""
    resources = []
    for place, part in _PATH.findall(path):
        kind = _PLACES[place]
        if kind == "word":
            resources.append((place, part.partition(".")[0]))
        elif part.isdecimal():
            resources.append((kind, int(part)))
    return resources


def shown(path: str) -> str:
    """Return the kind of ``id`` that the answer of a path shows."""
    places = [place for place in _PLACES if f"/{place}" in path]
    return _PLACES[places[-1]] if places else "other"
