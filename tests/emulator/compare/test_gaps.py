"""The command on recordings with gaps: whatever requests are missing, the others must compare without a difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import requests

from airflow_provider_databrain.emulator.compare.__main__ import KEYS, main
from airflow_provider_databrain.emulator.faults import Behaviour, PostHogVersion
from airflow_provider_databrain.emulator.posthog.state import MEMBER
from airflow_provider_databrain.emulator.server import Emulator

DASHBOARDS = "/api/projects/1/dashboards/"
KEPT: dict[str, Callable[[int], bool]] = {
    "all": lambda _: True,
    "first of three": lambda number: number % 3 == 0,
    "second of three": lambda number: number % 3 == 1,
    "third of three": lambda number: number % 3 == 2,
    "two of three": lambda number: number % 3 != 1,
    "even": lambda number: number % 2 == 0,
    "odd": lambda number: number % 2 == 1,
}


class Recorder:
    """Sends requests to an emulator whose ids are not those of a new one, and keeps each with its answer."""

    def __init__(self, emulator: Emulator, folder: Path, kept: Callable[[int], bool]) -> None:
        self._emulator = emulator
        self._folder = folder
        self._kept = kept
        self._count = 0
        emulator.posthog_keys.update({f"phx_<{name}>": key for name, key in KEYS.items()})
        for _ in range(40):
            emulator.posthog.remove_dashboard(emulator.posthog.add_dashboard(name="gone"))

    def send(self, method: str, path: str, data: Any = None, *, key: str = "key_all", **params: Any) -> Any:
        """Send a request and return the answer's body."""
        self._count += 1
        headers = {"Accept": "application/json", "Authorization": f"Bearer phx_<{key}>"}
        answer = requests.request(
            method, self._emulator.url + path, json=data, headers=headers, params=params, timeout=30
        )
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        body = answer.json() if is_json else answer.text
        recording = {
            "request": {"method": method, "path": path, "params": params, "headers": headers, "json": data},
            "response": {"status": answer.status_code, "headers": dict(answer.headers), "body": body},
        }
        if self._kept(self._count):
            (self._folder / f"{self._count:03}_{method}.json").write_text(json.dumps(recording))
        return body


def record(emulator: Emulator, recorder: Recorder) -> None:
    """Send requests that change every part of the state that an answer shows."""
    send = recorder.send
    first = send("POST", DASHBOARDS, {"name": "A", "filters": {"x": 1}, "tags": ["One"]})
    path = f"{DASHBOARDS}{first['id']}/"
    texts = [{"text": {"body": "hi"}, "layouts": {"sm": {"x": 0, "y": 0}}, "color": "blue"}, {"text": {"body": "two"}}]
    tile, other = send("PATCH", path, {"tiles": texts})["tiles"]
    sent = {"name": "Insight", "query": {"kind": "Q"}, "dashboards": [first["id"]]}
    insight = f"/api/projects/1/insights/{send('POST', '/api/projects/1/insights/', sent)['id']}/"
    send("PATCH", path, {"tiles": [{"id": tile["id"], "color": "red"}]})
    send("PATCH", path, {"tiles": [{"id": tile["id"], "text": {"id": tile["text"]["id"], "body": "bye"}}]})
    send("PATCH", path, {"variables": {"v": {"code_name": "c", "value": 1}}})
    send("GET", path)
    copy = send("POST", DASHBOARDS, {"name": "copy", "use_dashboard": first["id"]})
    deep = send("POST", DASHBOARDS, {"name": "deep", "use_dashboard": first["id"], "duplicate_tiles": True})
    send("POST", DASHBOARDS, {"use_dashboard": copy["id"]})
    for template in ("DEFAULT_APP", "WEBSITE_TRAFFIC"):
        send("POST", DASHBOARDS, {"name": template, "use_template": template, "description": "mine", "tags": ["m"]})
    send("PATCH", f"{DASHBOARDS}{deep['id']}/", {"deleted": True})
    send("GET", DASHBOARDS)
    send("GET", DASHBOARDS, limit=3, offset=2)
    send("GET", f"{DASHBOARDS}{deep['id']}/")
    send("PATCH", f"{DASHBOARDS}{deep['id']}/", {"deleted": False})
    move = {"tile": {"id": other["id"]}, "toDashboard": copy["id"], "to_dashboard": copy["id"]}
    send("PATCH", f"{path}move_tile/", move, key="key_legacy")
    send("GET", path)
    send("GET", f"{DASHBOARDS}{copy['id']}/")
    send("PATCH", insight, {"name": "Renamed"})
    send("PATCH", insight, {"dashboards": [copy["id"]]})
    share(recorder, path)
    restrict(emulator, recorder, path)
    send("PATCH", path, {"data_color_theme_id": 9999})
    send("POST", DASHBOARDS, {"name": "t", "tags": ["x" * 300]})
    send("POST", DASHBOARDS, {"name": "mine"}, key="key_member")
    send("GET", DASHBOARDS, limit=5000)
    send("GET", DASHBOARDS, tags="m")


def share(recorder: Recorder, path: str) -> None:
    send = recorder.send
    send("PATCH", f"{path}sharing/", {"enabled": True, "settings": {"legend": "yes"}})
    old = send("GET", f"{path}sharing/")["access_token"]
    send("POST", f"{path}sharing/refresh/")
    send("PATCH", f"{path}sharing/", {"enabled": False})
    send("GET", f"/shared/{old}.json")
    send("GET", f"/shared/{old}")
    send("PATCH", f"{path}sharing/", {"password_required": True})
    for password in ({"note": "n"}, {"raw_password": "short"}, {}):
        send("POST", f"{path}sharing/passwords/", password)
    send("GET", f"{path}sharing/")
    send("POST", f"{path}sharing/refresh/")
    send("GET", f"{path}sharing/")


def restrict(emulator: Emulator, recorder: Recorder, path: str) -> None:
    send, member = recorder.send, emulator.posthog.member(MEMBER).uuid
    send("PATCH", path, {"restriction_level": 37})
    send("PATCH", path, {"name": "n"}, key="key_member")
    send("GET", path, key="key_member")
    for _ in range(2):
        send("POST", f"{path}collaborators/", {"level": 37, "user_uuid": member})
    send("GET", f"{path}collaborators/")
    send("PATCH", path, {"name": "n"}, key="key_member")
    for _ in range(2):
        send("DELETE", f"{path}collaborators/{member}/")


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("version", get_args(PostHogVersion))
def test_the_other_requests_compare_without_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: PostHogVersion, kept: str
) -> None:
    with Emulator() as emulator:
        emulator.control.behaviour = Behaviour(posthog_version=version, insight_variables=[])
        record(emulator, Recorder(emulator, tmp_path, KEPT[kept]))
    code = main([str(tmp_path), "--version", version])
    assert code == 0, capsys.readouterr().out
