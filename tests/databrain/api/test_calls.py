"""Databrain's embeds, metrics, datasources, datamarts, dashboards: which requests are sent, how answers are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, MalformedAnswerError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api import dashboards as transfer
from airflow_provider_databrain.databrain.api import datamarts, datasources, embeds
from airflow_provider_databrain.databrain.api import metrics as data
from airflow_provider_databrain.databrain.api import semantic_layers as semantic
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from tests.support import ACCESS

PG = {"name": "warehouse", "host": "db.example", "port": 5432, "password": "p w"}
SOURCE = datasources.Datasource(datasource_type="postgres", credentials=PG)
COLUMN = {"name": "id"}
TABLE = {"name": "orders", "columns": [COLUMN]}
PLAIN = {"dashboard_id": "d", "workspace_name": "w"}
ASKED = transfer.ImportDashboard(workspace_name="w", import_dashboard_data={"layout": []}, dashboard_id="d")
UNNAMED = transfer.ImportDashboard(
    workspace_name="w",
    import_dashboard_data={"layout": []},
    dashboard_name="D",
    schema_pairs=[{"replaceSchema": "public", "target_schema": "acme"}],
    extra={"brandNew": 1},
)
QUERY = {"embedId": "e", "metricId": "m", "clientId": "c"}

REQUESTS: list[tuple[Call[Any], str, str, Any, Resend]] = [
    (
        embeds.create_embed(embeds.MetricEmbed(**PLAIN, metric_id="m")),
        "POST",
        "/data-app/embeds",
        {"dashboardId": "d", "workspaceName": "w", "embedType": "metric", "metricId": "m"},
        Resend.IF_UNPROCESSED,
    ),
    (
        embeds.create_embed(
            embeds.MetricEmbed(
                **PLAIN, name="N", metric_id="m", access_settings={"isAllowUnderlyingData": True}, extra={"brandNew": 1}
            )
        ),
        "POST",
        "/data-app/embeds",
        {
            "dashboardId": "d",
            "workspaceName": "w",
            "name": "N",
            "embedType": "metric",
            "metricId": "m",
            "accessSettings": {"isAllowUnderlyingData": True},
            "brandNew": 1,
        },
        Resend.IF_UNPROCESSED,
    ),
    (embeds.export_embed("e&f"), "GET", "/data-app/embeds/export?embedId=e%26f", None, Resend.ALWAYS),
    (data.fetch_data_app_dashboards(), "GET", "/data-app/dashboards", None, Resend.ALWAYS),
    (
        data.fetch_data_app_dashboards(page=2, extra={"names": "a,b"}),
        "GET",
        "/data-app/dashboards?isPagination=true&pageNumber=2&names=a%2Cb",
        None,
        Resend.ALWAYS,
    ),
    (data.fetch_embed_metrics("e", "c"), "GET", "/data-app/metrics?embedId=e&clientId=c", None, Resend.ALWAYS),
    (
        data.fetch_embed_metrics("e", "c", is_metric=True, page=1),
        "GET",
        "/data-app/metrics?embedId=e&clientId=c&isMetric=true&isPagination=true&pageNumber=1",
        None,
        Resend.ALWAYS,
    ),
    (
        data.fetch_dashboard_metrics("w", "d", page=3),
        "POST",
        "/workspace/dashboard/metrics",
        {"workspaceName": "w", "dashboardId": "d", "isPagination": True, "pageNumber": 3},
        Resend.ALWAYS,
    ),
    (
        data.publish_metric("e", "m", is_published=False),
        "PUT",
        "/data-app/metrics/publish",
        {"embedId": "e", "metricId": "m", "isPublished": False},
        Resend.ALWAYS,
    ),
    (
        data.fetch_metric_data(data.MetricQuery(**QUERY)),
        "POST",
        "/data-app/query",
        QUERY,
        Resend.ALWAYS,
    ),
    (
        data.fetch_metric_data(
            data.MetricQuery(
                **QUERY,
                dashboard_filter={"region": ["eu"]},
                metric_filter={},
                datasource_name="s",
                extra={"datSomething": "x"},
            )
        ),
        "POST",
        "/data-app/query",
        {
            **QUERY,
            "dashboardFilter": {"region": ["eu"]},
            "metricFilter": {},
            "datasourceName": "s",
            "datSomething": "x",
        },
        Resend.ALWAYS,
    ),
    (data.list_scheduled_reports("e"), "GET", "/data-app/embeds/reports?embedId=e", None, Resend.ALWAYS),
    (
        data.list_scheduled_reports("e", client_id="c", page=1, extra={"user": "u"}),
        "GET",
        "/data-app/embeds/reports?embedId=e&clientId=c&isPagination=true&pageNumber=1&user=u",
        None,
        Resend.ALWAYS,
    ),
    (
        datasources.create_datasource(SOURCE),
        "POST",
        "/datasource",
        {"datasourceType": "postgres", "credentials": PG},
        Resend.DETECTABLE,
    ),
    (
        datasources.update_datasource(SOURCE.model_copy(update={"extra": {"tenancySettings": {}}})),
        "PUT",
        "/datasource",
        {"datasourceType": "postgres", "credentials": PG, "tenancySettings": {}},
        Resend.ALWAYS,
    ),
    (datasources.list_datasources(page=1), "GET", "/datasource?isPagination=true&pageNumber=1", None, Resend.ALWAYS),
    (datasources.delete_datasource("a b"), "DELETE", "/datasource?datasourceName=a%20b", None, Resend.DETECTABLE),
    (
        datasources.start_datasource_sync("1-2"),
        "POST",
        "/datasource/sync",
        {"input": {"datasourceId": "1-2"}},
        Resend.IF_UNPROCESSED,
    ),
    (
        datasources.get_sync_progress("1-2"),
        "POST",
        "/datasource/getDatasourceProgress",
        {"input": {"datasourceId": "1-2"}},
        Resend.ALWAYS,
    ),
    (
        datamarts.create_datamart(datamarts.CreateDatamart(name="m", datasource_name="s", table_list=[TABLE])),
        "POST",
        "/data-app/datamarts",
        {"name": "m", "datasourceName": "s", "tableList": [TABLE]},
        Resend.IF_UNPROCESSED,
    ),
    (
        datamarts.update_datamart(datamarts.UpdateDatamart(datamart_name="m", relationships=[])),
        "PUT",
        "/data-app/datamarts",
        {"datamartName": "m", "relationships": []},
        Resend.ALWAYS,
    ),
    (datamarts.list_datamarts(), "GET", "/data-app/datamarts", None, Resend.ALWAYS),
    (datamarts.delete_datamart("m"), "DELETE", "/data-app/datamart?datamartName=m", None, Resend.DETECTABLE),
    (
        semantic.get_semantic_layer("m"),
        "GET",
        "/data-app/datamarts/semantic-layer?datamartName=m",
        None,
        Resend.ALWAYS,
    ),
    (
        semantic.create_semantic_layer("m", feedback="f"),
        "POST",
        "/data-app/datamarts/semantic-layer",
        {"datamartName": "m", "feedback": "f"},
        Resend.DETECTABLE,
    ),
    (
        semantic.update_semantic_layer(
            "m", tables=[semantic.SemanticTable(name="t", columns=[{"name": "c", "is_identifier": True}])]
        ),
        "PUT",
        "/data-app/datamarts/semantic-layer",
        {"datamartName": "m", "tables": [{"name": "t", "columns": [{"name": "c", "isIdentifier": True}]}]},
        Resend.ALWAYS,
    ),
    (
        semantic.delete_semantic_layer("m"),
        "DELETE",
        "/data-app/datamarts/semantic-layer?datamartName=m",
        None,
        Resend.DETECTABLE,
    ),
    (
        transfer.export_dashboard("d", "w"),
        "POST",
        "/data-app/export-dashboard",
        {"dashboardId": "d", "workspaceName": "w"},
        Resend.ALWAYS,
    ),
    (
        transfer.import_dashboard(ASKED),
        "POST",
        "/data-app/import-dashboard",
        {"workspaceName": "w", "importDashboardData": {"layout": []}, "dashboardId": "d"},
        Resend.DETECTABLE,
    ),
    (
        transfer.import_dashboard(UNNAMED),
        "POST",
        "/data-app/import-dashboard",
        {
            "workspaceName": "w",
            "importDashboardData": {"layout": []},
            "dashboardName": "D",
            "schemaPairs": [{"replaceSchema": "public", "targetSchema": "acme"}],
            "brandNew": 1,
        },
        Resend.IF_UNPROCESSED,
    ),
]
LEGACY = {"/data-app/embeds", "/data-app/query", "/data-app/datamarts", "/data-app/datamarts/semantic-layer"}
WITH_API_KEY = ("/embeds", "/dashboards", "/metrics", "/publish", "/query", "/export", "/reports")


@pytest.mark.parametrize(("call", "method", "path", "body", "resend"), REQUESTS)
def test_each_call_is_sent_as_documented(call: Call[Any], method: str, path: str, body: Any, resend: Resend) -> None:
    assert isinstance(call, Request)
    assert (call.endpoint.method, call.endpoint.resend) == (method, resend)
    assert Server("https://api.example", {}).url(call) == f"https://api.example/api/v2{path}"
    assert (None if call.body is None else json.loads(call.body)) == body
    bare = path.partition("?")[0]
    assert call.endpoint.token is (API_KEY if bare.endswith(WITH_API_KEY) else SERVICE_TOKEN)
    older = path.replace("/data-app", "/dataApp") if bare in LEGACY else path
    legacy = Server("https://api.example", {}, legacy_paths=True)
    assert legacy.url(call) == f"https://api.example/api/v2{older}"


def test_a_dashboard_is_embedded_with_all_settings() -> None:
    request = embeds.create_embed(embeds.DashboardEmbed(**PLAIN, access_settings=ACCESS))
    body = json.loads(request.body or b"")
    assert body["embedType"] == "dashboard"
    assert len(body["accessSettings"]) == len(ACCESS)
    with pytest.raises(ValidationError, match="access_settings"):
        embeds.DashboardEmbed(**PLAIN, access_settings={"datamart_name": "m"})


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: embeds.DashboardEmbed(**PLAIN), "access_settings"),
        (lambda: embeds.MetricEmbed(**PLAIN), "metric_id"),
        (lambda: embeds.MetricEmbed(**PLAIN, metric_id=" "), "metric_id"),
        (lambda: embeds.MetricEmbed(**PLAIN, metric_id="m", access_settings={"isAllowAll": True}), "isAllowAll"),
        (lambda: embeds.export_embed(" "), "embed_id is empty"),
        (lambda: data.fetch_data_app_dashboards(page=1, extra={"pageNumber": "2"}), "extra repeats known fields"),
        (lambda: data.list_scheduled_reports("e", extra={"clientId": "x"}), "extra repeats known fields: clientId"),
        (lambda: data.fetch_embed_metrics("", "c"), "embed_id is empty"),
        (lambda: data.fetch_embed_metrics("e", ""), "client_id is empty"),
        (lambda: data.fetch_dashboard_metrics("w", " "), "dashboard_id is empty"),
        (lambda: data.publish_metric("e", ""), "metric_id is empty"),
        (lambda: data.MetricQuery(**QUERY, extra={"embedId": "x"}), "extra repeats known fields: embedId"),
        (lambda: data.list_scheduled_reports(""), "embed_id is empty"),
        (lambda: datasources.Datasource(datasource_type="csv", credentials={}), "credentials has no 'name'"),
        (lambda: datasources.Datasource(datasource_type="csv", credentials={"name": " "}), "credentials has no 'name'"),
        (lambda: datasources.delete_datasource(""), "name is empty"),
        (lambda: datasources.start_datasource_sync(""), "datasource_id is empty"),
        (lambda: datamarts.CreateDatamart(name="m", datasource_name="s", table_list=[]), "table_list"),
        (lambda: datamarts.UpdateDatamart(datamart_name="m", table_list=[]), "table_list"),
        (lambda: datamarts.DatamartTable(name="t", columns=[]), "columns"),
        (lambda: datamarts.DatamartColumn(name="c", is_custom_column=True), "a custom column needs sql"),
        (lambda: datamarts.TenancySettings(tenancy_level="TABLE", table_name="t"), "tenancy by table needs client_col"),
        (lambda: datamarts.delete_datamart(" "), "datamart_name is empty"),
        (lambda: semantic.create_semantic_layer(""), "datamart_name is empty"),
        (lambda: semantic.SemanticTable(name="t", synonyms=["s"] * 11), "synonyms"),
        (lambda: transfer.export_dashboard("d", ""), "workspace_name is empty"),
        (
            lambda: transfer.ImportDashboard(workspace_name="w", import_dashboard_data={"_meta": {}, "data": {}}),
            "a whole export; give its 'data'",
        ),
    ],
)
def test_a_request_that_the_api_would_refuse_is_never_sent(build: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build()


def test_tenancy_by_database_needs_no_table() -> None:
    assert datamarts.TenancySettings(tenancy_level="DATABASE").table_name is None


def answered(call: Call[Any], answer: object) -> Any:
    assert isinstance(call, Request)
    return call.read(answer)


def test_answers_without_an_error_key_are_read() -> None:
    assert answered(data.publish_metric("e", "m"), {"id": "m"}) == "m"
    assert answered(datasources.create_datasource(SOURCE), {"name": "warehouse"}) == "warehouse"
    assert answered(datasources.delete_datasource("s"), {"id": "1-2", "message": "gone"}) == "1-2"
    assert answered(datasources.start_datasource_sync("1"), {"data": {"message": "Sync completed"}}) == "Sync completed"
    assert answered(datamarts.update_datamart(datamarts.UpdateDatamart(datamart_name="m")), {"id": "m"}) == "m"
    layer = answered(semantic.get_semantic_layer("m"), {"data": {"datamartName": "m", "completionScore": 40, "new": 1}})
    assert (layer.datamart_name, layer.tables, layer.completion_score) == ("m", [], 40)
    assert layer.as_row() == {"datamartName": "m", "completionScore": 40, "new": 1}


@pytest.mark.parametrize("spelled", ["metricid", "metricId"])
def test_the_metric_id_of_data_is_read_in_both_spellings(spelled: str) -> None:
    answer = {
        "data": [{"n": 1}],
        "timeTaken": 12,
        "comparisonValue": None,
        "totalRecords": 1,
        "metaData": {"columns": [{"name": "n", "dataType": "number"}], "groupbyColumnList": ["n"]},
        spelled: "m",
        "error": None,
    }
    found = answered(data.fetch_metric_data(data.MetricQuery(**QUERY)), answer)
    assert (found.metric_id, found.data, found.time_taken, found.total_records) == ("m", [{"n": 1}], 12, 1)
    assert found.meta_data.columns[0].data_type == "number"


def test_the_metric_ids_of_a_report_are_the_named_ones() -> None:
    charts = [{"externalMetric": {"metricId": "a"}}, {"externalMetric": None}, {}, {"externalMetric": {}}]
    [report] = answered(data.list_scheduled_reports("e"), {"data": [{"id": 7, "scheduleEmailReportCharts": charts}]})
    assert (report.id, report.metric_ids) == ("7", ["a"])


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        ({"progress": "16/16", "error": ""}, True),
        ({"progress": "16 / 16"}, True),
        ({"progress": "3/16", "error": ""}, False),
        ({"progress": "16/16", "error": "broken"}, False),
        ({"progress": "", "error": ""}, False),
        ({}, False),
    ],
)
def test_a_sync_is_finished_if_all_is_done_without_an_error(status: dict[str, str], finished: bool) -> None:
    assert answered(datasources.get_sync_progress("1"), {"status": status}).finished is finished


def test_a_datamart_without_a_source_is_read() -> None:
    rows = {"data": [{"name": "a"}, {"name": "b", "companyIntegration": {"name": "s"}}]}
    assert [row.datasource_name for row in answered(datamarts.list_datamarts(), rows)] == [None, "s"]


def test_the_answer_to_an_import_is_compared_with_the_request() -> None:
    def imported(asked: transfer.ImportDashboard, **response: str) -> Any:
        return answered(transfer.import_dashboard(asked), {"data": {"response": response}})

    good = imported(ASKED, message="Imported", dashboardId="d", dashboardName="D", workspaceName="w")
    assert (good.dashboard_id, good.dashboard_name, good.message) == ("d", "D", "Imported")
    assert imported(UNNAMED, message="Imported", dashboardId="x").dashboard_id == "x"
    with pytest.raises(AlreadyExistsError, match="id is taken"):
        imported(ASKED, message="The id is taken")
    with pytest.raises(AlreadyExistsError, match="names no dashboard"):
        imported(ASKED)
    with pytest.raises(MalformedAnswerError, match="the dashboard is 'x' instead of 'd'") as caught:
        imported(ASKED, dashboardId="x")
    assert not caught.value.transient
    with pytest.raises(MalformedAnswerError, match="the workspace is 'v' instead of 'w'"):
        imported(UNNAMED, dashboardId="x", workspaceName="v")


def test_an_older_server_answers_nothing_to_an_import() -> None:
    assert answered(transfer.import_dashboard(ASKED), {"data": []}).dashboard_id is None


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (embeds.export_embed("e"), {"_meta": {}}),
        (data.publish_metric("e", "m"), {}),
        (data.fetch_embed_metrics("e", "c"), {"data": [{"name": "no id"}]}),
        (data.fetch_metric_data(data.MetricQuery(**QUERY)), {"data": {}}),
        (datasources.create_datasource(SOURCE), {"name": ""}),
        (datasources.list_datasources(), {"data": None}),
        (datasources.start_datasource_sync("1"), {}),
        (datasources.get_sync_progress("1"), {"status": None}),
        (datamarts.list_datamarts(), {"data": [{}]}),
        (semantic.get_semantic_layer("m"), {"data": None}),
        (transfer.import_dashboard(ASKED), {"data": {}}),
        (transfer.import_dashboard(ASKED), []),
    ],
)
def test_an_answer_of_another_shape_is_a_malformed_answer(call: Call[Any], answer: object) -> None:
    with pytest.raises(MalformedAnswerError, match="unexpected answer"):
        answered(call, answer)


def test_a_datasource_shows_its_name_and_no_credentials() -> None:
    shown = datasources.Datasource(
        datasource_type="postgres", credentials=PG | {"password": "hunter-22"}, extra={"sshKey": "key-33"}
    )
    request = datasources.create_datasource(shown)
    assert shown.name == "warehouse"
    for text in (repr(shown), str(shown), repr(request)):
        assert not any(secret in text for secret in ("hunter-22", "key-33", "db.example"))
