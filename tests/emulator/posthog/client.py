"""Plain HTTP to the emulated PostHog."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.state import MEMBER
from airflow_provider_databrain.emulator.server import Emulator

PROJECT_PATH = "/api/projects/1"
DASHBOARDS = f"{PROJECT_PATH}/dashboards/"
INSIGHTS = f"{PROJECT_PATH}/insights/"
FROM_JSON = f"{DASHBOARDS}create_from_template_json/"
KEYS = {
    "all": Key(("*",)),
    "legacy": Key(None),
    "reader": Key(("dashboard:read",)),
    "writer": Key(("dashboard:write",)),
    "sharer": Key(("sharing_configuration:write",)),
    "none": Key(("action:read",)),
    "member": Key(("*",), member=MEMBER),
    "elsewhere": Key(("*",), project=2),
}
NOT_FOUND = (404, "invalid_request", "not_found", "Not found.", None)
NO_DASHBOARD = (404, "invalid_request", "not_found", "Dashboard not found.", None)
SERVER_ERROR = (500, "server_error", "error", "A server error occurred.", None)


def ask(emulator: Emulator, method: str, path: str, key: str | None = "all", **options: Any) -> requests.Response:
    """Send one request with one of ``KEYS``. None sends no key."""
    emulator.posthog_keys.update({f"phx_{name}": value for name, value in KEYS.items()})
    headers = {} if key is None else {"Authorization": f"Bearer phx_{key}"}
    headers |= options.pop("headers", {})
    return requests.request(method, emulator.url + path, headers=headers, timeout=5, allow_redirects=False, **options)


def got(answer: requests.Response, status: int = 200) -> Any:
    """Return the JSON of an answer, which must have this status."""
    assert answer.status_code == status, answer.text
    return answer.json()


def make(emulator: Emulator, key: str = "all", **fields: Any) -> dict[str, Any]:
    """Create a dashboard."""
    made: dict[str, Any] = got(ask(emulator, "POST", DASHBOARDS, key, json=fields), 201)
    return made


def at(dashboard: dict[str, Any], rest: str = "") -> str:
    """Return the path of a dashboard, or of something below it."""
    return f"{DASHBOARDS}{dashboard['id']}/{rest}"


def put_insight(emulator: Emulator, *dashboards: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Create an insight on dashboards."""
    body = {"dashboards": [dashboard["id"] for dashboard in dashboards], **fields}
    made: dict[str, Any] = got(ask(emulator, "POST", INSIGHTS, json=body), 201)
    return made


def put_text(emulator: Emulator, dashboard: dict[str, Any], body: str, **place: Any) -> dict[str, Any]:
    """Add a text tile and return it."""
    changed = got(ask(emulator, "PATCH", at(dashboard), json={"tiles": [{"text": {"body": body}, **place}]}))
    [tile] = [tile for tile in changed["tiles"] if tile["text"] and tile["text"]["body"] == body]
    return dict(tile)


def refusal(answer: requests.Response) -> tuple[int, str, str, str, str | None]:
    """Return status, type, code, detail and attr of an error answer, which must hold nothing else."""
    body = answer.json()
    assert set(body) == {"type", "code", "detail", "attr"}
    return answer.status_code, body["type"], body["code"], body["detail"], body["attr"]


def invalid(detail: str, attr: str | None = None, code: str = "invalid_input") -> tuple[int, str, str, str, str | None]:
    """Return the refusal of an invalid field."""
    return 400, "validation_error", code, detail, attr


def forbidden(detail: str) -> tuple[int, str, str, str, None]:
    """Return the refusal of a missing permission."""
    return 403, "authentication_error", "permission_denied", detail, None


def events(answer: requests.Response) -> list[dict[str, Any]]:
    """Return the events of a stream, which must hold only data frames."""
    frames = answer.text.split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]
