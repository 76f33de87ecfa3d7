"""Each operator that handles a credential of Databrain. It must not show the credential, even if something fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.databrain.operators.datasources import SyncDatasourceOperator
from airflow_provider_databrain.databrain.sensors import DatasourceSyncSensor
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.databrain.secret_cases import OPERATORS, PASSWORD, SOURCE_SECRETS, STORING, drop, keep, prepare, stored
from tests.exposure import FAULTS, Exposed, given_by, pieces
from tests.support import http_answer, raw_server, set_connection
from tests.tenants.operators.test_provision import TaskInstance

NEW_KEY = "5e0d2b6f-6a3a-4c56-9d39-9f0c1d8f7a11"
TOKENS = f'{{"data": [{{"key": "{NEW_KEY}", "name": "ci"}}], "error": null}}'
ANSWERS = {
    "create_api_token": TOKENS,
    "list_api_tokens": TOKENS,
    "rotate_api_key": f'{{"key": "{NEW_KEY}"}}',
    "rotate_service_token": f'{{"key": "{NEW_KEY}"}}',
    "create_datasource": f'{{"name": "warehouse", "credentials": {{"password": "{PASSWORD}"}}}}',
    "update_datasource": f'{{"name": "warehouse", "credentials": {{"password": "{PASSWORD}"}}}}',
}
"""Good answers; each contains a credential."""
METHODS = pytest.mark.parametrize("method", OPERATORS)


@pytest.fixture
def databrain(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, method: str, exposed: Exposed, fast_retries: None
) -> Emulator:
    """An emulator with all objects that the operator needs. The credentials of the database count as secrets."""
    prepare(monkeypatch, connection, method)
    exposed.secrets += pieces(*SOURCE_SECRETS)
    return connection


def run(exposed: Exposed, method: str, **arguments: Any) -> BaseException | None:
    """Render and execute the operator; returns the error."""
    operator = OPERATORS[method](**{"task_id": method, "store": keep, **arguments})
    operator.render_template_fields({})
    return exposed.task(operator, TaskInstance())


def assert_nothing_shown(exposed: Exposed, emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    exposed.show(*capfd.readouterr())
    issued = given_by(emulator)
    assert set(stored) <= set(issued)
    exposed.secrets += pieces(*issued)
    assert exposed.leaks() == []


@METHODS
def test_a_good_answer_shows_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    assert run(exposed, method) is None
    assert len(stored) == (method in STORING)
    if "datasource" in method:
        source = databrain.catalog.datasource(name="warehouse")
        assert source
        assert source.fields == ["name", "password", "schema", "serviceAccount"]
    assert_nothing_shown(exposed, databrain, capfd)


@METHODS
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_shows_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], method: str, kind: Any
) -> None:
    # First a transient fault, which is retried if that is safe; then a permanent one.
    databrain.control.set_faults([Fault(kind=kind, seconds=0.01, times=1)])
    run(exposed, method)
    databrain.control.set_faults([Fault(kind=kind, seconds=0.01)])
    assert run(exposed, method, max_retry_seconds=0) is not None
    assert_nothing_shown(exposed, databrain, capfd)


@METHODS
@pytest.mark.parametrize("spoil", ["cut", "in html", "wrong", "repeated in a refusal"])
def test_a_credential_in_a_bad_answer_is_not_repeated(
    databrain: Emulator,
    exposed: Exposed,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    spoil: str,
) -> None:
    sound = ANSWERS[method]
    known = [databrain.api_key, databrain.service_token, *(SOURCE_SECRETS if "datasource" in method else [])]
    answers = {
        "cut": http_answer(200, sound[:-2].encode()),
        "in html": http_answer(200, f"<p>{sound}</p>".encode(), "text/html"),
        "wrong": http_answer(200, json.dumps({"name": [sound], "key": [sound], "data": sound}).encode()),
        "repeated in a refusal": http_answer(
            400, json.dumps({"error": {"code": "X", "message": f"not {known}"}}).encode()
        ),
    }
    with raw_server(answers[spoil]) as (url, met):
        set_connection(monkeypatch, databrain, host=url)
        assert run(exposed, method, max_retry_seconds=0) is not None
    assert met
    assert stored == []
    exposed.secrets += pieces(NEW_KEY)
    assert_nothing_shown(exposed, databrain, capfd)


@pytest.mark.parametrize("method", STORING)
def test_a_store_that_fails_shows_no_key(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    assert isinstance(run(exposed, method, store=drop), KeyNotStoredError)
    assert len(stored) == 1
    assert_nothing_shown(exposed, databrain, capfd)


@pytest.mark.parametrize("method", ["create_datasource", "update_datasource"])
def test_refused_credentials_are_not_repeated(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    databrain.control.behaviour = Behaviour(refuses_credentials=True)
    assert "CREDENTIAL_TEST_FAILED" in str(run(exposed, method))
    assert_nothing_shown(exposed, databrain, capfd)


@pytest.mark.parametrize("method", ["list_api_tokens"])
def test_a_file_of_tokens_contains_no_key(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], tmp_path: Path, method: str
) -> None:
    path = tmp_path / "tokens.json"
    assert run(exposed, method, output_path=str(path)) is None
    assert json.loads(path.read_text())[0]["name"] == "default"
    exposed.show(path.read_text())
    assert_nothing_shown(exposed, databrain, capfd)


@pytest.mark.parametrize("method", ["update_datasource"])
@pytest.mark.parametrize("waiting", [SyncDatasourceOperator, DatasourceSyncSensor])
def test_a_trigger_receives_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], method: str, waiting: Any
) -> None:
    source = databrain.catalog.datasource(name="warehouse")
    assert source
    more = {"wait_for_progress": True} if waiting is SyncDatasourceOperator else {}
    error = exposed.task(waiting(task_id="wait", datasource_id=source.id, deferrable=True, **more), TaskInstance())
    assert type(error).__name__ == "TaskDeferred"
    assert "databrain_default" in "".join(exposed.texts)
    assert_nothing_shown(exposed, databrain, capfd)
