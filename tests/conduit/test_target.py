"""From a tenant table to Conduit's workspaces and clones: operators, engine and ledger on the emulator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ServerError
from airflow_provider_databrain.conduit import api
from airflow_provider_databrain.conduit.target import ConduitTarget
from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.conduit.runs import NAMES, SPEC, Runs, has_all
from tests.conduit.support import ALL_BEHAVIOURS
from tests.support import ODD_IDS
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import counts

pytestmark = pytest.mark.usefixtures("fast_retries")


# Created, found, not changed


@ALL_BEHAVIOURS
@pytest.mark.parametrize("ledger", [True, False])
def test_every_tenant_gets_a_workspace_with_a_clone(runs: Runs, behaviour: ConduitBehaviour, ledger: bool) -> None:
    runs.conduit.state.behaviour = behaviour
    instance = runs.provision(ledger=ledger)
    has_all(runs, instance)
    assert instance.pushed["counts"] == counts(created=8)
    assert set(instance.pushed) == {"counts", "failures", "workspaces", "return_value"}
    assert [(row.ext_id, row.name) for row in sorted(runs.conduit.state.workspaces(), key=lambda row: row.name)] == [
        (name, f"Of {name}") for name in NAMES
    ]
    if behaviour.created_body != "empty":
        # If a create's answer has no body, the lists show what was created.
        posts = ["8 POST /dashboards/1/clone/", "8 POST /workspaces/"]
        assert sorted(runs.conduit.calls) == ["1 GET /workspaces/", *posts]
    if ledger:
        assert runs.ledger() == runs.conduit.clones()


def test_a_second_run_sends_no_call(runs: Runs) -> None:
    first = runs.provision()
    second = runs.provision()
    assert runs.conduit.calls == []
    assert second.pushed["counts"] == counts(unchanged=8)
    has_all(runs, second)
    assert second.pushed["return_value"] == first.pushed["return_value"]


def test_without_a_ledger_no_dashboard_is_cloned_twice(runs: Runs) -> None:
    first = runs.provision(ledger=False)
    second = runs.provision(ledger=False)
    assert second.pushed["counts"] == counts(adopted=8)
    has_all(runs, second)
    assert second.pushed["return_value"] == first.pushed["return_value"]
    # The ninth list is the organization's.
    assert runs.conduit.calls == ["1 GET /workspaces/", "9 GET /dashboards/"]


@pytest.mark.parametrize("ledger", [True, False])
def test_an_existing_workspace_and_its_clone_are_used(runs: Runs, ledger: bool) -> None:
    state = runs.conduit.state
    empty, full = state.add_workspace("Another name", "t0"), state.add_workspace("Of t1", "t1")
    state.add_dashboard("Sales", workspace=state.add_workspace("no ext_id"))
    # A clone with another name, or of another tenant, is not changed.
    state.add_dashboard("Overview")
    kept = state.add_dashboard("Overview", workspace=full, cloned_from=1)
    instance = runs.provision(ledger=ledger)
    assert instance.pushed["counts"] == counts(created=7, adopted=1)
    assert instance.pushed["workspaces"]["t0"] == str(empty)
    assert instance.pushed["workspaces"]["t1"] == str(full)
    assert instance.pushed["return_value"]["t1"] == str(kept)
    assert [row.name for row in state.dashboards(empty)] == ["Overview"]
    assert [row.id for row in state.dashboards(full)] == [kept]
    assert len(state.workspaces()) == 9
    assert runs.provision(ledger=ledger).pushed["return_value"] == instance.pushed["return_value"]


def test_of_two_workspaces_with_one_ext_id_and_two_clones_of_one_name_the_oldest_counts(runs: Runs) -> None:
    state = runs.conduit.state
    older, younger = (state.add_workspace("Of t0", "t0") for _ in range(2))
    state.add_dashboard("Overview", workspace=younger)
    first, _ = (state.add_dashboard("Overview", workspace=older) for _ in range(2))
    for ledger in (False, True, True):
        instance = runs.provision(ledger=ledger)
        assert instance.pushed["workspaces"]["t0"] == str(older)
        assert instance.pushed["return_value"]["t0"] == str(first)
    assert len(state.workspaces()) == 9
    assert len(state.dashboards(older)) == 2


@pytest.mark.parametrize("ledger", [True, False])
def test_ext_ids_are_sent_unchanged(runs: Runs, ledger: bool) -> None:
    runs.change("DELETE FROM tenants")
    for odd in ODD_IDS:
        runs.change("INSERT INTO tenants VALUES (?, 'Overview', 1)", odd)
    for _ in range(2):
        instance = runs.provision(ledger=ledger, push_urls=True)
        assert set(instance.pushed["return_value"]) == set(ODD_IDS)
        has_all(runs, instance, list(instance.pushed["return_value"]))
    runs.provision()
    runs.change("UPDATE tenants SET active = 0")
    assert runs.remove().pushed["counts"] == counts(deleted=len(ODD_IDS))
    assert runs.conduit.state.workspaces() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source_dashboard": 0}, "source_dashboard is 0; it must be the number of a dashboard"),
        ({"source_dashboard": "{title}"}, "source_dashboard: "),
        ({"name": " "}, "name: "),
        ({"ext_id": ""}, "ext_id: "),
        ({"workspace_name": " "}, "workspace_name: "),
        ({"colour": "red"}, "colour: "),
    ],
)
def test_an_invalid_spec_is_refused_before_anything_is_sent(runs: Runs, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=f"(?s)8 of 8 tenants.*nothing was sent.*tenant 't0': {words}"):
        runs.provision(spec={**SPEC, **changes})
    assert runs.conduit.calls == []


def test_the_source_dashboard_may_come_from_a_column(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = '1'")
    has_all(runs, runs.provision(spec={**SPEC, "source_dashboard": "{title}"}))


def test_a_tenant_keeps_its_clone_if_source_and_workspace_name_change(runs: Runs) -> None:
    first = runs.provision()
    runs.conduit.state.add_dashboard("Newer")
    again = runs.provision(spec={**SPEC, "source_dashboard": 2, "workspace_name": "Other"})
    assert again.pushed["return_value"] == first.pushed["return_value"]
    assert again.pushed["counts"] == counts(unchanged=8)
    assert runs.conduit.calls == []


# Values that two tenants must not share, and values that must not change


@pytest.mark.parametrize("ledger", [True, False])
def test_two_tenants_with_one_ext_id_are_refused_before_anything_is_sent(runs: Runs, ledger: bool) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    runs.change("UPDATE tenants SET title = 't1' WHERE tenant_id = 't5'")
    with pytest.raises(SpecError, match="'t1' and 't5' would share the workspace with ext_id 't1'"):
        runs.provision(ledger=ledger, spec={**SPEC, "ext_id": "{title}"})
    assert runs.conduit.calls == []


def test_a_tenant_does_not_get_the_clone_of_a_ledger_tenant_with_the_same_ext_id(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    spec = {**SPEC, "ext_id": "{title}"}
    runs.provision(spec=spec)
    runs.change("INSERT INTO tenants VALUES ('t9', 't1', 1)")
    # The other rows have not changed, but they are compared with it too.
    with pytest.raises(SpecError, match="'t1' and 't9' would share the workspace with ext_id 't1'"):
        runs.provision(spec=spec)
    assert runs.conduit.calls == []
    # In its own batch, only the ledger shows the conflict.
    alone: dict[str, Any] = {"table": None, "query": "SELECT * FROM tenants WHERE tenant_id = 't9'"}
    with pytest.raises(
        ProvisioningError, match=r"(?s)1 of 1 tenants failed.*'t9': .*according to the ledger it belongs to tenant 't1'"
    ):
        runs.provision(spec=spec, **alone)
    assert len(runs.conduit.clones()) == 8


def test_two_tenants_in_one_workspace_are_detected_across_batches_and_neither_is_returned(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    runs.change("UPDATE tenants SET title = 't1' WHERE tenant_id = 't5'")
    # The clones have different names, so a search for one does not find the other.
    spec = {**SPEC, "ext_id": "{title}", "name": "Overview of {tenant_id}"}
    half = "SELECT * FROM tenants WHERE tenant_id {} 't4'"
    first = runs.provision(spec=spec, table=None, query=half.format("<"))
    assert list(first.pushed["return_value"]) == ["t0", "t1", "t2", "t3"]
    workspace = runs.ledger()["t1"][1]
    for _ in range(2):
        with pytest.raises(
            ProvisioningError, match=f"(?s)1 of 4 tenants failed.*'t5': .*in '{workspace}', as is the dashboard of 't1'"
        ):
            runs.provision(spec=spec, table=None, query=half.format(">="))
        assert list(runs.last.pushed["return_value"]) == ["t4", "t6", "t7"]
        assert "t5" not in runs.last.pushed["workspaces"]
    with pytest.raises(ProvisioningError, match=r"(?s)'t1': .*as is the dashboard of 't5'"):
        runs.provision(spec=spec, table=None, query=half.format("<"))
    # The table is fixed, and the wrong ledger row is deleted.
    runs.change("UPDATE tenants SET title = 't5' WHERE tenant_id = 't5'")
    runs.change("DELETE FROM tenant_dashboards WHERE tenant = 't5'")
    assert runs.provision(spec=spec).pushed["failures"] == []
    assert len({workspace for _, workspace in runs.ledger().values()}) == 8


@pytest.mark.parametrize("changes", [{"ext_id": "other-{tenant_id}"}, {"name": "Overview 2"}])
def test_a_change_of_ext_id_or_name_is_refused_before_anything_is_sent(runs: Runs, changes: dict[str, Any]) -> None:
    runs.provision()
    with pytest.raises(
        SpecError, match=r"(?s)8 of 8 tenants.*'t0': ext_id or name is not what dashboard \d+ was created"
    ):
        runs.provision(spec={**SPEC, **changes})
    assert runs.conduit.calls == []


# Dry runs


@pytest.mark.parametrize("ledger", [True, False])
def test_a_dry_run_lists_and_changes_nothing(runs: Runs, ledger: bool) -> None:
    state, control = runs.conduit.state, runs.conduit.control
    state.add_workspace("Of t0", "t0")
    kept = state.add_dashboard("Overview", workspace=state.add_workspace("Of t1", "t1"))
    control.behaviour = Behaviour(read_only=True)
    planned = runs.provision(ledger=ledger, dry_run=True, push_urls=True).pushed
    assert planned["return_value"] == [
        {"tenant": name, "dashboard_id": str(kept) if name == "t1" else None, "action": action}
        for name, action in zip(NAMES, ["create", "adopt", *["create"] * 6], strict=True)
    ]
    assert "urls" not in planned
    assert planned["workspaces"] == {}
    assert sorted(runs.conduit.calls) == ["1 GET /workspaces/", "3 GET /dashboards/"]
    assert read(runs.path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("tenants",)]
    control.behaviour = Behaviour()
    runs.provision()
    assert runs.provision(dry_run="true").pushed["return_value"] == []
    assert runs.conduit.calls == []


def test_in_a_dry_run_a_failed_lookup_fails_only_its_tenant(runs: Runs) -> None:
    for name in NAMES[:2]:
        runs.conduit.state.add_workspace(f"Of {name}", name)
    runs.conduit.control.set_faults([Fault(kind="error_before", path="/dashboards/$", times=1)])
    with pytest.raises(
        ProvisioningError, match="1 of 8 tenants failed:\n- 't0': list dashboards for tenant 't0' failed"
    ):
        runs.provision(dry_run=True, max_retry_seconds=0)
    assert [one["tenant"] for one in runs.last.pushed["return_value"]] == NAMES[1:]


def test_a_killed_dry_run_says_which_tenants_it_did_not_reach(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.conduit.state.add_workspace("Of t1", "t1")
    find = ConduitTarget.find

    async def killed(self: ConduitTarget, transport: Any, desired: Any, *, ours: bool) -> Any:
        if desired.tenant == "t1":
            runs.task.on_kill()
            # As the signal arrives at the event loop.
            await asyncio.sleep(0)
        return await find(self, transport, desired, ours=ours)

    monkeypatch.setattr(ConduitTarget, "find", killed)
    with pytest.raises(ProvisioningError, match="because the task was killed; 7 of 8 tenants were not finished"):
        runs.provision(dry_run=True)
    assert runs.conduit.calls == ["1 GET /workspaces/"]


class Vendor:
    """A transport that gives each call its answer, or raises it if it is an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str | None]] = []

    async def run(self, call: Request[Any]) -> Any:
        self.sent.append((call.endpoint.name, call.tenant))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


