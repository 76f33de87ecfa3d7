"""Which of the emulator's ids and tokens stands for which recorded one."""

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
"""What the part of a path after each of these words is."""
_PATH = re.compile(rf"(?<=/)({'|'.join(_PLACES)})/([^/]+)")
_WORDS = {"uuid", "access_token", "accessToken", "short_id"}
_INSIDE = {
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
"""Whose id it is that stands inside each of these fields."""
_NAMED = {"use_dashboard": "dashboard", "toDashboard": "dashboard", "to_dashboard": "dashboard", "user_uuid": "word"}
"""Fields of a request that hold an id."""


class Ids:
    """Pairs of recorded and emulated ids, by kind; uuids and tokens are of the kind ``word``."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], Any] = {}

    def knows(self, kind: str, recorded: Any) -> bool:
        """Whether a recorded id has its like."""
        return (kind, recorded) in self._known

    def add(self, kind: str, recorded: Any, emulated: Any) -> None:
        """Note a pair; what is known already stays."""
        self._known.setdefault((kind, recorded), emulated)

    def of(self, kind: str, recorded: Any) -> Any:
        """The emulator's id, or the recorded one where that is not known."""
        return self._known.get((kind, recorded), recorded)

    def stands(self, kind: str, emulated: Any) -> bool:
        """Whether an emulated id stands for a recorded one."""
        return any(pair[0] == kind and value == emulated for pair, value in self._known.items())

    def learn(self, recorded: Any, emulated: Any, kind: str) -> None:
        """Learn from two answers to the same request.

        :param kind: what the answers show.
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
            elif name in _WORDS:
                self.add("word", one, other)
            else:
                self.learn(one, other, _INSIDE.get(name, kind))

    def path(self, recorded: str) -> str:
        """A recorded path with the emulator's ids in it."""
        return _PATH.sub(lambda found: f"{found[1]}/{self._part(*found.groups())}", recorded)

    def data(self, recorded: Any, kind: str = "") -> Any:
        """A recorded JSON body with the emulator's ids in it.

        :param kind: whose ``id`` it is that it holds.
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
        return self.data(value, _INSIDE.get(name, "")) if name in ("tile", "tiles", "text") else value

    def _part(self, place: str, part: str) -> str:
        kind = _PLACES[place]
        if kind == "word":
            word, dot, ending = part.partition(".")
            return f"{self.of(kind, word)}{dot}{ending}"
        return str(self.of(kind, int(part))) if part.isdecimal() else part


def named(path: str) -> list[tuple[str, Any]]:
    """Kind and id of everything that a path names, outermost first."""
    found = []
    for place, part in _PATH.findall(path):
        kind = _PLACES[place]
        if kind == "word":
            found.append((place, part.partition(".")[0]))
        elif part.isdecimal():
            found.append((kind, int(part)))
    return found


def shown(path: str) -> str:
    """What the answer of a path shows."""
    places = [place for place in _PLACES if f"/{place}" in path]
    return _PLACES[places[-1]] if places else "other"
