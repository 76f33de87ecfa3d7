"""Conduit's operators for single calls, run against the emulator."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_databrain.airflow_compat import BaseOperator
from airflow_provider_databrain.client.errors import ApiError, InvalidRequestError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.conduit.operators import (
    CloneConduitDashboardOperator,
    ConduitOperator,
    CreateConduitWorkspaceOperator,
    DisableConduitWorkspaceOperator,
    ListConduitDashboardsOperator,
    ListConduitWorkspacesOperator,
    ShareConduitDashboardOperator,
)
from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Fault, Kind
from tests.conduit.support import BEHAVIOURS, TOKEN, Conduit, set_conduit_connection
from tests.support import ODD_IDS

pytestmark = pytest.mark.usefixtures("fast_retries")
OF_A_WORKSPACE: dict[type[ConduitOperator], dict[str, Any]] = {
    DisableConduitWorkspaceOperator: {},
    ListConduitDashboardsOperator: {},
    CloneConduitDashboardOperator: {"dashboard_id": 1, "name": "Overview"},
    ShareConduitDashboardOperator: {"dashboard_id": 1},
}


def run(operator: type[BaseOperator], context: Any = None, **options: Any) -> Any:
    """Render a task's templates and execute it; returns its result."""
    task = operator(task_id="t", **options)
    context = context or {}
    task.render_template_fields(context)
    return task.execute(context)


@pytest.fixture
def workspace(conduit: Conduit) -> int:
    """A workspace. Its token and the organization's are the only two."""
    return conduit.state.add_workspace("Acme", "acme")


@BEHAVIOURS
def test_a_workspace_is_created_once_and_its_id_returned(conduit: Conduit, behaviour: ConduitBehaviour) -> None:
    conduit.state.behaviour = behaviour
    first = run(CreateConduitWorkspaceOperator, ext_id="acme", name="Acme")
    assert run(CreateConduitWorkspaceOperator, ext_id="acme", name="Another name") == first
    second = run(CreateConduitWorkspaceOperator, ext_id="globex")
    assert [(row.id, row.ext_id, row.name) for row in conduit.state.workspaces()] == [
        (first, "acme", "Acme"),
        (second, "globex", "globex"),
    ]


def test_the_older_of_two_workspaces_with_one_ext_id_is_returned(conduit: Conduit, workspace: int) -> None:
    conduit.state.add_workspace("Acme again", "acme")
    assert run(CreateConduitWorkspaceOperator, ext_id="acme") == workspace


def test_ext_ids_are_sent_unchanged(conduit: Conduit) -> None:
    ids = [run(CreateConduitWorkspaceOperator, {"tenant": odd}, ext_id="{{ tenant }}") for odd in ODD_IDS]
    assert [(row.id, row.ext_id) for row in conduit.state.workspaces()] == list(zip(ids, ODD_IDS, strict=True))


def test_an_ext_id_that_native_rendering_turned_into_a_number_is_sent_as_a_string(conduit: Conduit) -> None:
    made = run(CreateConduitWorkspaceOperator, ext_id=17)
    assert [(row.id, row.ext_id, row.name) for row in conduit.state.workspaces()] == [(made, "17", "17")]


@BEHAVIOURS
def test_disabling_a_disabled_workspace_is_not_an_error(
    conduit: Conduit, workspace: int, behaviour: ConduitBehaviour
) -> None:
    conduit.state.behaviour = behaviour
    other = conduit.state.add_workspace("Globex", "globex")
    for _ in range(2):
        assert run(DisableConduitWorkspaceOperator, workspace_id=workspace) is None
    assert [row.id for row in conduit.state.workspaces()] == [other]
    assert conduit.calls == [f"2 DELETE /workspaces/{workspace}/"]


def test_the_list_of_workspaces_has_no_token(conduit: Conduit, workspace: int) -> None:
    conduit.state.add_workspace("plain")
    assert run(ListConduitWorkspacesOperator) == [
        {"id": workspace, "ext_id": "acme", "name": "Acme"},
        {"id": workspace + 1, "ext_id": None, "name": "plain"},
    ]


@pytest.mark.parametrize("nothing", [{}, {"workspace_id": None}, {"workspace_id": ""}, {"workspace_id": "None"}])
def test_without_a_workspace_the_organizations_dashboards_are_listed(
    conduit: Conduit, workspace: int, nothing: dict[str, Any]
) -> None:
    conduit.state.add_dashboard("Acme's", workspace=workspace)
    assert run(ListConduitDashboardsOperator, **nothing) == [{"id": 1, "name": "Sales"}]
    assert run(ListConduitDashboardsOperator, workspace_id=workspace) == [{"id": 2, "name": "Acme's"}]