ROW = {"source_dashboard": 1, "name": "Overview", "workspace_name": "Of acme", "ext_id": "acme"}
ORGANIZATION = [api.Dashboard(id=1, name="Sales")]
WORKSPACE = api.Workspace(id=5, name="Of acme", ext_id="acme", token="w" * 20)


async def test_a_new_workspace_is_kept_if_a_list_that_began_earlier_lacks_it() -> None:
    target, vendor = ConduitTarget(scope="c"), Vendor(WORKSPACE, api.ClonedDashboard(id=7), [], [])
    transport: Any = vendor
    desired = target.desire("acme", ROW)
    assert (await target.create(transport, desired)).embed_id == "5"
    await target.survey(transport)
    assert await target.find(transport, desired, ours=True) is None
    assert [name for name, _ in vendor.sent] == [
        api.CREATE_WORKSPACE.name,
        api.CLONE_DASHBOARD.name,
        api.LIST_WORKSPACES.name,
        api.LIST_DASHBOARDS.name,
    ]
    # An error of the clone names the tenant.
    assert dict(vendor.sent)[api.CLONE_DASHBOARD.name] == "acme"


async def test_of_two_listed_workspaces_with_one_ext_id_the_oldest_counts_in_any_order() -> None:
    younger = WORKSPACE.model_copy(update={"id": 9})
    clones = [api.Dashboard(id=number, name="Overview") for number in (7, 3)]
    target, vendor = ConduitTarget(scope="c"), Vendor([younger, WORKSPACE], clones, ORGANIZATION)
    transport: Any = vendor
    await target.survey(transport)
    found = await target.find(transport, target.desire("acme", ROW), ours=False)
    assert found is not None
    assert (found.dashboard_id, found.embed_id) == ("3", "5")


@pytest.mark.parametrize("surveyed", [True, False])
async def test_addresses_cost_one_list_at_most(surveyed: bool) -> None:
    target, vendor = ConduitTarget(scope="c"), Vendor([WORKSPACE], "https://one", "https://two")
    transport: Any = vendor
    if surveyed:
        await target.survey(transport)
    existing = Existing("3", "5", target.desire("acme", ROW).spec_hash)
    assert [await target.url(transport, existing) for _ in range(2)] == ["https://one", "https://two"]


async def test_a_list_that_failed_for_one_address_fails_for_all_of_them_without_a_call() -> None:
    target, vendor = ConduitTarget(scope="c"), Vendor(ServerError("down"))
    transport: Any = vendor
    for _ in range(2):
        with pytest.raises(ServerError, match="down"):
            await target.url(transport, Existing("3", "5", "a.b"))
