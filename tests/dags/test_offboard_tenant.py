"""The example Dag that deletes what one client has."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import WORKSPACE, embed

DAG_ID = "offboard_tenant"


def test_a_client_loses_its_embed_dashboard_and_workspace_and_other_clients_keep_theirs(
    connection: Emulator, run_example: Callable[..., Ran]
) -> None:
    connection.state.add_workspace("acme-workspace")
    hook = DatabrainHook()
    for client in ("acme", "acme-2"):
        hook.create_dashboard_embed(embed(client))
    assert run_example(DAG_ID).state == "success"
    assert connection.state.workspaces() == [WORKSPACE]
    assert [row.client_id for row in connection.state.embeds()] == ["acme-2"]
    assert not connection.state.dashboard_exists("client-acme", WORKSPACE)
    assert connection.state.dashboard_exists("client-acme-2", WORKSPACE)


def test_a_run_for_a_client_that_does_not_exist_changes_nothing(
    connection: Emulator, run_example: Callable[..., Ran]
) -> None:
    assert run_example(DAG_ID).state == "success"
    assert connection.state.workspaces() == [WORKSPACE]