@BEHAVIOURS
def test_a_dashboard_is_cloned_once_and_found_by_its_name(
    conduit: Conduit, workspace: int, behaviour: ConduitBehaviour
) -> None:
    conduit.state.behaviour = behaviour
    conduit.state.add_dashboard("Overview")
    first = run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=1, name="Overview")
    again = run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=2, name="Overview")
    other = run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=2, name="overview")
    assert again == first
    assert [(row.id, row.name, row.cloned_from) for row in conduit.state.dashboards(workspace)] == [
        (first, "Overview", 1),
        (other, "overview", 2),
    ]


def test_the_older_of_two_clones_with_one_name_is_returned(conduit: Conduit, workspace: int) -> None:
    older = conduit.state.add_dashboard("Overview", workspace=workspace)
    conduit.state.add_dashboard("Overview", workspace=workspace)
    assert run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=1, name="Overview") == older


def test_the_url_is_returned_only_with_return_url(conduit: Conduit, workspace: int) -> None:
    clone = conduit.state.add_dashboard("Overview", workspace=workspace)
    [row] = conduit.state.dashboards(workspace)
    assert run(ShareConduitDashboardOperator, workspace_id=workspace, dashboard_id=clone) is None
    assert run(ShareConduitDashboardOperator, workspace_id=workspace, dashboard_id=clone, return_url=True) == row.url
    assert conduit.control.arrived["GET", f"/v2/dashboards/{clone}/share/"] == 2


def test_ids_may_be_strings_after_templating(conduit: Conduit, monkeypatch: pytest.MonkeyPatch) -> None:
    set_conduit_connection(monkeypatch, "other", host=conduit.url)
    context: dict[str, Any] = {"c": "other", "d": 1, "t": "acme"}
    named = {"conduit_conn_id": "{{ c }}"}
    context["w"] = run(CreateConduitWorkspaceOperator, context, **named, ext_id="{{ t }}", name="{{ t | title }}")
    inside = {**named, "workspace_id": "{{ w }}"}
    context["k"] = run(CloneConduitDashboardOperator, context, **inside, dashboard_id=" {{ d }} ", name="Of {{ t }}")
    assert run(ListConduitDashboardsOperator, context, **inside) == [{"id": context["k"], "name": "Of acme"}]
    [row] = conduit.state.dashboards(context["w"])
    shared = run(ShareConduitDashboardOperator, context, **inside, dashboard_id="{{ k }}", return_url=True)
    assert shared == row.url
    run(DisableConduitWorkspaceOperator, context, **inside)
    assert conduit.state.workspaces() == []


@pytest.mark.parametrize("operator", OF_A_WORKSPACE)
@pytest.mark.parametrize("number", [0, -1, 1.5, True, "0", "x", "1 2", "²"])
def test_an_invalid_id_is_refused_before_anything_is_sent(
    conduit: Conduit, operator: type[ConduitOperator], number: Any
) -> None:
    options = {**OF_A_WORKSPACE[operator], "workspace_id": 1}
    for name in {"workspace_id", "dashboard_id"} & set(options):
        with pytest.raises(ValueError, match=rf"{name} is .*; it must be a whole number above 0\. Nothing was sent\."):
            run(operator, **{**options, name: number})
    assert conduit.calls == []


@pytest.mark.parametrize(
    ("operator", "options", "words"),
    [
        (CreateConduitWorkspaceOperator, {"ext_id": " "}, "ext_id is empty"),
        (CreateConduitWorkspaceOperator, {"ext_id": ""}, "ext_id is empty"),
        (CreateConduitWorkspaceOperator, {"ext_id": "acme", "name": " "}, "name is empty"),
        (CloneConduitDashboardOperator, {"workspace_id": 1, "dashboard_id": 1, "name": " "}, "name is empty"),
        (CloneConduitDashboardOperator, {"workspace_id": 1, "dashboard_id": 1, "name": ""}, "name is empty"),
    ],
)
def test_an_empty_name_creates_nothing(
    conduit: Conduit, workspace: int, operator: type[ConduitOperator], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        run(operator, **options)
    assert not [call for call in conduit.calls if "POST" in call]


@pytest.mark.parametrize("operator", [one for one in OF_A_WORKSPACE if one is not DisableConduitWorkspaceOperator])
def test_a_missing_workspace_is_a_not_found_error(conduit: Conduit, operator: type[ConduitOperator]) -> None:
    with pytest.raises(NotFoundError, match="the organization has no workspace 7, or it is disabled"):
        run(operator, **OF_A_WORKSPACE[operator], workspace_id=7)


# What a retry finds


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut"])
def test_a_created_workspace_whose_answer_is_lost_is_found_in_the_same_try(conduit: Conduit, kind: Kind) -> None:
    conduit.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    made = run(CreateConduitWorkspaceOperator, ext_id="acme")
    assert [(row.id, row.ext_id) for row in conduit.state.workspaces()] == [(made, "acme")]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "error_before", "reset_before"])
