"""Databrain's tokens and keys: masked at once, shown nowhere, and stored by the caller's function."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError, InvalidRequestError, MalformedAnswerError
from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import redact
from tests.both_ways import BOTH_WAYS, ask_async, ask_sync
from tests.databrain.connections import KEY, SERVICE, hook_for
from tests.exposure import Exposed, pieces
from tests.support import http_answer, raw_server

HOUR = timedelta(hours=1)
SECRET = "5e0d2b6f-6a3a-4c56-9d39-9f0c1d8f7a11"
CALLS: dict[str, tuple[tuple[Any, ...], str]] = {
    "create_guest_token": ((CreateGuestToken(client_id="acme", data_app_name="app"),), "token"),
    "create_api_token": (("app", "ci"), "key"),
    "list_api_tokens": (("app",), "list"),
    "rotate_api_key": ((HOUR,), "key"),
    "rotate_service_token": ((HOUR,), "key"),
}
SOUND = {
    "token": f'{{"token": "{SECRET}", "error": null}}',
    "key": f'{{"key": "{SECRET}"}}',
    "list": f'{{"data": [{{"key": "{SECRET}", "name": "ci", "description": null}}]}}',
}
ROTATIONS = {"rotate_api_key_into": "data app API key", "rotate_service_token_into": "service token"}
INTO = pytest.mark.parametrize("method", ROTATIONS)


def broken_answer(sound: str, answer: str) -> bytes:
    """An answer that holds the secret in an unexpected way, or a refusal that repeats the connection's tokens."""
    bodies = {
        "sound": sound,
        "cut": sound[:-2],
        "text": SECRET,
        "wrong": sound.replace(f'"{SECRET}"', f'["{SECRET}"]'),
        "echo": f'{{"error": {{"code": "{KEY}", "message": "not {KEY}, not {SERVICE}"}}}}',
    }
    return http_answer(400 if answer == "echo" else 200, bodies[answer].encode())


def do(hook: DatabrainHook, prefix: str, method: str, *args: Any) -> Any:
    """Call a hook method: the sync form or, with the prefix ``a``, the async form."""
    return (ask_async if prefix else ask_sync)(hook, method, *args)


def storing(prefix: str, store: Callable[[str], object]) -> Any:
    """``store``, or its async form with the prefix ``a``."""
    if not prefix:
        return store

    async def astore(key: str) -> None:
        store(key)

    return astore


@BOTH_WAYS
@pytest.mark.parametrize("answer", ["sound", "cut", "text", "wrong", "echo"])
@pytest.mark.parametrize("method", CALLS)
def test_a_secret_is_in_no_repr_error_or_log(
    monkeypatch: pytest.MonkeyPatch,
    exposed: Exposed,
    capfd: pytest.CaptureFixture[str],
    prefix: str,
    method: str,
    answer: str,
) -> None:
    args, kind = CALLS[method]
    exposed.secrets += [*pieces(SECRET), KEY, SERVICE]
    with raw_server(broken_answer(SOUND[kind], answer)) as (url, _):
        hook = hook_for(monkeypatch, host=url, extra={"service_token": SERVICE, "max_retry_seconds": 0})
        exposed.show(hook, vars(hook.server) | {"tokens": None})
        error = exposed.tries(lambda: do(hook, prefix, method, *args))
    assert type(error) in ((type(None),) if answer == "sound" else (MalformedAnswerError, InvalidRequestError))
    if answer == "sound":
        assert redact(f"with {SECRET}") == "with ***"
    exposed.show(*capfd.readouterr())
    assert exposed.leaks() == []


@BOTH_WAYS
@pytest.mark.parametrize("method", CALLS)
def test_each_returned_secret_is_masked_at_once(connection: Emulator, prefix: str, method: str) -> None:
    args, _ = CALLS[method]
    if method == "create_guest_token":
        args = (CreateGuestToken(client_id="acme", data_app_name="tenant-app"),)
    elif "api_token" in method:
        args = ("tenant-app", *args[1:])
        connection.account.add_key("tenant-app", "one more")
    result = do(DatabrainHook(), prefix, method, *args)
    secrets = [row.secret for row in (result if isinstance(result, list) else [result])]
    assert secrets
    assert redact(" ".join(secrets)) == " ".join("***" for _ in secrets)


