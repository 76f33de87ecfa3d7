"""PostHog's operators for single dashboards, run against the emulator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_databrain.client.errors import (
    ApiError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.state import OWNER
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.marks import mark_of
from airflow_provider_databrain.posthog.operators.collaborators import AddPostHogCollaboratorsOperator
from airflow_provider_databrain.posthog.operators.dashboards import (
    CreatePostHogDashboardOperator,
    DeletePostHogDashboardOperator,
    UpdatePostHogDashboardOperator,
)
from airflow_provider_databrain.posthog.operators.sharing import (
    RefreshPostHogSharingOperator,
    SharePostHogDashboardOperator,
)
from airflow_provider_databrain.posthog.operators.templates import CreatePostHogDashboardFromTemplateOperator
from tests.posthog.operators.support import TaskInstance, as_text, fields, links, run
from tests.posthog.support import TEMPLATE, add_legacy_key, contents, names, sent, set_posthog_connection

Create, FromTemplate = CreatePostHogDashboardOperator, CreatePostHogDashboardFromTemplateOperator
Create, FromTemplate = CreatePostHogDashboardOperator, CreatePostHogDashboardFromTemplateOperator
CREATORS = pytest.mark.parametrize(
    ("operator", "options"),
    [
        (Create, {"name": "KPIs"}),
        (FromTemplate, {"template": TEMPLATE, "method": "build"}),
        (FromTemplate, {"template": TEMPLATE, "method": "template"}),
        (FromTemplate, {"template": TEMPLATE}),
    ],
    ids=["blank", "build", "template", "auto"],
)


@pytest.fixture
def number(posthog: Emulator) -> int:
    """A dashboard."""
    return posthog.posthog.add_dashboard(name="one", description="first")


@pytest.fixture
def any_key(posthog: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a key without scopes, which may do everything."""
    set_posthog_connection(monkeypatch, posthog, password=add_legacy_key(posthog))


@pytest.mark.usefixtures("any_key")
@CREATORS
def test_a_retry_finds_the_dashboard_of_an_earlier_try_and_another_run_creates_its_own(
    posthog: Emulator, operator: type[BaseOperator], options: dict[str, Any]
) -> None:
    first = run(operator, **options)
    assert run(operator, TaskInstance(try_number=2), **options) == first
    others = [TaskInstance("run-2"), TaskInstance(map_index=1), TaskInstance(task_id="u")]
    made = [run(operator, instance, **options) for instance in others]
    assert len({first, *made}) == 4
    assert names(posthog) == ["KPIs"] * 4


@pytest.mark.usefixtures("any_key")
@CREATORS
def test_a_key_finds_the_dashboard_in_another_run(
    posthog: Emulator, operator: type[BaseOperator], options: dict[str, Any]
) -> None:
    first = run(operator, key="acme-{{ params.n }}", **options)
    assert run(operator, TaskInstance("run-2", task_id="u"), key="acme-7", **options) == first
    assert run(operator, key="acme-8", **options) != first
    assert fields(posthog, first)["description"].endswith(f"[{mark_of('acme-7')}]")


