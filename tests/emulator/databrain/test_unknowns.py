"""What the emulated Databrain does where the vendor's reference is silent: each answer that ``Behaviour`` can play."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import ACCESS, EMBEDS, RENAME, call, create, refusal
from tests.support import TEMPLATES, WORKSPACE

FAILED = "DASHBOARD_CREATE_ERROR"


def behave(emulator: Emulator, **behaviour: Any) -> None:
    emulator.control.behaviour = Behaviour.model_validate(behaviour)


def listed(emulator: Emulator, **query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = call(emulator, "GET", EMBEDS, params=query).json()["data"]
    return rows


def ids(emulator: Emulator, page: int | None = None) -> list[str]:
    query = {} if page is None else {"isPagination": "true", "pageNumber": str(page)}
    return [row["embedId"] for row in listed(emulator, **query)]


def fill(emulator: Emulator, count: int) -> list[str]:
    for number in range(count):
        create(emulator, f"{number:02}")
    return [f"client-{number:02}" for number in range(count)]


def test_a_list_is_cut_only_without_paging(emulator: Emulator) -> None:
    made = fill(emulator, 13)
    behave(emulator, embed_list_limit=4)
    assert ids(emulator) == made[:4]
    assert ids(emulator, 1) + ids(emulator, 2) == made


def test_each_list_has_another_order(emulator: Emulator) -> None:
    made = fill(emulator, 13)
    behave(emulator, shuffles_embeds=True)
    orders = [ids(emulator) for _ in range(5)]
    assert all(sorted(order) == made for order in orders)
    assert len({*map(tuple, orders)}) == 5
    assert [len(ids(emulator, page)) for page in (1, 2, 3)] == [10, 3, 0]


def test_a_new_embed_is_listed_late(emulator: Emulator) -> None:
    behave(emulator, late_embeds=2)
    create(emulator, "acme")
    assert [ids(emulator) for _ in range(4)] == [[], [], ["client-acme"], ["client-acme"]]
    create(emulator, "late")
    assert ids(emulator) == ["client-acme"]


def test_an_older_list_names_no_dashboard(emulator: Emulator) -> None:
    create(emulator, "acme", metadata={"region": "EU"})
    behave(emulator, older_embed_list=True)
    [row] = listed(emulator)
    assert row.keys() == {"embedId", "embedType", "externalDashboard", "externalMetric"}
    assert row["externalDashboard"].keys() == {"name", "metadata"}
    assert row["externalDashboard"]["metadata"]["region"] == "EU"
    assert row["externalMetric"] is None


def test_an_embed_may_have_an_id_of_its_own(emulator: Emulator) -> None:
    behave(emulator, own_embed_ids=True)
    embed_id = create(emulator, "acme").json()["id"]
    assert embed_id.startswith("client-acme__")
    [row] = listed(emulator)
    assert (row["embedId"], row["externalDashboard"]["externalDashboardId"]) == (embed_id, "client-acme")
    assert refusal(create(emulator, "acme"))[1] == "INVALID_DASHBOARD_ID"


def test_an_id_may_be_changed(emulator: Emulator) -> None:
    behave(emulator, normalises_ids=True)
    assert create(emulator, "acme", dashboardId=" Client-ACME ").json()["id"] == "client-acme"
    assert refusal(create(emulator, "acme", dashboardId="CLIENT-acme"))[1] == "INVALID_DASHBOARD_ID"


@pytest.mark.parametrize("frees", [False, True])
def test_the_id_of_a_dashboard_without_an_embed_is_taken_or_free(emulator: Emulator, frees: bool) -> None:
    behave(emulator, frees_ids=frees)
    create(emulator, "acme")
    call(emulator, "DELETE", EMBEDS, params={"embedId": "client-acme"})
    assert (create(emulator, "acme").status_code == 200) is frees
    # A dashboard that no client owns is never free.
    assert refusal(create(emulator, "acme", dashboardId=TEMPLATES[0]))[1] == "INVALID_DASHBOARD_ID"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("INVALID_EMBED_ID", "Invalid embed id"),
        ("EMBED_PARAM_ERROR", "Invalid embed id"),
        ("INVALID_REQUEST_BODY", "Embed not found"),
    ],
)
def test_the_code_for_an_embed_that_does_not_exist_can_be_set(emulator: Emulator, code: str, message: str) -> None:
    behave(emulator, missing_embed_code=code)
    change = {"embedId": "none", "accessSettings": ACCESS}
    assert refusal(call(emulator, "PUT", EMBEDS, json=change)) == (400, code, message)
    assert refusal(call(emulator, "PUT", RENAME, json={"embedId": "none", "name": "x"})) == (400, code, message)


@pytest.mark.parametrize("status", [400, 500])
def test_a_create_may_leave_a_dashboard_without_an_embed(emulator: Emulator, status: int) -> None:
    behave(emulator, partial_clients=["acme"], create_error_status=status)
    assert refusal(create(emulator, "acme"))[:2] == (status, FAILED)
    assert refusal(create(emulator, "acme"))[1] == "INVALID_DASHBOARD_ID"
    assert create(emulator, "other").status_code == 200
    assert ids(emulator) == ["client-other"]
    assert ("client-acme", "client-acme_acme") in emulator.state.dashboards(WORKSPACE)


def test_of_two_creates_at_the_same_time_one_fails(emulator: Emulator) -> None:
    behave(emulator, race_seconds=30)
    with ThreadPoolExecutor(2) as pool:
        answers: list[requests.Response] = list(pool.map(lambda name: create(emulator, name, dashboardId="d"), "ab"))
    assert sorted(answer.status_code for answer in answers) == [200, 500]
    assert [refusal(answer)[1] for answer in answers if answer.status_code == 500] == [FAILED]
    assert ids(emulator) == ["d"]
    # Alone, a create does not wait for ever.
    behave(emulator, race_seconds=0.01)
    assert create(emulator, "alone").status_code == 200


@pytest.mark.parametrize("replaces", [False, True])
def test_a_template_may_replace_the_metadata(emulator: Emulator, replaces: bool) -> None:
    create(emulator, "first", metadata={"of": "first"})
    behave(emulator, template_replaces_metadata=replaces)
    create(emulator, "second", metadata={"of": "second"}, templateDashboardId="client-first")
    found = {row["embedId"]: row["externalDashboard"]["metadata"]["of"] for row in listed(emulator)}
    assert found == {"client-first": "first", "client-second": "first" if replaces else "second"}


def test_errors_may_have_the_status_of_a_success(emulator: Emulator) -> None:
    behave(emulator, errors_with_200=True)
    assert refusal(create(emulator, workspaceName="nowhere")) == (200, "WORKSPACE_ID_ERROR", "Invalid workspace name")
    assert refusal(call(emulator, "GET", EMBEDS, token="wrong"))[:2] == (200, "INVALID_DATA_APP_API_KEY")
