"""The example Dag that creates what one client needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import WORKSPACE, set_connection

DAG_ID = "onboard_tenant"


@pytest.fixture
def databrain(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator behind a connection that names the data app."""
    set_connection(monkeypatch, emulator, extra={"data_app_name": DATA_APP})
    return emulator


def guest_tokens(emulator: Emulator) -> list[str]:
    return [
        token for (token,) in emulator.account.store.rows("SELECT token FROM databrain_guest_tokens ORDER BY rowid")
    ]


def test_a_client_gets_a_workspace_a_dashboard_and_a_token_that_is_neither_stored_nor_logged(
    databrain: Emulator, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert databrain.state.workspaces() == ["acme-workspace", WORKSPACE]
    [row] = databrain.state.embeds()
    assert (row.embed_id, row.client_id, row.workspace) == ("client-acme", "acme", "acme-workspace")
    [token] = guest_tokens(databrain)
    issued = databrain.account.guest_token(token)
    assert issued
    assert issued.request["clientId"] == "acme"
    assert token not in repr(ran.xcoms) + "".join(capfd.readouterr())
    assert ran.values("open_dashboard") in ([], [None])


def test_a_second_run_only_makes_a_new_token(databrain: Emulator, run_example: Callable[..., Ran]) -> None:
    for number in (1, 2):
        assert run_example(DAG_ID).state == "success"
        assert len(guest_tokens(databrain)) == number
    assert databrain.state.count_embeds() == 1
