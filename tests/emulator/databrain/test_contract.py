"""The emulated Databrain's answers over plain HTTP. The client is written against this contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import (
    ACCESS,
    CREATE,
    DASHBOARDS,
    EMBEDS,
    METRICS_PATH,
    RENAME,
    WORKSPACES,
    body,
    call,
    create,
    refusal,
)
from tests.support import METRICS, ODD_IDS, TEMPLATES, WORKSPACE

ENDPOINTS = [
    ("POST", CREATE),
    ("GET", EMBEDS),
    ("PUT", EMBEDS),
    ("PUT", RENAME),
    ("DELETE", EMBEDS),
    ("POST", METRICS_PATH),
    ("POST", DASHBOARDS),
    ("GET", WORKSPACES),
]
MALFORMED = (400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
WRONG = (401, "INVALID_DATA_APP_API_KEY", "API key is invalid or expired")


@pytest.fixture(scope="module")
def untouched() -> Iterator[Emulator]:
    """One emulator for all tests of refusals. They must not change anything."""
    with Emulator() as running:
        running.state.add_workspace(WORKSPACE)
        yield running
        assert running.state.count_embeds() == 0


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, MALFORMED), ("", MALFORMED), ("Bearer", MALFORMED), ("Basic abc", MALFORMED), ("Bearer wrong", WRONG)],
)
def test_the_token_is_checked_first(
    untouched: Emulator, method: str, path: str, header: str | None, expected: tuple[int, str, str]
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = requests.request(method, untouched.url + path, headers=headers, data="not json", timeout=5)
    assert refusal(answer) == expected


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_token_of_the_other_kind_is_refused(untouched: Emulator, method: str, path: str) -> None:
    other = untouched.service_token if "/data-app/" in path else untouched.api_key
    assert refusal(call(untouched, method, path, token=other)) == WRONG


def test_a_created_embed_is_answered_and_listed(emulator: Emulator) -> None:
    answer = create(emulator, metadata={"region": "eu"})
    assert (answer.status_code, answer.json()) == (200, {"id": "client-acme", "error": None, "name": "client-acme"})
    [embed] = call(emulator, "GET", EMBEDS).json()["data"]
    created = embed["externalDashboard"]["metadata"].pop("createdAt")
    assert embed == {
        "embedId": "client-acme",
        "embedType": "dashboard",
        "name": "client-acme",
        "externalDashboard": {
            "externalDashboardId": "client-acme",
            "name": "client-acme_acme",
            "metadata": {"updatedAt": created, "region": "eu"},
        },
        "externalMetric": None,
        "embedMetadata": {
            "embedId": "client-acme",
            "name": "client-acme",
            "embedType": "dashboard",
            "dataAppName": "tenant-app",
            "metricId": None,
            "dashboardId": "client-acme",
            "createdAt": created,
            "updatedAt": created,
        },
    }
    rows = call(emulator, "POST", DASHBOARDS, json={"workspaceName": WORKSPACE}).json()["data"]
    assert {"externalDashboardId": "client-acme", "name": "client-acme_acme"} in rows


@pytest.mark.parametrize(
    ("changes", "name", "title"),
    [
        ({}, "client-acme", "client-acme_acme"),
        ({"name": "Acme"}, "Acme", "client-acme_acme"),
        ({"name": "Acme", "isRenameDashboard": False}, "Acme", "client-acme_acme"),
        ({"name": "Acme", "isRenameDashboard": True}, "Acme", "Acme"),
        ({"isRenameDashboard": True}, "client-acme", "client-acme_acme"),
    ],
)
def test_the_title_is_the_name_only_if_requested(
    emulator: Emulator, changes: dict[str, Any], name: str, title: str
) -> None:
    assert create(emulator, **changes).json()["name"] == name
    [embed] = call(emulator, "GET", EMBEDS).json()["data"]
    assert (embed["name"], embed["externalDashboard"]["name"]) == (name, title)


def test_the_legacy_paths_work_and_answer_no_name(emulator: Emulator) -> None:
    answer = call(emulator, "POST", CREATE.replace("data-app", "dataApp"), json=body())
    assert answer.json() == {"id": "client-acme", "error": None}
    assert len(call(emulator, "GET", EMBEDS.replace("data-app", "dataApp")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({name: ...}, f'"{name}" is required') for name in body()],
        *[
            ({"accessSettings": {key: value for key, value in ACCESS.items() if key != name}}, f'"{name}" is required')
            for name in ACCESS
        ],
        ({"serviceToken": "x"}, '"serviceToken" is not allowed'),
        ({"accessSettings": {**ACCESS, "isAllowAll": True}}, '"isAllowAll" is not allowed'),
        ({"dashboardId": ""}, '"dashboardId" is not allowed to be empty'),
        ({"clientId": 17}, '"clientId" must be a string'),
        ({"clientId": None}, '"clientId" must be a string'),
        ({"accessSettings": "all"}, '"accessSettings" must be of type object'),
        ({"isRenameDashboard": "true"}, '"isRenameDashboard" must be a boolean'),
        ({"schemaPairs": {}}, '"schemaPairs" must be an array'),
        ({"metricImportMode": "BOTH"}, '"metricImportMode" must be one of [GALLERY, METRIC]'),
        (
            {"accessSettings": {**ACCESS, "metricCreationMode": "VOICE"}},
            '"metricCreationMode" must be one of [DRAG_DROP, CHAT]',
        ),
        ({"accessSettings": {**ACCESS, "joinModel": "many"}}, '"joinModel" must be one of [single, multi]'),
        (
            {"accessSettings": {**ACCESS, "tableTenancySettings": [{"name": "orders"}]}},
            '"clientColumn" is required',
        ),
        ({"accessSettings": {**ACCESS, "tableTenancySettings": ["orders"]}}, '"value" must be of type object'),
        ({"dashboardId": "x" * 256}, '"dashboardId" length must be less than or equal to 255 characters long'),
        ({"clientId": "x" * 256}, '"clientId" length must be less than or equal to 255 characters long'),
    ],
)
def test_the_refusal_of_an_invalid_body_names_the_fault(
    untouched: Emulator, changes: dict[str, Any], message: str
) -> None:
    assert refusal(create(untouched, **changes)) == (400, "INVALID_REQUEST_BODY", message)


@pytest.mark.parametrize("raw", ["", "{", "[]", '"text"', "null", "\ufffd"])
@pytest.mark.parametrize("path", [CREATE, METRICS_PATH])
def test_a_body_that_is_not_an_object_is_refused(untouched: Emulator, path: str, raw: str) -> None:
    expected = (400, "INVALID_REQUEST_BODY", "Request body validation failed")
    assert refusal(call(untouched, "POST", path, data=raw.encode())) == expected


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, '"workspaceName" is required'),
        ({"workspaceName": 1}, '"workspaceName" must be a string'),
        ({"workspaceName": WORKSPACE, "isPagination": "true"}, '"isPagination" must be a boolean'),
        ({"workspaceName": WORKSPACE, "pageNumber": True}, '"pageNumber" must be a number'),
        ({"workspaceName": WORKSPACE, "page": 1}, '"page" is not allowed'),
    ],
)
@pytest.mark.parametrize("path", [METRICS_PATH, DASHBOARDS])
def test_the_refusal_of_an_invalid_workspace_list_names_the_fault(
    untouched: Emulator, path: str, sent: dict[str, Any], message: str
) -> None:
    assert refusal(call(untouched, "POST", path, json=sent)) == (400, "INVALID_REQUEST_BODY", message)


def test_the_workspace_and_the_template_must_exist(emulator: Emulator) -> None:
    assert refusal(create(emulator, workspaceName="Analytics")) == (400, "WORKSPACE_ID_ERROR", "Invalid workspace name")
    for path in (METRICS_PATH, DASHBOARDS):
        answer = call(emulator, "POST", path, json={"workspaceName": "nowhere"})
        assert refusal(answer)[:2] == (400, "WORKSPACE_ID_ERROR")
    expected = (400, "TEMPLATE_DASHBOARD_ERROR", "Invalid template dashboard id")
    assert refusal(create(emulator, templateDashboardId="nothing")) == expected
    emulator.state.add_workspace("other", dashboards=["elsewhere"])
    assert refusal(create(emulator, templateDashboardId="elsewhere")) == expected
    assert create(emulator, templateDashboardId=TEMPLATES[0]).status_code == 200
    with_template = create(emulator, "other", workspaceName="nowhere", templateDashboardId=TEMPLATES[0])
    assert refusal(with_template)[:2] == (400, "TEMPLATE_DASHBOARD_ERROR")
    assert "invalid workspace or template" in refusal(with_template)[2]


def test_only_known_clients_are_accepted_if_they_are_set(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(known_clients=["acme"])
    assert refusal(create(emulator, "other")) == (400, "CLIENT_ID_ERROR", "Invalid client id")
    assert create(emulator, "acme").status_code == 200
    assert create(emulator, "None").status_code == 200


@pytest.mark.parametrize("taken", ["client-acme", TEMPLATES[0]])
def test_a_dashboard_id_can_be_used_only_once(emulator: Emulator, taken: str) -> None:
    create(emulator, "acme")
    answer = create(emulator, "other", dashboardId=taken)
    assert refusal(answer) == (400, "INVALID_DASHBOARD_ID", "Dashboard already exists")
    assert emulator.state.count_embeds() == 1


def test_odd_ids_do_not_change(emulator: Emulator) -> None:
    for tenant in ODD_IDS:
        assert create(emulator, tenant).json()["id"] == f"client-{tenant}"
    for tenant in ODD_IDS:
        [embed] = call(emulator, "GET", EMBEDS, params={"clientId": tenant}).json()["data"]
        assert embed["embedId"] == f"client-{tenant}"


def form(file: bytes, name: str = "importDashboardDataFile", kind: str = "application/json") -> dict[str, Any]:
    fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body().items()}
    fields["importDashboardData"] = json.dumps({"charts": ["field"]})
    return {"data": fields, "files": {name: ("export.json", file, kind)}}


def test_a_form_is_read_and_its_file_has_priority(emulator: Emulator) -> None:
    assert call(emulator, "POST", CREATE, **form(b'{"data": {"charts": ["file"]}}')).json()["id"] == "client-acme"
    created = emulator.state.created_with("client-acme")
    assert created == body(importDashboardData={"charts": ["file"]})


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (form(b"{}"), ("INVALID_DASHBOARD_DATA", "Uploaded JSON missing data")),
        (form(b"[]"), ("INVALID_DASHBOARD_DATA", "Uploaded JSON missing data")),
        (form(b'{"data": {}}', kind="text/csv"), ("INVALID_REQUEST_BODY", '"importDashboardDataFile" is not allowed')),
        (form(b'{"data": {}}', name="file"), ("INVALID_REQUEST_BODY", '"file" is not allowed')),
        (form(b"{"), ("INVALID_REQUEST_BODY", "Request body validation failed")),
    ],
)
def test_a_file_that_is_not_an_export_is_refused(
    untouched: Emulator, sent: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert refusal(call(untouched, "POST", CREATE, **sent)) == (400, *expected)


@pytest.mark.parametrize(
    ("page", "numbers"), [("1", range(10)), ("2", range(10, 20)), ("3", range(20, 23)), ("4", []), ("99", [])]
)
def test_pages_have_ten_rows_and_none_past_the_end(emulator: Emulator, page: str, numbers: Any) -> None:
    names = [f"n-{number:02}" for number in range(23)]
    emulator.state.add_workspace("big", metrics=names, dashboards=names)
    for name in names:
        emulator.state.add_workspace(name)
        create(emulator, name)
    expected = [names[number] for number in numbers]
    query = {"isPagination": "true", "pageNumber": page}
    sent = {"workspaceName": "big", "isPagination": True, "pageNumber": int(page)}
    embeds = call(emulator, "GET", EMBEDS, params=query).json()["data"]
    assert [row["embedId"] for row in embeds] == [f"client-{name}" for name in expected]
    metrics = call(emulator, "POST", METRICS_PATH, json=sent).json()["data"]
    assert [row["metricId"] for row in metrics] == expected
    dashboards = call(emulator, "POST", DASHBOARDS, json=sent).json()["data"]
    assert [row["externalDashboardId"] for row in dashboards] == expected
    workspaces = call(emulator, "GET", WORKSPACES, params=query).json()["data"]
    everything = [WORKSPACE, "big", *names]
    assert [row["name"] for row in workspaces] == everything[int(page) * 10 - 10 : int(page) * 10]


def test_a_page_that_is_not_a_number_is_refused(untouched: Emulator) -> None:
    for path in (EMBEDS, WORKSPACES):
        answer = call(untouched, "GET", path, params={"isPagination": "true", "pageNumber": "two"})
        assert refusal(answer) == (400, "INVALID_REQUEST_BODY", '"pageNumber" must be a number')


def test_without_paging_a_list_is_complete(emulator: Emulator) -> None:
    emulator.state.add_workspace("big", metrics=[f"n-{number}" for number in range(23)])
    assert len(call(emulator, "POST", METRICS_PATH, json={"workspaceName": "big"}).json()["data"]) == 23
    emulator.control.behaviour = Behaviour(ignores_paging=True)
    sent = {"workspaceName": "big", "isPagination": True, "pageNumber": 2}
    assert len(call(emulator, "POST", METRICS_PATH, json=sent).json()["data"]) == 23


def test_the_client_filter_is_applied_or_ignored(emulator: Emulator) -> None:
    create(emulator, "one")
    create(emulator, "two")
    query = {"clientId": "two"}
    assert [row["embedId"] for row in call(emulator, "GET", EMBEDS, params=query).json()["data"]] == ["client-two"]
    assert call(emulator, "GET", EMBEDS, params={"clientId": "three"}).json() == {"data": [], "error": None}
    emulator.control.behaviour = Behaviour(ignores_client_filter=True)
    assert len(call(emulator, "GET", EMBEDS, params=query).json()["data"]) == 2


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    with Emulator(path) as first:
        first.state.add_workspace(WORKSPACE, metrics=METRICS)
        create(first, "acme", metadata={"é": [1]})
        before = call(first, "GET", EMBEDS).json()
    with Emulator(path) as second:
        assert call(second, "GET", EMBEDS).json() == before
        assert refusal(create(second, "acme"))[1] == "INVALID_DASHBOARD_ID"
        assert len(call(second, "POST", METRICS_PATH, json={"workspaceName": WORKSPACE}).json()["data"]) == len(METRICS)
