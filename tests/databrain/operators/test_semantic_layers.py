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
    """An emulator with a datamart that has no semantic layer."""
    connection.catalog.put_datamart("mart", "warehouse", {"tableList": []})
    return connection


def layer(emulator: Emulator, name: str = "mart") -> Any:
    row = emulator.catalog.datamart(name)
    assert row
    return row.layer


def shown(emulator: Emulator) -> tuple[Any, Any]:
    stored = layer(emulator)
    return stored["tables"], stored["feedback"]


def put(name: str = "mart", **changes: Any) -> str:
    return SetSemanticLayerOperator(task_id="t", name=name, **changes).execute({})


def fetch(name: str = "mart", **changes: Any) -> Any:
    return FetchSemanticLayerOperator(task_id="t", name=name, **changes).execute({})


def delete(name: str = "mart") -> None:
    # The result is None, so nothing goes into XCom.
    task: Any = DeleteSemanticLayerOperator(task_id="t", name=name)
    assert task.execute({}) is None


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [
        ({"tables": [ORDERS, CLIENTS]}, ([SENT, CLIENTS], None)),
        ({"tables": [CLIENTS], "feedback": {"note": "x"}}, ([CLIENTS], {"note": "x"})),
        ({"feedback": "good"}, ([], "good")),
        ({"tables": [], "feedback": "good"}, ([], "good")),
    ],
)
def test_a_missing_layer_is_created_and_a_repeated_run_changes_nothing(
    mart: Emulator, arguments: dict[str, Any], stored: Any
) -> None:
    for _ in range(2):
        assert put(**arguments) == "mart"
        assert shown(mart) == stored
    arrived = mart.control.arrived
    assert (arrived["PUT", ROUTE], arrived["POST", ROUTE]) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [
        ({"tables": [CLIENTS]}, ([SENT, CLIENTS], "good")),
        ({"tables": [{"name": "orders"}]}, ([{"name": "orders"}], "good")),
        ({"feedback": "bad"}, ([SENT], "bad")),
        ({"tables": [CLIENTS], "feedback": ""}, ([SENT, CLIENTS], "good")),
        ({"tables": "", "feedback": "bad"}, ([SENT], "bad")),
    ],
)
def test_an_existing_layer_is_updated_and_other_fields_stay(
    mart: Emulator, arguments: dict[str, Any], stored: Any
) -> None:
    put(tables=[ORDERS], feedback="good")
    assert put(**arguments) == "mart"
    assert shown(mart) == stored


@UNCLEAR
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("present", [False, True])
def test_an_unclear_change_is_retried(mart: Emulator, kind: Any, method: str, present: bool) -> None:
    if present:
        put(tables=[CLIENTS], feedback="good")
    mart.control.set_faults([Fault(kind=kind, method=method, times=1)])
    put(tables=[CLIENTS], feedback="bad")
    assert shown(mart) == ([CLIENTS], "bad")


def test_a_change_without_effect_fails_and_can_be_repeated(mart: Emulator) -> None:
    mart.control.set_faults([Fault(kind="error_before", method="POST", times=1)])
    with pytest.raises(ServerError):
        put(tables=[CLIENTS], max_retry_seconds=0)
    assert layer(mart) is None
    put(tables=[CLIENTS], max_retry_seconds=0)
    assert shown(mart) == ([CLIENTS], None)


@pytest.mark.parametrize("name", ODD_IDS)
def test_unusual_names_are_created_fetched_and_deleted(mart: Emulator, name: str) -> None:
    mart.catalog.put_datamart(name, "warehouse", {"tableList": []})
    assert put(name, tables=[ORDERS]) == name
    assert fetch(name) == [SENT]
    delete(name)
    assert layer(mart, name) is None


def test_a_layers_tables_are_returned_or_written_to_a_file(mart: Emulator, tmp_path: Path) -> None:
    put(tables=[ORDERS, CLIENTS])
    assert fetch() == [SENT, CLIENTS]
    path = tmp_path / "rows.json"
    assert fetch(output_path=str(path)) == {"path": str(path), "rows": 2}
    assert json.loads(path.read_text()) == [SENT, CLIENTS]
    with pytest.raises(ValueError, match="set output_path, or raise max_xcom_bytes"):
        fetch(max_xcom_bytes=10)


@UNCLEAR
def test_a_layer_is_fetched_again_if_its_answer_is_lost(mart: Emulator, kind: Any) -> None:
    put(tables=[CLIENTS])
    mart.control.set_faults([Fault(kind=kind, method="GET", times=1)])
    assert fetch() == [CLIENTS]


def test_a_missing_layer_cannot_be_fetched(mart: Emulator) -> None:
    with pytest.raises(NotFoundError, match="Semantic layer not found"):
        fetch()


def test_a_layer_is_deleted_and_a_second_delete_succeeds(mart: Emulator) -> None:
    put(tables=[CLIENTS])
    for _ in range(2):
        delete()
        assert layer(mart) is None


@UNCLEAR
def test_an_unclear_delete_is_retried(mart: Emulator, kind: Any) -> None:
    put(tables=[CLIENTS])
    mart.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete()
    assert layer(mart) is None
    assert mart.control.arrived["DELETE", ROUTE] == 2


def test_a_wrong_url_is_not_taken_for_a_deleted_layer(mart: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(404, b"<h1>Not Found</h1>", "text/html")) as (url, _):
        set_connection(monkeypatch, mart, host=url)
        for act in (delete, lambda: put(tables=[CLIENTS])):
            with pytest.raises(NotFoundError, match="the answer is not JSON"):
                act()


def test_a_missing_datamart_raises(mart: Emulator) -> None:
    for act in (fetch, lambda name: put(name, tables=[CLIENTS])):
        with pytest.raises(InvalidRequestError, match="Datamart not found"):
            act("never")


def test_a_delete_succeeds_if_the_datamart_is_gone(mart: Emulator) -> None:
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
        ({"tables": "orders"}, r"tables is a str of 6 characters; it must be a list or None.*Nothing was sent"),
        ({"name": "", "tables": [CLIENTS]}, "datamart_name is empty"),
        ({"name": " ", "feedback": "x"}, "datamart_name is empty"),
    ],
)
def test_a_wrong_layer_raises_and_is_not_sent(mart: Emulator, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        put(**arguments)
    assert not mart.control.arrived


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_name_raises_and_is_not_sent(mart: Emulator, blank: str) -> None:
    for act in (fetch, delete):
        with pytest.raises(ValueError, match="datamart_name is empty"):
            act(blank)
    assert not mart.control.arrived


@TASKS
def test_the_data_app_key_is_refused(
    mart: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, mart, extra={"service_token": mart.api_key})
    with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
        task(task_id="t", **arguments).execute({})
    assert layer(mart) is None


@TASKS
def test_a_missing_service_token_is_named_in_the_error(
    mart: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, mart, extra={"service_token": None})
    with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
        task(task_id="t", **arguments).execute({})
    assert not mart.control.arrived


def test_templates_inside_tables_are_rendered(mart: Emulator) -> None:
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
