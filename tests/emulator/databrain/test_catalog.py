"""The emulated embeds, data, datasources, datamarts, exports and imports, over plain HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import ACCESS, EMBEDS, call, create, is_refused_as_read_only, refusal
from tests.support import METRICS, WORKSPACE

API = "/api/v2"
APP = f"{API}/data-app"
PREFIXES = ["data-app", "dataApp"]
DASHBOARD = "template-pro"
ROUTES = [
    ("POST", EMBEDS, "api_key"),
    ("GET", f"{EMBEDS}/export", "api_key"),
    ("GET", f"{EMBEDS}/reports", "api_key"),
    ("GET", f"{APP}/dashboards", "api_key"),
    ("GET", f"{APP}/metrics", "api_key"),
    ("PUT", f"{APP}/metrics/publish", "api_key"),
    ("POST", f"{APP}/query", "api_key"),
    ("POST", f"{API}/workspace/dashboard/metrics", "api_key"),
    *[(method, f"{API}/datasource", "datasource") for method in ("POST", "PUT", "GET", "DELETE")],
    ("POST", f"{API}/datasource/sync", "datasource"),
    ("POST", f"{API}/datasource/getDatasourceProgress", "datasource"),
    *[(method, f"{APP}/datamarts", "service") for method in ("POST", "PUT", "GET", "DELETE")],
    ("DELETE", f"{APP}/datamart", "service"),
    *[(method, f"{APP}/datamarts/semantic-layer", "layer") for method in ("POST", "PUT", "GET", "DELETE")],
    ("POST", f"{APP}/export-dashboard", "transfer"),
    ("POST", f"{APP}/import-dashboard", "transfer"),
]
READ_BY_POST = (
    f"{APP}/query",
    f"{APP}/export-dashboard",
    f"{API}/workspace/dashboard/metrics",
    f"{API}/datasource/getDatasourceProgress",
)
REFUSED = {
    "api_key": (401, "INVALID_DATA_APP_API_KEY"),
    "service": (401, "INVALID_DATA_APP_API_KEY"),
    "datasource": (401, "AUTHENTICATION_ERROR"),
    "layer": (403, "AUTHENTICATION_ERROR"),
    "transfer": (400, "AUTH_ERROR"),
}
SOURCE = {"datasourceType": "postgres", "credentials": {"name": "warehouse", "password": "pw"}}
TABLE = {"name": "orders", "columns": [{"name": "id"}]}
DATAMART = {"name": "customer-analytics", "datasourceName": "warehouse", "tableList": [TABLE]}
TENANCY = {
    "tenancyLevel": "TABLE",
    "clientColumnType": "STRING",
    "schemaName": "public",
    "tableName": "clients",
    "tableClientNameColumn": "name",
    "tablePrimaryKeyColumn": "id",
}
PREBUILT = {"dashboardId": DASHBOARD, "embedType": "dashboard", "workspaceName": WORKSPACE, "accessSettings": ACCESS}
IMPORT = {"workspaceName": WORKSPACE, "importDashboardData": {"layout": []}}


def by_service(emulator: Emulator, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request with the service token."""
    return call(emulator, method, API + path, token=emulator.service_token, **options)


@pytest.fixture
def filled(emulator: Emulator) -> Emulator:
    """An emulator with a datasource, a datamart with a semantic layer, and a metric on a dashboard."""
    assert by_service(emulator, "POST", "/datasource", json=SOURCE).json() == {"name": "warehouse"}
    assert by_service(emulator, "POST", "/data-app/datamarts", json=DATAMART).json() == {
        "id": "customer-analytics",
        "error": None,
    }
    layer = {"datamartName": "customer-analytics", "tables": [{"name": "orders"}]}
    answer = by_service(emulator, "POST", "/data-app/datamarts/semantic-layer", json=layer)
    assert answer.json() == {"id": "customer-analytics"}
    emulator.state.contents.add_metric(DASHBOARD, "mrr", data=[{"n": 1}])
    return emulator


@pytest.mark.parametrize(("method", "path", "kind"), ROUTES)
def test_the_token_and_its_kind_are_checked_first(emulator: Emulator, method: str, path: str, kind: str) -> None:
    missing = requests.request(method, emulator.url + path, data="not json", timeout=5)
    assert refusal(missing)[:2] == (400, "AUTHENTICATION_ERROR")
    other = emulator.service_token if kind == "api_key" else emulator.api_key
    for token in (other, "wrong"):
        assert refusal(call(emulator, method, path, token=token, data="not json"))[:2] == REFUSED[kind]


