"""Answers that Conduit's reference neither promises nor excludes: no dashboard is lost, doubled or another tenant's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, MalformedAnswerError
from airflow_provider_databrain.conduit import api
from airflow_provider_databrain.conduit.operators import CloneConduitDashboardOperator, CreateConduitWorkspaceOperator
from airflow_provider_databrain.conduit.target import ConduitTarget
from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.conduit.runs import CLONE, CREATE, NAMES, SPEC, Runs, has_all
from tests.conduit.support import UNFRIENDLY, Conduit
from tests.tenants.operators.test_provision import counts

pytestmark = pytest.mark.usefixtures("fast_retries")


def fails(runs: Runs, words: str, tenants: int = 8, **options: Any) -> list[dict[str, Any]]:
    """Provision; check that so many tenants fail with these words. Returns the failures."""
    with pytest.raises(ProvisioningError, match=f"(?s){tenants} of 8 tenants failed.*{words}"):
        runs.provision(**options)
    failures: list[dict[str, Any]] = runs.last.pushed["failures"]
    assert len({failure["tenant"] for failure in failures}) == tenants
    return failures


def run(operator: type[Any], **arguments: Any) -> Any:
    return operator(task_id="one", **arguments).execute({})


# A lost ledger


@UNFRIENDLY
def test_after_the_ledger_is_lost_each_tenant_gets_its_own_dashboard_again(
    runs: Runs, behaviour: ConduitBehaviour
) -> None:
    runs.conduit.state.behaviour = behaviour
    # Other dashboards are everywhere: of the organization, of a person, of a workspace that no tenant has.
    runs.conduit.state.add_dashboard("Overview", workspace=runs.conduit.state.add_workspace("Of t1", None))
    first = runs.provision()
    for number, name in enumerate(NAMES, 1):
        workspace = int(first.pushed["workspaces"][name])
        runs.conduit.state.add_dashboard(f"Overview {number}", workspace=workspace)
    runs.change("DROP TABLE tenant_dashboards")
    again = runs.provision()
    assert again.pushed["counts"] == counts(adopted=8)
    assert again.pushed["return_value"] == first.pushed["return_value"]
    assert again.pushed["workspaces"] == first.pushed["workspaces"]
    assert len(runs.conduit.state.workspaces()) == 9


# A workspace's list that has the organization's dashboards


@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("kind", ["error_after", "error_before"])
def test_a_dashboard_of_the_organization_never_becomes_a_tenants(runs: Runs, kind: Any, ledger: bool) -> None:
    state = runs.conduit.state
    source = state.add_dashboard("Overview")
    state.behaviour = ConduitBehaviour(lists_organization=True)
    spec = {**SPEC, "source_dashboard": source}
    runs.conduit.control.set_faults([Fault(kind=kind, path=CLONE, method="POST")])
    if kind == "error_after":
        # The clones are there, beside the organization's dashboard of the same name.
        pushed = runs.provision(spec=spec, ledger=ledger).pushed
        assert pushed["counts"] == counts(created=8)
    else:
        failures = fails(
            runs, f"dashboard '{source}'.*Give the clone a name that no dashboard", spec=spec, ledger=ledger
        )
        assert all(repr(failure["tenant"]) in failure["message"] for failure in failures)
    there = {str(row.ext_id): [each.id for each in state.dashboards(row.id)] for row in state.workspaces()}
    assert all(len(clones) == (kind == "error_after") for clones in there.values())
    if kind == "error_after":
        assert pushed["return_value"] == {tenant: str(clone) for tenant, [clone] in there.items()}
    # With another name, the same workspaces get their clones.
    else:
        runs.conduit.control.set_faults([])
        runs.provision(spec={**spec, "name": "Tenant overview"}, ledger=ledger)
        assert len(state.workspaces()) == 8
        assert str(source) not in runs.last.pushed["return_value"].values()


def test_the_clone_operator_does_not_return_the_organizations_dashboard(conduit: Conduit) -> None:
    state = conduit.state
    state.behaviour = ConduitBehaviour(lists_organization=True)
    source, workspace = state.add_dashboard("Overview"), state.add_workspace("Acme", "acme")
    arguments: dict[str, Any] = {"workspace_id": workspace, "dashboard_id": source}
    with pytest.raises(AlreadyExistsError, match="nothing shows whether it is a clone"):
        run(CloneConduitDashboardOperator, **arguments, name="Overview")
    made = run(CloneConduitDashboardOperator, **arguments, name="Acme's")
    assert made == run(CloneConduitDashboardOperator, **arguments, name="Acme's")
    assert [row.id for row in state.dashboards(workspace)] == [made]


def test_without_any_dashboard_of_the_organization_none_is_taken_for_a_clone() -> None:
    listed = [api.Dashboard(id=3, name="Overview")]
    with pytest.raises(MalformedAnswerError, match="The organization needs at least one dashboard"):
        api.find_clone("Overview", listed, [])
    assert api.find_clone("Other", listed, []) is None


# Ids and names in the answer of a clone


@pytest.mark.parametrize("ledger", [True, False])
def test_a_clone_that_is_answered_with_its_sources_id_is_looked_up(runs: Runs, ledger: bool) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(answers_source=True)
    has_all(runs, runs.provision(ledger=ledger))
    has_all(runs, runs.provision(ledger=ledger))


def test_the_clone_operator_looks_up_a_clone_that_is_answered_with_its_sources_id(conduit: Conduit) -> None:
    conduit.state.behaviour = ConduitBehaviour(answers_source=True)
    workspace = conduit.state.add_workspace("Acme", "acme")
    for _ in range(2):
        made = run(CloneConduitDashboardOperator, workspace_id=workspace, dashboard_id=1, name="Overview")
        assert [row.id for row in conduit.state.dashboards(workspace)] == [made]


@pytest.mark.parametrize("ledger", [True, False])
def test_each_workspace_may_number_its_dashboards(runs: Runs, ledger: bool) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(numbers_dashboards=True)
    for _ in range(2):
        pushed = runs.provision(ledger=ledger, push_urls=True).pushed
        assert pushed["return_value"] == dict.fromkeys(NAMES, "1")
        assert len(set(pushed["urls"].values())) == len(set(pushed["workspaces"].values())) == 8
    assert [len(runs.conduit.state.dashboards(row.id)) for row in runs.conduit.state.workspaces()] == [1] * 8


def test_a_number_that_the_ledger_knows_as_anothers_is_not_adopted(runs: Runs) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(numbers_dashboards=True)
    runs.provision()
    runs.change("DELETE FROM tenant_dashboards WHERE tenant = 't3'")
    [failure] = fails(runs, "'t3': .*according to the ledger it belongs to tenant 't.'", tenants=1)
    assert failure["tenant"] == "t3"
    assert "t3" not in runs.last.pushed["return_value"]
    # Nothing was made twice.
    assert [len(runs.conduit.state.dashboards(row.id)) for row in runs.conduit.state.workspaces()] == [1] * 8


@pytest.mark.parametrize("ledger", [True, False])
def test_after_one_clone_with_another_name_no_further_one_is_made(runs: Runs, ledger: bool) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(ignores_name=True)
    failures = fails(runs, "has the name 'Sales', not the one that was sent", ledger=ledger, concurrency=1)
    assert runs.conduit.calls.count("1 POST /dashboards/1/clone/") == 1
    words = "clone dashboard for tenant 't1' failed: nothing was sent, because of the clone of tenant 't0': "
    assert failures[1]["message"].startswith(words)
    # The name that Conduit gives can be asked for.
    instance = runs.provision(ledger=ledger, spec={**SPEC, "name": "Sales"})
    assert instance.pushed["counts"] == counts(created=7, adopted=1)
    assert [len(runs.conduit.state.dashboards(row.id)) for row in runs.conduit.state.workspaces()] == [1] * 8


# Workspaces in the answer of a create, and in the list


@pytest.mark.parametrize("ledger", [True, False])
def test_a_create_that_answers_with_the_existing_workspace_makes_no_second_one(runs: Runs, ledger: bool) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(returns_existing="ext_id")
    runs.conduit.control.set_faults([Fault(kind="reset_after", path="/$", method="POST", every=3)])
    has_all(runs, runs.provision(ledger=ledger))


@pytest.mark.parametrize("ledger", [True, False])
def test_no_tenant_gets_the_workspace_of_another_one_with_the_same_name(runs: Runs, ledger: bool) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(returns_existing="name")
    failures = fails(
        runs,
        "has the ext_id 't.', not the one that was sent; disable this workspace, but only if it is new and not another",
        tenants=7,
        ledger=ledger,
        spec={**SPEC, "workspace_name": "Group"},
    )
    assert len(failures) == 7
    [workspace] = runs.conduit.state.workspaces()
    assert len(runs.conduit.state.dashboards(workspace.id)) == 1
    assert list(runs.last.pushed["return_value"]) == [workspace.ext_id]
    has_all(runs, runs.provision(ledger=ledger, spec={**SPEC, "workspace_name": "For {tenant_id}"}))


def test_a_workspace_that_gets_a_new_ext_id_is_not_used_for_the_second_tenant(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = runs.conduit.state
    made: list[int] = []
    add, show = state.add_workspace, state.workspace

    def add_or_take(name: str, ext_id: str | None = None) -> int:
        made.append(made[0] if made else add(name, ext_id))
        taken.append(ext_id)
        return made[-1]

    taken: list[str | None] = []
    monkeypatch.setattr(state, "add_workspace", add_or_take)
    monkeypatch.setattr(
        state,
        "workspace",
        lambda number: (row := show(number)) and (row._replace(ext_id=taken[-1]) if number in made else row),
    )
    failures = fails(runs, "already existed with the ext_id 't0'; it is not used", tenants=7, concurrency=1)
    assert [failure["tenant"] for failure in failures] == NAMES[1:]
    assert runs.last.pushed["workspaces"] == {"t0": str(made[0])}
    assert len(state.dashboards(made[0])) == 1


def test_find_or_create_does_not_return_a_workspace_that_was_listed_with_another_ext_id() -> None:
    listed = [api.Workspace(id=5, name="Acme", ext_id="globex", token="t" * 20)]
    created = api.Workspace(id=5, name="Acme", ext_id="acme", token="t" * 20)
    call: Any = api.find_or_create_workspace("acme", "Acme")
    next(call)
    call.send(listed)
    with pytest.raises(MalformedAnswerError, match=r"for tenant 'acme' failed.*which already existed with .*'globex'"):
        call.send(created)


@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize(
    "behaviour",
    [
        ConduitBehaviour(lists_late=9),
        ConduitBehaviour(list_limit=1),
        ConduitBehaviour(list_limit=1, order="newest", changes_ext_id="lower"),
    ],
    ids=["late", "first page only", "another ext_id"],
)
def test_a_list_that_lacks_a_new_workspace_proves_nothing_about_an_unclear_create(
    runs: Runs, behaviour: ConduitBehaviour, ledger: bool
) -> None:
    runs.change("UPDATE tenants SET tenant_id = 'T' || substr(tenant_id, 2)")
    runs.conduit.state.behaviour = behaviour
    runs.conduit.control.set_faults([Fault(kind="reset_after", path=CREATE, method="POST", every=4, times=1)])
    [failure] = fails(runs, "'T3' failed: the list has no workspace", tenants=1, ledger=ledger, concurrency=1)
    number = 2 if behaviour.list_limit and behaviour.order == "oldest" else 1
    assert f"workspace {number} was just created with the ext_id 'T{number - 1}'" in failure["message"]
    assert len(runs.conduit.state.workspaces()) == 8
    # When the list shows everything, the next run completes it.
    if behaviour.changes_ext_id is None:
        runs.conduit.state.behaviour = ConduitBehaviour()
        has_all(runs, runs.provision(ledger=ledger), [name.upper() for name in NAMES])


@pytest.mark.parametrize("ledger", [True, False])
def test_of_two_workspaces_the_one_that_has_the_clone_is_used(runs: Runs, ledger: bool) -> None:
    state = runs.conduit.state
    # Another run made the older one, and was killed before the clone.
    older, younger = (state.add_workspace("Of t0", "t0") for _ in range(2))
    clone = state.add_dashboard("Overview", workspace=younger, cloned_from=1)
    pushed = runs.provision(ledger=ledger).pushed
    assert (pushed["return_value"]["t0"], pushed["workspaces"]["t0"]) == (str(clone), str(younger))
    assert state.dashboards(older) == []


# Disabled workspaces


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize("body", ["code", "detail", "empty"])
def test_a_tenant_that_returns_is_told_that_its_ext_id_may_be_taken(runs: Runs, status: Any, body: Any) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(
        unique_ext_id=True, keeps_ext_id=True, taken_status=status, error_body=body
    )
    runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    assert runs.remove().pushed["counts"] == counts(deleted=1)
    runs.change("UPDATE tenants SET active = 1")
    [failure] = fails(runs, "'t2' failed.*a disabled workspace still has it, the tenant needs another", tenants=1)
    assert failure["tenant"] == "t2"
    assert len(runs.conduit.state.workspaces()) == 7


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("body", ["code", "detail", "empty"])
def test_a_disabled_workspace_that_stays_listed_is_not_used_again(runs: Runs, again: bool, body: Any) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(lists_disabled=True, disables_again=again, error_body=body)
    runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    assert runs.remove().pushed["counts"] == counts(deleted=1)
    runs.change("UPDATE tenants SET active = 1")
    fails(runs, "'t2' failed.*HTTP 401.*If the workspace is disabled, the tenant needs another ext_id", tenants=1)
    assert len(runs.conduit.state.all_workspaces()) == 8


# A workspace that is no longer the tenant's


async def test_no_url_is_requested_in_a_workspace_with_another_ext_id(runs: Runs) -> None:
    row = {"source_dashboard": 1, "name": "Overview"}
    target = ConduitTarget(scope="c")
    desired = target.desire("acme", row)
    existing = Existing("3", "5", desired.spec_hash)
    assert not target.differs(desired, existing)

    class Vendor:
        async def run(self, call: Any) -> Any:
            assert call.endpoint is api.LIST_WORKSPACES
            return [api.Workspace(id=5, name="x", ext_id="globex", token="t" * 20)]

    transport: Any = Vendor()
    # The engine asks without the hash.
    for known in (existing, dataclasses.replace(existing, spec_hash="")):
        with pytest.raises(AlreadyExistsError, match="workspace 5 now has the ext_id 'globex'; its URL"):
            await target.url(transport, known)


# 429


@pytest.mark.parametrize("seconds", [0.02, 0])
def test_the_create_operator_waits_after_a_429(conduit: Conduit, seconds: float) -> None:
    conduit.control.set_faults([Fault(kind="too_many", times=2, seconds=seconds)])
    made = run(CreateConduitWorkspaceOperator, ext_id="acme", name="Acme")
    assert [row.id for row in conduit.state.workspaces()] == [made]
