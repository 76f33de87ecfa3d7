"""The operators of API tokens and of the rotation of the service token, over HTTP against the emulator."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.databrain.operators.tokens import (
    CreateApiTokenOperator,
    ListApiTokensOperator,
    RotateServiceTokenOperator,
)
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, set_connection

HOUR = timedelta(hours=1)
APP = "acme"
TOKENS, ROTATE = "/api/v2/data-app/api-tokens", "/api/v2/service-token/rotate"
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])
WRONG_STORES = pytest.mark.parametrize("store", ["", "keep", "no_such_module.keep", f"{__name__}.no_such", None, 7])
stored: list[str] = []
"""The keys that ``keep`` and ``lose`` received."""


def keep(key: str) -> None:
    """Store a key."""
    stored.append(key)


def lose(key: str) -> None:
    """Store a key, then fail with a message that contains it."""
    stored.append(key)
    raise RuntimeError(f"no room for {key}")


@pytest.fixture
def account(connection: Emulator, monkeypatch: pytest.MonkeyPatch, fast_retries: None) -> Emulator:
    """A data app without API tokens, and a new service token for each test, because the rotation makes it expire."""
    token = DatabrainHook().rotate_service_token(timedelta(days=1000)).key
    set_connection(monkeypatch, connection, extra={"service_token": token, "data_app_name": APP})
    connection.account.create_app(APP)
    connection.control.arrived.clear()
    stored.clear()
    return connection


@pytest.fixture
def shown_by(account: Emulator, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Any:
    """All that a person can see of a task: its fields, its result or error, and its logs."""
    caplog.set_level(logging.DEBUG)

    def run(task: Any) -> str:
        texts = [str(_serialize_rendered_fields(task)), repr(task)]
        try:
            texts.append(repr(task.execute({})))
        except (ApiError, KeyNotStoredError) as error:
            texts += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
        return "\n".join([*texts, str(_serialize_rendered_fields(task)), caplog.text, *capfd.readouterr()])

    return run


def creating(name: str = "ci", store: Any = keep, **changes: Any) -> Any:
    return CreateApiTokenOperator(task_id="t", name=name, store=store, **changes)


def create(name: str = "ci", store: Any = keep, **changes: Any) -> Any:
    return creating(name, store, **changes).execute({})


def rotating(store: Any = keep, **changes: Any) -> Any:
    return RotateServiceTokenOperator(task_id="t", store=store, **{"expire_after": HOUR, **changes})


def listed(**changes: Any) -> Any:
    return ListApiTokensOperator(task_id="t", **changes).execute({})


def keys(emulator: Emulator, app: str = APP) -> list[str]:
    return [row.key for row in emulator.account.live_keys(app)]


def token_of(emulator: Emulator) -> str:
    """The service token of the connection."""
    token = DatabrainHook().extras.service_token
    assert token
    return token


@pytest.mark.parametrize("store", [keep, f"{__name__}.keep"], ids=["function", "path"])
@pytest.mark.parametrize("name", ["ci", *ODD_IDS])
def test_two_runs_create_one_token_and_store_it_twice(account: Emulator, name: str, store: Any) -> None:
    for _ in range(2):
        assert create(name, store) == name
    [row] = account.account.live_keys(APP)
    assert (row.name, stored) == (name, [row.key, row.key])


@pytest.mark.parametrize("app", ["other", *ODD_IDS])
def test_the_token_belongs_to_the_named_data_app(account: Emulator, app: str) -> None:
    account.account.create_app(app)
    create()
    create(data_app_name=app)
    assert [keys(account), keys(account, app)] == [[stored[0]], [stored[1]]]


@pytest.mark.parametrize("blank", [None, ""])
def test_a_missing_data_app_raises_with_the_field_to_fill(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, blank: str | None
) -> None:
    set_connection(monkeypatch, account)
    for act in (create, listed):
        with pytest.raises(ConfigurationError, match="give data_app_name, or fill 'Data app'"):
            act(data_app_name=blank)
    assert not account.control.arrived


def test_a_store_that_fails_loses_nothing(account: Emulator) -> None:
    with pytest.raises(KeyNotStoredError, match=r"RuntimeError in test_tokens\.py, line .* run the task again"):
        create(store=lose)
    create()
    assert stored == keys(account) * 2


@UNCLEAR
def test_an_unclear_create_leaves_one_token_and_stores_it(account: Emulator, kind: Any) -> None:
    account.control.set_faults([Fault(kind=kind, method="POST")])
    assert create() == "ci"
    assert stored == keys(account)
    assert len(stored) == account.control.arrived["POST", TOKENS] == 1


@UNCLEAR
def test_the_next_run_finds_the_token_of_an_unclear_run(account: Emulator, kind: Any) -> None:
    account.control.set_faults([Fault(kind=kind, method="POST"), Fault(kind="error_before", method="GET", every=2)])
    with pytest.raises(ServerError):
        create(max_retry_seconds=0)
    assert not stored
    account.control.set_faults([])
    create()
    assert stored == keys(account)
    assert len(stored) == 1


def test_a_create_without_effect_fails_and_can_be_repeated(account: Emulator) -> None:
    account.control.set_faults([Fault(kind="error_before", method="POST", times=1)])
    with pytest.raises(ServerError):
        create()
    assert keys(account) == stored == []
    create()
    assert stored == keys(account)


@WRONG_STORES
def test_a_wrong_store_raises_and_sends_nothing(account: Emulator, store: Any) -> None:
    for task in (creating(store=store), rotating(store)):
        with pytest.raises(ValueError, match=r"store is .*Nothing was sent"):
            task.execute({})
    assert not account.control.arrived


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"name": ""}, "^name is empty"), ({"name": " "}, "^name is empty"), ({"data_app_name": " "}, "data_app_name")],
)
def test_a_blank_name_raises_and_is_not_sent(account: Emulator, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create(**changes)
    assert not account.control.arrived
    assert not stored


def test_an_unknown_data_app_raises(account: Emulator) -> None:
    for act in (create, listed):
        with pytest.raises(NotFoundError, match="Data app not found"):
            act(data_app_name="never")
    assert not stored


def test_all_pages_of_tokens_are_listed_without_their_keys(account: Emulator, tmp_path: Path) -> None:
    made = [account.account.add_key(APP, f"key-{number}") for number in range(12)]
    path = tmp_path / "rows.json"
    rows = listed()
    assert [row["name"] for row in rows] == [f"key-{number}" for number in range(12)]
    assert {name for row in rows for name in row} == {"name", "description", "createdAt"}
    assert listed(data_app_name=APP, output_path=str(path)) == {"path": str(path), "rows": 12}
    assert json.loads(path.read_text()) == rows
    assert not any(key in path.read_text() for key in made)


@pytest.mark.parametrize("store", [keep, lose])
@pytest.mark.parametrize("kind", [None, "reset_after", "cut", "html", "wrong", "error_after"])
def test_a_key_is_shown_nowhere(account: Emulator, shown_by: Any, store: Any, kind: Any) -> None:
    old = token_of(account)
    if kind:
        account.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    shown = shown_by(creating(store=store)) + shown_by(rotating(store, max_retry_seconds=0))
    if kind:
        account.control.set_faults([Fault(kind=kind, path=ROTATE)])
    shown += shown_by(rotating(store, max_retry_seconds=0))
    shown += shown_by(ListApiTokensOperator(task_id="t"))
    made = [row.key for row in account.account.live_keys()]
    assert len(made) >= 4
    assert {*stored, *keys(account)} <= set(made)
    assert not [key for key in (*made, old) if key in shown]


@pytest.mark.parametrize("store", [keep, f"{__name__}.keep"], ids=["function", "path"])
def test_a_new_service_token_goes_to_the_store_while_the_old_one_is_valid(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    old = token_of(account)
    before = datetime.now(UTC)
    until = datetime.fromisoformat(rotating(store).execute({}))
    assert before + HOUR <= until <= datetime.now(UTC) + HOUR
    [new] = stored
    found = account.account.key(new)
    assert found
    assert (found.kind, found.data_app) == ("service_token", None)
    assert account.account.key(old)
    monkeypatch.setattr(account.account, "clock", lambda: until.timestamp() + 60)
    assert account.account.key(old) is None
    assert account.account.key(new)


def test_a_service_token_can_be_rotated_again_after_store_failed(account: Emulator) -> None:
    with pytest.raises(KeyNotStoredError, match="The service token was rotated, but the new one was not stored"):
        rotating(lose).execute({})
    rotating().execute({})
    assert stored[0] != stored[1]
    assert account.account.key(stored[1])


@pytest.mark.parametrize("expire_after", [timedelta(0), -HOUR, 3600, None])
def test_expire_after_must_be_above_zero(account: Emulator, expire_after: Any) -> None:
    with pytest.raises(ValueError, match="expire_after must be a timedelta above 0"):
        rotating(expire_after=expire_after).execute({})
    assert not account.control.arrived


@UNCLEAR
def test_an_unclear_rotation_is_not_retried_but_can_be_repeated(account: Emulator, kind: Any) -> None:
    account.control.set_faults([Fault(kind=kind, path=ROTATE, times=1)])
    with pytest.raises(ApiError, match="The rotation may have happened"):
        rotating().execute({})
    assert not stored
    assert account.control.arrived["POST", ROTATE] == 1
    rotating().execute({})
    assert account.account.key(stored[0])


@pytest.mark.parametrize("task", [creating, rotating, lambda: ListApiTokensOperator(task_id="t")])
def test_a_wrong_or_missing_service_token_is_named_in_the_error(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any
) -> None:
    extra = {"data_app_name": DATA_APP, "service_token": account.api_key}
    set_connection(monkeypatch, account, extra=extra)
    with pytest.raises(AuthenticationError, match=r"the token that is to be rotated|It needs the service token"):
        task().execute({})
    account.control.arrived.clear()
    set_connection(monkeypatch, account, extra={**extra, "service_token": ""})
    with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
        task().execute({})
    assert not account.control.arrived
    assert not stored


def test_templating_does_not_call_the_store(account: Emulator) -> None:
    task = creating("{{ tenant }}-ci", data_app_name="{{ tenant }}")
    context: Any = {"tenant": APP}
    task.render_template_fields(context)
    assert not stored
    assert task.execute(context) == "acme-ci"
    assert [row.name for row in account.account.live_keys(APP)] == ["acme-ci"]
