"""The operators of datamarts, over HTTP against the emulator."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from airflow_provider_databrain.api.errors import ApiError, AuthenticationError, NotFoundError
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.operators.databrain_datamarts import CreateDatamartOperator, DeleteDatamartOperator
from tests.support import set_connection

TABLES = [{"name": "orders", "client_column": "client", "columns": [{"name": "client"}, {"name": "total"}]}]
SENT = [{"name": "orders", "clientColumn": "client", "columns": [{"name": "client"}, {"name": "total"}]}]
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def mart(connection: Emulator, fast_retries: None) -> str:
    """A name that no datamart has yet; the datasource ``warehouse`` is there."""
    connection.catalog.put_datasource("warehouse", "postgres", [])
    return f"mart-{uuid.uuid4()}"


def create(name: str, **changes: Any) -> str:
    arguments = {"datasource_name": "warehouse", "table_list": TABLES, **changes}
    return CreateDatamartOperator(task_id="t", name=name, **arguments).execute({})


def delete(name: str, **changes: Any) -> None:
    DeleteDatamartOperator(task_id="t", name=name, **changes).execute({})


def methods(emulator: Emulator) -> list[str]:
    return [one.method for one in emulator.control.log if one.method != "GET"]


def test_a_datamart_is_made_of_what_was_given(connection: Emulator, mart: str) -> None:
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


def test_a_datamart_that_is_there_is_taken_as_it_is(connection: Emulator, mart: str) -> None:
    create(mart)
    assert create(mart, table_list=[{"name": "other", "columns": [{"name": "a"}]}]) == mart
    row = connection.catalog.datamart(mart)
    assert row
    assert row.contents == {"tableList": SENT}
    assert methods(connection) == ["POST"]


@UNCLEAR
def test_an_unclear_create_is_looked_up_and_not_repeated(connection: Emulator, mart: str, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST")])
    assert create(mart) == mart
    assert methods(connection) == ["POST"]


@pytest.mark.parametrize("kind", ["error_before", "reset_before"])
def test_a_create_that_did_nothing_fails_and_can_be_done_again(connection: Emulator, mart: str, kind: Any) -> None:
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
def test_what_cannot_be_a_datamart_is_told(
    connection: Emulator, mart: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        create(mart, **changes)
    assert connection.catalog.datamart(mart) is None


def test_a_datamart_is_deleted_and_one_that_is_gone_is_no_error(connection: Emulator, mart: str) -> None:
    create(mart)
    for _ in range(2):
        delete(mart)
    assert connection.catalog.datamart(mart) is None


@UNCLEAR
def test_an_unclear_delete_is_no_error_where_it_is_gone(connection: Emulator, mart: str, kind: Any) -> None:
    create(mart)
    connection.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete(mart)
    assert connection.catalog.datamart(mart) is None


def test_a_delete_that_did_nothing_fails(connection: Emulator, mart: str) -> None:
    create(mart)
    connection.control.set_faults([Fault(kind="error_before", method="DELETE")])
    with pytest.raises(ApiError):
        delete(mart, max_retry_seconds=0)
    assert connection.catalog.datamart(mart)


def test_the_data_apps_key_does_not_do(connection: Emulator, mart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    for act in (create, delete):
        with pytest.raises(AuthenticationError):
            act(mart)


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
