"""The operators of workspaces, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.workspaces import (
    CreateWorkspaceOperator,
    DeleteWorkspaceOperator,
    ListWorkspacesOperator,
    UpdateWorkspaceOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, WORKSPACE, http_answer, raw_server, set_connection

UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def connection(connection: Emulator) -> Emulator:
    """An emulator with a datasource and a datamart that a workspace can read from."""
    connection.catalog.add_datasource("db")
    connection.catalog.put_datamart("mart", "db", {"tableList": []})
    return connection


def create(**changes: Any) -> str:
    arguments = {"name": "acme", "connection_type": "MULTI_DATASOURCE", **changes}
    return CreateWorkspaceOperator(task_id="t", **arguments).execute({})


def update(**changes: Any) -> str:
    arguments = {"name": WORKSPACE, "connection_type": "MULTI_DATASOURCE", **changes}
    return UpdateWorkspaceOperator(task_id="t", **arguments).execute({})


def delete(name: str) -> None:
    # The result is None, so nothing goes into XCom.
    task: Any = DeleteWorkspaceOperator(task_id="t", name=name)
    assert task.execute({}) is None


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
def test_a_workspace_is_created_from_the_arguments(
    connection: Emulator, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert create(**arguments) == "acme"
    assert connection.state.workspace_connection("acme") == {"name": "acme", **sent}


def test_an_existing_workspace_is_left_unchanged(connection: Emulator) -> None:
    create(connection_type="DATASOURCE", datasource_name="db")
    assert create() == "acme"
    assert connection.state.workspace_connection("acme") == {
        "name": "acme",
        "connectionType": "DATASOURCE",
        "datasourceName": "db",
    }


@UNCLEAR
def test_an_unclear_create_is_retried(connection: Emulator, fast_retries: None, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    assert create() == "acme"
    assert [one.method for one in connection.control.log] == ["POST", "POST"]


@pytest.mark.parametrize("kind", ["datasource", "datamart"])
def test_a_missing_source_raises(connection: Emulator, kind: str) -> None:
    with pytest.raises(NotFoundError, match=f"Invalid {kind} name"):
        create(connection_type=kind.upper(), **{f"{kind}_name": "typo"})
    assert not connection.state.has_workspace("acme")


@pytest.mark.parametrize("changes", [{"connection_type": "DATABASE"}, {"connection_type": "DATASOURCE"}, {"name": " "}])
def test_a_wrong_workspace_is_not_sent(connection: Emulator, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        create(**changes)
    assert not connection.control.log


def test_a_workspace_is_deleted_and_a_second_delete_succeeds(connection: Emulator) -> None:
    delete(WORKSPACE)
    assert not connection.state.has_workspace(WORKSPACE)
    delete(WORKSPACE)


@UNCLEAR
def test_an_unclear_delete_is_retried(connection: Emulator, fast_retries: None, kind: Any) -> None:
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
    shown = ListWorkspacesOperator(task_id="t", output_path=str(path)).execute({})
    assert shown == {"path": str(path), "rows": 21}
    assert json.loads(path.read_text()) == rows


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (
            {"connection_type": "DATASOURCE", "datasource_name": "db", "datamart_name": ""},
            {"connectionType": "DATASOURCE", "datasourceName": "db"},
        ),
        (
            {"connection_type": "DATAMART", "datamart_name": "mart"},
            {"connectionType": "DATAMART", "datamartName": "mart"},
        ),
        ({}, {"connectionType": "MULTI_DATASOURCE"}),
    ],
)
def test_a_workspace_with_a_new_source_keeps_its_metrics(
    connection: Emulator, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    connection.state.connect_workspace(WORKSPACE, {"name": WORKSPACE, "connectionType": "DATASOURCE"})
    metrics = connection.state.metrics(WORKSPACE)
    assert metrics
    for _ in range(2):
        assert update(**arguments) == WORKSPACE
        assert connection.state.workspace_connection(WORKSPACE) == {"name": WORKSPACE, **sent}
    assert connection.state.metrics(WORKSPACE) == metrics


@UNCLEAR
def test_an_unclear_update_is_retried(connection: Emulator, fast_retries: None, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    assert update() == WORKSPACE
    assert connection.state.workspace_connection(WORKSPACE) == {
        "name": WORKSPACE,
        "connectionType": "MULTI_DATASOURCE",
    }
    assert connection.control.arrived["PUT", "/api/v2/workspace"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "never"}, "Workspace does not exist"),
        ({"connection_type": "DATASOURCE", "datasource_name": "typo"}, "Invalid datasource name"),
        ({"connection_type": "DATAMART", "datamart_name": "typo"}, "Invalid datamart name"),
    ],
)
def test_an_update_with_an_unknown_name_changes_nothing(
    connection: Emulator, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotFoundError, match=words):
        update(**changes)
    assert connection.state.workspaces() == [WORKSPACE]
    assert connection.state.workspace_connection(WORKSPACE) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"connection_type": "DATABASE"}, "connection_type"),
        ({"connection_type": ""}, "connection_type"),
        (
            {"connection_type": "DATASOURCE"},
            "datasource_name is required with connection_type DATASOURCE, and not allowed with any other",
        ),
        ({"datamart_name": "mart"}, "datamart_name is required with connection_type DATAMART"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"extra": {"connectionType": "DATAMART"}}, "extra repeats known fields: connectionType"),
    ],
)
def test_a_wrong_source_raises_and_is_not_sent(connection: Emulator, changes: dict[str, Any], words: str) -> None:
    for act in (create, update):
        with pytest.raises(ValueError, match=words):
            act(**changes)
    assert not connection.control.arrived


@pytest.mark.parametrize("name", ODD_IDS)
def test_unusual_names_are_created_updated_and_deleted(connection: Emulator, name: str) -> None:
    connection.catalog.put_datamart(name, "db", {"tableList": []})
    assert create(name=name) == update(name=name, connection_type="DATAMART", datamart_name=name) == name
    assert (connection.state.workspace_connection(name) or {})["datamartName"] == name
    delete(name)
    assert connection.state.workspaces() == [WORKSPACE]


def test_extra_fields_are_sent_unchanged(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(200, b'{"data": {"name": "acme"}}')) as (url, met):
        set_connection(monkeypatch, connection, host=url)
        for act in (create, update):
            assert act(extra={"llmName": "x"}) == "acme"
    assert [json.loads(one.partition(b"\r\n\r\n")[2])["llmName"] for one in met] == ["x", "x"]


def test_a_wrong_url_is_not_taken_for_a_deleted_workspace(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(http_answer(404, b"<h1>Not Found</h1>", "text/html")) as (url, _):
        set_connection(monkeypatch, connection, host=url)
        with pytest.raises(NotFoundError):
            delete(WORKSPACE)


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (CreateWorkspaceOperator, {"name": "x", "connection_type": "MULTI_DATAMART"}),
        (UpdateWorkspaceOperator, {"name": WORKSPACE, "connection_type": "MULTI_DATAMART"}),
        (DeleteWorkspaceOperator, {"name": WORKSPACE}),
        (ListWorkspacesOperator, {}),
    ],
)
def test_a_wrong_or_missing_service_token_is_named_in_the_error(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
        task(task_id="t", **arguments).execute({})
    connection.control.arrived.clear()
    set_connection(monkeypatch, connection, extra={"service_token": None})
    with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
        task(task_id="t", **arguments).execute({})
    assert not connection.control.arrived
    assert connection.state.workspaces() == [WORKSPACE]
    assert connection.state.workspace_connection(WORKSPACE) is None


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
