"""The operators of metrics, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.metrics import (
    FetchDashboardMetricsOperator,
    FetchDataAppDashboardsOperator,
    FetchEmbedMetricsOperator,
    FetchMetricDataOperator,
    ListScheduledReportsOperator,
    PublishMetricOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, WORKSPACE, embed, http_answer, raw_server, set_connection

ROWS = [
    {"region": "north", "year": 2025, "total": 1.5},
    {"region": "north", "year": 2026, "total": None},
    {"region": "south", "year": 2026, "total": 3},
]
LISTS = pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (FetchEmbedMetricsOperator, {"embed_id": "client-acme", "client_id": "acme"}),
        (FetchDashboardMetricsOperator, {"dashboard_id": "client-acme"}),
        (FetchDataAppDashboardsOperator, {}),
    ],
)
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def acme(connection: Emulator, fast_retries: None) -> Emulator:
    """An embed of a client, with a metric that has data and a metric that the client created."""
    connection.state.create_embed(wire(embed("acme")), dashboard_name="x", name="x")
    connection.state.contents.add_metric("client-acme", "sales", data=ROWS)
    connection.state.contents.add_metric("client-acme", "own", client_id="acme")
    return connection


def fetch(**changes: Any) -> Any:
    arguments = {"embed_id": "client-acme", "metric_id": "sales", "client_id": "acme", **changes}
    return FetchMetricDataOperator(task_id="t", **arguments).execute({})


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, ROWS),
        ({"dashboard_filter": {}, "metric_filter": {}, "datasource_name": ""}, ROWS),
        ({"dashboard_filter": {"region": "north"}}, ROWS[:2]),
        ({"dashboard_filter": {"region": "north"}, "metric_filter": {"year": 2026}}, ROWS[1:2]),
        ({"metric_filter": {"region": "west"}}, []),
    ],
)
def test_only_rows_that_pass_the_filters_are_returned(acme: Emulator, filters: dict[str, Any], rows: Any) -> None:
    assert fetch(**filters) == rows


def test_rows_are_written_to_a_file(acme: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    assert fetch(output_path=str(path), max_xcom_bytes=1) == {"path": str(path), "rows": 3}
    assert json.loads(path.read_text()) == ROWS


def test_too_many_rows_for_xcom_are_refused_with_advice(acme: Emulator) -> None:
    with pytest.raises(ValueError, match=r"3 rows are .* set output_path, or raise max_xcom_bytes"):
        fetch(max_xcom_bytes=10)


@pytest.mark.parametrize("kind", ["error_before", "error_after", "reset_before", "reset_after", "html", "cut"])
def test_a_failed_fetch_is_retried(acme: Emulator, kind: Any) -> None:
    acme.control.set_faults([Fault(kind=kind, times=1)])
    assert fetch() == ROWS


@pytest.mark.parametrize(
    "changes",
    [
        {"embed_id": "never"},
        {"metric_id": "never"},
        {"metric_id": "own", "client_id": "other"},
        {"datasource_name": "never"},
    ],
)
def test_what_does_not_exist_for_a_client_raises(acme: Emulator, changes: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError):
        fetch(**changes)


def test_an_incomplete_answer_is_logged(
    acme: Emulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = json.dumps({"data": ROWS[:1], "totalRecords": 3, "metricid": "sales", "error": None}).encode()
    with raw_server(http_answer(200, answer)) as (url, _):
        set_connection(monkeypatch, acme, host=url)
        assert fetch() == ROWS[:1]
    assert "Metric 'sales': the server sent 1 of 3 rows; narrow the filters" in capfd.readouterr().out


def test_a_metric_is_published_and_unpublished(acme: Emulator) -> None:
    for published in (True, False):
        task = PublishMetricOperator(task_id="t", embed_id="client-acme", metric_id="own", is_published=published)
        assert task.execute({}) == "own"
        assert [row.published for row in acme.state.contents.metrics("client-acme")] == [published, False]


@UNCLEAR
def test_an_unclear_publish_is_retried(acme: Emulator, kind: Any) -> None:
    acme.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    assert PublishMetricOperator(task_id="t", embed_id="client-acme", metric_id="own").execute({}) == "own"
    assert len(acme.control.log) == 2


@pytest.mark.parametrize("arguments", [{"embed_id": "never"}, {"metric_id": "never"}])
def test_a_missing_metric_is_not_published(acme: Emulator, arguments: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError):
        PublishMetricOperator(task_id="t", **{"embed_id": "client-acme", "metric_id": "own"} | arguments).execute({})


@pytest.mark.parametrize(("client", "count"), [(None, 13), ("", 13), ("acme", 12), ("nobody", 0)])
def test_all_pages_of_scheduled_reports_are_listed(acme: Emulator, client: str | None, count: int) -> None:
    contents = acme.state.contents
    ids = [contents.add_report("client-acme", "acme", f"Report {number}", ["sales"]) for number in range(12)]
    ids.append(contents.add_report("client-acme", "other", "Other", ["sales"]))
    rows: Any = ListScheduledReportsOperator(task_id="t", embed_id="client-acme", client_id=client).execute({})
    assert [row["id"] for row in rows] == ids[:count]
    assert not rows or rows[0]["scheduleEmailReportCharts"] == [{"externalMetric": {"metricId": "sales"}}]


def test_reports_of_a_missing_embed_raise(acme: Emulator) -> None:
    with pytest.raises(NotFoundError):
        ListScheduledReportsOperator(task_id="t", embed_id="never").execute({})


def rows_of(task: Any, **arguments: Any) -> Any:
    return task(task_id="t", **arguments).execute({})


@pytest.mark.parametrize(("client", "ids"), [("acme", ["own", "sales"]), ("other", ["sales"])])
def test_a_client_sees_an_embeds_metrics_and_its_own(acme: Emulator, client: str, ids: list[str]) -> None:
    rows = rows_of(FetchEmbedMetricsOperator, embed_id="client-acme", client_id=client)
    assert [row["metricId"] for row in rows] == ids
    assert rows[-1] == {"name": "sales", "metricId": "sales", "isPublished": False, "createdByUser": None}


@pytest.mark.parametrize("workspace", [None, "", WORKSPACE])
def test_a_dashboards_metrics_are_those_of_all_clients(acme: Emulator, workspace: str | None) -> None:
    rows = rows_of(FetchDashboardMetricsOperator, dashboard_id="client-acme", workspace_name=workspace)
    assert rows == [{"name": name, "metricId": name} for name in ("own", "sales")]


def test_a_data_apps_dashboards_are_those_of_its_embeds(acme: Emulator) -> None:
    acme.account.create_app("other")
    acme.state.create_embed(wire(embed("more")), dashboard_name="More", name="more")
    acme.state.create_embed(wire(embed("theirs")), dashboard_name="Theirs", name="theirs", data_app="other")
    assert rows_of(FetchDataAppDashboardsOperator) == [
        {"name": "x", "externalDashboardId": "client-acme", "embedId": "client-acme"},
        {"name": "More", "externalDashboardId": "client-more", "embedId": "client-more"},
    ]


@LISTS
def test_all_pages_are_fetched_and_written(
    acme: Emulator, tmp_path: Path, task: Any, arguments: dict[str, Any]
) -> None:
    for number in range(20):
        acme.state.contents.add_metric("client-acme", f"metric-{number:02}")
        acme.state.create_embed(wire(embed(str(number))), dashboard_name=str(number), name=str(number))
    rows = rows_of(task, **arguments)
    assert len(rows) == len({json.dumps(row) for row in rows}) > 20
    path = tmp_path / "rows.json"
    assert rows_of(task, **arguments, output_path=str(path)) == {"path": str(path), "rows": len(rows)}
    assert json.loads(path.read_text()) == rows
    with pytest.raises(ValueError, match="set output_path, or raise max_xcom_bytes"):
        rows_of(task, **arguments, max_xcom_bytes=99)


@LISTS
@UNCLEAR
def test_a_list_is_fetched_again_if_its_answer_is_lost(
    acme: Emulator, task: Any, arguments: dict[str, Any], kind: Any
) -> None:
    rows = rows_of(task, **arguments)
    acme.control.set_faults([Fault(kind=kind, times=1)])
    assert rows_of(task, **arguments) == rows != []


@pytest.mark.parametrize("name", ODD_IDS)
def test_unusual_ids_are_found(acme: Emulator, name: str) -> None:
    acme.state.add_workspace(name)
    acme.state.create_embed(wire(embed(name, workspace_name=name)), dashboard_name=name, name=name)
    acme.state.contents.add_metric(f"client-{name}", name, client_id=name)
    rows = rows_of(FetchEmbedMetricsOperator, embed_id=f"client-{name}", client_id=name)
    assert [row["metricId"] for row in rows] == [name]
    there = rows_of(FetchDashboardMetricsOperator, dashboard_id=f"client-{name}", workspace_name=name)
    assert there == [{"name": name, "metricId": name}]
    assert name in [row["name"] for row in rows_of(FetchDataAppDashboardsOperator)]


@pytest.mark.parametrize(
    ("task", "arguments", "words"),
    [
        (FetchEmbedMetricsOperator, {"embed_id": "never", "client_id": "acme"}, "Invalid embed id"),
        (FetchDashboardMetricsOperator, {"dashboard_id": "never"}, "invalid dashboard id"),
        (FetchDashboardMetricsOperator, {"dashboard_id": "client-acme", "workspace_name": "never"}, "workspace"),
    ],
)
def test_a_list_of_a_missing_object_raises(acme: Emulator, task: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(NotFoundError, match=words):
        rows_of(task, **arguments)


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize(
    ("task", "arguments", "field"),
    [
        (FetchEmbedMetricsOperator, {"client_id": "acme"}, "embed_id"),
        (FetchEmbedMetricsOperator, {"embed_id": "client-acme"}, "client_id"),
        (FetchDashboardMetricsOperator, {}, "dashboard_id"),
    ],
)
def test_a_blank_id_raises_and_is_not_sent(
    acme: Emulator, task: Any, arguments: dict[str, Any], field: str, blank: str
) -> None:
    with pytest.raises(ValueError, match=f"{field} is empty"):
        rows_of(task, **arguments, **{field: blank})
    assert not acme.control.arrived


def test_a_missing_workspace_name_raises_and_sends_nothing(acme: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, acme, extra={"workspace_name": ""})
    with pytest.raises(ConfigurationError, match="give workspace_name, or fill 'Default workspace'"):
        rows_of(FetchDashboardMetricsOperator, dashboard_id="client-acme")
    with pytest.raises(ValueError, match="workspace_name is empty"):
        rows_of(FetchDashboardMetricsOperator, dashboard_id="client-acme", workspace_name=" ")
    assert not acme.control.arrived


@LISTS
def test_a_wrong_or_missing_key_is_named_in_the_error(
    acme: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, acme, password=acme.service_token)
    with pytest.raises(
        AuthenticationError, match="It needs the data app API key: check Password in the Airflow connection"
    ):
        rows_of(task, **arguments)
    acme.control.arrived.clear()
    set_connection(monkeypatch, acme, password="")
    with pytest.raises(ConfigurationError, match=r"has no data app API key, .*fill Password"):
        rows_of(task, **arguments)
    assert not acme.control.arrived


def test_templates_are_rendered(acme: Emulator) -> None:
    context: Any = {"tenant": "acme", "region": "north", "year": 2026}
    task = FetchMetricDataOperator(
        task_id="t",
        embed_id="client-{{ tenant }}",
        metric_id="{{ 'sales' }}",
        client_id="{{ tenant }}",
        dashboard_filter={"region": "{{ region }}"},
    )
    task.render_template_fields(context)
    assert task.execute(context) == ROWS[:2]
    publish = PublishMetricOperator(task_id="t", embed_id="client-{{ tenant }}", metric_id="{{ 'own' }}")
    publish.render_template_fields(context)
    assert publish.execute(context) == "own"
    reports = ListScheduledReportsOperator(task_id="t", embed_id="client-{{ tenant }}", client_id="{{ tenant }}")
    reports.render_template_fields(context)
    assert reports.execute(context) == []
