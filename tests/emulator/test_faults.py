"""The emulator's faults, limits, log and page, over plain HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import CREATE, EMBEDS, call, create, log_of


def set_faults(emulator: Emulator, *faults: dict[str, Any]) -> None:
    """Set rules over HTTP, like the demo."""
    requests.put(f"{emulator.url}/_emulator/faults", json=list(faults), timeout=5).raise_for_status()


@pytest.mark.parametrize(
    ("kind", "status", "start", "acted"),
    [
        ("error_before", 500, b'{"error":{"code":"INTERNAL_SERVER_ERROR"', False),
        ("error_after", 500, b'{"error":{"code":"INTERNAL_SERVER_ERROR"', True),
        ("too_many", 429, b'{"error":{"code":"RATE_LIMITED"', False),
        ("html", 200, b"<html>", True),
        ("cut", 200, b'{"id": "client-', True),
        ("wrong", 200, b'{"id":["?"],"data":"?","error":null}', True),
    ],
)
def test_each_fault_answers_after_acting_or_without_acting(
    emulator: Emulator, kind: str, status: int, start: bytes, acted: bool
) -> None:
    set_faults(emulator, {"kind": kind, "seconds": 2.5})
    answer = create(emulator)
    assert answer.status_code == status
    assert answer.content.startswith(start)
    assert answer.headers.get("Retry-After") == ("2.5" if kind == "too_many" else None)
    assert emulator.state.count_embeds() == acted
    assert (log_of(emulator)[-1]["status"], log_of(emulator)[-1]["fault"]) == (status, kind)


@pytest.mark.parametrize(("kind", "acted"), [("reset_before", False), ("reset_after", True)])
def test_each_reset_comes_after_acting_or_without_acting(emulator: Emulator, kind: str, acted: bool) -> None:
    set_faults(emulator, {"kind": kind})
    with pytest.raises(requests.ConnectionError):
        create(emulator)
    assert emulator.state.count_embeds() == acted
    assert (log_of(emulator)[-1]["status"], log_of(emulator)[-1]["fault"]) == (None, kind)


def test_a_slow_answer_is_late_but_complete(emulator: Emulator) -> None:
    set_faults(emulator, {"kind": "slow", "seconds": 0.1})
    started = time.monotonic()
    assert create(emulator).json()["id"] == "client-acme"
    assert time.monotonic() - started >= 0.1


def test_a_cut_answer_is_not_valid_json(emulator: Emulator) -> None:
    set_faults(emulator, {"kind": "cut"})
    answer = create(emulator)
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def statuses(emulator: Emulator, tries: int) -> list[int]:
    return [call(emulator, "GET", EMBEDS).status_code for _ in range(tries)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, [500] * 7),
        ({"every": 3}, [200, 200, 500, 200, 200, 500, 200]),
        ({"times": 2}, [500, 500, 200, 200, 200, 200, 200]),
        ({"every": 2, "times": 2}, [200, 500, 200, 500, 200, 200, 200]),
        ({"times": 0}, [200] * 7),
        ({"method": "GET", "path": "embeds$"}, [500] * 7),
        ({"method": "POST"}, [200] * 7),
        ({"path": "/workspace"}, [200] * 7),
    ],
)
def test_a_rule_applies_to_the_requests_and_as_often_as_it_says(
    emulator: Emulator, fault: dict[str, Any], expected: list[int]
) -> None:
    set_faults(emulator, {"kind": "error_before", **fault})
    assert statuses(emulator, 7) == expected


def test_the_first_rule_that_is_due_decides_and_all_rules_count(emulator: Emulator) -> None:
    set_faults(emulator, {"kind": "error_before", "every": 2}, {"kind": "too_many", "every": 3})
    assert statuses(emulator, 6) == [200, 500, 429, 500, 200, 500]


def test_setting_rules_starts_the_count_again(emulator: Emulator) -> None:
    rule = Fault(kind="error_before", every=2)
    emulator.control.set_faults([rule])
    assert statuses(emulator, 1) == [200]
    emulator.control.set_faults([rule])
    assert statuses(emulator, 2) == [200, 500]
    set_faults(emulator)
    assert statuses(emulator, 2) == [200, 200]


@pytest.mark.parametrize("fault", [{"kind": "unheard of"}, {"kind": "html", "every": 0}, {}])
def test_an_invalid_rule_is_refused(emulator: Emulator, fault: dict[str, Any]) -> None:
    answer = requests.put(f"{emulator.url}/_emulator/faults", json=[fault], timeout=5)
    assert answer.status_code == 422
    assert emulator.control.faults == []


def set_behaviour(emulator: Emulator, **behaviour: Any) -> None:
    requests.put(f"{emulator.url}/_emulator/behaviour", json=behaviour, timeout=5).raise_for_status()


def test_a_rate_limit_says_when_its_window_ends(emulator: Emulator) -> None:
    set_behaviour(emulator, rate_limit=3, window_seconds=30)
    assert statuses(emulator, 3) == [200, 200, 200]
    answer = call(emulator, "GET", EMBEDS)
    assert answer.status_code == 429
    assert 20 < float(answer.headers["Retry-After"]) <= 30
    set_behaviour(emulator)
    assert statuses(emulator, 2) == [200, 200]


def test_a_rate_limit_lets_requests_through_when_its_window_ends(emulator: Emulator) -> None:
    set_behaviour(emulator, rate_limit=1, window_seconds=0.2)
    started = time.monotonic()
    assert statuses(emulator, 2) == [200, 429]
    while statuses(emulator, 1) == [429] and time.monotonic() - started < 5:
        pass
    assert 0.19 < time.monotonic() - started < 2


def test_latency_delays_every_answer(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(latency=0.05)
    started = time.monotonic()
    assert statuses(emulator, 2) == [200, 200]
    assert time.monotonic() - started >= 0.1
    assert min(entry["milliseconds"] for entry in log_of(emulator)) >= 50


def test_the_log_holds_the_requests_but_no_token_and_no_body(emulator: Emulator) -> None:
    create(emulator, "s3cr3t-client", metadata={"note": "s3cr3t"})
    call(emulator, "GET", EMBEDS, params={"clientId": "s3cr3t"})
    call(emulator, "GET", EMBEDS, token="s3cr3t-token")
    log = log_of(emulator)
    assert [(entry["method"], entry["path"], entry["status"]) for entry in log] == [
        ("POST", CREATE, 200),
        ("GET", EMBEDS, 200),
        ("GET", EMBEDS, 401),
    ]
    assert set(log[0]) == {"at", "method", "path", "status", "fault", "milliseconds"}
    text = json.dumps(log)
    assert not any(secret in text for secret in ("s3cr3t", emulator.api_key, emulator.service_token))


def test_the_page_shows_workspaces_clients_and_requests(emulator: Emulator) -> None:
    create(emulator, "acme")
    set_faults(emulator, {"kind": "error_before"})
    create(emulator, "other")
    page = requests.get(emulator.url, timeout=5)
    assert page.headers["Content-Type"].startswith("text/html")
    for text in ("analytics", "client-acme_acme", f"POST {CREATE}", "error_before", ">500<"):
        assert text in page.text
    assert emulator.api_key not in page.text
    assert emulator.service_token not in page.text


def test_the_page_escapes_the_names_of_clients(emulator: Emulator) -> None:
    odd = '<script>alert("hi")</script>'
    assert create(emulator, odd, name="<b>bold</b>", isRenameDashboard=True).status_code == 200
    page = requests.get(emulator.url, timeout=5).text
    assert "&lt;script&gt;alert(" in page
    assert "<script>alert" not in page
    assert "<b>bold" not in page


def test_the_page_and_the_log_are_not_logged_and_have_no_faults(emulator: Emulator) -> None:
    set_faults(emulator, {"kind": "error_before"})
    assert requests.get(emulator.url, timeout=5).status_code == 200
    assert log_of(emulator) == []
