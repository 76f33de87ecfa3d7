"""Update, rename and delete of an embed, and the read-only server, over plain HTTP."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
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
    log_of,
    refusal,
)
from tests.support import ODD_IDS, WORKSPACE

EMBED = "client-acme"
PREFIXES = ["data-app", "dataApp"]


def update(emulator: Emulator, settings: Any, embed_id: Any = EMBED) -> requests.Response:
    return call(emulator, "PUT", EMBEDS, json={"embedId": embed_id, "accessSettings": settings})


def rename(emulator: Emulator, **changes: Any) -> requests.Response:
    sent = {"embedId": EMBED, "name": "Acme", **changes}
    return call(emulator, "PUT", RENAME, json={name: value for name, value in sent.items() if value is not ...})


def delete(emulator: Emulator, **query: str) -> requests.Response:
    return call(emulator, "DELETE", EMBEDS, params={"embedId": EMBED, **query})


def listed(emulator: Emulator, tenant: str = "acme") -> dict[str, Any]:
    """Return a tenant's only embed from the list."""
    [embed] = call(emulator, "GET", EMBEDS, params={"clientId": tenant}).json()["data"]
    row: dict[str, Any] = embed
    return row


def titles(emulator: Emulator) -> dict[str, str]:
    """Return each dashboard's title by its id."""
    return dict(emulator.state.dashboards(WORKSPACE))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_update_changes_only_the_settings_it_names(emulator: Emulator, prefix: str) -> None:
    create(emulator)
    create(emulator, "other")
    sent = {"embedId": EMBED, "accessSettings": {"isAllowEmailReports": True, "joinModel": "multi"}}
    answer = call(emulator, "PUT", EMBEDS.replace("data-app", prefix), json=sent)
    assert (answer.status_code, answer.json()) == (200, {"id": EMBED, "error": None})
    changed = {**ACCESS, "isAllowEmailReports": True, "joinModel": "multi"}
    assert emulator.state.access_settings(EMBED) == changed
    assert update(emulator, {"joinModel": "single"}).status_code == 200
    assert emulator.state.access_settings(EMBED) == {**changed, "joinModel": "single"}
    assert emulator.state.access_settings("client-other") == ACCESS
    assert emulator.state.created_with(EMBED) == body()


def test_a_list_in_an_update_replaces_the_old_list(emulator: Emulator) -> None:
    create(emulator, accessSettings={**ACCESS, "tableTenancySettings": [{"name": "a", "clientColumn": "b"}]})
    wanted = [{"name": "orders", "clientColumn": "customer_id"}]
    assert update(emulator, {"tableTenancySettings": wanted}).status_code == 200
    assert emulator.state.access_settings(EMBED)["tableTenancySettings"] == wanted


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("flag", [{}, {"isRenameDashboard": False}])
def test_a_rename_does_not_change_the_dashboard_by_default(
    emulator: Emulator, prefix: str, flag: dict[str, bool]
) -> None:
    create(emulator)
    path = RENAME.replace("data-app", prefix)
    answer = call(emulator, "PUT", path, json={"embedId": EMBED, "name": "Acme é", **flag})
    assert (answer.status_code, answer.json()) == (200, {"id": EMBED, "name": "Acme é", "error": None})
    row = listed(emulator)
    assert (row["name"], row["embedMetadata"]["name"]) == ("Acme é", "Acme é")
    assert row["externalDashboard"]["name"] == "client-acme_acme"


def test_a_rename_renames_the_dashboard_if_requested(emulator: Emulator) -> None:
    create(emulator)
    create(emulator, "other")
    assert rename(emulator, isRenameDashboard=True).status_code == 200
    assert listed(emulator)["externalDashboard"]["name"] == "Acme"
    assert titles(emulator)[EMBED] == "Acme"
    assert titles(emulator)["client-other"] == "client-other_other"
    assert listed(emulator, "other")["name"] == "client-other"


@pytest.mark.parametrize("change", [rename, lambda emulator: update(emulator, {"isAllowAiPilot": True})])
def test_a_change_sets_only_the_time_of_the_last_change(emulator: Emulator, change: Any) -> None:
    create(emulator)
    create(emulator, "other")
    before, other = listed(emulator)["embedMetadata"], listed(emulator, "other")
    assert before["updatedAt"] == before["createdAt"]
    time.sleep(0.005)  # the state's clock counts in milliseconds
    assert change(emulator).status_code == 200
    row = listed(emulator)
    for times in (row["embedMetadata"], row["externalDashboard"]["metadata"]):
        assert times["createdAt"] == before["createdAt"]
        assert times["updatedAt"] > before["updatedAt"]
    assert listed(emulator, "other") == other


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("query", [{}, {"isDeleteDashboard": "false"}])
def test_a_delete_keeps_the_dashboard_and_its_id(emulator: Emulator, prefix: str, query: dict[str, str]) -> None:
    create(emulator)
    create(emulator, "other")
    path = EMBEDS.replace("data-app", prefix)
    answer = call(emulator, "DELETE", path, params={"embedId": EMBED, **query})
    assert (answer.status_code, answer.json()) == (200, {"id": EMBED, "error": None})
    assert [row.client_id for row in emulator.state.embeds()] == ["other"]
    assert EMBED in titles(emulator)
    assert refusal(create(emulator)) == (400, "INVALID_DASHBOARD_ID", "Dashboard already exists")