def test_a_retry_finds_the_workspace_that_an_earlier_try_may_have_created(conduit: Conduit, kind: Kind) -> None:
    # The create fails ambiguously, and so does the list that would show its result.
    conduit.control.set_faults([Fault(kind=kind, method="POST"), Fault(kind="error_before", method="GET", every=2)])
    with pytest.raises(ServerError, match="list workspaces"):
        run(CreateConduitWorkspaceOperator, ext_id="acme", max_retry_seconds=0)
    conduit.control.set_faults([])
    found = run(CreateConduitWorkspaceOperator, ext_id="acme")
    assert [(row.id, row.ext_id) for row in conduit.state.workspaces()] == [(found, "acme")]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut", "error_before", "reset_before"])
def test_a_retry_finds_the_clone_that_an_earlier_try_may_have_created(
    conduit: Conduit, workspace: int, kind: Kind
) -> None:
    conduit.control.set_faults([Fault(kind=kind, method="POST")])
    options: dict[str, Any] = {"workspace_id": workspace, "dashboard_id": 1, "name": "Overview"}
    with pytest.raises(ApiError) as caught:
        run(CloneConduitDashboardOperator, **options)
    assert caught.value.ambiguous
    conduit.control.set_faults([])
    found = run(CloneConduitDashboardOperator, **options)
    assert [(row.id, row.name) for row in conduit.state.dashboards(workspace)] == [(found, "Overview")]


def test_the_error_says_what_must_be_set_up(conduit: Conduit, workspace: int) -> None:
    conduit.state.behaviour = ConduitBehaviour(has_white_label=False)
    with pytest.raises(InvalidRequestError, match=r"white_label_missing.*needs a white-label in Conduit"):
        run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=1, name="Overview")
    conduit.state.behaviour = ConduitBehaviour(has_company_name=False)
    with pytest.raises(InvalidRequestError, match=r"company_name_missing.*need 'Your company name' in Conduit"):
        run(CreateConduitWorkspaceOperator, ext_id="globex")


def test_the_tasks_timeouts_replace_the_connections(conduit: Conduit) -> None:
    with pytest.raises(ConfigurationError, match="read_timeout: Input should be greater than 0"):
        run(ListConduitWorkspacesOperator, read_timeout=0)
    conduit.control.set_faults([Fault(kind="error_before")])
    with pytest.raises(ServerError):
        run(ListConduitWorkspacesOperator, max_retry_seconds=0)
    assert conduit.calls == ["1 GET /workspaces/"]


# Secrets


def test_no_token_and_no_url_is_shown(
    conduit: Conduit, workspace: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    clone = conduit.state.add_dashboard("Overview", workspace=workspace)
    calls: list[tuple[type[ConduitOperator], dict[str, Any]]] = [
        (CreateConduitWorkspaceOperator, {"ext_id": "globex"}),
        (ListConduitWorkspacesOperator, {}),
        (ListConduitDashboardsOperator, {"workspace_id": workspace}),
        (CloneConduitDashboardOperator, {"workspace_id": workspace, "dashboard_id": 1, "name": "New"}),
        (ShareConduitDashboardOperator, {"workspace_id": workspace, "dashboard_id": clone}),
        (DisableConduitWorkspaceOperator, {"workspace_id": workspace}),
    ]
    secrets = [TOKEN, conduit.state.workspaces()[0].token]
    shown: list[str] = []
    for kind in (None, "error_before", "cut", "wrong"):
        conduit.control.set_faults([Fault(kind=kind, every=2)] if kind else [])
        for operator, options in calls:
            task = operator(task_id="t", **options, max_retry_seconds=0.01)
            try:
                shown.append(repr(task.execute({})))
            except ApiError as error:
                shown += [str(error), repr(error), repr(vars(error))]
            shown += [repr(task), repr({name: getattr(task, name) for name in task.template_fields}), repr(task.hook)]
        secrets += [row.token for row in conduit.state.workspaces()]
    secrets += [row.url for row in (*conduit.state.dashboards(), *conduit.state.dashboards(workspace))]
    out = capfd.readouterr()
    shown += [caplog.text, out.out, out.err]
    assert "list workspaces" in "".join(shown)
    assert not [secret for secret in secrets if any(secret in text for text in shown)]
