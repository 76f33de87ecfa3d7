"""A datasource's credentials are in no error, log or repr, even if the server repeats them."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, InvalidRequestError
from airflow_provider_databrain.databrain.api.datasources import Datasource
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import BOTH_WAYS, do
from tests.databrain.connections import hook_for
from tests.emulator.client import log_of
from tests.exposure import Exposed
from tests.support import http_answer, raw_server

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
PASSWORD = 'p@ss "wörd"/7'
CREDENTIALS: dict[str, Any] = {
    "name": "warehouse",
    "username": "p",
    "password": PASSWORD,
    "pin": 480015162342,
    "serviceAccount": {"private_key": KEY, "ids": ["id-777777"]},
}
SOURCE = Datasource(datasource_type="postgres", credentials=CREDENTIALS, extra={"tunnel": {"pass": "tunnel-99"}})
SECRETS = ["wörd", "w\\u00f6rd", "480015162342", "MIIEvQIBADANBg", "kqhkiG9w0BAQEF", "id-777777", "tunnel-99", "%40ss"]
ACCEPTED = SOURCE.model_copy(update={"extra": {}})
"""The same datasource without ``extra``, because the emulator refuses unknown fields."""
METHODS = pytest.mark.parametrize("method", ["create_datasource", "update_datasource"])


def assert_hidden(exposed: Exposed, *values: object) -> None:
    exposed.secrets = SECRETS
    exposed.show(*values)
    assert exposed.leaks() == []


@METHODS
@BOTH_WAYS
@pytest.mark.parametrize(
    ("words", "content_type"),
    [
        (json.dumps({"error": {"code": "CREDENTIAL_TEST_FAILED", "message": PASSWORD}}), "application/json"),
        (json.dumps({"error": {"code": PASSWORD, "message": "no"}}), "application/json"),
        (json.dumps({"error": f"postgres://p:{quote(PASSWORD, safe='')}@h/480015162342"}), "application/json"),
        (json.dumps({"error": {"code": "X", "message": json.dumps(CREDENTIALS)}}), "application/json"),
        (
            json.dumps({"error": {"code": "X", "message": json.dumps(CREDENTIALS, ensure_ascii=False)}}),
            "application/json",
        ),
        (json.dumps({"error": {"code": "X", "message": f"cannot read {KEY}"}}), "application/json"),
        (json.dumps({"error": {"code": "X", "message": "tunnel-99 id-777777"}}), "application/json"),
        (f"<p>{PASSWORD}</p>", "text/html"),
        (f"<p>{html.escape(PASSWORD)}</p>", "text/html"),
        (json.dumps({"error": html.escape(PASSWORD)}), "application/json"),
        (KEY, "text/plain"),
        (json.dumps(json.dumps(CREDENTIALS))[:-9], "text/plain"),
        (json.dumps(CREDENTIALS)[:-9], "application/json"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_credentials_that_the_server_repeats_are_in_no_error(
    monkeypatch: pytest.MonkeyPatch,
    exposed: Exposed,
    fast_retries: None,
    prefix: str,
    method: str,
    status: int,
    words: str,
    content_type: str,
) -> None:
    with raw_server(http_answer(status, words.encode(), content_type)) as (url, _), pytest.raises(ApiError) as caught:
        await do(hook_for(monkeypatch, host=url), prefix, method, SOURCE)
    assert_hidden(exposed, caught.value)


@METHODS
@BOTH_WAYS
async def test_refused_credentials_are_an_error_that_does_not_hold_them(
    connection: Emulator, exposed: Exposed, prefix: str, method: str
) -> None:
    connection.catalog.add_datasource("other")
    if method == "update_datasource":
        connection.catalog.add_datasource("warehouse")
    connection.control.behaviour = Behaviour(refuses_credentials=True)
    with pytest.raises(InvalidRequestError, match="connection failed: name=warehouse username=") as caught:
        await do(DatabrainHook(), prefix, method, ACCEPTED)
    assert caught.value.code == "CREDENTIAL_TEST_FAILED"
    assert_hidden(exposed, caught.value, log_of(connection))


@BOTH_WAYS
async def test_retries_and_lost_connections_log_no_credentials(
    connection: Emulator, exposed: Exposed, fast_retries: None, prefix: str
) -> None:
    connection.control.set_faults([Fault(kind="reset_before")])
    with pytest.raises(ApiError) as caught:
        await do(DatabrainHook(), prefix, "create_datasource", SOURCE)
    assert [record for record in exposed.records if "next try in" in record.getMessage()]
    assert_hidden(exposed, caught.value)


def test_a_wrong_field_is_named_without_its_value(exposed: Exposed) -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        Datasource.model_validate({"datasource_type": "csv", "credentials": {"name": "x", "password": {PASSWORD}}})
    assert_hidden(exposed, caught.value)
    with pytest.raises(ValueError, match="no 'name'") as unnamed:
        Datasource(datasource_type="csv", credentials={"password": PASSWORD})
    assert_hidden(exposed, unnamed.value, SOURCE)


def test_an_error_code_that_contains_a_credential_still_decides_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Datasource(datasource_type="postgres", credentials={"name": "warehouse", "password": "DATASOURCE"})
    words = json.dumps({"error": {"code": "DATASOURCE_NAME_ERROR", "message": "taken"}}).encode()
    with raw_server(http_answer(400, words)) as (url, _), pytest.raises(AlreadyExistsError) as caught:
        hook_for(monkeypatch, host=url).create_datasource(source)
    assert caught.value.code == "***_NAME_ERROR"