def test_a_delete_with_the_dashboard_frees_its_id(emulator: Emulator) -> None:
    create(emulator)
    create(emulator, "other")
    assert delete(emulator, isDeleteDashboard="true").status_code == 200
    assert EMBED not in titles(emulator)
    assert "client-other" in titles(emulator)
    assert create(emulator).status_code == 200
    assert emulator.state.access_settings(EMBED) == ACCESS


def test_an_embed_that_does_not_exist_cannot_be_changed(emulator: Emulator) -> None:
    create(emulator, "other")
    unknown = (400, "INVALID_EMBED_ID", "Invalid embed id")
    assert refusal(update(emulator, {"joinModel": "multi"})) == unknown
    assert refusal(rename(emulator, isRenameDashboard=True)) == unknown
    assert refusal(delete(emulator)) == (400, "INVALID_REQUEST_BODY", "Embed not found")
    assert refusal(delete(emulator, isDeleteDashboard="true")) == (400, "INVALID_REQUEST_BODY", "Embed not found")
    # A dashboard without an embed is not an embed.
    assert refusal(delete(emulator, embedId="template-basic", isDeleteDashboard="true"))[2] == "Embed not found"
    assert "template-basic" in titles(emulator)


@pytest.mark.parametrize(
    ("method", "path", "sent", "message"),
    [
        ("PUT", EMBEDS, {"accessSettings": {}}, '"embedId" is required'),
        ("PUT", EMBEDS, {"embedId": EMBED}, '"accessSettings" is required'),
        ("PUT", EMBEDS, {"embedId": "", "accessSettings": {}}, '"embedId" is not allowed to be empty'),
        ("PUT", EMBEDS, {"embedId": EMBED, "accessSettings": []}, '"accessSettings" must be of type object'),
        ("PUT", EMBEDS, {"embedId": EMBED, "accessSettings": {}, "name": "x"}, '"name" is not allowed'),
        ("PUT", EMBEDS, {"embedId": EMBED, "accessSettings": {"isAllowAll": True}}, '"isAllowAll" is not allowed'),
        (
            "PUT",
            EMBEDS,
            {"embedId": EMBED, "accessSettings": {"isAllowAiPilot": "true"}},
            '"isAllowAiPilot" must be a boolean',
        ),
        (
            "PUT",
            EMBEDS,
            {"embedId": EMBED, "accessSettings": {"joinModel": "many"}},
            '"joinModel" must be one of [single, multi]',
        ),
        (
            "PUT",
            EMBEDS,
            {"embedId": EMBED, "accessSettings": {"tableTenancySettings": [{"name": "orders"}]}},
            '"clientColumn" is required',
        ),
        ("PUT", RENAME, {"name": "Acme"}, '"embedId" is required'),
        ("PUT", RENAME, {"embedId": EMBED}, '"name" is required'),
        ("PUT", RENAME, {"embedId": EMBED, "name": ""}, '"name" is not allowed to be empty'),
        ("PUT", RENAME, {"embedId": EMBED, "name": 7}, '"name" must be a string'),
        (
            "PUT",
            RENAME,
            {"embedId": EMBED, "name": "Acme", "isRenameDashboard": "true"},
            '"isRenameDashboard" must be a boolean',
        ),
        ("DELETE", EMBEDS, {}, '"embedId" is required'),
        ("DELETE", EMBEDS, {"embedId": ""}, '"embedId" is not allowed to be empty'),
        ("DELETE", EMBEDS, {"embedId": EMBED, "force": "true"}, '"force" is not allowed'),
        (
            "DELETE",
            EMBEDS,
            {"embedId": EMBED, "isDeleteDashboard": "True"},
            '"isDeleteDashboard" must be one of [true, false]',
        ),
    ],
)
def test_the_refusal_of_an_invalid_change_names_the_fault_and_nothing_changes(
    emulator: Emulator, method: str, path: str, sent: dict[str, Any], message: str
) -> None:
    create(emulator)
    before = listed(emulator)
    options: dict[str, Any] = {"params": sent} if method == "DELETE" else {"json": sent}
    assert refusal(call(emulator, method, path, **options)) == (400, "INVALID_REQUEST_BODY", message)
    assert listed(emulator) == before
    assert emulator.state.access_settings(EMBED) == ACCESS


