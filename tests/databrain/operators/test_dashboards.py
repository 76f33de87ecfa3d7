"""The operator that copies a dashboard, over HTTP against one or two emulators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.databrain.operators.dashboards import PromoteDashboardOperator, PromotionError
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import WORKSPACE

IMPORT = "import-dashboard"
DOCUMENT = {
    "layout": [{"metric": "mrr"}],
    "filters": [{"schemaName": "dev", "column": "region"}],
    "metrics": [{"metricId": "sales-total", "name": "Total"}, {"metricId": "sales-count", "name": "Count"}],
}


@pytest.fixture
def source(connection: Emulator, fast_retries: None) -> Emulator:
    """A dashboard with two metrics in the default workspace, and an empty workspace ``production``."""
    connection.state.add_workspace("production")
    connection.state.contents.add_dashboard("sales", "Sales", WORKSPACE, DOCUMENT)
    return connection


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Another Databrain with the workspace ``main``; the connection ``production`` leads to it."""
    with Emulator() as running:
        running.state.add_workspace("main")
        connection = {
            "conn_type": "databrain",
            "host": running.url,
            "extra": {"service_token": running.service_token, "workspace_name": "main"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", json.dumps(connection))
        yield running


def promote(**changes: Any) -> str:
    arguments = {
        "dashboard_id": "sales",
        "target_workspace_name": "production",
        "target_dashboard_id": "sales-prod",
        **changes,
    }
    return PromoteDashboardOperator(task_id="promote", **arguments).execute({})


def imports(emulator: Emulator) -> int:
    return sum(IMPORT in one.path for one in emulator.control.log)


def test_a_dashboard_is_copied_to_another_workspace(source: Emulator) -> None:
    assert promote(target_dashboard_name="Sales (production)") == "sales-prod"
    assert source.state.dashboards("production") == [("sales-prod", "Sales (production)")]
    assert source.state.contents.document("sales-prod") == source.state.contents.document("sales")


def test_a_dashboard_is_copied_to_another_databrain_under_its_own_id(source: Emulator, production: Emulator) -> None:
    shown = promote(target_conn_id="production", target_workspace_name=None, target_dashboard_id=None)
    assert shown == "sales"
    assert production.state.dashboards("main") == [("sales", "sales")]
    assert production.state.contents.document("sales") == source.state.contents.document("sales")
    assert imports(source) == 0


def test_schemas_are_replaced(source: Emulator) -> None:
    pairs = [{"replace_schema": "dev", "target_schema": "prod"}]
    for _ in range(2):
        promote(schema_pairs=pairs)
    assert source.state.contents.document("sales-prod")["filters"] == [{"schemaName": "prod", "column": "region"}]
    assert imports(source) == 1


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut", "error_before", "reset_before"])
def test_an_unclear_import_is_retried_and_succeeds(source: Emulator, kind: Any, older: bool) -> None:
    source.control.behaviour = Behaviour(older_import_answer=older)
    source.control.set_faults([Fault(kind=kind, path=IMPORT, times=1)])
    assert promote() == "sales-prod"
    assert len(source.state.dashboards("production")) == 1
    assert imports(source) == 2


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("kind", ["error_after", "reset_after"])
def test_the_next_try_after_an_unclear_import_succeeds(source: Emulator, kind: Any, older: bool) -> None:
    source.control.behaviour = Behaviour(older_import_answer=older)
    source.control.set_faults([Fault(kind=kind, path=IMPORT)])
    with pytest.raises(ApiError):
        promote(max_retry_seconds=0)
    source.control.set_faults([])
    assert promote() == "sales-prod"
    assert imports(source) == 1


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"metrics": [{"metricId": "a", "name": "A"}, {"metricId": "b", "name": "B"}]}, "filters, layout, metrics"),
        ({**DOCUMENT, "layout": []}, "layout"),
        ({**DOCUMENT, "notes": "mine"}, "notes"),
    ],
)
def test_another_dashboard_with_the_same_id_raises_and_is_left_unchanged(
    source: Emulator, other: dict[str, Any], differs: str, older: bool
) -> None:
    source.control.behaviour = Behaviour(older_import_answer=older)
    source.state.contents.add_dashboard("sales-prod", "Other", "production", other)
    before = source.state.contents.document("sales-prod")
    with pytest.raises(PromotionError, match=rf"'production' has another dashboard 'sales-prod': .* {differs}\. Noth"):
        promote()
    assert source.state.contents.document("sales-prod") == before
    assert imports(source) == 0


def test_an_id_of_another_workspace_raises(source: Emulator) -> None:
    with pytest.raises(AlreadyExistsError, match=r"dashboard 'sales'.*already exists"):
        promote(target_dashboard_id=None)
    assert source.state.dashboards("production") == []


def test_an_id_of_another_workspace_raises_with_an_older_server(source: Emulator) -> None:
    source.control.behaviour = Behaviour(older_import_answer=True)
    with pytest.raises(PromotionError, match=r"'sales'.*cannot be exported from there; another workspace may have"):
        promote(target_dashboard_id="")
    assert source.state.dashboards("production") == []


def test_an_incomplete_copy_raises_with_what_is_missing(source: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = source.state.contents
    add = contents.add_dashboard

    def add_half(dashboard: str, name: str, workspace: str, document: Any) -> int:
        return add(dashboard, name, workspace, {**document, "metrics": document["metrics"][:1]})

    monkeypatch.setattr(contents, "add_dashboard", add_half)
    with pytest.raises(PromotionError, match=r"'sales-prod' was imported .* it has 1 items in 'metrics' instead of 2"):
        promote()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dashboard_id": "never"}, InvalidRequestError),
        ({"workspace_name": "never"}, InvalidRequestError),
        ({"target_workspace_name": "never"}, NotFoundError),
        ({"schema_pairs": [{"replace_schema": "dev"}]}, ValueError),
    ],
)
def test_a_missing_object_or_a_wrong_argument_imports_nothing(
    source: Emulator, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        promote(**changes)
    assert imports(source) == 0


def test_templates_are_rendered(source: Emulator) -> None:
    task = PromoteDashboardOperator(
        task_id="promote",
        dashboard_id="{{ name }}",
        workspace_name="{{ w }}",
        target_workspace_name="{{ 'production' }}",
        target_dashboard_id="{{ name }}-prod",
        target_dashboard_name="{{ name | title }}",
        schema_pairs=[{"replace_schema": "{{ 'dev' }}", "target_schema": "prod"}],
    )
    context: Any = {"name": "sales", "w": WORKSPACE}
    task.render_template_fields(context)
    assert task.execute(context) == "sales-prod"
    assert source.state.dashboards("production") == [("sales-prod", "Sales")]
