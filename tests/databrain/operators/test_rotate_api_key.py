"""The operator that rotates a data app's key, over HTTP against the emulator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.databrain.operators.tokens import RotateApiKeyOperator
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import set_connection

HOUR = timedelta(hours=1)
ROTATE = "/api/v2/data-app/rotate-api"
stored: list[str] = []
"""The keys that ``keep`` received."""
not_callable = "text"


def keep(key: str) -> None:
    """Store a key."""
    stored.append(key)


@pytest.fixture
def key(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new key in the connection for each test, because the rotation makes it expire."""
    stored.clear()
    connection.control.arrived.clear()
    made = connection.account.add_key(DATA_APP, "ci")
    set_connection(monkeypatch, connection, password=made)
    return made


def rotate(store: Any = keep, **changes: Any) -> str:
    arguments = {"expire_after": HOUR, **changes}
    return RotateApiKeyOperator(task_id="rotate", store=store, **arguments).execute({})


@pytest.mark.parametrize("store", [keep, f"{__name__}.keep"], ids=["function", "path"])
def test_the_new_key_goes_to_the_store_and_nowhere_else(
    connection: Emulator, key: str, store: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    before = datetime.now(UTC)
    shown = rotate(store)
    [new] = stored
    assert connection.account.key(new)
    until = datetime.fromisoformat(shown)
    assert before + HOUR <= until <= datetime.now(UTC) + HOUR
    assert until.tzinfo == UTC
    out = "".join(capfd.readouterr())
    assert new not in shown + out
    assert key not in shown + out


def test_the_old_key_stays_valid_for_expire_after(
    connection: Emulator, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.fromisoformat(rotate())
    assert connection.account.key(key)
    monkeypatch.setattr(connection.account, "clock", lambda: until.timestamp() + 60)
    assert connection.account.key(key) is None
    assert connection.account.key(stored[0])


def test_the_old_key_can_be_rotated_again_after_store_failed(connection: Emulator, key: str) -> None:
    def broken(new: str) -> None:
        stored.append(new)
        raise RuntimeError(f"no room for {new}")

    with pytest.raises(KeyNotStoredError) as caught:
        rotate(broken)
    assert stored[0] not in f"{caught.value} {caught.value.__context__}"
    rotate()
    assert connection.account.key(stored[1])


@pytest.mark.parametrize(
    "store", ["", "keep", ".keep", "no_such_module.keep", f"{__name__}.no_such", f"{__name__}.not_callable", None]
)
def test_a_wrong_store_raises_and_rotates_nothing(connection: Emulator, key: str, store: Any) -> None:
    with pytest.raises(ValueError, match="Nothing was sent"):
        rotate(store)
    assert not connection.control.arrived


@pytest.mark.parametrize("expire_after", [timedelta(0), -HOUR, 3600, None])
def test_expire_after_must_be_above_zero(connection: Emulator, key: str, expire_after: Any) -> None:
    with pytest.raises(ValueError, match="expire_after must be a timedelta above 0"):
        rotate(expire_after=expire_after)
    assert not connection.control.arrived


def test_an_unclear_rotation_fails_and_can_be_repeated(connection: Emulator, key: str, fast_retries: None) -> None:
    connection.control.set_faults([Fault(kind="reset_after", path=ROTATE)])
    with pytest.raises(ApiError):
        rotate(max_retry_seconds=0)
    assert not stored
    connection.control.set_faults([])
    rotate()
    assert connection.account.key(stored[0])


def test_templating_does_not_call_the_store(key: str) -> None:
    task = RotateApiKeyOperator(
        task_id="rotate", store=keep, expire_after=HOUR, databrain_conn_id="databrain_{{ kind }}"
    )
    context: Any = {"kind": "default"}
    task.render_template_fields(context)
    assert not stored
    task.execute(context)
    assert len(stored) == 1
