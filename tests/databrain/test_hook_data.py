"""The hook's embeds, metrics, datasources, datamarts and dashboards, sync and async, against the emulator."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.databrain.api.dashboards import ImportDashboard
from airflow_provider_databrain.databrain.api.datamarts import CreateDatamart, UpdateDatamart
from airflow_provider_databrain.databrain.api.datasources import Datasource
from airflow_provider_databrain.databrain.api.embeds import DashboardEmbed, MetricEmbed
from airflow_provider_databrain.databrain.api.metrics import MetricQuery
from airflow_provider_databrain.databrain.api.semantic_layers import SemanticTable
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import BOTH_WAYS, do
from tests.databrain.connections import hook_for
from tests.support import ACCESS, WORKSPACE, embed, http_answer, raw_server, set_connection

DASHBOARD = "template-pro"
TABLE = {"name": "orders", "client_column": "customer", "columns": [{"name": "id"}, {"name": "n", "alias": "count"}]}
DATAMART = CreateDatamart(
    name="customer-analytics",
    datasource_name="warehouse",
    table_list=[TABLE],
    tenancy_settings={"tenancy_level": "DATABASE"},
    relationships=[
        {"parent_table_name": "a", "parent_column_name": "b", "child_table_name": "c", "child_column_name": "d"}
    ],
)
PREBUILT = {"dashboard_id": DASHBOARD, "workspace_name": WORKSPACE}
WHOLE = DashboardEmbed(**PREBUILT, name="Pro", access_settings=ACCESS)
METRIC = MetricEmbed(**PREBUILT, metric_id="mrr", name="MRR")
ROWS = [{"region": "eu", "mrr": 7}, {"region": "us", "mrr": 9}]


@pytest.fixture
def filled(connection: Emulator) -> Emulator:
    """An emulator with a datasource, a datamart, and a dashboard with two metrics. The client acme owns one of them."""
    connection.catalog.add_datasource("warehouse")
    DatabrainHook().create_datamart(DATAMART)
    connection.state.contents.add_metric(DASHBOARD, "mrr", name="MRR", data=ROWS)
    connection.state.contents.add_metric(DASHBOARD, "own", client_id="acme")
    return connection


@BOTH_WAYS
@pytest.mark.parametrize("legacy", [False, True])
async def test_an_existing_dashboard_or_metric_is_embedded(
    filled: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str, legacy: bool
) -> None:
    set_connection(monkeypatch, filled, extra={"legacy_paths": legacy})
    hook = DatabrainHook()
    ids = [await do(hook, prefix, "create_embed", new) for new in (WHOLE, METRIC)]
    whole, metric = hook.list_embeds()
    assert [whole.embed_id, metric.embed_id] == ids
    assert (whole.embed_type, whole.name, whole.dashboard_id, whole.external_metric) == (
        "dashboard",
        "Pro",
        DASHBOARD,
        None,
    )
    assert metric.external_metric is not None
    assert (metric.embed_type, metric.external_metric.metric_id, metric.external_dashboard) == ("metric", "mrr", None)
    assert ("POST", f"/api/v2/{'dataApp' if legacy else 'data-app'}/embeds") in filled.control.arrived


@BOTH_WAYS
async def test_an_embed_that_shows_the_same_is_found(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    made = [await do(hook, prefix, "find_or_create_embed", new) for new in (WHOLE, METRIC)]
    again = [await do(hook, prefix, "find_or_create_embed", new) for new in (WHOLE, METRIC)]
    assert [created for _, created in (*made, *again)] == [True, True, False, False]
    assert [key for key, _ in made] == [key for key, _ in again]
    other = WHOLE.model_copy(update={"name": "Other"})
    assert (await do(hook, prefix, "find_or_create_embed", other))[1] is True
    unnamed = WHOLE.model_copy(update={"name": None})
    assert await do(hook, prefix, "find_or_create_embed", unnamed) == (made[0][0], False)


@BOTH_WAYS
async def test_an_embed_that_was_created_despite_an_unclear_failure_is_found(filled: Emulator, prefix: str) -> None:
    filled.control.set_faults([Fault(kind="reset_after", method="POST", path="/embeds", times=1)])
    embed_id, created = await do(DatabrainHook(), prefix, "find_or_create_embed", WHOLE)
    assert created
    assert [row.embed_id for row in filled.state.embeds()] == [embed_id]
    assert filled.control.arrived["POST", "/api/v2/data-app/embeds"] == 1


@BOTH_WAYS
@pytest.mark.parametrize("kind", ["reset_before", "error_before"])
async def test_a_failure_that_created_no_embed_is_an_error(filled: Emulator, prefix: str, kind: Any) -> None:
    filled.control.set_faults([Fault(kind=kind, method="POST", path="/embeds", times=1)])
    with pytest.raises(ApiError) as caught:
        await do(DatabrainHook(), prefix, "find_or_create_embed", WHOLE)
    assert caught.value.ambiguous
    assert filled.state.count_embeds() == 0


@BOTH_WAYS
async def test_no_embed_is_created_if_an_older_server_does_not_say_what_embeds_show(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    rows = [{"embedId": "e", "embedType": "dashboard", "externalDashboard": {"name": "D"}, "externalMetric": None}]
    answer = http_answer(200, json.dumps({"data": rows}).encode())
    shown = pytest.raises(MalformedAnswerError, match="does not say what embed 'e' shows")
    with raw_server(answer) as (url, met), shown:
        await do(hook_for(monkeypatch, host=url), prefix, "find_or_create_embed", WHOLE)
    assert [request.split(b" ")[0] for request in met] == [b"GET"]


@BOTH_WAYS
async def test_an_embed_is_exported(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    embed_id = hook.create_embed(WHOLE)
    export = await do(hook, prefix, "export_embed", embed_id)
    assert (export.meta["embedId"], export.meta["dashboardId"]) == (embed_id, DASHBOARD)
    assert export.data["metrics"] == [{"metricId": "mrr", "name": "MRR"}, {"metricId": "own", "name": "own"}]
    assert export.as_row().keys() == {"_meta", "data"}


@BOTH_WAYS
async def test_dashboards_and_metrics_of_a_data_app_are_read(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    embed_id = hook.create_embed(WHOLE)
    for page in (None, 1, "all"):
        [row] = await do(hook, prefix, "fetch_data_app_dashboards", page=page)
        assert (row.external_dashboard_id, row.embed_id) == (DASHBOARD, embed_id)
        seen = await do(hook, prefix, "fetch_embed_metrics", embed_id, "acme", is_metric=True, page=page)
        assert [(row.metric_id, row.is_published, row.created_by_user) for row in seen] == [
            ("mrr", False, None),
            ("own", False, "acme"),
        ]
        assert len(await do(hook, prefix, "fetch_embed_metrics", embed_id, "globex", page=page)) == 1
        found = await do(hook, prefix, "fetch_dashboard_metrics", WORKSPACE, DASHBOARD, page=page)
        assert [row.metric_id for row in found] == ["mrr", "own"]


@BOTH_WAYS
async def test_a_published_metric_shows_as_published(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    embed_id = hook.create_embed(WHOLE)
    for wanted in (True, False):
        assert await do(hook, prefix, "publish_metric", embed_id, "mrr", is_published=wanted) == "mrr"
        states = {row.metric_id: row.is_published for row in hook.fetch_embed_metrics(embed_id, "acme")}
        assert states == {"mrr": wanted, "own": False}


@BOTH_WAYS
@pytest.mark.parametrize("legacy", [False, True])
async def test_the_data_of_a_metric_is_read(
    filled: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str, legacy: bool
) -> None:
    set_connection(monkeypatch, filled, extra={"legacy_paths": legacy})
    hook = DatabrainHook()
    query = MetricQuery(embed_id=hook.create_embed(METRIC), metric_id="mrr", client_id="acme")
    found = await do(hook, prefix, "fetch_metric_data", query)
    assert (found.data, found.total_records, found.metric_id) == (ROWS, 2, "mrr")
    assert [(column.name, column.data_type) for column in found.meta_data.columns] == [
        ("region", "string"),
        ("mrr", "number"),
    ]
    narrow = query.model_copy(update={"dashboard_filter": {"region": "us"}, "datasource_name": "warehouse"})
    assert (await do(hook, prefix, "fetch_metric_data", narrow)).data == ROWS[1:]


@BOTH_WAYS
async def test_scheduled_reports_are_listed(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    embed_id = hook.create_embed(WHOLE)
    for client in ("acme", "globex"):
        filled.state.contents.add_report(embed_id, client, f"For {client}", ["mrr"], identifier="ann")
    everyone = await do(hook, prefix, "list_scheduled_reports", embed_id, page="all")
    assert [row.client_id for row in everyone] == ["acme", "globex"]
    [row] = await do(hook, prefix, "list_scheduled_reports", embed_id, client_id="globex")
    assert (row.subject, row.metric_ids, row.created_by_identifier) == ("For globex", ["mrr"], "ann")


@BOTH_WAYS
async def test_a_datasource_is_created_changed_synced_and_deleted(connection: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    source = Datasource(datasource_type="postgres", credentials={"name": "warehouse", "password": "pw-1"})
    assert await do(hook, prefix, "create_datasource", source) == "warehouse"
    wider = Datasource(datasource_type="postgres", credentials={"name": "warehouse", "host": "h", "password": "pw-2"})
    assert await do(hook, prefix, "update_datasource", wider) == "warehouse"
    [row] = connection.catalog.datasources()
    assert (row.type, row.fields) == ("postgres", ["host", "name", "password"])
    for page in (None, 1, "all"):
        assert [source.name for source in await do(hook, prefix, "list_datasources", page=page)] == ["warehouse"]
    assert await do(hook, prefix, "start_datasource_sync", row.id) == "Sync completed"
    assert connection.catalog.datasources()[0].syncs == 1
    connection.catalog.set_progress("warehouse", "3/16")
    assert (await do(hook, prefix, "get_sync_progress", row.id)).finished is False
    connection.catalog.set_progress("warehouse", "16/16", "broken")
    assert (await do(hook, prefix, "get_sync_progress", row.id)).error == "broken"
    assert await do(hook, prefix, "delete_datasource", "warehouse") == row.id
    assert hook.list_datasources() == []


@BOTH_WAYS
async def test_a_datasource_that_a_datamart_uses_is_not_deleted(filled: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    with pytest.raises(InvalidRequestError) as caught:
        await do(hook, prefix, "delete_datasource", "warehouse")
    assert caught.value.code == "DATASOURCE_IN_USE"
    hook.delete_datamart(DATAMART.name)
    await do(hook, prefix, "delete_datasource", "warehouse")
    assert filled.catalog.datasources() == []


@BOTH_WAYS
@pytest.mark.parametrize("legacy", [False, True])
async def test_a_datamart_is_created_changed_and_deleted(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str, legacy: bool
) -> None:
    set_connection(monkeypatch, connection, extra={"legacy_paths": legacy})
    connection.catalog.add_datasource("warehouse")
    hook = DatabrainHook()
    assert await do(hook, prefix, "create_datamart", DATAMART) == DATAMART.name
    for page in (None, 1, "all"):
        [row] = await do(hook, prefix, "list_datamarts", page=page)
        assert (row.name, row.datasource_name, row.datamart_organization["tenancyLevel"]) == (
            DATAMART.name,
            "warehouse",
            "DATABASE",
        )
    assert row.datamart_tables[0]["clientColumn"] == "customer"
    assert [column["alias"] for column in row.datamart_tables[0]["datamartTableColumns"]] == ["id", "count"]
    assert row.datamart_relationships[0]["childTableName"] == "c"
    change = UpdateDatamart(datamart_name=DATAMART.name, table_list=[{**TABLE, "name": "clients"}], relationships=[])
    assert await do(hook, prefix, "update_datamart", change) == DATAMART.name
    [row] = hook.list_datamarts()
    assert (row.datamart_tables[0]["tableName"], row.datamart_relationships) == ("clients", [])
    assert await do(hook, prefix, "delete_datamart", DATAMART.name) == DATAMART.name
    assert hook.list_datamarts() == []


@BOTH_WAYS
async def test_a_semantic_layer_is_created_changed_and_deleted(filled: Emulator, prefix: str) -> None:
    hook, name = DatabrainHook(), DATAMART.name
    for method in ("get_semantic_layer", "update_semantic_layer", "delete_semantic_layer"):
        with pytest.raises(NotFoundError) as caught:
            await do(hook, prefix, method, name)
        assert (caught.value.status, caught.value.code) == (404, "SEMANTIC_LAYER_NOT_FOUND")
    orders = SemanticTable(name="orders", description="Sales", columns=[{"name": "id", "synonyms": ["key"]}])
    assert await do(hook, prefix, "create_semantic_layer", name, tables=[orders], feedback="ok") == name
    others = [SemanticTable(name="clients")]
    assert await do(hook, prefix, "update_semantic_layer", name, tables=others) == name
    layer = await do(hook, prefix, "get_semantic_layer", name)
    assert [table["name"] for table in layer.tables] == ["orders", "clients"]
    assert (layer.tables[0]["columns"], layer.feedback) == ([{"name": "id", "synonyms": ["key"]}], "ok")
    assert await do(hook, prefix, "delete_semantic_layer", name) == name
    assert filled.catalog.datamarts()[0].layer is None


@BOTH_WAYS
async def test_a_dashboard_moves_to_another_workspace(filled: Emulator, prefix: str) -> None:
    filled.state.add_workspace("second")
    hook = DatabrainHook()
    export = await do(hook, prefix, "export_dashboard", DASHBOARD, WORKSPACE)
    assert (export.meta["dashboardId"], export.meta["workspaceName"]) == (DASHBOARD, WORKSPACE)
    asked = ImportDashboard(
        workspace_name="second",
        import_dashboard_data={**export.data, "layout": [{"schemaName": "public"}, {"schemaName": "other"}]},
        dashboard_id="copy",
        dashboard_name="Copy",
        schema_pairs=[{"replace_schema": "public", "target_schema": "acme"}],
    )
    made = await do(hook, prefix, "import_dashboard", asked)
    assert (made.dashboard_id, made.dashboard_name, made.workspace_name) == ("copy", "Copy", "second")
    assert made.message == "Imported Dashboard with 2 metrics"
    [row] = hook.fetch_workspace_dashboards("second")
    assert (row.external_dashboard_id, row.name) == ("copy", "Copy")
    assert [row.metric_id for row in hook.fetch_workspace_metrics("second")] == ["mrr", "own"]
    copied = hook.export_dashboard("copy", "second").data
    assert copied["layout"] == [{"schemaName": "acme"}, {"schemaName": "other"}]


@BOTH_WAYS
async def test_an_import_under_a_taken_id_is_an_error_despite_status_200(filled: Emulator, prefix: str) -> None:
    asked = ImportDashboard(workspace_name=WORKSPACE, import_dashboard_data={"layout": [1]}, dashboard_id=DASHBOARD)
    with pytest.raises(AlreadyExistsError, match="Dashboard id already exists") as caught:
        await do(DatabrainHook(), prefix, "import_dashboard", asked)
    assert (caught.value.endpoint, caught.value.dashboard) == ("import dashboard", DASHBOARD)
    assert not caught.value.after_ambiguous
    assert filled.state.contents.document(DASHBOARD)["layout"] == []


@BOTH_WAYS
async def test_an_import_with_an_id_is_tried_again_and_one_without_is_not(
    filled: Emulator, fast_retries: None, prefix: str
) -> None:
    named = ImportDashboard(workspace_name=WORKSPACE, import_dashboard_data={}, dashboard_id="copy")
    for asked, error in ((named, AlreadyExistsError), (named.model_copy(update={"dashboard_id": None}), ApiError)):
        before = len(filled.state.dashboards(WORKSPACE))
        filled.control.set_faults([Fault(kind="reset_after", path="/import-dashboard", times=1)])
        with pytest.raises(error) as caught:
            await do(DatabrainHook(), prefix, "import_dashboard", asked)
        assert caught.value.after_ambiguous is (asked is named)
        assert len(filled.state.dashboards(WORKSPACE)) == before + 1


@BOTH_WAYS
async def test_an_older_answer_to_an_import_has_no_fields(filled: Emulator, prefix: str) -> None:
    filled.control.behaviour = Behaviour(older_import_answer=True)
    asked = ImportDashboard(workspace_name=WORKSPACE, import_dashboard_data={}, dashboard_id="copy")
    assert (await do(DatabrainHook(), prefix, "import_dashboard", asked)).dashboard_id is None
    assert filled.state.dashboard_exists("copy")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("method", "args", "error", "code"),
    [
        ("create_embed", (WHOLE.model_copy(update={"workspace_name": "x"}),), NotFoundError, "INVALID_WORKSPACE_NAME"),
        ("create_embed", (WHOLE.model_copy(update={"dashboard_id": "x"}),), NotFoundError, "INVALID_DASHBOARD_ID"),
        ("create_embed", (METRIC.model_copy(update={"metric_id": "x"}),), NotFoundError, "INVALID_METRIC_ID"),
        (
            "create_embed",
            (DashboardEmbed(**PREBUILT, access_settings={**ACCESS, "datamart_name": "x"}),),
            InvalidRequestError,
            "INVALID_DATAMART",
        ),
        (
            "create_embed",
            (
                DashboardEmbed(
                    **PREBUILT,
                    access_settings={**ACCESS, "table_tenancy_settings": [{"name": "x", "client_column": "c"}]},
                ),
            ),
            NotFoundError,
            "DATAMART_TABLE_NOT_FOUND",
        ),
        ("export_embed", ("x",), NotFoundError, "EMBED_NOT_FOUND"),
        ("fetch_embed_metrics", ("x", "acme"), NotFoundError, "EMBED_PARAM_ERROR"),
        ("fetch_dashboard_metrics", ("x", DASHBOARD), NotFoundError, "WORKSPACE_ID_ERROR"),
        ("fetch_dashboard_metrics", (WORKSPACE, "x"), NotFoundError, "DASHBOARD_PARAM_ERROR"),
        ("publish_metric", ("x", "mrr"), NotFoundError, "EMBED_PARAM_ERROR"),
        ("publish_metric", ("client-acme", "x"), NotFoundError, "INVALID_METRIC_ID"),
        ("list_scheduled_reports", ("x",), NotFoundError, "EMBED_PARAM_ERROR"),
        (
            "create_datasource",
            (Datasource(datasource_type="csv", credentials={"name": "warehouse"}),),
            AlreadyExistsError,
            "DATASOURCE_NAME_ERROR",
        ),
        (
            "update_datasource",
            (Datasource(datasource_type="csv", credentials={"name": "x"}),),
            NotFoundError,
            "DATASOURCE_NAME_ERROR",
        ),
        (
            "create_datasource",
            (Datasource(datasource_type="abacus", credentials={"name": "x"}),),
            InvalidRequestError,
            "INVALID_REQUEST_BODY",
        ),
        ("delete_datasource", ("x",), NotFoundError, "DATASOURCE_NAME_ERROR"),
        ("start_datasource_sync", ("x",), NotFoundError, "DATASOURCE_ID_ERROR"),
        ("get_sync_progress", ("x",), NotFoundError, "DATASOURCE_ID_ERROR"),
        (
            "create_datamart",
            (DATAMART.model_copy(update={"datasource_name": "x"}),),
            NotFoundError,
            "DATASOURCE_NAME_ERROR",
        ),
        ("create_datamart", (DATAMART,), InvalidRequestError, "INVALID_REQUEST_BODY"),
        ("update_datamart", (UpdateDatamart(datamart_name="x"),), InvalidRequestError, "INVALID_REQUEST_BODY"),
        ("delete_datamart", ("x",), InvalidRequestError, "INVALID_REQUEST_BODY"),
        ("create_semantic_layer", ("x",), InvalidRequestError, "INVALID_REQUEST_BODY"),
        ("export_dashboard", ("x", WORKSPACE), InvalidRequestError, "INVALID_REQUEST_BODY"),
        (
            "import_dashboard",
            (ImportDashboard(workspace_name="x", import_dashboard_data={}),),
            NotFoundError,
            "WORKSPACE_ID_ERROR",
        ),
    ],
)
async def test_each_refusal_raises_its_error(
    filled: Emulator, prefix: str, method: str, args: tuple[Any, ...], error: type[ApiError], code: str
) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    with pytest.raises(ApiError) as caught:
        await do(hook, prefix, method, *args)
    assert (type(caught.value), caught.value.code) == (error, code)
    assert caught.value.endpoint == method.replace("_", " ")


@BOTH_WAYS
@pytest.mark.parametrize(("status", "kind"), [(400, NotFoundError), (500, ServerError)])
async def test_an_unknown_metric_embed_or_source_of_a_query_is_not_found(
    filled: Emulator, prefix: str, status: int, kind: type[ApiError]
) -> None:
    hook = DatabrainHook(max_retry_seconds=0)
    query = MetricQuery(embed_id=hook.create_embed(METRIC), metric_id="mrr", client_id="acme")
    changes = [{"metric_id": "own"}, {"embed_id": "x"}, {"datasource_name": "x"}]
    if status == 500:
        filled.control.set_faults([Fault(kind="error_before", path="/query")])
    for change in changes:
        with pytest.raises(kind) as caught:
            await do(hook, prefix, "fetch_metric_data", query.model_copy(update=change))
        assert (caught.value.status, caught.value.tenant) == (status, "acme")


CALLS: dict[str, tuple[Any, ...]] = {
    "create_embed": (WHOLE,),
    "export_embed": ("e",),
    "fetch_data_app_dashboards": (),
    "fetch_embed_metrics": ("e", "c"),
    "fetch_dashboard_metrics": (WORKSPACE, DASHBOARD),
    "publish_metric": ("e", "m"),
    "fetch_metric_data": (MetricQuery(embed_id="e", metric_id="m", client_id="c"),),
    "list_scheduled_reports": ("e",),
    "create_datasource": (Datasource(datasource_type="csv", credentials={"name": "x"}),),
    "update_datasource": (Datasource(datasource_type="csv", credentials={"name": "x"}),),
    "list_datasources": (),
    "delete_datasource": ("x",),
    "start_datasource_sync": ("x",),
    "get_sync_progress": ("x",),
    "create_datamart": (DATAMART,),
    "update_datamart": (UpdateDatamart(datamart_name="x"),),
    "list_datamarts": (),
    "delete_datamart": ("x",),
    "get_semantic_layer": ("x",),
    "create_semantic_layer": ("x",),
    "update_semantic_layer": ("x",),
    "delete_semantic_layer": ("x",),
    "export_dashboard": ("d", "w"),
    "import_dashboard": (ImportDashboard(workspace_name="w", import_dashboard_data={}),),
}
READS = ("get_", "fetch_", "list_", "export_")


@BOTH_WAYS
async def test_a_wrong_token_is_an_authentication_error_at_every_call(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    set_connection(monkeypatch, emulator, password="wrong", extra={"service_token": "wrong"})
    hook = DatabrainHook()
    for method, args in CALLS.items():
        with pytest.raises(AuthenticationError) as caught:
            await do(hook, prefix, method, *args)
        assert caught.value.endpoint == method.replace("_", " ")


@BOTH_WAYS
async def test_a_server_error_is_tried_again_only_if_that_does_no_harm(
    connection: Emulator, fast_retries: None, prefix: str
) -> None:
    hook = DatabrainHook()
    once = []
    for method, args in CALLS.items():
        connection.control.set_faults([Fault(kind="error_before")])
        connection.control.arrived.clear()
        with pytest.raises(ServerError):
            await do(hook, prefix, method, *args)
        once += [method] * (sum(connection.control.arrived.values()) == 1)
    assert once == ["create_embed", "start_datasource_sync", "create_datamart", "import_dashboard"]


@BOTH_WAYS
async def test_a_read_only_server_refuses_changes_and_nothing_else(connection: Emulator, prefix: str) -> None:
    connection.control.behaviour = Behaviour(read_only=True)
    hook = DatabrainHook()
    refused = []
    for method, args in CALLS.items():
        with suppress(NotFoundError, InvalidRequestError):
            try:
                await do(hook, prefix, method, *args)
            except AuthenticationError as error:
                refused.append((method, error.code))
    assert refused == [(method, "READ_ONLY") for method in CALLS if not method.startswith(READS)]


@BOTH_WAYS
async def test_an_unclear_create_of_a_datasource_is_marked(
    connection: Emulator, fast_retries: None, prefix: str
) -> None:
    source = Datasource(datasource_type="csv", credentials={"name": "x"})
    connection.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(AlreadyExistsError) as caught:
        await do(DatabrainHook(), prefix, "create_datasource", source)
    assert caught.value.after_ambiguous
    assert [row.name for row in connection.catalog.datasources()] == ["x"]