@pytest.mark.usefixtures("any_key")
@CREATORS
@pytest.mark.parametrize("kind", ["error_after", "reset_after", "error_before", "reset_before"])
@pytest.mark.parametrize("tagging", [True, False])
def test_an_ambiguous_create_leaves_one_complete_dashboard_after_the_retry(
    posthog: Emulator, operator: type[BaseOperator], options: dict[str, Any], kind: Any, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.control.set_faults([Fault(kind=kind, method="POST", path="/dashboards/", times=1)])
    try:
        found = run(operator, **options)
    except (ServerError, TransportError):
        found = run(operator, TaskInstance(try_number=2), **options)
    assert names(posthog) == ["KPIs"]
    assert len(contents(posthog, found)) == (0 if operator is Create else 3)
    assert run(operator, TaskInstance(try_number=3), **options) == found


def test_every_field_reaches_the_server(posthog: Emulator, number: int) -> None:
    made = run(
        Create,
        key="acme",
        name="Acme {{ params.n }}",
        description="What counts",
        tags=["kpi", "{{ params.n }}"],
        pinned=True,
        restriction_level="{{ 30 + params.n }}",
        filters={"date_from": "-{{ params.n }}d"},
        variables={"v": "{{ params.n }}"},
        use_dashboard=as_text(number),
        duplicate_tiles=True,
        create_in_folder="Airflow",
    )
    found = fields(posthog, made)
    assert {name: found[name] for name in ("name", "pinned", "restriction_level", "filters", "variables")} == {
        "name": "Acme 7",
        "pinned": True,
        "restriction_level": 37,
        "filters": {"date_from": "-7d"},
        "variables": {"v": "7"},
    }
    assert (set(found["tags"]), found["creation_mode"]) == ({"kpi", "7"}, "duplicate")
    assert found["description"] == f"What counts\n[{mark_of('acme')}]"


def test_one_tag_may_be_given_as_a_string(posthog: Emulator, number: int) -> None:
    run(UpdatePostHogDashboardOperator, dashboard_id=number, tags="kpi")
    assert fields(posthog, number)["tags"] == ["kpi"]


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_template_or_source_means_none(posthog: Emulator, blank: Any) -> None:
    made = run(Create, name="x", use_dashboard=blank, use_template=blank, key=blank)
    assert fields(posthog, made)["creation_mode"] == "default"


def test_a_wrong_template_leaves_nothing_behind(posthog: Emulator) -> None:
    with pytest.raises(InvalidRequestError, match="use_template: Invalid template provided: NOPE"):
        run(Create, name="x", use_template="NOPE")
    assert names(posthog) == []


def test_an_update_sets_only_the_given_fields(posthog: Emulator, number: int) -> None:
    before = fields(posthog, number)
    returned = run(
        UpdatePostHogDashboardOperator, dashboard_id=as_text(number), name="n{{ params.n }}", restriction_level="21"
    )
    assert returned == number
    assert fields(posthog, number) == before | {"name": "n7"}


@pytest.mark.parametrize("delete_insights", [True, False])
def test_deleting_a_deleted_dashboard_is_not_an_error(posthog: Emulator, number: int, delete_insights: bool) -> None:
    insight = posthog.posthog.contents.add_insight(1, OWNER)
    posthog.posthog.contents.add_tile(number, insight=insight)
    for _ in range(2):
        found = run(DeletePostHogDashboardOperator, dashboard_id=as_text(number), delete_insights=delete_insights)
        assert found is None
    assert names(posthog) == []
    row = posthog.posthog.contents.insight(insight)
    assert row is not None
    assert row.deleted is delete_insights


ONE_DASHBOARD: list[tuple[type[BaseOperator], dict[str, Any]]] = [
    (UpdatePostHogDashboardOperator, {"name": "x"}),
    (DeletePostHogDashboardOperator, {}),
    (SharePostHogDashboardOperator, {}),
    (RefreshPostHogSharingOperator, {}),
    (AddPostHogCollaboratorsOperator, {"user_uuids": []}),
]


@pytest.mark.parametrize("bad", ["", "{{ none }}", "0", "-1", "1.0", "x", None, "1 2", "٣", 0, -1, True, 1.0])
@pytest.mark.parametrize(("operator", "options"), ONE_DASHBOARD)
def test_an_invalid_dashboard_id_is_refused_before_sending(
    posthog: Emulator, operator: type[BaseOperator], options: dict[str, Any], bad: Any
) -> None:
    with pytest.raises(ValueError, match=r"dashboard_id is .*; it must be a whole number above 0. Nothing was sent"):
        run(operator, dashboard_id=bad, **options)
    assert sent(posthog) == []


@pytest.mark.parametrize(
    ("operator", "options"), [one for one in ONE_DASHBOARD if one[0] is not DeletePostHogDashboardOperator][:3]
)
def test_a_missing_dashboard_is_a_not_found_error(
    posthog: Emulator, operator: type[BaseOperator], options: dict[str, Any]
) -> None:
    with pytest.raises(NotFoundError, match=r"\(dashboard '99999'\) failed \[HTTP 404, not_found\]"):
        run(operator, dashboard_id=99999, **options)


def test_the_link_leads_to_the_dashboard_of_the_project(posthog: Emulator) -> None:
    for project, within in (("1", "/project/1"), ("@current", "")):
        task = Create(task_id="t", key="acme", project_id=project)
        assert links(task) == {"PostHog dashboard": ""}
        number = task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert links(task) == {"PostHog dashboard": f"{posthog.url}{within}/dashboard/{number}"}


def test_a_wrong_project_does_not_count_as_deleted(posthog: Emulator, number: int) -> None:
    with pytest.raises(NotFoundError, match="Project not found"):
        run(DeletePostHogDashboardOperator, dashboard_id=number, project_id=77)
    assert posthog.posthog.count_dashboards() == 1


def test_the_delete_operator_has_no_link(posthog: Emulator, number: int) -> None:
    assert DeletePostHogDashboardOperator(task_id="t", dashboard_id=number).operator_extra_links == ()


@pytest.mark.parametrize("operator", [Create, FromTemplate, *(one for one, _ in ONE_DASHBOARD)])
def test_connection_project_and_id_are_templated_in_every_operator(operator: type[BaseOperator]) -> None:
    templated = set(operator.template_fields)
    assert {"posthog_conn_id", "project_id"} <= templated
    assert operator in (Create, FromTemplate) or "dashboard_id" in templated


def test_a_template_may_name_another_project(posthog: Emulator) -> None:
    posthog.posthog.add_project(7, "seventh")
    run(Create, name="theirs", project_id="{{ params.n }}")
    assert (names(posthog), names(posthog, 7)) == ([], ["theirs"])


def test_what_goes_to_xcom_is_json(posthog: Emulator, number: int) -> None:
    for value in (run(Create), run(UpdatePostHogDashboardOperator, dashboard_id=str(number), name="x")):
        assert type(value) is int
        assert json.loads(json.dumps(value)) == value


def test_a_missing_scope_is_named_in_the_error(posthog: Emulator) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    with pytest.raises(ApiError, match="missing required scope 'dashboard:write'"):
        run(Create)
