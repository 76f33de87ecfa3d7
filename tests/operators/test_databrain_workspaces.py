"""The operators of workspaces, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.api.errors import AuthenticationError, NotFoundError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.operators.databrain_workspaces import (
    CreateWorkspaceOperator,
    DeleteWorkspaceOperator,
    ListWorkspacesOperator,
)
from tests.support import WORKSPACE, set_connection

UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def connection(connection: Emulator) -> Emulator:
    """With a datasource and a datamart that a workspace can read from."""
    connection.catalog.add_datasource("db")
    connection.catalog.put_datamart("mart", "db", {"tableList": []})
    return connection


def create(**changes: Any) -> str:
    arguments = {"name": "acme", "connection_type": "MULTI_DATASOURCE", **changes}
    return CreateWorkspaceOperator(task_id="t", **arguments).execute({})


def delete(name: str) -> None:
    # Of None: nothing goes into XCom.
    assert DeleteWorkspaceOperator(task_id="t", name=name).execute({}) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({}, {"connectionType": "MULTI_DATASOURCE"}),
        ({"datasource_name": "", "datamart_name": ""}, {"connectionType": "MULTI_DATASOURCE"}),
        (
            {"connection_type": "DATASOURCE", "datasource_name": "db"},
            {"connectionType": "DATASOURCE", "datasourceName": "db"},
        ),
        (
            {"connection_type": "DATAMART", "datamart_name": "mart"},
            {"connectionType": "DATAMART", "datamartName": "mart"},
        ),
    ],
)
def test_a_workspace_is_made_of_what_was_given(
    connection: Emulator, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert create(**arguments) == "acme"
    assert connection.state.workspace_connection("acme") == {"name": "acme", **sent}


def test_a_workspace_that_is_there_is_taken_as_it_is(connection: Emulator) -> None:
    create(connection_type="DATASOURCE", datasource_name="db")
    assert create() == "acme"
    assert connection.state.workspace_connection("acme") == {
        "name": "acme",
        "connectionType": "DATASOURCE",
        "datasourceName": "db",
    }


@UNCLEAR
def test_an_unclear_create_is_tried_again(connection: Emulator, fast_retries: None, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    assert create() == "acme"
    assert [one.method for one in connection.control.log] == ["POST", "POST"]


@pytest.mark.parametrize("kind", ["datasource", "datamart"])
def test_a_source_that_is_not_there_is_told(connection: Emulator, kind: str) -> None:
    with pytest.raises(NotFoundError, match=f"Invalid {kind} name"):
        create(connection_type=kind.upper(), **{f"{kind}_name": "typo"})
    assert not connection.state.has_workspace("acme")


@pytest.mark.parametrize("changes", [{"connection_type": "DATABASE"}, {"connection_type": "DATASOURCE"}, {"name": " "}])
def test_what_cannot_be_a_workspace_is_not_sent(connection: Emulator, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        create(**changes)
    assert not connection.control.log


def test_a_workspace_is_deleted_and_one_that_is_gone_is_no_error(connection: Emulator) -> None:
    delete(WORKSPACE)
    assert not connection.state.has_workspace(WORKSPACE)
    delete(WORKSPACE)


@UNCLEAR
def test_an_unclear_delete_is_tried_again(connection: Emulator, fast_retries: None, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete(WORKSPACE)
    assert [one.method for one in connection.control.log] == ["DELETE", "DELETE"]
    assert not connection.state.has_workspace(WORKSPACE)


def test_all_pages_of_workspaces_are_listed(connection: Emulator, tmp_path: Path) -> None:
    names = [f"w-{number:02}" for number in range(20)]
    for name in names:
        connection.state.add_workspace(name)
    rows = [{"name": name} for name in [WORKSPACE, *names]]
    assert ListWorkspacesOperator(task_id="t").execute({}) == rows
    path = tmp_path / "rows.json"
    told = ListWorkspacesOperator(task_id="t", output_path=str(path)).execute({})
    assert told == {"path": str(path), "rows": 21}
    assert json.loads(path.read_text()) == rows


@pytest.mark.parametrize(
    "task",
    [
        CreateWorkspaceOperator(task_id="t", name="x", connection_type="MULTI_DATAMART"),
        DeleteWorkspaceOperator(task_id="t", name=WORKSPACE),
        ListWorkspacesOperator(task_id="t"),
    ],
    ids=lambda task: type(task).__name__,
)
def test_the_data_apps_key_does_not_do(connection: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    with pytest.raises(AuthenticationError):
        task.execute({})
    assert connection.state.workspaces() == [WORKSPACE]


def test_templates_are_rendered(connection: Emulator) -> None:
    context: Any = {"tenant": "acme", "source": "db"}
    made = CreateWorkspaceOperator(
        task_id="t", name="{{ tenant }}", connection_type="{{ 'DATASOURCE' }}", datasource_name="{{ source }}"
    )
    made.render_template_fields(context)
    assert made.execute(context) == "acme"
    assert (connection.state.workspace_connection("acme") or {})["datasourceName"] == "db"
    gone = DeleteWorkspaceOperator(task_id="t", name="{{ tenant }}")
    gone.render_template_fields(context)
    gone.execute(context)
    assert connection.state.workspaces() == [WORKSPACE]
