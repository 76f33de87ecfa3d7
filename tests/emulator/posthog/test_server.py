"""The emulated PostHog within the emulator: faults, limits, the file, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import is_refused_as_read_only, log_of
from tests.emulator.posthog.client import (
    DASHBOARDS,
    SERVER_ERROR,
    ask,
    at,
    forbidden,
    got,
    make,
    put_insight,
    put_text,
    refusal,
)


def set_faults(emulator: Emulator, **fault: Any) -> None:
    requests.put(f"{emulator.url}/_emulator/faults", json=[fault], timeout=5).raise_for_status()


@pytest.mark.parametrize(("kind", "acted"), [("error_before", 0), ("error_after", 1)])
def test_an_error_has_the_shape_of_posthogs_errors(emulator: Emulator, kind: str, acted: int) -> None:
    set_faults(emulator, kind=kind)
    assert refusal(ask(emulator, "POST", DASHBOARDS, json={})) == SERVER_ERROR
    assert emulator.posthog.count_dashboards() == acted


@pytest.mark.parametrize(
    ("seconds", "wait", "words"), [(20, "20", "20 seconds"), (1.2, "2", "2 seconds"), (0.3, "1", "1 second")]
)
def test_a_429_has_a_wait_in_whole_seconds(emulator: Emulator, seconds: float, wait: str, words: str) -> None:
    set_faults(emulator, kind="too_many", seconds=seconds)
    answer = ask(emulator, "GET", DASHBOARDS)
    detail = f"Request was throttled. Expected available in {words}."
    assert refusal(answer) == (429, "throttled_error", "throttled", detail, None)
    assert answer.headers["Retry-After"] == wait


def test_a_rate_limit_has_a_wait_in_whole_seconds_too(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(rate_limit=1, window_seconds=30)
    got(ask(emulator, "GET", DASHBOARDS))
    answer = ask(emulator, "GET", DASHBOARDS)
    assert answer.status_code == 429
    assert 20 < int(answer.headers["Retry-After"]) <= 30


def test_a_cut_or_wrong_answer_is_not_a_dashboard(emulator: Emulator) -> None:
    set_faults(emulator, kind="cut")
    with pytest.raises(requests.JSONDecodeError):
        ask(emulator, "GET", DASHBOARDS).json()
    set_faults(emulator, kind="wrong")
    assert got(ask(emulator, "GET", DASHBOARDS))["results"] == "?"


def test_faults_of_conduits_paths_have_the_shape_of_conduits_errors(emulator: Emulator) -> None:
    set_faults(emulator, kind="error_before", path="^/v2/")
    answer = requests.get(f"{emulator.url}/v2/workspaces/", timeout=5)
    assert answer.status_code == 500
    assert answer.json() == {"code": "internal_server_error", "message": "Internal server error"}
    set_faults(emulator, kind="too_many", path="^/v2/", seconds=2.5)
    answer = requests.get(f"{emulator.url}/v2/workspaces/", timeout=5)
    assert (answer.json()["code"], answer.headers["Retry-After"]) == ("rate_limited", "2.5")
    set_faults(emulator, kind="wrong", path="^/v2/")
    assert requests.get(f"{emulator.url}/v2/workspaces/", timeout=5).json() == {"id": ["?"], "data": "?"}


def test_a_reset_midway_comes_after_the_first_part_of_the_answer(emulator: Emulator) -> None:
    set_faults(emulator, kind="reset_midway")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        make(emulator)
    assert emulator.posthog.count_dashboards() == 1
    assert (log_of(emulator)[-1]["status"], log_of(emulator)[-1]["fault"]) == (201, "reset_midway")


def test_public_pages_have_no_faults_and_are_not_logged(emulator: Emulator) -> None:
    set_faults(emulator, kind="error_before")
    assert requests.get(f"{emulator.url}/shared/nope", timeout=5).status_code == 404
    assert log_of(emulator) == []


def test_a_read_only_posthog_answers_reads_and_refuses_changes(emulator: Emulator) -> None:
    made = make(emulator)
    emulator.control.behaviour = Behaviour(read_only=True)
    got(ask(emulator, "GET", at(made)))
    refused = forbidden("Changes are refused")
    for method, path in [
        ("POST", DASHBOARDS),
        ("PATCH", at(made)),
        ("PUT", at(made)),
        ("DELETE", at(made, "collaborators/x/")),
        ("POST", at(made, "sharing/refresh/")),
    ]:
        assert refusal(ask(emulator, method, path, json={})) == refused
    assert emulator.posthog.count_dashboards() == 1


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v2/workspaces/", True),
        ("DELETE", "/v2/workspaces/4/", True),
        ("GET", "/v2/workspaces/", False),
        ("PATCH", "/api/environments/1/dashboards/4/", True),
        ("GET", "/api/projects/1/dashboards/", False),
        ("POST", "/api/v2/workspace/metrics", False),
        ("PUT", "/api/v2/data-app/embeds", True),
    ],
)
def test_a_read_only_server_refuses_the_requests_that_change_something(
    emulator: Emulator, method: str, path: str, expected: bool
) -> None:
    emulator.control.behaviour = Behaviour(read_only=True)
    answer = requests.request(method, emulator.url + path, timeout=5)
    assert is_refused_as_read_only(answer) is expected


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "emulator.sqlite")
    with Emulator(path, posthog_key="phx_given") as emulator:
        assert emulator.posthog_keys["phx_given"].scopes is not None
        made = make(emulator, name="kept", tags=["a"], filters={"x": 1}, restriction_level=37)
        put_insight(emulator, made, name="i")
        put_text(emulator, made, "hello")
        user = {"level": 37, "user_uuid": emulator.posthog.member("member").uuid}
        got(ask(emulator, "POST", at(made, "collaborators/"), json=user), 201)
        sharing = {"enabled": True, "password_required": True, "settings": {"legend": True}}
        got(ask(emulator, "PATCH", at(made, "sharing/"), json=sharing))
        got(ask(emulator, "POST", at(made, "sharing/passwords/"), json={"note": "n"}), 201)
        paths = [at(made), at(made, "sharing/"), at(made, "collaborators/")]
        before = [got(ask(emulator, "GET", path)) for path in paths]
    with Emulator(path) as emulator:
        after = [got(ask(emulator, "GET", path)) for path in paths]
        assert make(emulator)["id"] == made["id"] + 1
    for shown in (before[0], after[0]):
        del shown["last_accessed_at"]
    assert after == before


def test_databrain_and_posthog_share_a_server(emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {emulator.service_token}"}
    assert requests.get(f"{emulator.url}/api/v2/workspace", headers=headers, timeout=5).status_code == 200
    assert ask(emulator, "GET", DASHBOARDS, None, headers=headers).status_code == 401


def test_keys_can_be_added_and_removed_while_the_server_runs(emulator: Emulator) -> None:
    emulator.posthog_keys["phx_new"] = Key(("dashboard:read",))
    assert ask(emulator, "GET", DASHBOARDS, "new").status_code == 200
    del emulator.posthog_keys["phx_new"]
    assert ask(emulator, "GET", DASHBOARDS, "new").status_code == 401


def test_the_page_and_the_log_show_dashboards_and_no_token(emulator: Emulator) -> None:
    first = make(emulator, name="<b>Shared</b>", tags=["sales", "weekly"])
    make(emulator, name="Gone", deleted=True)
    shared = got(ask(emulator, "PATCH", at(first, "sharing/"), json={"enabled": True}))
    page = requests.get(emulator.url, timeout=5).text
    for text in ("<b>1</b> PostHog dashboards", "&lt;b&gt;Shared&lt;/b&gt;", "sales, weekly", "<td>yes</td>"):
        assert text in page
    assert "Gone" not in page
    everything = page + json.dumps(log_of(emulator))
    for secret in (shared["access_token"], emulator.posthog_key, "phx_all"):
        assert secret not in everything


def test_a_fault_can_apply_to_posthog_only(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="error_before", path="^/api/projects/")])
    headers = {"Authorization": f"Bearer {emulator.service_token}"}
    assert requests.get(f"{emulator.url}/api/v2/workspace", headers=headers, timeout=5).status_code == 200
    assert ask(emulator, "GET", DASHBOARDS).status_code == 500
