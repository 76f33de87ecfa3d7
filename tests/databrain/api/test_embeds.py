"""Which requests are sent to Databrain, byte for byte, and how its answers are read."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable, Generator
from email.message import EmailMessage, MIMEPart
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import ValidationError

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.access import AccessSettings, AccessSettingsChange
from airflow_provider_databrain.databrain.api.embeds import (
    CreateDashboardEmbed,
    CreatedEmbed,
    Embed,
    create_dashboard_embed,
    delete_embed,
    list_embeds,
    rename_embed,
    update_embed,
)
from airflow_provider_databrain.databrain.api.workspaces import (
    Metric,
    Workspace,
    WorkspaceDashboard,
    fetch_workspace_dashboards,
    fetch_workspace_metrics,
    list_workspaces,
)
from tests.support import ACCESS, ODD_IDS, embed

FULL: dict[str, Any] = {
    "dashboard_id": "client-acme",
    "workspace_name": "analytics",
    "client_id": "acme",
    "access_settings": {
        "datamart_name": "customer-analytics",
        "is_allow_email_reports": False,
        "is_allow_manage_metrics": True,
        "is_allow_metric_creation": True,
        "is_allow_metric_deletion": False,
        "is_allow_metric_layout_change": True,
        "is_allow_metric_update": True,
        "is_allow_underlying_data": False,
        "is_allow_create_dashboard_view": True,
        "metric_creation_mode": "CHAT",
        "is_allow_ai_pilot": True,
        "join_model": "multi",
        "is_incremental_join": False,
        "table_tenancy_settings": [{"name": "orders", "client_column": "customer_id"}],
        "extra": {"isAllowSomethingNew": True},
    },
    "template_dashboard_id": "template-pro",
    "metadata": {"region": "eu", "seats": 12, "trial": None},
    "is_allow_private_metrics_by_default": True,
    "name": "Acme é 日本",
    "embed_description": "",
    "is_import_metrics": True,
    "import_dashboard_data": {"charts": [1, 2]},
    "is_rename_dashboard": True,
    "metric_import_mode": "GALLERY",
    "schema_pairs": [{"replace_schema": "public", "target_schema": "acme"}],
    "extra": {"brandNew": {"deep": [1]}},
}
FULL_BODY: dict[str, Any] = {
    "dashboardId": "client-acme",
    "workspaceName": "analytics",
    "clientId": "acme",
    "accessSettings": {
        "datamartName": "customer-analytics",
        "isAllowEmailReports": False,
        "isAllowManageMetrics": True,
        "isAllowMetricCreation": True,
        "isAllowMetricDeletion": False,
        "isAllowMetricLayoutChange": True,
        "isAllowMetricUpdate": True,
        "isAllowUnderlyingData": False,
        "isAllowCreateDashboardView": True,
        "metricCreationMode": "CHAT",
        "isAllowAiPilot": True,
        "joinModel": "multi",
        "isIncrementalJoin": False,
        "tableTenancySettings": [{"name": "orders", "clientColumn": "customer_id"}],
        "isAllowSomethingNew": True,
    },
    "templateDashboardId": "template-pro",
    "metadata": {"region": "eu", "seats": 12, "trial": None},
    "isAllowPrivateMetricsByDefault": True,
    "name": "Acme é 日本",
    "embedDescription": "",
    "isImportMetrics": True,
    "importDashboardData": {"charts": [1, 2]},
    "isRenameDashboard": True,
    "metricImportMode": "GALLERY",
    "schemaPairs": [{"replaceSchema": "public", "targetSchema": "acme"}],
    "brandNew": {"deep": [1]},
}
EXPORT = json.dumps({"data": {"charts": [3]}, "version": 2}).encode()


def decoded(request: Request[Any]) -> dict[str, Any]:
    assert request.body is not None
    body: dict[str, Any] = json.loads(request.body)
    return body


def parts_of(request: Request[Any]) -> dict[str, MIMEPart]:
    """The parts of a multipart body, by name, as the standard library reads them."""
    assert request.body is not None
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    assert isinstance(message, EmailMessage)
    return {str(part.get_param("name", header="content-disposition")): part for part in message.iter_parts()}


def text_of(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def run(call: Call[Any], *answers: object) -> tuple[Any, list[Request[Any]]]:
    """Run a call on prepared answers. Return its result and the requests that it made."""
    left = list(answers)
    if isinstance(call, Request):
        return call.read(left.pop(0)), [call]
    return _walk(call, left)


def _walk(call: Generator[Request[Any], Any, Any], left: list[object]) -> tuple[Any, list[Request[Any]]]:
    made = [next(call)]
    try:
        while True:
            made.append(call.send(made[-1].read(left.pop(0))))
    except StopIteration as end:
        return end.value, made


def test_a_request_with_every_field_uses_the_apis_names() -> None:
    request = create_dashboard_embed(CreateDashboardEmbed.model_validate(FULL))
    assert decoded(request) == FULL_BODY
    assert request.content_type == "application/json"
    assert (request.endpoint.method, request.endpoint.path) == ("POST", "/api/v2/data-app/dashboard-embeds")
    assert (request.tenant, request.dashboard) == ("acme", "client-acme")


def test_a_field_that_was_not_set_is_not_sent() -> None:
    sent = decoded(create_dashboard_embed(embed(template_dashboard_id=None, metadata=None)))
    assert set(sent) == {"dashboardId", "workspaceName", "clientId", "accessSettings"}
    assert len(sent["accessSettings"]) == len(ACCESS)
    assert None not in sent["accessSettings"].values()


@pytest.mark.parametrize("tenant", ODD_IDS)
def test_odd_ids_are_sent_as_they_are(tenant: str) -> None:
    sent = decoded(create_dashboard_embed(embed(tenant)))
    assert (sent["clientId"], sent["dashboardId"]) == (tenant, f"client-{tenant}")


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        embed(metadata={"ratio": float("nan")})


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
@pytest.mark.parametrize("field", ["dashboard_id", "client_id", "workspace_name", "template_dashboard_id", "name"])
def test_blank_names_are_refused(field: str, blank: str) -> None:
    with pytest.raises(ValidationError, match=field.split("_")[0]):
        embed(**{field: blank})


@pytest.mark.parametrize(
    "changes",
    [
        {"access_settings": ACCESS | {"metric_creation_mode": "drag"}},
        {"access_settings": ACCESS | {"join_model": "many"}},
        {"access_settings": ACCESS | {"datamart_name": " "}},
        {"access_settings": {"datamart_name": "x"}},
        {"metric_import_mode": "gallery"},
        {"schema_pairs": [{"replace_schema": "public"}]},
    ],
)
def test_a_request_that_the_api_would_refuse_is_never_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        embed(**changes)


def test_with_a_file_the_request_is_multipart_and_the_file_wins() -> None:
    request = create_dashboard_embed(CreateDashboardEmbed.model_validate(FULL), import_dashboard_data_file=EXPORT)
    assert request.content_type.startswith("multipart/form-data; boundary=")
    parts = parts_of(request)
    assert set(parts) == set(FULL_BODY) - {"importDashboardData"} | {"importDashboardDataFile"}
    file = parts.pop("importDashboardDataFile")
    assert file.get_content_type() == "application/json"
    assert file.get_filename()
    assert text_of(file) == EXPORT.decode()
    for name, part in parts.items():
        value = FULL_BODY[name]
        assert (text_of(part) if isinstance(value, str) else json.loads(text_of(part))) == value
    assert text_of(parts["isRenameDashboard"]) == "true"
    assert (request.tenant, request.dashboard) == ("acme", "client-acme")


@pytest.mark.parametrize("file", [b"", b"{", b"[]", b"{}", b'{"data": []}', b'"data"', b"\xff\xfe", b"PK\x03\x04"])
def test_a_file_that_is_not_an_export_is_refused(file: bytes) -> None:
    with pytest.raises(ValueError, match="not a dashboard export"):
        create_dashboard_embed(embed(), import_dashboard_data_file=file)


@pytest.mark.parametrize(
    ("call", "query"),
    [
        (list_embeds(), {}),
        (list_embeds(page=3), {"isPagination": "true", "pageNumber": "3"}),
        (list_embeds(client_id="acme"), {"clientId": "acme"}),
        (list_embeds(client_id="acme", page=1), {"clientId": "acme", "isPagination": "true", "pageNumber": "1"}),
        (list_workspaces(), {}),
        (list_workspaces(page=2), {"isPagination": "true", "pageNumber": "2"}),
    ],
)
def test_lists_by_get_page_in_the_query(call: Call[Any], query: dict[str, str]) -> None:
    assert isinstance(call, Request)
    assert call.endpoint.method == "GET"
    assert call.query == query
    assert call.body is None


@pytest.mark.parametrize("fetch", [fetch_workspace_metrics, fetch_workspace_dashboards])
def test_lists_of_a_workspace_page_in_the_body(fetch: Callable[..., Call[Any]]) -> None:
    everything, second = fetch("analytics"), fetch("analytics", page=2)
    assert isinstance(everything, Request)
    assert isinstance(second, Request)
    assert decoded(everything) == {"workspaceName": "analytics"}
    assert decoded(second) == {"workspaceName": "analytics", "isPagination": True, "pageNumber": 2}
    with pytest.raises(ValueError, match="workspace_name is empty"):
        fetch("")


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda: list_embeds(page="all", client_id="acme"), "embedId"),
        (lambda: list_workspaces(page="all"), "name"),
        (lambda: fetch_workspace_metrics("analytics", page="all"), "metricId"),
        (lambda: fetch_workspace_dashboards("analytics", page="all"), "externalDashboardId"),
    ],
    ids=["embeds", "workspaces", "metrics", "dashboards"],
)
def test_all_pages_of_each_list_are_put_together(call: Callable[[], Call[Any]], key: str) -> None:
    names = [f"n-{number}" for number in range(12)]
    pages = [{"data": [{key: name} for name in names[:10]]}, {"data": [{key: name} for name in names[10:]]}]
    rows, made = run(call(), *pages)
    assert [row.as_row()[key] for row in rows] == names
    numbers = [request.query.get("pageNumber") or decoded(request)["pageNumber"] for request in made]
    assert [int(str(number)) for number in numbers] == [1, 2]
    assert all(request.query.get("clientId") in ("acme", None) for request in made)


@pytest.mark.parametrize(
    ("request_", "method", "path", "resend"),
    [
        (update_embed("e", {}), "PUT", "/embeds", Resend.ALWAYS),
        (rename_embed("e", "n"), "PUT", "/embeds/rename", Resend.ALWAYS),
        (delete_embed("e"), "DELETE", "/embeds?embedId=e&isDeleteDashboard=false", Resend.DETECTABLE),
    ],
)
def test_a_change_uses_the_current_or_the_legacy_path(
    request_: Request[Any], method: str, path: str, resend: Resend
) -> None:
    server = Server("https://api.example", {})
    assert (request_.endpoint.method, request_.endpoint.resend, request_.dashboard) == (method, resend, "e")
    assert server.url(request_) == f"https://api.example/api/v2/data-app{path}"
    legacy = Server("https://api.example", {}, legacy_paths=True)
    assert legacy.url(request_) == f"https://api.example/api/v2/dataApp{path}"


FULL_ACCESS = FULL["access_settings"]
FULL_ACCESS_BODY = FULL_BODY["accessSettings"]


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (FULL_ACCESS, FULL_ACCESS_BODY),
        (AccessSettings.model_validate(FULL_ACCESS), FULL_ACCESS_BODY),
        ({"is_allow_email_reports": False}, {"isAllowEmailReports": False}),
        ({"isAllowEmailReports": True, "join_model": "single"}, {"isAllowEmailReports": True, "joinModel": "single"}),
        ({"table_tenancy_settings": []}, {"tableTenancySettings": []}),
        ({"is_allow_ai_pilot": None, "extra": {"isAllowSomethingNew": None}}, {"isAllowSomethingNew": None}),
        ({}, {}),
    ],
    ids=["all by name", "whole", "one", "both kinds of name", "list", "extra", "none"],
)
def test_an_update_sends_the_settings_that_were_set(settings: Any, sent: dict[str, Any]) -> None:
    assert decoded(update_embed("client-acme", settings)) == {"embedId": "client-acme", "accessSettings": sent}


def test_a_change_of_settings_has_the_fields_of_the_settings() -> None:
    assert set(AccessSettingsChange.model_fields) == set(AccessSettings.model_fields)
    assert not any(info.is_required() for info in AccessSettingsChange.model_fields.values())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"is_allow_everything": True}, "is_allow_everything"),
        ({"is_allow_email_reports": None}, "is_allow_email_reports"),
        ({"metric_creation_mode": "drag"}, "metric_creation_mode"),
        ({"datamart_name": " "}, "datamart_name"),
        ({"table_tenancy_settings": [{"name": "orders"}]}, "table_tenancy_settings.0.client_column"),
        ({"extra": {"isAllowEmailReports": True}}, "extra repeats known fields: isAllowEmailReports"),
    ],
)
def test_a_change_that_the_api_would_refuse_is_never_sent(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        update_embed("client-acme", settings)


@pytest.mark.parametrize(("rename", "sent"), [(None, {}), (True, {"isRenameDashboard": True})])
def test_a_rename_sends_what_was_set(rename: bool | None, sent: dict[str, Any]) -> None:
    request = rename_embed("client-acme", "Acme é 日本", is_rename_dashboard=rename)
    assert decoded(request) == {"embedId": "client-acme", "name": "Acme é 日本", **sent}


@pytest.mark.parametrize("tenant", ODD_IDS)
def test_odd_ids_of_embeds_are_sent_as_they_are(tenant: str) -> None:
    deletion = delete_embed(tenant, is_delete_dashboard=True)
    assert deletion.body is None
    url = urlsplit(Server("https://api.example", {}).url(deletion))
    assert dict(parse_qsl(url.query, strict_parsing=True)) == {"embedId": tenant, "isDeleteDashboard": "true"}
    assert not url.fragment
    assert decoded(update_embed(tenant, {}))["embedId"] == tenant
    assert decoded(rename_embed(tenant, tenant)) == {"embedId": tenant, "name": tenant}


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_change_without_an_embed_id_or_name_is_refused(blank: str) -> None:
    with pytest.raises(ValueError, match="embed_id is empty"):
        update_embed(blank, {})
    with pytest.raises(ValueError, match="embed_id is empty"):
        rename_embed(blank, "Acme")
    with pytest.raises(ValueError, match="embed_id is empty"):
        delete_embed(blank)
    with pytest.raises(ValueError, match="name is empty"):
        rename_embed("client-acme", blank)


def test_the_answer_to_a_change_is_read() -> None:
    answer = {"id": "e", "name": "N", "error": None}
    assert run(update_embed("e", {}), answer)[0] == "e"
    assert run(delete_embed("e"), {"id": "e"})[0] == "e"
    renamed, _ = run(rename_embed("e", "N"), answer)
    assert (renamed.id, renamed.name) == ("e", "N")
    assert run(rename_embed("e", "N"), {"id": "e"})[0].name is None


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (Metric, {"metricId": "m", "name": "M", "metricOptions": {"chart": "bar"}}),
        (WorkspaceDashboard, {"externalDashboardId": "d", "name": None, "isPublic": True}),
        (Workspace, {"name": "w", "companyId": 4}),
        (CreatedEmbed, {"id": "e", "name": "E", "error": None}),
        (
            Embed,
            {
                "embedId": "e",
                "embedType": "dashboard",
                "externalDashboard": {"name": "D", "metadata": {"a": [1]}, "fresh": 1},
                "externalMetric": None,
                "embedMetadata": {"dashboardId": "d", "accessSettings": {"x": 1}},
            },
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_unknown_fields_of_an_answer_are_kept(model: type[Embed], row: dict[str, Any]) -> None:
    assert model.model_validate(row).as_row() == row


def test_numbers_are_read_as_strings() -> None:
    [metrics, _] = run(fetch_workspace_metrics("w"), {"data": [{"metricId": 17, "name": 3.5}]})
    assert (metrics[0].metric_id, metrics[0].name) == ("17", "3.5")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"externalDashboard": {"externalDashboardId": "a"}, "embedMetadata": {"dashboardId": "b"}}, "a"),
        ({"externalDashboard": {"name": "D"}, "embedMetadata": {"dashboardId": "b"}}, "b"),
        ({"externalDashboard": {"externalDashboardId": ""}, "embedMetadata": {"dashboardId": None}}, "e"),
        ({"externalDashboard": None, "embedMetadata": None}, "e"),
        ({}, "e"),
    ],
)
def test_the_dashboard_of_an_embed_is_found_in_each_place(row: dict[str, Any], expected: str) -> None:
    assert Embed.model_validate({"embedId": "e", **row}).dashboard_id == expected


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (create_dashboard_embed(embed()), {"id": ""}),
        (create_dashboard_embed(embed()), {"id": None}),
        (update_embed("e", {}), {"error": None}),
        (rename_embed("e", "n"), {"id": ""}),
        (delete_embed("e"), {"id": None}),
        (delete_embed("e"), []),
        (list_embeds(), {"data": None}),
        (list_embeds(), {"data": [{"name": "no id"}]}),
        (list_workspaces(), []),
        (fetch_workspace_metrics("w"), {}),
        (fetch_workspace_dashboards("w"), {"data": {"0": {}}}),
    ],
)
def test_an_answer_of_another_shape_is_a_malformed_answer(call: Call[Any], answer: object) -> None:
    with pytest.raises(MalformedAnswerError, match="unexpected answer"):
        run(call, answer)


@pytest.mark.parametrize("repeated", ["clientId", "metadata", "dashboardId"])
def test_extra_cannot_replace_a_known_field(repeated: str) -> None:
    with pytest.raises(ValidationError, match=f"extra repeats known fields: {repeated}"):
        embed(extra={"brandNew": 1, repeated: "globex"})