def test_a_read_only_server_refuses_everything_except_reads(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(read_only=True)
    for method, path, _ in ROUTES:
        for prefix in PREFIXES:
            answer = call(emulator, method, path.replace("data-app", prefix))
            assert is_refused_as_read_only(answer) is (method != "GET" and path not in READ_BY_POST)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_embed_of_an_existing_dashboard_gets_an_id_from_the_server(filled: Emulator, prefix: str) -> None:
    path = EMBEDS.replace("data-app", prefix)
    answers = [call(filled, "POST", path, json=PREBUILT).json() for _ in range(2)]
    ids = [answer["id"] for answer in answers]
    assert all(answer.keys() == {"id", "error"} for answer in answers)
    assert len(set(ids)) == 2
    assert all(len(embed_id.removeprefix(f"{DASHBOARD}__")) == 8 for embed_id in ids)
    assert [row["embedId"] for row in call(filled, "GET", EMBEDS).json()["data"]] == ids
    assert filled.state.access_settings(ids[0]) == ACCESS
    # The dashboard belongs to no embed, so it stays.
    assert call(filled, "DELETE", EMBEDS, params={"embedId": ids[0]}).status_code == 200
    assert filled.state.dashboard_exists(DASHBOARD)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"dashboardId": ...}, "INVALID_REQUEST_BODY", '"dashboardId" is required'),
        ({"embedType": "table"}, "INVALID_REQUEST_BODY", '"embedType" must be one of [dashboard, metric]'),
        ({"accessSettings": ...}, "INVALID_REQUEST_BODY", '"accessSettings" is required'),
        ({"accessSettings": {}}, "INVALID_REQUEST_BODY", '"datamartName" is required'),
        ({"embedType": "metric"}, "INVALID_REQUEST_BODY", '"metricId" is required'),
        ({"workspaceName": "x"}, "INVALID_WORKSPACE_NAME", "Invalid workspace name"),
        ({"dashboardId": "x"}, "INVALID_DASHBOARD_ID", "Invalid dashboard id"),
        ({"embedType": "metric", "metricId": "x"}, "INVALID_METRIC_ID", "Invalid metric id"),
        ({"accessSettings": {**ACCESS, "datamartName": "x"}}, "INVALID_DATAMART", "Invalid datamart name"),
        (
            {"accessSettings": {**ACCESS, "tableTenancySettings": [{"name": "x", "clientColumn": "c"}]}},
            "DATAMART_TABLE_NOT_FOUND",
            "Datamart table not found",
        ),
    ],
)
def test_an_embed_of_something_unknown_is_refused(
    filled: Emulator, changes: dict[str, Any], code: str, message: str
) -> None:
    body = {name: value for name, value in {**PREBUILT, **changes}.items() if value is not ...}
    assert refusal(call(filled, "POST", EMBEDS, json=body)) == (400, code, message)
    assert filled.state.count_embeds() == 0


@pytest.mark.parametrize(
    ("method", "path", "sent", "message"),
    [
        ("POST", "/datasource", {"credentials": {"name": "x"}}, '"datasourceType" is required'),
        ("POST", "/datasource", {"datasourceType": "csv", "credentials": {}}, '"name" must be a string'),
        ("POST", "/datasource", {**SOURCE, "name": "x"}, '"name" is not allowed'),
        ("DELETE", "/datasource", {}, '"datasourceName" is required'),
        ("POST", "/datasource/sync", {"datasourceId": "x"}, '"input" is required'),
        ("POST", "/datasource/sync", {"input": {}}, '"datasourceId" is required'),
        ("POST", "/data-app/datamarts", {**DATAMART, "tableList": []}, '"tableList" must contain at least 1 items'),
        (
            "POST",
            "/data-app/datamarts",
            {**DATAMART, "tableList": [{"name": "t", "columns": []}]},
            '"columns" must contain at least 1 items',
        ),
        (
            "POST",
            "/data-app/datamarts",
            {**DATAMART, "tableList": [{"name": "t", "columns": [{"name": "c", "isCustomColumn": True}]}]},
            '"sql" is required',
        ),
        ("PUT", "/data-app/datamarts", {"name": "x"}, '"datamartName" is required'),
        (
            "PUT",
            "/data-app/datamarts",
            {"datamartName": "customer-analytics", "relationships": [{"parentTableName": "a"}]},
            '"parentColumnName" is required',
        ),
        ("DELETE", "/data-app/datamart", {}, '"datamartName" is required'),
        (
            "POST",
            "/data-app/datamarts/semantic-layer",
            {"datamartName": "customer-analytics", "tables": [{"name": "t", "synonyms": ["s"] * 11}]},
            '"synonyms" must contain less than or equal to 10 items',
        ),
        ("POST", "/data-app/export-dashboard", {"workspaceName": WORKSPACE}, '"dashboardId" is required'),
        ("POST", "/data-app/import-dashboard", {"workspaceName": WORKSPACE}, '"importDashboardData" is required'),
        (
            "POST",
            "/data-app/import-dashboard",
            {**IMPORT, "schemaPairs": [{"replaceSchema": "a"}]},
            '"targetSchema" is required',
        ),
        (
            "POST",
            "/data-app/import-dashboard",
            {**IMPORT, "importDashboardData": {"metrics": ["mrr"]}},
            '"importDashboardData" is not valid',
        ),
    ],
)
def test_the_refusal_of_an_invalid_request_names_the_fault(
    filled: Emulator, method: str, path: str, sent: dict[str, Any], message: str
) -> None:
    options: dict[str, Any] = {"params": sent} if method == "DELETE" else {"json": sent}
    assert refusal(by_service(filled, method, path, **options)) == (400, "INVALID_REQUEST_BODY", message)


