"""The operators of datamarts, over HTTP against the emulator."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError, AuthenticationError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.datamarts import (
    CreateDatamartOperator,
    DeleteDatamartOperator,
    ListDatamartsOperator,
    UpdateDatamartOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, set_connection

TABLES = [{"name": "orders", "client_column": "client", "columns": [{"name": "client"}, {"name": "total"}]}]
SENT = [{"name": "orders", "clientColumn": "client", "columns": [{"name": "client"}, {"name": "total"}]}]
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def mart(connection: Emulator, fast_retries: None) -> str:
    """A name that no datamart has; the datasource ``warehouse`` exists."""
    connection.catalog.put_datasource("warehouse", "postgres", [])
    return f"mart-{uuid.uuid4()}"


def create(name: str, **changes: Any) -> str:
    arguments = {"datasource_name": "warehouse", "table_list": TABLES, **changes}
    return CreateDatamartOperator(task_id="t", name=name, **arguments).execute({})


def update(name: str, **changes: Any) -> str:
    return UpdateDatamartOperator(task_id="t", name=name, **changes).execute({})


def listed(**changes: Any) -> Any:
    return ListDatamartsOperator(task_id="t", **changes).execute({})


def delete(name: str, **changes: Any) -> None:
    DeleteDatamartOperator(task_id="t", name=name, **changes).execute({})


def methods(emulator: Emulator) -> list[str]:
    return [one.method for one in emulator.control.log if one.method != "GET"]


def test_a_datamart_is_created_from_the_arguments(connection: Emulator, mart: str) -> None:
    relation = {
        "parent_table_name": "orders",
        "parent_column_name": "client",
        "child_table_name": "clients",
        "child_column_name": "id",
    }
    assert create(mart, tenancy_settings={"tenancy_level": "DATABASE"}, relationships=[relation]) == mart
    row = connection.catalog.datamart(mart)
    assert row
    assert row.datasource == "warehouse"
    assert row.contents["tableList"] == SENT
    assert row.contents["tenancySettings"] == {"tenancyLevel": "DATABASE"}
    assert row.contents["relationships"][0]["childTableName"] == "clients"


def test_an_existing_datamart_is_left_unchanged(connection: Emulator, mart: str) -> None:
    create(mart)
    assert create(mart, table_list=[{"name": "other", "columns": [{"name": "a"}]}]) == mart
    row = connection.catalog.datamart(mart)
    assert row
    assert row.contents == {"tableList": SENT}
    assert methods(connection) == ["POST"]


@UNCLEAR
def test_an_unclear_create_is_checked_in_the_list_and_not_repeated(connection: Emulator, mart: str, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST")])
    assert create(mart) == mart
    assert methods(connection) == ["POST"]


@pytest.mark.parametrize("kind", ["error_before", "reset_before"])
def test_a_create_without_effect_fails_and_can_be_repeated(connection: Emulator, mart: str, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST")])
    with pytest.raises(ApiError):
        create(mart)
    connection.control.set_faults([])
    assert create(mart) == mart


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"datasource_name": "never"}, NotFoundError),
        ({"table_list": []}, ValueError),
        ({"tenancy_settings": {"tenancy_level": "TABLE"}}, ValueError),
    ],
)
def test_a_wrong_datamart_raises_and_is_not_created(
    connection: Emulator, mart: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        create(mart, **changes)
    assert connection.catalog.datamart(mart) is None


def test_a_datamart_is_deleted_and_a_second_delete_succeeds(connection: Emulator, mart: str) -> None:
    create(mart)
    for _ in range(2):
        delete(mart)
    assert connection.catalog.datamart(mart) is None


@UNCLEAR
def test_an_unclear_delete_succeeds_if_the_datamart_is_gone(connection: Emulator, mart: str, kind: Any) -> None:
    create(mart)
    connection.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete(mart)
    assert connection.catalog.datamart(mart) is None


def test_a_delete_without_effect_fails(connection: Emulator, mart: str) -> None:
    create(mart)
    connection.control.set_faults([Fault(kind="error_before", method="DELETE")])
    with pytest.raises(ApiError):
        delete(mart, max_retry_seconds=0)
    assert connection.catalog.datamart(mart)


def contents(emulator: Emulator, name: str) -> dict[str, Any]:
    row = emulator.catalog.datamart(name)
    assert row
    return row.contents


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        (
            {"table_list": [{"name": "other", "columns": [{"name": "a"}]}]},
            {"tableList": [{"name": "other", "columns": [{"name": "a"}]}]},
        ),
        ({"tenancy_settings": {"tenancy_level": "DATABASE"}}, {"tenancySettings": {"tenancyLevel": "DATABASE"}}),
        ({"relationships": [], "table_list": None, "tenancy_settings": ""}, {"relationships": []}),
    ],
)
def test_an_update_replaces_the_set_fields_and_keeps_the_others(
    connection: Emulator, mart: str, changes: dict[str, Any], now: dict[str, Any]
) -> None:
    names = ("parent_table_name", "parent_column_name", "child_table_name", "child_column_name")
    create(mart, relationships=[dict.fromkeys(names, "x")])
    before = contents(connection, mart)
    assert before["relationships"]
    for _ in range(2):
        assert update(mart, **changes) == mart
        assert contents(connection, mart) == before | now


@UNCLEAR
def test_an_unclear_update_is_retried(connection: Emulator, mart: str, kind: Any) -> None:
    create(mart)
    connection.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    assert update(mart, relationships=[]) == mart
    assert contents(connection, mart) == {"tableList": SENT, "relationships": []}


def test_an_update_does_not_create_a_missing_datamart(connection: Emulator, mart: str) -> None:
    with pytest.raises(InvalidRequestError, match="Datamart not found"):
        update(mart, table_list=TABLES)
    assert connection.catalog.datamart(mart) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "set table_list, tenancy_settings or relationships. Nothing was sent"),
        ({"table_list": "", "relationships": None}, "set table_list, .*Nothing was sent"),
        ({"table_list": []}, "table_list"),
        ({"table_list": [{"name": "x", "columns": []}]}, "columns"),
        ({"relationships": [{"parent_table_name": "x"}]}, "parent_column_name"),
        ({"name": " ", "relationships": []}, "datamart_name"),
    ],
)
def test_a_wrong_update_raises_and_is_not_sent(
    connection: Emulator, mart: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        update(**{"name": mart, **changes})
    assert not connection.control.arrived


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_name_raises_and_is_not_sent(connection: Emulator, mart: str, blank: str) -> None:
    for act in (create, delete, lambda name: update(name, table_list=TABLES)):
        with pytest.raises(ValueError, match="name"):
            act(blank)
    assert not connection.control.arrived


@pytest.mark.parametrize("name", ODD_IDS)
def test_unusual_names_are_created_updated_and_deleted(connection: Emulator, mart: str, name: str) -> None:
    assert create(name) == update(name, relationships=[]) == name
    assert contents(connection, name) == {"tableList": SENT, "relationships": []}
    delete(name)
    assert connection.catalog.datamarts() == []


def test_all_pages_of_datamarts_are_listed_with_their_tables(connection: Emulator, mart: str, tmp_path: Path) -> None:
    for number in range(12):
        connection.catalog.put_datamart(f"mart-{number}", "warehouse", {"tableList": SENT})
    rows = listed()
    assert [row["name"] for row in rows] == [f"mart-{number}" for number in range(12)]
    assert rows[0]["companyIntegration"] == {"name": "warehouse"}
    assert rows[0]["datamartTables"][0]["tableName"] == "orders"
    path = tmp_path / "rows.json"
    assert listed(output_path=str(path)) == {"path": str(path), "rows": 12}
    assert json.loads(path.read_text()) == rows


def test_a_wrong_or_missing_service_token_is_named_in_the_error(
    connection: Emulator, mart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = (lambda: create(mart), lambda: delete(mart), lambda: update(mart, table_list=TABLES), listed)
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    for act in acts:
        with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
            act()
    connection.control.arrived.clear()
    set_connection(monkeypatch, connection, extra={"service_token": None})
    for act in acts:
        with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
            act()
    assert not connection.control.arrived


def test_templates_are_rendered(connection: Emulator, mart: str) -> None:
    context: Any = {"mart": mart, "table": "orders"}
    columns = [{"name": "{{ table }}_id"}]
    made = CreateDatamartOperator(
        task_id="t",
        name="{{ mart }}",
        datasource_name="{{ 'warehouse' }}",
        table_list=[{"name": "{{ table }}", "columns": columns}],
    )
    made.render_template_fields(context)
    assert made.execute(context) == mart
    row = connection.catalog.datamart(mart)
    assert row
    assert row.contents == {"tableList": [{"name": "orders", "columns": [{"name": "orders_id"}]}]}
    gone = DeleteDatamartOperator(task_id="t", name="{{ mart }}")
    gone.render_template_fields(context)
    gone.execute(context)
    assert connection.catalog.datamart(mart) is None
