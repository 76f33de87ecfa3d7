"""Each hook method that returns or sends a credential: no fault makes anything show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_databrain.databrain.api.datasources import Datasource
from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken, Credential
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import BOTH_WAYS
from tests.databrain.test_keys import do, storing
from tests.exposure import FAULTS, Exposed, given_by, pieces
from tests.support import set_connection

HOUR = timedelta(hours=1)
PASSWORD = "correct-horse-battery"
PRIVATE_KEY = "MIIEvQIBADANBgkqhkiG9w0BAQ"


def source(name: str) -> Datasource:
    credentials = {"name": name, "password": PASSWORD, "serviceAccount": {"private_key": PRIVATE_KEY}}
    return Datasource(datasource_type="postgres", credentials=credentials)


Store = Callable[[str], object]
CALLS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "create_guest_token": lambda _: (CreateGuestToken(client_id="acme", data_app_name=DATA_APP),),
    "create_api_token": lambda _: (DATA_APP, "ci"),
    "create_api_token_into": lambda store: (store, DATA_APP, "ci"),
    "list_api_tokens": lambda _: (DATA_APP,),
    "rotate_api_key": lambda _: (HOUR,),
    "rotate_api_key_into": lambda store: (store, HOUR),
    "rotate_service_token": lambda _: (HOUR,),
    "rotate_service_token_into": lambda store: (store, HOUR),
    "create_datasource": lambda _: (source("new"),),
    "update_datasource": lambda _: (source("there"),),
}
"""For each method, a function that makes its arguments from a ``store`` function."""


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests. Each test treats all keys that exist at its end as secrets."""
    with Emulator() as emulator:
        emulator.catalog.add_datasource("there")
        yield emulator


@pytest.fixture
def databrain(running: Emulator, monkeypatch: pytest.MonkeyPatch, fast_retries: None) -> Emulator:
    running.control.set_faults([])
    running.catalog.delete_datasource("new")
    set_connection(monkeypatch, running)
    return running


def assert_nothing_shown(
    exposed: Exposed, emulator: Emulator, capfd: pytest.CaptureFixture[str], stored: list[str]
) -> None:
    exposed.show(*capfd.readouterr())
    given = given_by(emulator)
    assert set(stored) <= set(given)
    exposed.secrets += pieces(*given, PASSWORD, PRIVATE_KEY)
    assert exposed.leaks() == []


@BOTH_WAYS
@pytest.mark.parametrize("method", CALLS)
def test_a_good_answer_is_shown_nowhere(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], prefix: str, method: str
) -> None:
    stored: list[str] = []
    results: list[Any] = []

    def act() -> Any:
        hook = DatabrainHook()
        exposed.show(hook, hook.server)
        results.append(do(hook, prefix, method, *CALLS[method](storing(prefix, stored.append))))
        return results[0]

    assert exposed.tries(act) is None
    rows = results[0] if isinstance(results[0], list) else results
    known = [row.secret for row in rows if isinstance(row, Credential)] + stored
    assert bool(known) is ("datasource" not in method)
    assert_nothing_shown(exposed, databrain, capfd, known)


@BOTH_WAYS
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("method", CALLS)
def test_a_fault_shows_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], prefix: str, method: str, kind: Any
) -> None:
    stored: list[str] = []
    arguments = CALLS[method](storing(prefix, stored.append))
    # First a fault that happens once, so that a retry, if there is one, succeeds; then one that happens each time.
    databrain.control.set_faults([Fault(kind=kind, seconds=0.01, times=1)])
    exposed.tries(lambda: do(DatabrainHook(), prefix, method, *arguments))
    databrain.control.set_faults([Fault(kind=kind, seconds=0.01)])
    exposed.fails(lambda: do(DatabrainHook(max_retry_seconds=0), prefix, method, *arguments))
    assert_nothing_shown(exposed, databrain, capfd, stored)


@BOTH_WAYS
@pytest.mark.parametrize("method", [name for name in CALLS if name.endswith("_into")])
def test_a_store_that_fails_shows_no_key(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], prefix: str, method: str
) -> None:
    stored: list[str] = []

    def store(key: str) -> None:
        stored.append(key)
        raise PermissionError(f"may not write {key}")

    exposed.fails(lambda: do(DatabrainHook(), prefix, method, *CALLS[method](storing(prefix, store))))
    assert len(stored) == 1
    assert_nothing_shown(exposed, databrain, capfd, stored)