def test_tenancy_by_table_needs_all_fields(filled: Emulator) -> None:
    change = {"datamartName": "customer-analytics", "tenancySettings": TENANCY}
    assert by_service(filled, "PUT", "/data-app/datamarts", json=change).json() == {"id": "customer-analytics"}
    [row] = by_service(filled, "GET", "/data-app/datamarts").json()["data"]
    assert row["datamartOrganization"] == TENANCY
    change["tenancySettings"] = {"tenancyLevel": "TABLE"}
    answer = by_service(filled, "PUT", "/data-app/datamarts", json=change)
    assert refusal(answer)[:2] == (400, "INVALID_TENANCY")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("DELETE", {"params": {"name": "second"}}),
        ("PUT", {"json": {"name": "second", "connectionType": "MULTI_DATASOURCE"}}),
        ("PUT", {"json": {"name": "second", "connectionType": "DATASOURCE", "datasourceName": "lake"}}),
    ],
    ids=["deleted", "without a source", "of another source"],
)
def test_a_datasource_cannot_be_deleted_while_a_workspace_uses_it(
    emulator: Emulator, method: str, options: dict[str, Any]
) -> None:
    for name in ("warehouse", "lake"):
        emulator.catalog.add_datasource(name)
    workspace = {"name": "second", "connectionType": "DATASOURCE", "datasourceName": "warehouse"}
    assert by_service(emulator, "POST", "/workspace", json=workspace).status_code == 200
    query = {"datasourceName": "warehouse"}
    answer = by_service(emulator, "DELETE", "/datasource", params=query)
    assert refusal(answer)[:2] == (400, "DATASOURCE_IN_USE")
    assert by_service(emulator, method, "/workspace", **options).status_code == 200
    answer = by_service(emulator, "DELETE", "/datasource", params=query)
    assert answer.json()["message"] == "Datasource deleted successfully"


def test_a_datamart_can_be_deleted_while_a_workspace_uses_it(filled: Emulator) -> None:
    workspace = {"name": "second", "connectionType": "DATAMART", "datamartName": "customer-analytics"}
    assert by_service(filled, "POST", "/workspace", json=workspace).status_code == 200
    query = {"datamartName": "customer-analytics"}
    assert by_service(filled, "DELETE", "/data-app/datamart", params=query).json()["id"] == "customer-analytics"
    workspace["name"] = "third"
    refused = by_service(filled, "POST", "/workspace", json=workspace)
    assert refusal(refused) == (400, "INVALID_DATAMART_NAME", "Invalid datamart name")


