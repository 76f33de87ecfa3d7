"""The command that compares the emulated PostHog with recordings of a real one.

It sends each recorded request to an emulator, in order, and prints the differences between the answers: status, media
type, wait, error, and the shape and the values of the body. ``values`` says which values are not compared, and why.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import requests

from airflow_provider_databrain.emulator.compare.gaps import Gaps
from airflow_provider_databrain.emulator.compare.ids import Ids, shown
from airflow_provider_databrain.emulator.compare.recordings import HTML, Answer, Recording, code_names, load, version_of
from airflow_provider_databrain.emulator.compare.ties import break_ties
from airflow_provider_databrain.emulator.compare.values import SHAPE_ONLY, Comparison
from airflow_provider_databrain.emulator.faults import Behaviour, PostHogVersion
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.state import MEMBER
from airflow_provider_databrain.emulator.server import Emulator

OTHER_PROJECT = 99_999
KEYS = {
    "key_all": Key(("*",)),
    "key_dash_rw": Key(("dashboard:write",)),
    "key_dash_r": Key(("dashboard:read",)),
    "key_share_rw": Key(("sharing_configuration:write",)),
    "key_none": Key(("action:read",)),
    "key_member": Key(("*",), member=MEMBER),
    "key_legacy": Key(None),
    "key_other_project": Key(("*",), project=OTHER_PROJECT),
}
"""The keys that recordings name, each as ``Bearer phx_<name>``."""
PAGE = "the page of the vendor's own web application"
"""Why the body of an HTML answer is not compared."""


class Replay:
    """Sends recorded requests to an emulator and reports the differences."""

    def __init__(self, emulator: Emulator, recordings: Sequence[Recording], version: PostHogVersion) -> None:
        self._emulator = emulator
        self._behaviour = Behaviour(posthog_version=version, insight_variables=code_names(recordings))
        emulator.control.behaviour = self._behaviour
        self._ids = Ids()
        self._gaps = Gaps(emulator.posthog, self._ids, recordings, version)
        self._comparison = Comparison(self._ids)
        emulator.posthog.add_project(OTHER_PROJECT, "Other project")
        emulator.posthog_keys.update({f"phx_<{name}>": key for name, key in KEYS.items()})
        self._gaps.prepare()

    def differences(self, recording: Recording) -> list[str]:
        """Send one recorded request and return the differences between the answers."""
        if recording.key is not None and recording.key not in KEYS:
            return [f"key: {recording.key!r} is unknown"]
        if recording.answer.status == 429:
            self._use_up_the_limit(recording)
        else:
            self._gaps.fill(recording)
        answer = self._send(recording)
        self._emulator.control.behaviour = self._behaviour
        break_ties(recording.answer.body, answer.body, self._ids)
        self._ids.learn(recording.answer.body, answer.body, shown(recording.path))
        if recording.answer.streams and answer.streams:
            self._ids.learn(recording.answer.events(), answer.events(), "dashboard")
        return list(
            self._comparison.differences(
                recording.answer,
                answer,
                shown(recording.path),
                body=recording.answer.media != HTML,
                values=recording.path not in SHAPE_ONLY,
            )
        )

    def _use_up_the_limit(self, recording: Recording) -> None:
        """Make the next request exceed the rate limit, with the recorded wait."""
        wait = float(recording.answer.headers.get("retry-after", "1"))
        self._emulator.control.behaviour = self._behaviour.model_copy(update={"rate_limit": 1, "window_seconds": wait})
        self._send(recording)

    def _send(self, recording: Recording) -> Answer:
        data = recording.body if recording.data is None else json.dumps(self._ids.data(recording.data))
        answer = requests.request(
            recording.method,
            self._emulator.url + self._ids.path(recording.path),
            params=dict(recording.params),
            headers=dict(recording.headers),
            data=data,
            timeout=30,
            allow_redirects=False,
        )
        answer.encoding = "utf-8"
        headers = {name.lower(): value for name, value in answer.headers.items()}
        is_json = headers.get("content-type", "").startswith("application/json")
        return Answer(answer.status_code, headers, answer.json() if is_json else answer.text)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare. Return 1 if an answer differs, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_databrain.emulator.compare",
        description="Sends recorded PostHog requests to the emulator and prints the differences between the answers.",
    )
    parser.add_argument(
        "folder", type=Path, help="folder of recordings, one JSON file each; they are sent in order of file name"
    )
    parser.add_argument(
        "--version",
        choices=get_args(PostHogVersion),
        help="the version of the server that was recorded; default: as the recordings say",
    )
    options = parser.parse_args(argv)
    folder: Path = options.folder
    recordings = load(folder)
    if not recordings:
        parser.error(f"no recordings in {folder}")
    different = 0
    with Emulator() as emulator:
        replay = Replay(emulator, recordings, options.version or version_of(recordings))
        for recording in recordings:
            lines = replay.differences(recording)
            different += bool(lines)
            left_out, shape = recording.answer.media == HTML, SHAPE_ONLY.get(recording.path)
            note = f" (body not compared: {PAGE})" if left_out else f" (shape only: {shape})" if shape else ""
            print(f"{'differs' if lines else 'same   '} {recording.file}{note}")
            for line in lines:
                print(f"        {line}")
    print(f"{len(recordings)} requests, {different} answered differently than recorded")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
