"""The operators that create, update, delete and list datasources. Credentials must not be shown anywhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.client.errors import ApiError, AuthenticationError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.datasources import (
    CreateDatasourceOperator,
    DeleteDatasourceOperator,
    ListDatasourcesOperator,
    UpdateDatasourceOperator,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, http_answer, raw_server, set_connection

ROUTE = "/api/v2/datasource"
PASSWORD = 'p@ss "wörd"/7'
SECRETS = ["wörd", "w\\u00f6rd", "%40ss", "pipeline-user"]
SOURCE = {
    "conn_type": "postgres",
    "host": "db.example",
    "login": "pipeline-user",
    "password": PASSWORD,
    "schema": "sales",
    "port": 6543,
}
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])
BOTH = pytest.mark.parametrize("task", [CreateDatasourceOperator, UpdateDatasourceOperator])


@pytest.fixture
def server(connection: Emulator, fast_retries: None, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator with the datasource ``old``, and the Airflow connection ``source`` of a database."""
    set_source(monkeypatch)
    connection.catalog.add_datasource("old", "mysql")
    return connection


def set_source(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps({**SOURCE, **changes}))


def made(task: Any = CreateDatasourceOperator, name: str = "new", **changes: Any) -> Any:
    arguments = {"datasource_type": "postgres", "source_conn_id": "source", **changes}
    return task(task_id="t", name=name, **arguments)


def create(name: str = "new", **changes: Any) -> Any:
    return made(name=name, **changes).execute({})


def update(name: str = "old", **changes: Any) -> Any:
    return made(UpdateDatasourceOperator, name, **changes).execute({})


def delete(name: str) -> None:
    # The result is None, so nothing goes into XCom.
    task: Any = DeleteDatasourceOperator(task_id="t", name=name)
    assert task.execute({}) is None


def names(emulator: Emulator) -> list[str]:
    return [row.name for row in emulator.catalog.datasources()]


def warehouse(connection: Connection) -> dict[str, Any]:
    """The credentials of a datasource of type ``snowflake``, as a user would write the function."""
    return {"account": connection.host, "password": connection.password, "role": None}