@pytest.mark.parametrize("name", ["datamart", "datamarts"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_deleted_datamart_no_longer_exists_nor_does_its_layer(filled: Emulator, prefix: str, name: str) -> None:
    query = {"datamartName": "customer-analytics"}
    assert by_service(filled, "DELETE", f"/{prefix}/{name}", params=query).json()["id"] == "customer-analytics"
    assert by_service(filled, "GET", f"/{prefix}/datamarts").json() == {"data": [], "error": None}
    answer = by_service(filled, "GET", f"/{prefix}/datamarts/semantic-layer", params=query)
    assert refusal(answer) == (400, "INVALID_REQUEST_BODY", "Datamart not found")


@pytest.mark.parametrize("path", ["/datasource", "/data-app/datamarts"])
def test_lists_have_pages_of_ten(filled: Emulator, path: str) -> None:
    for number in range(11):
        filled.catalog.add_datasource(f"s{number}")
        filled.catalog.put_datamart(f"m{number}", "warehouse", {"tableList": [TABLE]})
    asked = [{"isPagination": "true", "pageNumber": str(number)} for number in (1, 2, 3)]
    pages = [by_service(filled, "GET", path, params=query).json()["data"] for query in asked]
    assert [len(rows) for rows in pages] == [10, 2, 0]
    filled.control.behaviour = Behaviour(ignores_paging=True)
    assert len(by_service(filled, "GET", path, params=asked[0]).json()["data"]) == 12


def test_an_export_is_a_file(filled: Emulator) -> None:
    embed_id = call(filled, "POST", EMBEDS, json=PREBUILT).json()["id"]
    of_embed = call(filled, "GET", f"{EMBEDS}/export", params={"embedId": embed_id})
    body = {"dashboardId": DASHBOARD, "workspaceName": WORKSPACE}
    of_dashboard = by_service(filled, "POST", "/data-app/export-dashboard", json=body)
    for answer in (of_embed, of_dashboard):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-disposition"].startswith('attachment; filename="dashboard-template-pro')
        assert answer.json()["data"] == {"layout": [], "filters": [], "metrics": [{"metricId": "mrr", "name": "mrr"}]}
    meta = of_embed.json()["_meta"]
    assert (meta["embedType"], meta["embedDataAppAccessSetting"]) == ("dashboard", ACCESS)


def test_an_imported_dashboard_is_in_its_workspace_and_deleted_with_it(filled: Emulator) -> None:
    document = {"layout": [1], "metrics": [{"metricId": "new", "name": "New"}]}
    sent = {**IMPORT, "importDashboardData": document, "dashboardId": "copy"}
    first = by_service(filled, "POST", "/data-app/import-dashboard", json=sent).json()
    assert first["data"]["response"] == {
        "message": "Imported Dashboard with 1 metrics",
        "dashboardId": "copy",
        "dashboardName": "copy",
        "workspaceName": WORKSPACE,
    }
    again = by_service(filled, "POST", "/data-app/import-dashboard", json=sent)
    assert (again.status_code, again.json()) == (
        200,
        {"data": {"response": {"message": "Dashboard id already exists"}}},
    )
    assert ("copy", "copy") in filled.state.dashboards(WORKSPACE)
    assert [metric for metric, _ in filled.state.metrics(WORKSPACE)] == sorted([*METRICS, "new"])
    assert by_service(filled, "DELETE", "/workspace", params={"name": WORKSPACE}).status_code == 200
    assert filled.state.contents.metrics("copy") == []


def test_an_import_without_an_id_gets_one(filled: Emulator) -> None:
    answers = [by_service(filled, "POST", "/data-app/import-dashboard", json=IMPORT).json() for _ in range(2)]
    ids = {answer["data"]["response"]["dashboardId"] for answer in answers}
    assert ids <= {key for key, _ in filled.state.dashboards(WORKSPACE)}
    assert len(ids) == 2


def test_the_contents_of_a_clients_dashboard_are_deleted_with_it(filled: Emulator) -> None:
    create(filled)
    contents = filled.state.contents
    contents.add_metric("client-acme", "own", client_id="acme")
    contents.add_report("client-acme", "acme", "Weekly", ["own"])
    query = {"embedId": "client-acme", "isDeleteDashboard": "true"}
    assert call(filled, "DELETE", EMBEDS, params=query).status_code == 200
    assert (contents.metrics("client-acme"), contents.reports("client-acme")) == ([], [])


def test_the_embeds_of_another_data_app_are_not_visible(filled: Emulator) -> None:
    filled.account.create_app("other")
    other = filled.account.add_key("other", "key")
    embed_id = call(filled, "POST", EMBEDS, json=PREBUILT).json()["id"]
    assert call(filled, "GET", f"{APP}/dashboards", token=other).json()["data"] == []
    params = {"embedId": embed_id, "clientId": "acme"}
    assert call(filled, "GET", f"{APP}/metrics", params=params).status_code == 200
    answer = call(filled, "GET", f"{APP}/metrics", token=other, params=params)
    assert refusal(answer) == (404, "EMBED_PARAM_ERROR", "Invalid embed id")


def test_the_file_holds_the_names_of_credentials_but_no_value(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Emulator(str(path)) as first:
        first.state.add_workspace(WORKSPACE, dashboards=[DASHBOARD])
        secret = {"name": "warehouse", "password": "hunter-22-hunter"}
        by_service(first, "POST", "/datasource", json={**SOURCE, "credentials": secret})
        by_service(first, "POST", "/data-app/datamarts", json=DATAMART)
        first.state.contents.add_metric(DASHBOARD, "mrr")
        embed_id = call(first, "POST", EMBEDS, json={**PREBUILT, "embedType": "metric", "metricId": "mrr"}).json()["id"]
        before = (first.catalog.datasources(), first.catalog.datamarts(), call(first, "GET", EMBEDS).json())
    assert not [file for file in tmp_path.iterdir() if b"hunter-22" in file.read_bytes()]
    with Emulator(str(path)) as second:
        after = (second.catalog.datasources(), second.catalog.datamarts(), call(second, "GET", EMBEDS).json())
        assert after == before
        assert after[2]["data"][0]["embedMetadata"]["metricId"] == "mrr"
        assert second.state.embed(embed_id, "tenant-app") is not None
