"""The test button of the three connections quotes nothing of an address that is not the vendor's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.base.hook import ApiHook
from airflow_provider_databrain.conduit.hook import ConduitHook
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.support import http_answer, raw_server

HOOKS: dict[str, Any] = {
    "databrain": lambda: DatabrainHook("button"),
    "posthog": lambda: PostHogHook("button", project_id=1),
    "conduit": lambda: ConduitHook("button"),
}
INSIDE = "internal-secret"
ANSWERS = {
    "page": (http_answer(200, f"<html>{INSIDE}".encode(), "text/html"), "[HTTP 200]", "(text/html)"),
    "text": (http_answer(404, INSIDE.encode(), "text/plain"), "[HTTP 404]", "(text/plain)"),
    "refusal": (http_answer(401, INSIDE.encode(), "text/plain"), "[HTTP 401]", "(text/plain)"),
    "other JSON": (http_answer(200, json.dumps({INSIDE: [{INSIDE: 1}]}).encode()), "[HTTP 200]", "(application/json)"),
    "other error": (http_answer(503, json.dumps({"errors": [INSIDE]}).encode()), "[HTTP 503]", "(application/json)"),
    "JSON list": (http_answer(200, json.dumps([[INSIDE]]).encode()), "[HTTP 200]", "(application/json)"),
    "redirect": (http_answer(302, b"", Location=f"http://{INSIDE}/x"), "[HTTP 302]", "(application/json)"),
    "long type": (http_answer(500, b"", f"a/{'b' * 500}\x1b[2J"), "[HTTP 500]", "(a/bbb"),
    "no HTTP": (f"220 {INSIDE} ESMTP\r\n".encode(), "failed: ConnectionError", ""),
    "broken header": (f"HTTP/1.1 200 OK\r\n{INSIDE}\r\n\r\n".encode(), "", ""),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("system", HOOKS)
def test_an_answer_that_is_not_the_vendor_s_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, system: str, case: str
) -> None:
    answer, status, kind = ANSWERS[case]
    with raw_server(answer) as (url, _):
        fields = {"conn_type": system, "host": url, "password": "token-0123456789"}
        monkeypatch.setenv("AIRFLOW_CONN_BUTTON", json.dumps(fields))
        hook: ApiHook[Any] = HOOKS[system]()
        works, text = hook.test_connection()
    assert not works
    assert INSIDE not in text
    assert status in text
    assert kind in text
    assert len(text) < 1000
    assert text.isprintable()