def sent_by(task: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The body that the task sends to the server."""
    with raw_server(http_answer(200, b'{"name": "new"}')) as (url, met):
        set_connection(monkeypatch, emulator, host=url)
        assert task.execute({}) == "new"
    [request] = met
    return json.loads(request.partition(b"\r\n\r\n")[2])


@BOTH
def test_the_credentials_come_from_the_airflow_connection(
    server: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any
) -> None:
    body = sent_by(made(task, fields={"schema": "public"}), server, monkeypatch)
    opens = {"host": "db.example", "port": 6543, "username": "pipeline-user", "password": PASSWORD, "database": "sales"}
    assert body == {"datasourceType": "postgres", "credentials": {"name": "new", **opens, "schema": "public"}}


def test_a_connection_without_a_port_uses_the_port_of_postgres(
    server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_source(monkeypatch, port=None)
    assert sent_by(made(), server, monkeypatch)["credentials"]["port"] == 5432


@BOTH
def test_another_type_takes_its_credentials_from_a_function(
    server: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any
) -> None:
    asked = made(task, datasource_type="snowflake", credentials=warehouse, fields={"warehouse": "wh"})
    credentials = {"account": "db.example", "password": PASSWORD, "role": None, "warehouse": "wh", "name": "new"}
    assert sent_by(asked, server, monkeypatch) == {"datasourceType": "snowflake", "credentials": credentials}


@pytest.mark.parametrize("name", ["new", *ODD_IDS])
def test_a_datasource_is_created_once_updated_and_deleted(server: Emulator, name: str) -> None:
    for _ in range(2):
        assert create(name) == name
        assert names(server) == ["old", name]
    assert update(name, fields={"schema": "public"}) == name
    row = server.catalog.datasource(name=name)
    assert row
    assert row.fields == ["database", "host", "name", "password", "port", "schema", "username"]
    for _ in range(2):
        delete(name)
        assert names(server) == ["old"]


def test_an_existing_datasource_is_left_unchanged(server: Emulator) -> None:
    assert create("old") == "old"
    row = server.catalog.datasource(name="old")
    assert row
    assert (row.type, row.fields) == ("mysql", [])


def test_an_update_does_not_create_a_missing_datasource(server: Emulator) -> None:
    with pytest.raises(NotFoundError, match="Invalid datasource name"):
        update("never")
    assert names(server) == ["old"]


@UNCLEAR
@pytest.mark.parametrize(
    ("act", "method", "there"),
    [(create, "POST", ["old", "new"]), (update, "PUT", ["old"]), (lambda: delete("old"), "DELETE", [])],
    ids=["create", "update", "delete"],
)
def test_an_unclear_failure_is_retried_without_a_duplicate(
    server: Emulator, kind: Any, act: Callable[[], Any], method: str, there: list[str]
) -> None:
    server.control.set_faults([Fault(kind=kind, method=method, times=1)])
    act()
    assert names(server) == there
    assert server.control.arrived[method, ROUTE] == 2


def test_a_datasource_in_use_is_not_deleted(server: Emulator) -> None:
    server.catalog.put_datamart("mart", "old", {"tableList": []})
    with pytest.raises(InvalidRequestError, match="Datasource is in use"):
        delete("old")
    assert names(server) == ["old"]


def test_a_wrong_url_is_not_taken_for_a_deleted_datasource(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(404, b"<h1>Not Found</h1>", "text/html")) as (url, _):
        set_connection(monkeypatch, server, host=url)
        with pytest.raises(NotFoundError):
            delete("old")


@BOTH
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"datasource_type": "snowflake"}, "credentials of type 'snowflake' from connection 'source'; set credentials"),
        ({"datasource_type": "Postgres"}, "set credentials, a function that builds them. Nothing was sent"),
        ({"datasource_type": ""}, "set credentials, .*Nothing was sent"),
        ({"datasource_type": " ", "credentials": warehouse}, "datasource_type"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"credentials": lambda connection: {"pin": {connection.password}}}, "credentials"),
    ],
)
def test_a_wrong_datasource_raises_and_is_not_sent(
    server: Emulator, task: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        made(task, **{"name": "old", **changes}).execute({})
    assert not server.control.arrived
    assert not [secret for secret in SECRETS if secret in "".join(traceback.format_exception(caught.value))]


@BOTH
@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"host": None, "login": ""}, "host, username"),
        ({"password": None}, "password"),
        ({"schema": ""}, "database"),
    ],
)
def test_missing_fields_of_a_postgres_connection_are_named_and_nothing_is_sent(
    server: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, changes: dict[str, Any], missing: str
) -> None:
    set_source(monkeypatch, **changes)
    with pytest.raises(ValueError, match=rf"connection 'source' has no {missing}\. Nothing was sent"):
        made(task, "old").execute({})
    assert not server.control.arrived


def test_fields_can_add_what_the_connection_lacks(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_source(monkeypatch, schema=None)
    body = sent_by(made(fields={"database": "other"}), server, monkeypatch)
    assert body["credentials"]["database"] == "other"


def test_a_missing_connection_is_named_in_the_error(server: Emulator) -> None:
    for act in (create, update):
        with pytest.raises(Exception, match="nowhere"):
            act(source_conn_id="nowhere")
    assert not server.control.arrived


@BOTH
@pytest.mark.parametrize("kind", ["good", "refused", "reset_before", "error_after", "cut", "wrong"])
def test_no_log_result_error_or_rendered_field_contains_credentials(
    server: Emulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    task: Any,
    kind: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = made(task, "{{ 'old' }}", fields={"schema": "{{ 'public' }}"}, max_retry_seconds=0)
    if kind == "refused":
        server.catalog.delete_datasource("old") if task is CreateDatasourceOperator else None
        server.control.behaviour = Behaviour(refuses_credentials=True)
    elif kind != "good":
        server.control.set_faults([Fault(kind=kind)])
    context: Any = {}
    asked.render_template_fields(context)
    shown = [str(_serialize_rendered_fields(asked)), repr(asked)]
    try:
        shown.append(repr(asked.execute(context)))
    except ApiError as error:
        assert kind != "good"
        shown += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    else:
        assert kind == "good"
    shown += [str(_serialize_rendered_fields(asked)), caplog.text, *capfd.readouterr()]
    assert not [secret for secret in SECRETS if secret in "\n".join(shown)]
    assert "public" in shown[0]


def test_all_pages_of_datasources_are_listed(server: Emulator, tmp_path: Path) -> None:
    for number in range(20):
        server.catalog.add_datasource(f"db-{number:02}")
    rows = ListDatasourcesOperator(task_id="t").execute({})
    assert rows == [{"name": name} for name in names(server)]
    assert len(rows) == 21
    path = tmp_path / "rows.json"
    shown = ListDatasourcesOperator(task_id="t", output_path=str(path)).execute({})
    assert shown == {"path": str(path), "rows": 21}
    assert json.loads(path.read_text()) == rows


@pytest.mark.parametrize("blank", ["", " "])
def test_a_delete_with_a_blank_name_raises_and_is_not_sent(server: Emulator, blank: str) -> None:
    with pytest.raises(ValueError, match=r"^name is empty"):
        delete(blank)
    assert not server.control.arrived


def test_a_wrong_or_missing_service_token_is_named_in_the_error(
    server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = (create, update, lambda: delete("old"), lambda: ListDatasourcesOperator(task_id="t").execute({}))
    set_connection(monkeypatch, server, extra={"service_token": server.api_key})
    for act in acts:
        with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
            act()
    assert names(server) == ["old"]
    server.control.arrived.clear()
    set_connection(monkeypatch, server, extra={"service_token": None})
    for act in acts:
        with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
            act()
    assert not server.control.arrived