@pytest.mark.parametrize("raw", ["", "{", "[]", "null"])
@pytest.mark.parametrize("path", [EMBEDS, RENAME])
def test_a_change_that_is_not_an_object_is_refused(emulator: Emulator, path: str, raw: str) -> None:
    expected = (400, "INVALID_REQUEST_BODY", "Request body validation failed")
    assert refusal(call(emulator, "PUT", path, data=raw.encode())) == expected


def test_each_embed_with_an_odd_id_is_changed_alone(emulator: Emulator) -> None:
    for tenant in ODD_IDS:
        create(emulator, tenant)
    for tenant in ODD_IDS:
        embed_id = f"client-{tenant}"
        assert rename(emulator, embedId=embed_id, name=tenant).json()["name"] == tenant
        assert update(emulator, {"datamartName": tenant}, embed_id).json()["id"] == embed_id
    assert [row.name for row in emulator.state.embeds()] == ODD_IDS
    assert [emulator.state.access_settings(f"client-{tenant}")["datamartName"] for tenant in ODD_IDS] == ODD_IDS
    for number, tenant in enumerate(ODD_IDS, start=1):
        assert delete(emulator, embedId=f"client-{tenant}").json()["id"] == f"client-{tenant}"
        assert [row.name for row in emulator.state.embeds()] == ODD_IDS[number:]


def test_changes_survive_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    with Emulator(path) as first:
        first.state.add_workspace(WORKSPACE)
        create(first)
        update(first, {"joinModel": "multi"})
        rename(first)
        before = listed(first)
    with Emulator(path) as second:
        assert listed(second) == before
        assert second.state.access_settings(EMBED) == {**ACCESS, "joinModel": "multi"}


def test_a_file_of_an_earlier_release_opens(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Emulator(str(path)) as first:
        first.state.add_workspace(WORKSPACE)
        create(first)
        before = listed(first)
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE embeds DROP COLUMN updated_at")
        database.execute("ALTER TABLE embeds DROP COLUMN access_changes")
    for settings in (ACCESS, {**ACCESS, "joinModel": "multi"}):
        with Emulator(str(path)) as later:
            assert later.state.access_settings(EMBED) == settings
            assert settings != ACCESS or listed(later) == before
            create(later, "other")
            assert update(later, {"joinModel": "multi"}).status_code == 200


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_read_only_server_refuses_every_change(emulator: Emulator, prefix: str) -> None:
    create(emulator)
    before = listed(emulator)
    emulator.control.behaviour = Behaviour(read_only=True)
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", CREATE, {"json": body("other")}),
        ("POST", EMBEDS, {"json": {"dashboardId": "x"}}),
        ("PUT", EMBEDS, {"json": {"embedId": EMBED, "accessSettings": {"joinModel": "multi"}}}),
        ("PUT", RENAME, {"json": {"embedId": EMBED, "name": "Acme"}}),
        ("DELETE", EMBEDS, {"params": {"embedId": EMBED}}),
    ]
    for method, path, options in changes:
        answer = call(emulator, method, path.replace("data-app", prefix), **options)
        assert refusal(answer) == (403, "READ_ONLY", "Changes are refused")
    assert listed(emulator) == before
    assert emulator.state.count_embeds() == 1
    emulator.control.behaviour = Behaviour()
    assert delete(emulator).status_code == 200


def test_a_read_only_server_answers_reads(emulator: Emulator) -> None:
    url = f"{emulator.url}/_emulator/behaviour"
    requests.put(url, json={"read_only": True}, timeout=5).raise_for_status()
    assert call(emulator, "GET", EMBEDS).json()["data"] == []
    assert call(emulator, "GET", WORKSPACES).json()["data"] == [{"name": WORKSPACE}]
    for path in (METRICS_PATH, DASHBOARDS):
        assert call(emulator, "POST", path, json={"workspaceName": WORKSPACE}).json()["data"]


def test_a_read_only_server_has_faults_too_and_does_not_act(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(read_only=True)
    emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(requests.ConnectionError):
        create(emulator)
    assert emulator.state.count_embeds() == 0


def test_requests_are_counted_by_method_and_path_on_arrival(emulator: Emulator) -> None:
    create(emulator)
    delete(emulator)
    delete(emulator, isDeleteDashboard="true")
    emulator.control.set_faults([Fault(kind="reset_before", times=1)])
    with pytest.raises(requests.ConnectionError):
        create(emulator)
    assert emulator.control.arrived == {("POST", CREATE): 2, ("DELETE", EMBEDS): 2}
    assert sum(emulator.control.arrived.values()) == len(log_of(emulator))
