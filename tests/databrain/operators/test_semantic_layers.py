"""The operators of datamarts' semantic layers, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.semantic_layers import (
    DeleteSemanticLayerOperator,
    FetchSemanticLayerOperator,
    SetSemanticLayerOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, http_answer, raw_server, set_connection

ROUTE = "/api/v2/data-app/datamarts/semantic-layer"
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])
ORDERS: dict[str, Any] = {
    "name": "orders",
    "schema_name": "public",
    "description": "What was sold",
    "synonyms": ["sales"],
    "columns": [{"name": "total", "description": "In euro", "is_identifier": False, "column_type": "number"}],
}
SENT = {
    "name": "orders",
    "schemaName": "public",
    "description": "What was sold",
    "synonyms": ["sales"],
    "columns": [{"name": "total", "description": "In euro", "isIdentifier": False, "columnType": "number"}],
}
CLIENTS = {"name": "clients", "description": "Who buys"}
TASKS = pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (SetSemanticLayerOperator, {"name": "mart", "tables": [CLIENTS]}),
        (FetchSemanticLayerOperator, {"name": "mart"}),
        (DeleteSemanticLayerOperator, {"name": "mart"}),
    ],
)


@pytest.fixture
def mart(connection: Emulator, fast_retries: None) -> Emulator:
    """With a datamart that has no semantic layer."""
    connection.catalog.put_datamart("mart", "warehouse", {"tableList": []})
    return connection


def layer(emulator: Emulator, name: str = "mart") -> Any:
    row = emulator.catalog.datamart(name)
    assert row
    return row.layer


def shown(emulator: Emulator) -> tuple[Any, Any]:
    found = layer(emulator)
    return found["tables"], found["feedback"]


def put(name: str = "mart", **changes: Any) -> str:
    return SetSemanticLayerOperator(task_id="t", name=name, **changes).execute({})


def fetch(name: str = "mart", **changes: Any) -> Any:
    return FetchSemanticLayerOperator(task_id="t", name=name, **changes).execute({})


def delete(name: str = "mart") -> None:
    # Of None: nothing goes into XCom.
    task: Any = DeleteSemanticLayerOperator(task_id="t", name=name)
    assert task.execute({}) is None


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"tables": [ORDERS, CLIENTS]}, ([SENT, CLIENTS], None)),
        ({"tables": [CLIENTS], "feedback": {"note": "x"}}, ([CLIENTS], {"note": "x"})),
        ({"feedback": "good"}, ([], "good")),
        ({"tables": [], "feedback": "good"}, ([], "good")),
    ],
)
def test_a_layer_is_made_where_there_is_none_and_the_same_again_changes_nothing(
    mart: Emulator, given: dict[str, Any], there: Any
) -> None:
    for _ in range(2):
        assert put(**given) == "mart"
        assert shown(mart) == there
    arrived = mart.control.arrived
    assert (arrived["PUT", ROUTE], arrived["POST", ROUTE]) == (2, 1)


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"tables": [CLIENTS]}, ([SENT, CLIENTS], "good")),
        ({"tables": [{"name": "orders"}]}, ([{"name": "orders"}], "good")),
        ({"feedback": "bad"}, ([SENT], "bad")),
        ({"tables": [CLIENTS], "feedback": ""}, ([SENT, CLIENTS], "good")),
        ({"tables": "", "feedback": "bad"}, ([SENT], "bad")),
    ],
)
def test_a_layer_that_is_there_is_changed_and_what_is_not_given_stays(
    mart: Emulator, given: dict[str, Any], there: Any
) -> None:
    put(tables=[ORDERS], feedback="good")
    assert put(**given) == "mart"
    assert shown(mart) == there


@UNCLEAR
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("present", [False, True])
def test_an_unclear_change_is_tried_again(mart: Emulator, kind: Any, method: str, present: bool) -> None:
    if present:
        put(tables=[CLIENTS], feedback="good")
    mart.control.set_faults([Fault(kind=kind, method=method, times=1)])
    put(tables=[CLIENTS], feedback="bad")
    assert shown(mart) == ([CLIENTS], "bad")


def test_a_change_that_did_nothing_fails_and_can_be_done_again(mart: Emulator) -> None:
    mart.control.set_faults([Fault(kind="error_before", method="POST", times=1)])
    with pytest.raises(ServerError):
        put(tables=[CLIENTS], max_retry_seconds=0)
    assert layer(mart) is None
    put(tables=[CLIENTS], max_retry_seconds=0)
    assert shown(mart) == ([CLIENTS], None)


@pytest.mark.parametrize("name", ODD_IDS)
def test_odd_names_are_made_fetched_and_deleted(mart: Emulator, name: str) -> None:
    mart.catalog.put_datamart(name, "warehouse", {"tableList": []})
    assert put(name, tables=[ORDERS]) == name
    assert fetch(name) == [SENT]
    delete(name)
    assert layer(mart, name) is None


def test_a_layers_tables_are_fetched_or_written(mart: Emulator, tmp_path: Path) -> None:
    put(tables=[ORDERS, CLIENTS])
    assert fetch() == [SENT, CLIENTS]
    path = tmp_path / "rows.json"
    assert fetch(output_path=str(path)) == {"path": str(path), "rows": 2}
    assert json.loads(path.read_text()) == [SENT, CLIENTS]
    with pytest.raises(ValueError, match="set output_path, or raise max_xcom_bytes"):
        fetch(max_xcom_bytes=10)


@UNCLEAR
def test_an_answer_that_is_lost_is_fetched_again(mart: Emulator, kind: Any) -> None:
    put(tables=[CLIENTS])
    mart.control.set_faults([Fault(kind=kind, method="GET", times=1)])
    assert fetch() == [CLIENTS]


def test_a_layer_that_is_not_there_cannot_be_fetched(mart: Emulator) -> None:
    with pytest.raises(NotFoundError, match="Semantic layer not found"):
        fetch()


def test_a_layer_is_deleted_with_nothing_else_and_one_that_is_gone_is_no_error(mart: Emulator) -> None:
    put(tables=[CLIENTS])
    for _ in range(2):
        delete()
        assert layer(mart) is None


@UNCLEAR
def test_an_unclear_delete_is_tried_again(mart: Emulator, kind: Any) -> None:
    put(tables=[CLIENTS])
    mart.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete()
    assert layer(mart) is None
    assert mart.control.arrived["DELETE", ROUTE] == 2


def test_a_wrong_address_is_not_taken_for_a_layer_that_is_gone(mart: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(404, b"<h1>Not Found</h1>", "text/html")) as (url, _):
        set_connection(monkeypatch, mart, host=url)
        for act in (delete, lambda: put(tables=[CLIENTS])):
            with pytest.raises(NotFoundError, match="the answer is not JSON"):
                act()


def test_a_datamart_that_is_not_there_is_told(mart: Emulator) -> None:
    for act in (fetch, lambda name: put(name, tables=[CLIENTS])):
        with pytest.raises(InvalidRequestError, match="Datamart not found"):
            act("never")


def test_the_layer_of_a_datamart_that_is_gone_is_gone_too(mart: Emulator) -> None:
    put(tables=[CLIENTS])
    mart.catalog.delete_datamart("mart")
    delete()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "set tables or feedback. Nothing was sent"),
        ({"tables": [], "feedback": ""}, "set tables or feedback. Nothing was sent"),
        ({"tables": [{"description": "x"}]}, "name"),
        ({"tables": [{"name": " "}]}, "name"),
        ({"tables": [{"name": "x", "meaning": "y"}]}, "meaning"),
        ({"tables": [{"name": "x", "synonyms": [str(number) for number in range(11)]}]}, "synonyms"),
        ({"tables": [{"name": "x", "columns": [{"description": "y"}]}]}, r"columns\.0\.name"),
        ({"tables": "orders"}, "SemanticTable"),
        ({"name": "", "tables": [CLIENTS]}, "datamart_name is empty"),
        ({"name": " ", "feedback": "x"}, "datamart_name is empty"),
    ],
)
def test_what_cannot_be_a_layer_is_told_and_not_sent(mart: Emulator, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        put(**arguments)
    assert not mart.control.arrived


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_name_is_told_and_not_sent(mart: Emulator, blank: str) -> None:
    for act in (fetch, delete):
        with pytest.raises(ValueError, match="datamart_name is empty"):
            act(blank)
    assert not mart.control.arrived


@TASKS
def test_the_data_apps_key_does_not_do(
    mart: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, mart, extra={"service_token": mart.api_key})
    with pytest.raises(AuthenticationError, match="which of the two kinds this call needs"):
        task(task_id="t", **arguments).execute({})
    assert layer(mart) is None


@TASKS
def test_a_service_token_that_is_not_there_is_named(
    mart: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, mart, extra={"service_token": None})
    with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
        task(task_id="t", **arguments).execute({})
    assert not mart.control.arrived


def test_templates_are_rendered_inside_of_tables_too(mart: Emulator) -> None:
    task = SetSemanticLayerOperator(
        task_id="t",
        name="{{ mart }}",
        tables=[{"name": "orders", "columns": [{"name": "{{ mart }}_id", "synonyms": ["{{ mart }}"]}]}],
        feedback={"by": "{{ mart }}"},
    )
    context: Any = {"mart": "mart"}
    task.render_template_fields(context)
    assert task.execute(context) == "mart"
    columns = [{"name": "mart_id", "synonyms": ["mart"]}]
    assert shown(mart) == ([{"name": "orders", "columns": columns}], {"by": "mart"})
