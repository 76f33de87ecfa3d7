"""What a server, a database or a row says cannot forge a line of a log."""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import pkgutil
import traceback

import pytest

import airflow_provider_databrain
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.problems import Problems
from airflow_provider_databrain.tenants.engine.report import ProvisioningError, Report
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from tests.client.conftest import Run, run_async, run_sync
from tests.client.transport.servers import server_at
from tests.support import embed, http_answer, raw_server

FORGING = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *"\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060",
    *"\u2066\u2067\u2068\u2069\u3164\ufeff\ufff9\U000e0041\U000e0101\ud800\udfff\ue000\uffff",
]
READABLE = "Grüße, señor — 日本語 한국어 العربية हिन्दी 😀 ❤️ 5 000 €　«\\n»"
FORGED = f"no\r\n[2026-01-01] INFO - all is well\x1b[2J\u202e\u2028{READABLE}"


@pytest.mark.parametrize("character", FORGING, ids=lambda character: f"{ord(character):x}")
def test_a_character_that_can_forge_is_escaped(character: str) -> None:
    shown = printable(f"a{character}b")
    assert character not in shown
    assert shown.startswith("a\\")
    assert shown.endswith("b")
    assert printable(shown) == shown
    shown.encode()


def test_text_in_any_language_stays() -> None:
    assert printable(READABLE) == READABLE


def test_only_line_feeds_stay_in_a_text_of_several_lines() -> None:
    assert printable("a\nb\r\x85c", keep_lines=True) == "a\nb\\r\\x85c"


def assert_one_line(text: str) -> None:
    assert READABLE in text
    assert not [each for each in FORGING if each in text]


def _exceptions() -> list[type[Portable]]:
    for module in pkgutil.walk_packages(airflow_provider_databrain.__path__, "airflow_provider_databrain."):
        if ".emulator" not in module.name:
            importlib.import_module(module.name)
    kinds: list[type[Portable]] = [Portable]
    for kind in kinds:
        kinds += [each for each in kind.__subclasses__() if each not in kinds]
    return [kind for kind in kinds if ".emulator" not in kind.__module__ and kind.__module__.startswith("airflow_pro")]


@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: kind.__name__)
def test_the_text_of_an_exception_of_ours_has_no_control_character_but_line_feeds(kind: type[Portable]) -> None:
    error = kind.__new__(kind, FORGED)
    vars(error).update(kind="key", reason=FORGED, old_key_until=None)  # The fields that one of them shows.
    if isinstance(error, ApiError):
        ApiError.__init__(error, FORGED, code=FORGED, tenant=FORGED, dashboard=FORGED, endpoint=FORGED)
        assert_one_line(str(error))
    for each in (error, pickle.loads(pickle.dumps(error))):
        for text in (str(each), "".join(traceback.format_exception_only(each))):
            assert_one_line(text.replace("\n", ""))


@pytest.mark.parametrize("run", [run_sync, run_async])
def test_what_a_server_says_is_one_line_in_logs_and_errors(
    run: Run, caplog: pytest.LogCaptureFixture, fast_retries: None
) -> None:
    body = json.dumps({"error": {"code": FORGED, "message": FORGED}})
    page = f"<html>{FORGED}".encode(errors="replace")
    answers = [http_answer(500, body.encode()), http_answer(500, page, f"text/html\x1b[2J{chr(0x9B)}")]
    for answer in answers:
        with raw_server(answer) as (url, _), pytest.raises(ApiError) as caught, caplog.at_level(logging.WARNING):
            run(server_at(url, max_retry_seconds=0.05), create_dashboard_embed(embed()))
        texts = [str(caught.value), repr(caught.value), *(record.getMessage() for record in caplog.records)]
        assert not [text for text in texts for each in FORGING if each in text]


def test_a_bad_row_is_one_line_of_its_error() -> None:
    problems = Problems()
    problems.add(FORGED)
    problems.add("the second")
    with pytest.raises(TenantTableError) as caught:
        problems.raise_if_any(TenantTableError, "bad rows:")
    first, second, third = str(caught.value).split("\n")
    assert (first, third) == ("bad rows:", "- the second")
    assert_one_line(second)


@pytest.mark.parametrize("error", [RuntimeError(FORGED), ApiError(FORGED), TenantTableError(FORGED)])
def test_a_tenant_s_failure_is_one_line_in_xcom_the_ledger_and_the_error(error: Exception) -> None:
    report = Report(total=1)
    report.fail("acme\n", "d", error)
    assert_one_line(report.failures[0]["message"])
    entry = Outcome.failure("acme\n", None, None, error).entry(dag_id="d", run_id="r")
    assert_one_line(entry.last_error or "")
    with pytest.raises(ProvisioningError) as caught:
        report.raise_for_failures()
    assert str(caught.value).count("\n") == 1
