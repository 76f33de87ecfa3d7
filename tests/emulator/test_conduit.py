"""The emulated Conduit's answers over plain HTTP. The client is written against this contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour, ConduitState
from tests.conduit.support import TOKEN, Conduit
from tests.support import ODD_IDS

CALLS = [
    ("GET", "/workspaces/"),
    ("POST", "/workspaces/"),
    ("DELETE", "/workspaces/1/"),
    ("GET", "/dashboards/"),
    ("GET", "/dashboards/1/share/"),
    ("POST", "/dashboards/1/clone/"),
]
ORGANIZATION_CALLS = [call for call in CALLS if call not in (("GET", "/dashboards/"), ("GET", "/dashboards/1/share/"))]


@pytest.fixture
def conduit() -> Iterator[Conduit]:
    with Conduit() as running:
        running.state.add_dashboard("Sales")
        yield running


def call(conduit: Conduit, method: str, path: str, token: str = TOKEN, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, conduit.url + path, headers=headers, timeout=5, **options)


def create(conduit: Conduit, **body: Any) -> requests.Response:
    return call(conduit, "POST", "/workspaces/", json={"name": "Acme", **body})


def shown(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json() if answer.content else None


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("header", [None, "", "Bearer", f"Basic {TOKEN}", "Bearer wrong"])
def test_the_token_is_checked_first(conduit: Conduit, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = requests.request(method, conduit.url + path, headers=headers, data="not json", timeout=5)
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize(("method", "path"), ORGANIZATION_CALLS)
def test_a_workspace_token_is_refused_if_the_organizations_token_is_needed(
    conduit: Conduit, method: str, path: str
) -> None:
    token = create(conduit).json()["token"]
    refusal = {"code": "invalid_token", "message": "Invalid token"}
    assert shown(call(conduit, method, path, token, json={"name": "x"})) == (401, refusal)
    assert [row.name for row in conduit.state.workspaces()] == ["Acme"]


@pytest.mark.parametrize("status", [200, 201])
def test_a_created_workspace_is_answered_and_listed(conduit: Conduit, status: Any) -> None:
    conduit.state.behaviour = ConduitBehaviour(created_status=status)
    first, second = create(conduit, ext_id="crm1"), create(conduit, name="Other")
    assert [first.status_code, second.status_code] == [status, status]
    assert first.json() == {"id": 1, "ext_id": "crm1", "name": "Acme", "token": first.json()["token"]}
    assert second.json() == {"id": 2, "ext_id": None, "name": "Other", "token": second.json()["token"]}
    assert first.json()["token"] != second.json()["token"]
    assert shown(call(conduit, "GET", "/workspaces/")) == (200, [first.json(), second.json()])


@pytest.mark.parametrize("ext_id", ODD_IDS)
def test_an_odd_ext_id_does_not_change(conduit: Conduit, ext_id: str) -> None:
    assert create(conduit, ext_id=ext_id).json()["ext_id"] == ext_id


@pytest.mark.parametrize(("unique", "statuses"), [(False, [201, 201, 201]), (True, [201, 400, 201])])
def test_an_ext_id_is_unique_or_not(conduit: Conduit, unique: bool, statuses: list[int]) -> None:
    conduit.state.behaviour = ConduitBehaviour(unique_ext_id=unique)
    assert [create(conduit, ext_id=ext_id).status_code for ext_id in ("a", "a", "b")] == statuses
    assert create(conduit).status_code == create(conduit).status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/workspaces/", b"not json", "The body must be a JSON object"),
        ("/workspaces/", b"[]", "The body must be a JSON object"),
        ("/workspaces/", b"", "The body must be a JSON object"),
        ("/workspaces/", b"{}", "name is required"),
        ("/workspaces/", b'{"name": " "}', "name must be a non-empty string"),
        ("/workspaces/", b'{"name": 1}', "name must be a non-empty string"),
        ("/workspaces/", b'{"name": "a", "ext_id": null}', "ext_id must be a non-empty string"),
        ("/workspaces/", b'{"name": "a", "extId": "b"}', "extId is unknown"),
        ("/dashboards/1/clone/", b'{"name": "a"}', "workspace is required"),
        ("/dashboards/1/clone/", b'{"workspace": "1"}', "workspace must be a positive integer"),
        ("/dashboards/1/clone/", b'{"workspace": true}', "workspace must be a positive integer"),
        ("/dashboards/1/clone/", b'{"workspace": 99999999999999999999}', "workspace must be a positive integer"),
        ("/dashboards/1/clone/", b'{"workspace": 1, "name": ""}', "name must be a non-empty string"),
        ("/dashboards/1/clone/", b'{"workspace": 7}', "The workspace does not exist"),
    ],
)
def test_an_invalid_body_is_refused_with_code_and_message(
    conduit: Conduit, path: str, body: bytes, message: str
) -> None:
    conduit.state.add_workspace("there")
    answer = call(conduit, "POST", path, data=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message"}
    assert answer.json()["message"] == message
    assert len(conduit.state.workspaces()) == 1
    assert conduit.state.dashboards(1) == []


@pytest.mark.parametrize(("status", "body"), [(200, {"message": "The workspace is disabled"}), (204, None)])
def test_a_disabled_workspace_and_its_token_no_longer_exist(conduit: Conduit, status: Any, body: Any) -> None:
    conduit.state.behaviour = ConduitBehaviour(disabled_status=status, unique_ext_id=True)
    token = create(conduit, ext_id="a").json()["token"]
    assert call(conduit, "GET", "/dashboards/", token).status_code == 200
    assert shown(call(conduit, "DELETE", "/workspaces/1/")) == (status, body)
    assert shown(call(conduit, "GET", "/workspaces/")) == (200, [])
    assert call(conduit, "GET", "/dashboards/", token).status_code == 401
    assert call(conduit, "DELETE", "/workspaces/1/").status_code == 404
    assert call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": 1}).status_code == 400
    assert create(conduit, ext_id="a").json()["id"] == 2


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(("named", "name"), [({}, "Sales"), ({"name": "Acme's"}, "Acme's")])
def test_a_clone_is_in_its_workspace_and_the_workspaces_token_shares_it(
    conduit: Conduit, status: Any, named: dict[str, str], name: str
) -> None:
    conduit.state.behaviour = ConduitBehaviour(created_status=status)
    token, other = create(conduit).json()["token"], create(conduit).json()["token"]
    answer = call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": 1, **named})
    url = answer.json()["url"]
    assert shown(answer) == (status, {"id": 2, "name": name, "url": url})
    assert shown(call(conduit, "GET", "/dashboards/", token)) == (200, [{"id": 2, "name": name}])
    assert shown(call(conduit, "GET", "/dashboards/", other)) == (200, [])
    assert shown(call(conduit, "GET", "/dashboards/")) == (200, [{"id": 1, "name": "Sales"}])
    assert [shown(call(conduit, "GET", "/dashboards/2/share/", token)) for _ in range(2)] == [(200, {"url": url})] * 2
    assert call(conduit, "GET", "/dashboards/2/share/", other).status_code == 404
    assert call(conduit, "GET", "/dashboards/2/share/").status_code == 404
    assert call(conduit, "GET", "/dashboards/1/share/").json()["url"] != url
    assert call(conduit, "POST", "/dashboards/2/clone/", json={"workspace": 1}).status_code == 404
    [row] = conduit.state.dashboards(1)
    assert row.cloned_from == 1


@pytest.mark.parametrize("number", ["0", "9", "-1", "x", "1x", "٣", "9" * 30, "9" * 5000, "a%2Fb"])
def test_an_unknown_or_impossible_id_is_not_found(conduit: Conduit, number: str) -> None:
    conduit.state.add_workspace("there")
    assert call(conduit, "DELETE", f"/workspaces/{number}/").status_code == 404
    assert call(conduit, "GET", f"/dashboards/{number}/share/").status_code == 404
    assert call(conduit, "POST", f"/dashboards/{number}/clone/", json={"workspace": 1}).status_code == 404
    assert len(conduit.state.workspaces()) == 1


def test_workspaces_need_the_company_name(conduit: Conduit) -> None:
    conduit.state.add_workspace("there")
    conduit.state.behaviour = ConduitBehaviour(has_company_name=False)
    refused = (400, {"code": "company_name_missing", "message": "Your company name is not set"})
    assert shown(call(conduit, "GET", "/workspaces/")) == refused
    assert shown(create(conduit)) == refused
    assert shown(call(conduit, "DELETE", "/workspaces/1/")) == refused
    assert call(conduit, "GET", "/dashboards/").status_code == 200
    assert len(conduit.state.workspaces()) == 1


def test_clones_need_the_white_label(conduit: Conduit) -> None:
    conduit.state.add_workspace("there")
    conduit.state.behaviour = ConduitBehaviour(has_white_label=False)
    refused = (400, {"code": "white_label_missing", "message": "White-label is not configured"})
    assert shown(call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": 1})) == refused
    assert call(conduit, "GET", "/dashboards/1/share/").status_code == 200


@pytest.mark.parametrize(("needed", "status"), [(False, 200), (True, 404)])
def test_a_slash_at_the_end_is_needed_or_optional(conduit: Conduit, needed: bool, status: int) -> None:
    conduit.state.behaviour = ConduitBehaviour(needs_slash=needed)
    for path in ("/workspaces", "/dashboards", "/dashboards/1/share"):
        assert call(conduit, "GET", path, allow_redirects=False).status_code == status
        assert call(conduit, "GET", f"{path}/").status_code == 200


# What else the reference leaves open


@pytest.mark.parametrize(("body", "shown_body"), [("detail", {"detail": "Not found"}), ("empty", None)])
def test_a_refusal_may_have_another_body_but_a_400_has_code_and_message(
    conduit: Conduit, body: Any, shown_body: Any
) -> None:
    conduit.state.behaviour = ConduitBehaviour(error_body=body)
    assert shown(call(conduit, "DELETE", "/workspaces/9/")) == (404, shown_body)
    assert set(call(conduit, "POST", "/workspaces/", json={}).json()) == {"code", "message"}


def test_a_create_may_have_more_fields_or_no_body(conduit: Conduit) -> None:
    conduit.state.behaviour = ConduitBehaviour(created_body="more", created_status=202)
    first = create(conduit)
    assert first.status_code == 202
    assert set(first.json()) > {"id", "ext_id", "name", "token"}
    conduit.state.behaviour = ConduitBehaviour(created_body="empty")
    assert shown(create(conduit)) == (201, None)
    assert shown(call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": 2})) == (201, None)
    assert [row.name for row in conduit.state.dashboards(2)] == ["Sales"]


def listed(conduit: Conduit, path: str = "/workspaces/", token: str = TOKEN) -> list[int]:
    return [row["id"] for row in call(conduit, "GET", path, token).json()]


def test_a_list_may_be_unordered_late_or_cut(conduit: Conduit) -> None:
    for number in range(3):
        conduit.state.add_workspace(f"{number}")
    conduit.state.behaviour = ConduitBehaviour(order="newest")
    assert listed(conduit) == [3, 2, 1]
    conduit.state.behaviour = ConduitBehaviour(order="random")
    assert sorted(listed(conduit)) == [1, 2, 3]
    conduit.state.behaviour = ConduitBehaviour(list_limit=2)
    assert listed(conduit) == [1, 2]
    conduit.state.behaviour = ConduitBehaviour(lists_late=2)
    create(conduit)
    assert [len(listed(conduit)) for _ in range(4)] == [3, 3, 4, 4]


def test_a_list_may_have_the_organizations_dashboards(conduit: Conduit) -> None:
    conduit.state.behaviour = ConduitBehaviour(lists_organization=True)
    token = create(conduit).json()["token"]
    made = conduit.state.add_dashboard("Own", workspace=1)
    assert listed(conduit, "/dashboards/", token) == [1, made]
    assert listed(conduit, "/dashboards/") == [1]


@pytest.mark.parametrize(("again", "status"), [(True, 204), (False, 404)])
def test_a_disabled_workspace_may_stay_in_the_list(conduit: Conduit, again: bool, status: int) -> None:
    conduit.state.behaviour = ConduitBehaviour(
        lists_disabled=True, disables_again=again, unique_ext_id=True, keeps_ext_id=True, taken_status=409
    )
    token = create(conduit, ext_id="a").json()["token"]
    assert call(conduit, "DELETE", "/workspaces/1/").status_code == 204
    assert listed(conduit) == [1]
    assert call(conduit, "GET", "/dashboards/", token).status_code == 401
    assert call(conduit, "DELETE", "/workspaces/1/").status_code == status
    assert create(conduit, ext_id="a").status_code == 409


@pytest.mark.parametrize(("by", "other"), [("ext_id", {"name": "Other"}), ("name", {"ext_id": "b"})])
def test_a_create_may_answer_with_an_existing_workspace(conduit: Conduit, by: Any, other: dict[str, str]) -> None:
    conduit.state.behaviour = ConduitBehaviour(returns_existing=by)
    first = create(conduit, ext_id="a").json()
    assert create(conduit, **{"ext_id": "a", **other}).json() == first
    assert create(conduit, name="Third", ext_id="c").json()["id"] == 2


@pytest.mark.parametrize(("change", "stored"), [("lower", " a "), ("strip", "A")])
def test_an_ext_id_may_be_stored_in_another_form(conduit: Conduit, change: Any, stored: str) -> None:
    conduit.state.behaviour = ConduitBehaviour(changes_ext_id=change)
    assert create(conduit, ext_id=" A ").json()["ext_id"] == " A "
    assert call(conduit, "GET", "/workspaces/").json()[0]["ext_id"] == stored


def test_a_clone_may_keep_its_sources_name_or_be_answered_as_its_source(conduit: Conduit) -> None:
    conduit.state.behaviour = ConduitBehaviour(ignores_name=True, answers_source=True)
    conduit.state.add_workspace("there")
    answer = call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": 1, "name": "Mine"}).json()
    assert (answer["id"], answer["name"]) == (1, "Sales")
    assert [row.id for row in conduit.state.dashboards(1)] == [2]


def test_a_workspace_may_number_its_dashboards_and_each_url_may_be_new(conduit: Conduit) -> None:
    conduit.state.behaviour = ConduitBehaviour(numbers_dashboards=True, new_urls=True)
    tokens = [create(conduit).json()["token"] for _ in range(2)]
    for workspace in (1, 2, 2):
        call(conduit, "POST", "/dashboards/1/clone/", json={"workspace": workspace})
    assert [listed(conduit, "/dashboards/", token) for token in tokens] == [[1], [1, 2]]
    urls = {call(conduit, "GET", "/dashboards/1/share/", token).json()["url"] for token in (*tokens, TOKEN, TOKEN)}
    assert len(urls) == 4
    assert call(conduit, "GET", "/dashboards/2/share/", tokens[0]).status_code == 404


def test_a_file_keeps_everything(tmp_path: Path) -> None:
    path = str(tmp_path / "emulator.sqlite")
    with Conduit(path) as first:
        dashboard = first.state.add_dashboard("Sales")
        workspace = create(first, ext_id="a").json()
        call(first, "POST", f"/dashboards/{dashboard}/clone/", json={"workspace": workspace["id"]})
    again = ConduitState(path)
    assert [row._asdict() for row in again.workspaces()] == [workspace]
    assert [row.name for row in again.dashboards()] == [row.name for row in again.dashboards(workspace["id"])]
    again.clear()
    assert (again.workspaces(), again.dashboards()) == ([], [])
    again.close()