@BOTH_WAYS
@INTO
def test_a_new_key_is_stored_while_the_old_one_works(connection: Emulator, prefix: str, method: str) -> None:
    old = connection.api_key if "api_key" in method else connection.service_token
    stored: list[str] = []

    def store(key: str) -> None:
        assert connection.account.key(old)
        assert connection.account.key(key)
        assert redact(key) == "***"
        stored.append(key)

    before = datetime.now(UTC)
    until = do(DatabrainHook(), prefix, method, storing(prefix, store), HOUR)
    assert before + HOUR <= until <= datetime.now(UTC) + HOUR
    [new] = stored
    connection.account.clock = lambda: until.timestamp() - 1
    assert connection.account.key(old)
    connection.account.clock = lambda: datetime.now(UTC).timestamp() + 3600
    assert connection.account.key(old) is None
    assert connection.account.key(new)


@BOTH_WAYS
@INTO
@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1), 3600])
def test_the_old_key_must_work_until_the_new_one_is_stored(
    connection: Emulator, prefix: str, method: str, life: Any
) -> None:
    with pytest.raises(
        ValueError, match="expire_after must be a timedelta above 0: the old key must work until the new one is stored"
    ):
        do(DatabrainHook(), prefix, method, storing(prefix, pytest.fail), life)
    assert not connection.control.arrived


@BOTH_WAYS
@INTO
def test_a_key_that_is_not_stored_is_reported_without_being_shown(
    connection: Emulator,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    prefix: str,
    method: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    received: list[str] = []

    def store(key: str) -> None:
        received.append(key)
        raise PermissionError(f"may not write {key}")

    with pytest.raises(KeyNotStoredError) as caught:
        do(DatabrainHook(), prefix, method, storing(prefix, store), HOUR)
    error = caught.value
    until = error.old_key_until
    assert until is not None
    assert abs(until - datetime.now(UTC) - HOUR) < timedelta(minutes=1)
    assert str(error).startswith(
        f"The {ROTATIONS[method]} was rotated, but the new one was not stored: PermissionError in test_keys.py, line "
    )
    assert f"The old one works until {until:%Y-%m-%d %H:%M:%S} UTC. Fix `store` and rotate again" in str(error)
    assert (error.__cause__, error.__context__) == (None, None)
    exposed = (
        f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))} {caplog.text} {capsys.readouterr()}"
    )
    assert received[0] not in exposed
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.old_key_until) == (str(error), until)


@BOTH_WAYS
@INTO
def test_an_exception_that_ends_the_task_while_a_key_is_stored_passes_through_and_is_logged(
    connection: Emulator, capsys: pytest.CaptureFixture[str], prefix: str, method: str
) -> None:
    class TaskTimeoutError(BaseException):
        """As Airflow ends a task."""

    received: list[str] = []

    def store(key: str) -> None:
        received.append(key)
        raise TaskTimeoutError(key)

    with pytest.raises(TaskTimeoutError):
        do(DatabrainHook(), prefix, method, storing(prefix, store), HOUR)
    exposed = "".join(capsys.readouterr())
    assert f"The {ROTATIONS[method]} was rotated, but the new one was not stored: TaskTimeoutError" in exposed
    assert received[0] not in exposed


@BOTH_WAYS
@INTO
def test_a_failed_rotation_stores_nothing(connection: Emulator, prefix: str, method: str) -> None:
    connection.control.set_faults([Fault(kind="error_before")])
    with pytest.raises(ApiError, match="The rotation may have happened"):
        do(DatabrainHook(), prefix, method, storing(prefix, pytest.fail), HOUR)
    assert len(connection.account.live_keys()) == 2
