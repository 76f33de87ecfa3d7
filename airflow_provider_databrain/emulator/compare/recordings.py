"""Recorded requests and answers, one JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_databrain.emulator.faults import PostHogVersion

STREAM = "text/event-stream"
HTML = "text/html"
_FRAME = "data: "


@dataclass(frozen=True)
class Answer:
    """A server's answer.

    :param headers: the headers, with names in lower case.
    :param body: the parsed body if it is JSON, else a string.
    """

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def media(self) -> str:
        """The content type without parameters; empty without a content type."""
        return self.headers.get("content-type", "").split(";")[0]

    @property
    def streams(self) -> bool:
        """Whether this is an event stream. An error is not, even if its content type says so."""
        return self.media == STREAM and self.status < 400

    def events(self) -> list[dict[str, Any]]:
        """Return the events of a stream."""
        frames = str(self.body).split("\n\n")
        return [json.loads(frame.removeprefix(_FRAME)) for frame in frames if frame.startswith(_FRAME)]


@dataclass(frozen=True)
class Recording:
    """A request and its answer.

    :param file: the file's name without its ending. Recordings are ordered by it.
    :param body: the request's body as it was sent, or None.
    :param data: the request's parsed body, if it was JSON.
    :param provenance: which server answered.
    """

    file: str
    method: str
    path: str
    params: Mapping[str, Any]
    headers: Mapping[str, str]
    data: Any
    body: str | None
    answer: Answer
    provenance: str = ""

    @property
    def number(self) -> int | None:
        """The number of the request at the server, with which the file's name begins."""
        match = re.match(r"\d+", self.file)
        return int(match[0]) if match else None

    @property
    def key(self) -> str | None:
        """The name of the key that was used, in ``Bearer phx_<name>``."""
        match = re.fullmatch(r"Bearer phx_<(\w+)>", self.headers.get("Authorization", ""))
        return match[1] if match else None

    @property
    def succeeded(self) -> bool:
        """Whether the request succeeded."""
        return self.answer.status < 400


def version_of(recordings: Iterable[Recording]) -> PostHogVersion:
    """Return the version of the server that answered."""
    oldest = any("unmodified source of 2025-08" in recording.provenance for recording in recordings)
    return "2025-08" if oldest else "2026-01"


def code_names(recordings: Iterable[Recording]) -> list[str]:
    """Return the code names of the variables that the server's project has: those that its answers show."""
    bodies = [recording.answer.body for recording in recordings if isinstance(recording.answer.body, dict)]
    shown = [body["variables"] for body in bodies if isinstance(body.get("variables"), dict)]
    return [str(variable["code_name"]) for variables in shown for variable in variables.values()]


def load(folder: Path) -> list[Recording]:
    """Return all recordings of a folder, in order."""
    return [_recording(path) for path in sorted(folder.glob("*.json"))]


def _recording(path: Path) -> Recording:
    document = json.loads(path.read_text(encoding="utf-8"))
    request, response = document["request"], document["response"]
    data = request.get("json")
    return Recording(
        file=path.stem,
        method=request["method"],
        path=request["path"],
        params=request.get("params") or {},
        headers=request.get("headers") or {},
        data=data,
        body=request.get("raw") if data is None else json.dumps(data),
        answer=Answer(
            status=response["status"],
            headers={name.lower(): value for name, value in response.get("headers", {}).items()},
            body=response.get("body", ""),
        ),
        provenance=document.get("provenance") or "",
    )
