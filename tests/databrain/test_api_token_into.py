"""An API token is found or created, and passed to the caller's function: sync and async."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import redact
from tests.both_ways import BOTH_WAYS
from tests.databrain.test_keys import do, storing
from tests.support import http_answer, raw_server, set_connection

APP = "acme"
ROUTE = "/api/v2/data-app/api-tokens"
INTO = "create_api_token_into"

pytestmark = [BOTH_WAYS, pytest.mark.usefixtures("fast_retries")]


@pytest.fixture
def account(connection: Emulator) -> Emulator:
    """An emulator with a data app that has no tokens."""
    connection.account.create_app(APP)
    return connection


def into(prefix: str, store: Any, app: str = APP, name: str = "ci") -> Any:
    return do(DatabrainHook(), prefix, INTO, storing(prefix, store), app, name)


def keys(emulator: Emulator) -> list[str]:
    return [row.key for row in emulator.account.live_keys(APP)]


def test_a_token_is_created_once_and_passed_on_each_time(account: Emulator, prefix: str) -> None:
    received: list[str] = []
    assert [into(prefix, received.append) for _ in range(2)] == [True, False]
    assert received == keys(account) * 2
    assert len(received) == 2


def test_a_token_is_masked_before_it_is_passed_on(account: Emulator, prefix: str) -> None:
    seen: list[str] = []
    into(prefix, lambda key: seen.append(str(redact(key))))
    into(prefix, lambda key: seen.append(str(redact(key))))
    assert seen == ["***", "***"]


def test_only_the_same_name_in_the_same_data_app_is_the_same_token(account: Emulator, prefix: str) -> None:
    account.account.create_app("other")
    for app, name in (("other", "ci"), (APP, "CI"), (APP, "ci ")):
        account.account.add_key(app, name)
    assert into(prefix, lambda key: None)
    assert [row.name for row in account.account.live_keys(APP)] == ["CI", "ci ", "ci"]


def test_a_token_is_found_on_each_page(account: Emulator, prefix: str) -> None:
    for number in range(12):
        account.account.add_key(APP, f"key-{number}")
    received: list[str] = []
    assert not into(prefix, received.append, name="key-11")
    assert received == keys(account)[-1:]


def test_of_several_tokens_the_newest_is_passed_on(account: Emulator, prefix: str) -> None:
    """After a rotation, the old key is listed under the same name until it expires."""
    old = account.account.key(account.account.add_key(APP, "ci"))
    assert old
    made = datetime.fromisoformat(old.created_at)
    account.account.clock = lambda: (made + timedelta(days=1)).timestamp()
    new = account.account.rotate(old, 3600)
    assert keys(account) == [old.key, new]
    received: list[str] = []
    assert not into(prefix, received.append)
    assert received == [new]


@pytest.mark.parametrize("at", [None, "2026-01-01T00:00:00Z"])
def test_of_several_tokens_with_one_time_the_last_is_passed_on(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str, at: str | None
) -> None:
    rows = [{"key": key, "name": "ci", "createdAt": at} for key in "ab"]
    received: list[str] = []
    with raw_server(http_answer(200, json.dumps({"data": rows}).encode())) as (url, _):
        set_connection(monkeypatch, account, host=url)
        assert not into(prefix, received.append)
    assert received == ["b"]


def test_a_token_that_is_not_stored_is_reported_without_its_key_and_passed_on_again(
    account: Emulator, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    caplog.set_level(logging.DEBUG)
    received: list[str] = []

    def store(key: str) -> None:
        received.append(key)
        raise PermissionError(f"may not write {key}")

    with pytest.raises(KeyNotStoredError) as caught:
        into(prefix, store)
    error = caught.value
    assert error.old_key_until is None
    assert str(error).startswith("The API token exists, but was not stored: PermissionError in test_api_token_into.py")
    assert str(error).endswith("Fix `store` and run the task again; it receives the same key.")
    assert (error.__cause__, error.__context__) == (None, None)
    shown = f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))} {caplog.text} {capsys.readouterr()}"
    assert received[0] not in shown
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.old_key_until) == (str(error), None)
    assert not into(prefix, received.append)
    assert received == keys(account) * 2


def test_an_exception_that_ends_the_task_while_a_token_is_stored_passes_through_and_is_logged(
    account: Emulator, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    class TaskTimeoutError(BaseException):
        """As Airflow ends a task."""

    def store(key: str) -> None:
        raise TaskTimeoutError(key)

    with pytest.raises(TaskTimeoutError):
        into(prefix, store)
    shown = "".join(capsys.readouterr())
    assert "The API token exists, but was not stored: TaskTimeoutError" in shown
    assert keys(account)[0] not in shown


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut", "wrong"])
def test_after_an_unclear_create_the_token_is_found_and_not_created_again(
    account: Emulator, prefix: str, kind: Any
) -> None:
    account.control.set_faults([Fault(kind=kind, method="POST")])
    received: list[str] = []
    assert into(prefix, received.append)
    assert received == keys(account)
    assert (len(received), account.control.arrived["POST", ROUTE]) == (1, 1)


def test_a_create_fails_if_the_list_does_not_show_the_token(account: Emulator, prefix: str) -> None:
    account.control.set_faults([Fault(kind="error_before", method="POST")])
    with pytest.raises(ServerError, match="create API token failed"):
        into(prefix, pytest.fail)
    assert keys(account) == []


def test_no_token_is_created_if_the_list_cannot_be_read(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    set_connection(monkeypatch, account, extra={"service_token": account.service_token, "max_retry_seconds": 0})
    account.control.set_faults([Fault(kind="wrong", method="GET")])
    with pytest.raises(MalformedAnswerError):
        into(prefix, pytest.fail)
    assert keys(account) == []


def test_a_refusal_is_raised_and_nothing_is_stored(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    with pytest.raises(NotFoundError, match="Data app not found"):
        into(prefix, pytest.fail, app="never")
    set_connection(monkeypatch, account, extra={"service_token": account.api_key})
    with pytest.raises(AuthenticationError):
        into(prefix, pytest.fail)
    assert keys(account) == []


@pytest.mark.parametrize(
    ("app", "name", "words"), [("", "ci", "data_app_name"), (" ", "ci", "data"), (APP, " ", "name")]
)
def test_a_blank_name_is_never_sent(account: Emulator, prefix: str, app: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}.* is empty"):
        into(prefix, pytest.fail, app, name)
    assert not account.control.arrived
