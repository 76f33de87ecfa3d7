"""The operators that fetch the lists of a workspace, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.workspaces import (
    FetchWorkspaceDashboardsOperator,
    FetchWorkspaceMetricsOperator,
    FetchWorkspaceRowsOperator,
)
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import METRICS, TEMPLATES, set_connection

Operator = type[FetchWorkspaceRowsOperator]
BOTH = pytest.mark.parametrize(
    ("operator", "key"),
    [(FetchWorkspaceMetricsOperator, "metricId"), (FetchWorkspaceDashboardsOperator, "externalDashboardId")],
)
IDS = [f"item-{number:02}" for number in range(25)]


@pytest.fixture
def big(connection: Emulator) -> Emulator:
    """An emulator with a workspace of more than two pages."""
    connection.state.add_workspace("big", metrics=IDS, dashboards=IDS)
    return connection


def run(operator: Operator, **options: Any) -> Any:
    return operator(task_id="t", **options).execute({})


def test_metrics_have_the_apis_own_field_names(connection: Emulator) -> None:
    rows = run(FetchWorkspaceMetricsOperator)
    assert [row["metricId"] for row in rows] == METRICS
    assert rows[0] == {"metricId": "active-users", "name": "Active Users"}


def test_dashboards_have_the_apis_own_field_names(connection: Emulator) -> None:
    rows = run(FetchWorkspaceDashboardsOperator)
    assert [row["externalDashboardId"] for row in rows] == TEMPLATES
    assert rows[0] == {"externalDashboardId": "template-basic", "name": "Template Basic"}


@BOTH
@pytest.mark.parametrize(
    ("page", "ids", "requests"),
    [
        (None, IDS, 1),
        ("", IDS, 1),
        ("None", IDS, 1),
        (1, IDS[:10], 1),
        ("3", IDS[20:], 1),
        (4, [], 1),
        ("all", IDS, 3),
    ],
)
def test_page_selects_the_rows_and_the_number_of_requests(
    big: Emulator, operator: Operator, key: str, page: Any, ids: list[str], requests: int
) -> None:
    assert [row[key] for row in run(operator, workspace_name="big", page=page)] == ids
    assert len(big.control.log) == requests


@BOTH
@pytest.mark.parametrize("count", [0, 10, 20])
def test_all_pages_are_fetched_if_the_last_one_is_full(
    connection: Emulator, operator: Operator, key: str, count: int
) -> None:
    connection.state.add_workspace("even", metrics=IDS[:count], dashboards=IDS[:count])
    assert [row[key] for row in run(operator, workspace_name="even", page="all")] == IDS[:count]


@BOTH
def test_no_row_is_returned_twice_if_the_server_ignores_pages(big: Emulator, operator: Operator, key: str) -> None:
    big.control.behaviour = Behaviour(ignores_paging=True)
    assert [row[key] for row in run(operator, workspace_name="big", page="all")] == IDS


@pytest.mark.parametrize("page", [0, -1, "0", "two", "1.5", 1.5, "ALL", True])
def test_a_wrong_page_is_refused_before_sending(connection: Emulator, page: Any) -> None:
    with pytest.raises(ValueError, match="it must be a whole number from 1, 'all', or None for all"):
        run(FetchWorkspaceMetricsOperator, page=page)
    assert not connection.control.log


@BOTH
def test_rows_are_written_to_a_file(big: Emulator, operator: Operator, key: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    shown = run(operator, workspace_name="big", output_path=str(path), max_xcom_bytes=1)
    assert shown == {"path": str(path), "rows": 25}
    assert [row[key] for row in json.loads(path.read_text(encoding="utf-8"))] == IDS


def test_a_file_contains_text_in_any_script(connection: Emulator, tmp_path: Path) -> None:
    connection.state.add_workspace("日本", metrics=["売上"])
    path = tmp_path / "rows.json"
    run(FetchWorkspaceMetricsOperator, workspace_name="日本", output_path=path.as_uri())
    assert path.read_text(encoding="utf-8") == '[{"metricId": "売上", "name": "売上"}]'


def test_too_many_rows_for_xcom_are_refused_with_advice(big: Emulator) -> None:
    rows = run(FetchWorkspaceMetricsOperator, workspace_name="big")
    size = len(json.dumps(rows).encode())
    assert run(FetchWorkspaceMetricsOperator, workspace_name="big", max_xcom_bytes=size) == rows
    with pytest.raises(ValueError, match=f"25 rows are {size} bytes.*set output_path, or raise max_xcom_bytes"):
        run(FetchWorkspaceMetricsOperator, workspace_name="big", max_xcom_bytes=size - 1)


@BOTH
def test_an_unknown_workspace_raises(connection: Emulator, operator: Operator, key: str) -> None:
    with pytest.raises(NotFoundError, match="workspace name not found"):
        run(operator, workspace_name="Analytics")


@BOTH
def test_a_missing_service_token_is_named_in_the_error(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, operator: Operator, key: str
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": None})
    with pytest.raises(ConfigurationError, match=r"'databrain_default' has no service token.*extra 'service_token'"):
        run(operator)
    assert not connection.control.log


def test_the_data_app_key_is_refused(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
        run(FetchWorkspaceMetricsOperator)


def test_a_missing_workspace_name_raises(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, extra={"workspace_name": ""})
    with pytest.raises(ConfigurationError, match="give workspace_name, or fill 'Default workspace'"):
        run(FetchWorkspaceMetricsOperator)


def test_templates_are_rendered(big: Emulator, tmp_path: Path) -> None:
    task = FetchWorkspaceMetricsOperator(
        task_id="t", workspace_name="{{ w }}", page="{{ 2 + 1 }}", output_path="{{ where }}/rows-{{ w }}.json"
    )
    context: Any = {"w": "big", "where": str(tmp_path)}
    task.render_template_fields(context)
    assert task.execute(context) == {"path": str(tmp_path / "rows-big.json"), "rows": 5}
