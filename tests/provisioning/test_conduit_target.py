"""From a tenant table to Conduit's workspaces and clones, and back: operators, engine and ledger on the emulator."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.conduit import (
    ConduitBehaviour,
    ConduitRefusalError,
    ConduitState,
    WorkspaceRow,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault, Kind
from airflow_provider_databrain.operators.conduit import (
    ProvisionConduitDashboardsOperator,
    RemoveConduitWorkspacesOperator,
)
from airflow_provider_databrain.provisioning.removal import RemovalGuardError
from airflow_provider_databrain.provisioning.report import ProvisioningError
from airflow_provider_databrain.provisioning.spec import SpecError
from airflow_provider_databrain.provisioning.targets.conduit import ConduitTarget
from tests.conduit import BEHAVIOURS, TOKEN, Conduit
from tests.operators.test_ledger_runs import read
from tests.operators.test_provisioning_operators import TaskInstance, change, counts
from tests.support import ODD_IDS, make_warehouse

pytestmark = pytest.mark.usefixtures("fast_retries")

NAMES = [f"t{number}" for number in range(8)]
SPEC: dict[str, Any] = {"source_dashboard": 1, "name": "Overview", "workspace_name": "Of {tenant_id}"}
TABLE: dict[str, Any] = {
    "sql_conn_id": "warehouse",
    "table": "tenants",
    "key_column": "tenant_id",
    "active_column": "active",
}
CREATE = "/workspaces/$"
CLONE = "/clone/$"
OPEN: dict[str, Any] = {"max_deletions": None, "max_deletion_fraction": 1}


class Runs:
    """Runs of one Dag on one tenant table; the ledger is in the same file."""

    def __init__(self, conduit: Conduit, path: Path) -> None:
        self.conduit = conduit
        self.path = path
        self._number = 0

    def provision(self, *, ledger: bool = True, **options: Any) -> TaskInstance:
        """Provision the table; gives what was pushed, ``return_value`` included."""
        book = {"ledger_conn_id": "warehouse"} if ledger else {}
        task = ProvisionConduitDashboardsOperator(
            task_id="provision", **{**TABLE, **book, "spec": SPEC, "concurrency": 4, **options}
        )
        return self._run(task)

    def remove(self, **options: Any) -> TaskInstance:
        """Remove what is no more; gives what was pushed."""
        task = RemoveConduitWorkspacesOperator(
            task_id="remove", **{**TABLE, "ledger_conn_id": "warehouse", **OPEN, **options}
        )
        return self._run(task)

    def _run(self, task: Any) -> TaskInstance:
        self._number += 1
        self.task = task
        instance = TaskInstance(run_id=f"run-{self._number}")
        context: Any = {"ti": instance}
        self.last = instance
        self.conduit.control.arrived.clear()
        value = task.execute(context)
        instance.xcom_push("return_value", value)
        return instance

    def change(self, statement: str, *values: Any) -> None:
        """Change the table."""
        change(self.path, statement, *values)

    def ledger(self) -> dict[str, tuple[str, str]]:
        """Tenant to the ids of dashboard and workspace, of those that have one."""
        rows = read(
            self.path, "SELECT tenant, dashboard_id, embed_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL"
        )
        return {tenant: (dashboard, workspace) for tenant, dashboard, workspace in rows}


@pytest.fixture
def runs(conduit: Conduit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Eight active tenants, not provisioned yet."""
    rows = [(name, "Overview", 1) for name in NAMES]
    return Runs(conduit, make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, title, active"))


def has_all(runs: Runs, instance: TaskInstance, tenants: list[str] = NAMES) -> None:
    """Each tenant has its workspace and clone exactly once, and the task has said so."""
    there = runs.conduit.clones()
    assert list(instance.pushed["return_value"]) == tenants
    assert there == {tenant: there[tenant] for tenant in tenants}
    assert instance.pushed["return_value"] == {tenant: clone for tenant, (clone, _) in there.items()}
    assert instance.pushed["workspaces"] == {tenant: workspace for tenant, (_, workspace) in there.items()}
    assert instance.pushed["failures"] == []


def alter_one_list(
    state: ConduitState, monkeypatch: pytest.MonkeyPatch, number: int, shown: Callable[[WorkspaceRow], bool]
) -> None:
    """Have one answer to the question for workspaces, counted from 1, lack some of them."""
    listed, asked = state.workspaces, itertools.count(1)

    def answer() -> list[WorkspaceRow]:
        rows = listed()
        return [row for row in rows if shown(row)] if next(asked) == number else rows

    monkeypatch.setattr(state, "workspaces", answer)


# Made, found, left alone


@BEHAVIOURS
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
    assert sorted(runs.conduit.calls) == ["1 GET /workspaces/", "8 POST /dashboards/1/clone/", "8 POST /workspaces/"]
    if ledger:
        assert runs.ledger() == runs.conduit.clones()


def test_a_second_run_costs_no_call(runs: Runs) -> None:
    first = runs.provision()
    second = runs.provision()
    assert runs.conduit.calls == []
    assert second.pushed["counts"] == counts(unchanged=8)
    has_all(runs, second)
    assert second.pushed["return_value"] == first.pushed["return_value"]


def test_without_a_ledger_nothing_is_cloned_twice(runs: Runs) -> None:
    first = runs.provision(ledger=False)
    second = runs.provision(ledger=False)
    assert second.pushed["counts"] == counts(adopted=8)
    has_all(runs, second)
    assert second.pushed["return_value"] == first.pushed["return_value"]
    assert runs.conduit.calls == ["1 GET /workspaces/", "8 GET /dashboards/"]


@pytest.mark.parametrize("ledger", [True, False])
def test_a_workspace_that_is_there_is_taken_and_so_is_its_clone(runs: Runs, ledger: bool) -> None:
    state = runs.conduit.state
    empty, full = state.add_workspace("Another name", "t0"), state.add_workspace("Of t1", "t1")
    state.add_dashboard("Sales", workspace=state.add_workspace("no ext_id"))
    # Of another name, and another's: what is not the tenant's clone is left alone.
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
def test_ext_ids_arrive_as_they_are(runs: Runs, ledger: bool) -> None:
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
        ({"source_dashboard": 0}, "source_dashboard is the number of a dashboard"),
        ({"source_dashboard": "{title}"}, "source_dashboard: "),
        ({"name": " "}, "name: "),
        ({"ext_id": ""}, "ext_id: "),
        ({"workspace_name": " "}, "workspace_name: "),
        ({"colour": "red"}, "colour: "),
    ],
)
def test_a_bad_spec_is_told_before_anything_is_sent(runs: Runs, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=f"(?s)8 of 8 tenants.*nothing was sent.*tenant 't0': {words}"):
        runs.provision(spec={**SPEC, **changes})
    assert runs.conduit.calls == []


def test_the_source_may_be_a_columns_value(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = '1'")
    has_all(runs, runs.provision(spec={**SPEC, "source_dashboard": "{title}"}))


def test_who_has_a_clone_keeps_it_where_source_and_workspace_name_change(runs: Runs) -> None:
    first = runs.provision()
    runs.conduit.state.add_dashboard("Newer")
    again = runs.provision(spec={**SPEC, "source_dashboard": 2, "workspace_name": "Other"})
    assert again.pushed["return_value"] == first.pushed["return_value"]
    assert again.pushed["counts"] == counts(unchanged=8)
    assert runs.conduit.calls == []


# What no two tenants may share, and what must not change


@pytest.mark.parametrize("ledger", [True, False])
def test_two_tenants_with_one_ext_id_are_refused_before_anything_is_sent(runs: Runs, ledger: bool) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    runs.change("UPDATE tenants SET title = 't1' WHERE tenant_id = 't5'")
    with pytest.raises(SpecError, match="'t1' and 't5' would share the workspace with ext_id 't1'"):
        runs.provision(ledger=ledger, spec={**SPEC, "ext_id": "{title}"})
    assert runs.conduit.calls == []


def test_a_tenant_with_the_ext_id_of_one_in_the_ledger_is_not_given_its_clone(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    spec = {**SPEC, "ext_id": "{title}"}
    runs.provision(spec=spec)
    runs.change("INSERT INTO tenants VALUES ('t9', 't1', 1)")
    # The others' rows are as they were, and are held against it all the same.
    with pytest.raises(SpecError, match="'t1' and 't9' would share the workspace with ext_id 't1'"):
        runs.provision(spec=spec)
    assert runs.conduit.calls == []
    # In a batch of its own nothing but the ledger knows.
    alone: dict[str, Any] = {"table": None, "query": "SELECT * FROM tenants WHERE tenant_id = 't9'"}
    with pytest.raises(
        ProvisioningError, match=r"(?s)1 of 1 tenants failed.*'t9': .*by the ledger it belongs to tenant 't1'"
    ):
        runs.provision(spec=spec, **alone)
    assert len(runs.conduit.clones()) == 8


def test_two_tenants_in_one_workspace_are_found_out_across_batches_and_neither_is_handed_on(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = tenant_id")
    runs.change("UPDATE tenants SET title = 't1' WHERE tenant_id = 't5'")
    # Clones of different names, so that neither is found where the other is looked for.
    spec = {**SPEC, "ext_id": "{title}", "name": "Overview of {tenant_id}"}
    half = "SELECT * FROM tenants WHERE tenant_id {} 't4'"
    first = runs.provision(spec=spec, table=None, query=half.format("<"))
    assert list(first.pushed["return_value"]) == ["t0", "t1", "t2", "t3"]
    workspace = runs.ledger()["t1"][1]
    for _ in range(2):
        with pytest.raises(
            ProvisioningError, match=f"(?s)1 of 4 tenants failed.*'t5': .*in '{workspace}', which is also that of 't1'"
        ):
            runs.provision(spec=spec, table=None, query=half.format(">="))
        assert list(runs.last.pushed["return_value"]) == ["t4", "t6", "t7"]
        assert "t5" not in runs.last.pushed["workspaces"]
    with pytest.raises(ProvisioningError, match=r"(?s)'t1': .*which is also that of 't5'"):
        runs.provision(spec=spec, table=None, query=half.format("<"))
    # Mended, and the wrong line deleted.
    runs.change("UPDATE tenants SET title = 't5' WHERE tenant_id = 't5'")
    runs.change("DELETE FROM tenant_dashboards WHERE tenant = 't5'")
    assert runs.provision(spec=spec).pushed["failures"] == []
    assert len({workspace for _, workspace in runs.ledger().values()}) == 8


@pytest.mark.parametrize("changes", [{"ext_id": "other-{tenant_id}"}, {"name": "Overview 2"}])
def test_a_change_of_what_it_is_found_by_is_refused_before_anything_is_sent(
    runs: Runs, changes: dict[str, Any]
) -> None:
    runs.provision()
    with pytest.raises(SpecError, match=r"(?s)8 of 8 tenants.*'t0': ext_id or name is not what dashboard \d+ was made"):
        runs.provision(spec={**SPEC, **changes})
    assert runs.conduit.calls == []


# What goes wrong on the way


@BEHAVIOURS
@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("kind", ["reset_after", "error_after", "error_before", "cut"])
@pytest.mark.parametrize(("path", "every"), [(CREATE, 3), (CLONE, 3), ("/$", 5)])
def test_unclear_calls_end_with_each_tenant_exactly_once(
    runs: Runs, behaviour: ConduitBehaviour, kind: Kind, path: str, every: int, ledger: bool
) -> None:
    runs.conduit.state.behaviour = behaviour
    runs.conduit.control.set_faults([Fault(kind=kind, method="POST", path=path, every=every)])
    instance = runs.provision(ledger=ledger)
    has_all(runs, instance)
    assert instance.pushed["counts"] == counts(created=8)
    runs.conduit.control.set_faults([])
    has_all(runs, runs.provision(ledger=ledger))


def test_a_429_delays_and_makes_nothing_twice(runs: Runs) -> None:
    runs.conduit.control.set_faults([Fault(kind="too_many", every=4, seconds=0.02)])
    has_all(runs, runs.provision(push_urls=True))


@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("path", [CREATE, CLONE])
@pytest.mark.parametrize("kind", ["reset_after", "error_before"])
def test_what_stays_unclear_fails_and_the_next_run_ends_it(runs: Runs, path: str, kind: Kind, ledger: bool) -> None:
    # Nothing that is sent to be made is ever answered.
    runs.conduit.control.set_faults([Fault(kind=kind, path=path, method="POST")])
    made = 8 if kind == "reset_after" else 0
    if made:
        has_all(runs, runs.provision(ledger=ledger))
    else:
        with pytest.raises(ProvisioningError, match="8 of 8 tenants failed"):
            runs.provision(ledger=ledger)
        assert runs.last.pushed["counts"] == counts(failed=8)
        assert runs.last.pushed["workspaces"] == {}
    runs.conduit.control.set_faults([])
    has_all(runs, runs.provision(ledger=ledger))


@pytest.mark.parametrize("ledger", [True, False])
def test_a_refused_clone_fails_with_a_hint_and_the_next_run_goes_on_with_the_workspace(
    runs: Runs, ledger: bool
) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(has_white_label=False)
    with pytest.raises(ProvisioningError, match="8 of 8 tenants failed"):
        runs.provision(ledger=ledger)
    for failure in runs.last.pushed["failures"]:
        refused = (
            f"clone dashboard for tenant {failure['tenant']!r} (dashboard '1') failed [HTTP 400, white_label_missing]"
        )
        assert failure["message"].startswith(refused)
        assert "needs a white-label in Conduit" in failure["message"]
    assert runs.conduit.calls.count("8 POST /dashboards/1/clone/") == 1
    there = {str(row.ext_id): str(row.id) for row in runs.conduit.state.workspaces()}
    runs.conduit.state.behaviour = ConduitBehaviour()
    instance = runs.provision(ledger=ledger)
    has_all(runs, instance)
    assert instance.pushed["counts"] == counts(created=8)
    assert instance.pushed["workspaces"] == there
    assert "8 POST /workspaces/" not in runs.conduit.calls


def test_a_missing_company_name_fails_all_with_a_hint_after_one_call(runs: Runs) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(has_company_name=False)
    with pytest.raises(ProvisioningError, match=r"(?s)8 of 8 tenants failed.*need 'Your company name' in Conduit"):
        runs.provision()
    assert runs.conduit.calls == ["1 GET /workspaces/"]
    runs.conduit.state.behaviour = ConduitBehaviour()
    has_all(runs, runs.provision())


def test_a_source_that_is_not_there_is_told_for_each_tenant(runs: Runs) -> None:
    with pytest.raises(ProvisioningError, match=r"clone dashboard for tenant 't0' \(dashboard '77'\) failed"):
        runs.provision(spec={**SPEC, "source_dashboard": 77})
    has_all(runs, runs.provision())


def test_a_wrong_token_stops_the_run_at_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_CONDUIT_DEFAULT", f'{{"conn_type": "conduit", "host": "{runs.conduit.url}", "password": "wrong"}}'
    )
    with pytest.raises(ProvisioningError, match="stopped, because the API refuses the credentials"):
        runs.provision()
    assert runs.conduit.calls == ["1 GET /workspaces/"]


@pytest.mark.parametrize("status", [400, 409])
def test_a_workspace_that_somebody_else_made_meanwhile_is_taken(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    state = runs.conduit.state
    state.behaviour = ConduitBehaviour(unique_ext_id=True)
    others = state.add_workspace("Somebody's", "t3")
    # At the first look it is not there yet.
    alter_one_list(state, monkeypatch, 1, lambda row: False)
    found = state.workspace_with

    def taken(*, token: str | None = None, ext_id: str | None = None) -> int | None:
        if ext_id == "t3":
            raise ConduitRefusalError(status, "taken", "There is one")
        return found(token=token, ext_id=ext_id)

    monkeypatch.setattr(state, "workspace_with", taken)
    instance = runs.provision()
    has_all(runs, instance)
    assert instance.pushed["workspaces"]["t3"] == str(others)


def test_a_server_that_changes_the_ext_id_is_not_asked_for_one_workspace_after_the_other(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = runs.conduit.state
    add = state.add_workspace
    monkeypatch.setattr(state, "add_workspace", lambda name, ext_id: add(name, ext_id.upper()))
    with pytest.raises(
        ProvisioningError, match=r"8 of 8 .*\n.*has the ext_id 'T\d', not the one asked for; disable it"
    ):
        runs.provision()
    assert [row.ext_id for row in sorted(state.workspaces(), key=lambda row: row.name)] == [n.upper() for n in NAMES]


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
    assert sorted(runs.conduit.calls) == ["1 GET /workspaces/", "2 GET /dashboards/"]
    assert read(runs.path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("tenants",)]
    control.behaviour = Behaviour()
    runs.provision()
    assert runs.provision(dry_run="true").pushed["return_value"] == []
    assert runs.conduit.calls == []


def test_in_a_dry_run_a_tenant_that_cannot_be_looked_up_costs_no_other(runs: Runs) -> None:
    for name in NAMES[:2]:
        runs.conduit.state.add_workspace(f"Of {name}", name)
    runs.conduit.control.set_faults([Fault(kind="error_before", path="/dashboards/$", times=1)])
    with pytest.raises(ProvisioningError, match="1 of 8 tenants failed:\n- 't0': list dashboards failed"):
        runs.provision(dry_run=True, max_retry_seconds=0)
    assert [one["tenant"] for one in runs.last.pushed["return_value"]] == NAMES[1:]


def test_a_dry_run_that_is_killed_says_what_it_did_not_reach(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.conduit.state.add_workspace("Of t1", "t1")
    find = ConduitTarget.find

    async def killed(self: ConduitTarget, api: Any, desired: Any, *, ours: bool) -> Any:
        if desired.tenant == "t1":
            runs.task.on_kill()
            # As it comes to the event loop.
            await asyncio.sleep(0)
        return await find(self, api, desired, ours=ours)

    monkeypatch.setattr(ConduitTarget, "find", killed)
    with pytest.raises(ProvisioningError, match="because the task was killed; 7 of 8 tenants were not finished"):
        runs.provision(dry_run=True)
    assert runs.conduit.calls == ["1 GET /workspaces/"]


# Addresses


def urls(state: ConduitState) -> dict[str, str]:
    """``ext_id`` to the clone's address."""
    return {str(row.ext_id): state.dashboards(row.id)[0].url for row in state.workspaces()}


@pytest.mark.parametrize("ledger", [True, False])
def test_addresses_are_handed_on_where_asked_for(runs: Runs, ledger: bool) -> None:
    for _ in range(2):
        instance = runs.provision(ledger=ledger, push_urls=True)
        has_all(runs, instance)
        assert instance.pushed["urls"] == urls(runs.conduit.state)
    assert "urls" not in runs.provision(ledger=ledger).pushed


def test_with_a_ledger_an_address_costs_a_call_each_and_the_list_one(runs: Runs) -> None:
    runs.provision()
    runs.provision(push_urls=True)
    assert len(runs.conduit.calls) == 9
    assert "1 GET /workspaces/" in runs.conduit.calls


def test_a_tenant_whose_address_cannot_be_had_fails_and_costs_no_other(runs: Runs) -> None:
    first = runs.provision()
    state = runs.conduit.state
    state.disable_workspace(int(first.pushed["workspaces"]["t0"]))
    clone = first.pushed["return_value"]["t1"]
    runs.conduit.control.set_faults([Fault(kind="error_before", path=f"/dashboards/{clone}/share/$")])
    with pytest.raises(ProvisioningError, match="2 of 8 tenants failed"):
        runs.provision(push_urls=True, max_retry_seconds=0)
    pushed = runs.last.pushed
    assert pushed["return_value"] == first.pushed["return_value"]
    assert pushed["counts"] == counts(unchanged=8, failed=2)
    assert {failure["tenant"]: failure["error"] for failure in pushed["failures"]} == {
        "t0": "NotFoundError",
        "t1": "ServerError",
    }
    assert pushed["urls"] == {name: url for name, url in urls(state).items() if name not in ("t0", "t1")}


def test_a_list_that_cannot_be_had_is_not_asked_for_by_each_tenant(runs: Runs) -> None:
    runs.provision()
    runs.conduit.control.set_faults([Fault(kind="error_before", path="/workspaces/$")])
    with pytest.raises(ProvisioningError, match=r"(?s)8 of 8 tenants failed.*list workspaces failed"):
        runs.provision(push_urls=True, max_retry_seconds=0)
    assert runs.conduit.calls == ["1 GET /workspaces/"]
    assert runs.last.pushed["urls"] == {}


def test_a_list_that_lags_behind_forgets_no_workspace_that_was_just_made(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.conduit.control.set_faults([Fault(kind="error_after", path=CREATE, method="POST", every=5)])
    # The look after the fifth create does not show the first one's yet.
    alter_one_list(runs.conduit.state, monkeypatch, 2, lambda row: row.ext_id != "t0")
    instance = runs.provision(concurrency=1, push_urls=True)
    has_all(runs, instance)
    assert instance.pushed["urls"] == urls(runs.conduit.state)


# Removing


def test_incremental_disables_who_is_inactive_and_nobody_else(runs: Runs) -> None:
    first = runs.provision()
    runs.conduit.state.add_workspace("not ours")
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id IN ('t2', 't3')")
    runs.change("DELETE FROM tenants WHERE tenant_id = 't4'")
    removed = runs.remove()
    assert removed.pushed["counts"] == counts(deleted=2)
    gone = sorted(f"1 DELETE /workspaces/{first.pushed['workspaces'][name]}/" for name in ("t2", "t3"))
    assert sorted(runs.conduit.calls) == sorted(["1 GET /workspaces/", *gone])
    assert {row.ext_id for row in runs.conduit.state.workspaces()} == {*NAMES, None} - {"t2", "t3"}
    assert set(runs.ledger()) == set(NAMES) - {"t2", "t3"}
    assert runs.remove().pushed["counts"] == counts()


@BEHAVIOURS
def test_full_also_disables_who_vanished_and_who_comes_back_gets_a_new_workspace(
    runs: Runs, behaviour: ConduitBehaviour
) -> None:
    runs.conduit.state.behaviour = behaviour
    first = runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    runs.change("DELETE FROM tenants WHERE tenant_id = 't4'")
    assert runs.remove(mode="full").pushed["counts"] == counts(deleted=2)
    assert set(runs.conduit.clones()) == set(NAMES) - {"t2", "t4"}
    runs.change("UPDATE tenants SET active = 1")
    again = runs.provision()
    assert again.pushed["counts"] == counts(created=1, unchanged=6)
    has_all(runs, again, [name for name in NAMES if name != "t4"])
    assert again.pushed["workspaces"]["t2"] != first.pushed["workspaces"]["t2"]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"max_deletions": 2}, "max_deletions is 2"),
        ({"max_deletion_fraction": 0.3}, "max_deletion_fraction is 0.3"),
    ],
)
@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_the_guard_holds(runs: Runs, mode: str, bounds: dict[str, Any], words: str) -> None:
    runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id < 't3'")
    with pytest.raises(RemovalGuardError, match=f"of 3 of 8 tenants would have been, but {words}"):
        runs.remove(mode=mode, **bounds)
    assert runs.conduit.calls == []
    assert set(runs.conduit.clones()) == set(NAMES)


def test_a_workspace_that_is_anothers_by_now_stays(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    first = runs.provision()
    state = runs.conduit.state
    taken = int(first.pushed["workspaces"]["t2"])
    listed = state.workspaces
    monkeypatch.setattr(
        state, "workspaces", lambda: [row._replace(ext_id="globex") if row.id == taken else row for row in listed()]
    )
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id IN ('t2', 't3')")
    with pytest.raises(
        ProvisioningError, match=rf"1 of 2.*\n.*workspace {taken} now has the ext_id 'globex'; it was not"
    ):
        runs.remove()
    assert runs.last.pushed["counts"] == counts(deleted=1, failed=1)
    assert {row.id for row in listed()} == {int(i) for t, i in first.pushed["workspaces"].items() if t != "t3"}


def test_a_workspace_in_which_another_tenant_has_its_clone_stays_until_both_go(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = 'group'")
    runs.change("DELETE FROM tenants WHERE tenant_id > 't1'")
    spec = {**SPEC, "ext_id": "{title}", "name": "For {tenant_id}"}
    runs.provision(batch={"upto": "t0"}, spec=spec)
    # In another batch it is found out once it is done.
    with pytest.raises(ProvisioningError, match="which is also that of 't0'"):
        runs.provision(batch={"after": "t0"}, spec=spec)
    [workspace] = runs.conduit.state.workspaces()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't0'")
    with pytest.raises(
        ProvisioningError, match=f"by the ledger '{workspace.id}' belongs to tenant 't1' too; it was not"
    ):
        runs.remove()
    assert runs.conduit.state.workspaces() == [workspace]
    runs.change("UPDATE tenants SET active = 0")
    assert runs.remove().pushed["counts"] == counts(deleted=2)
    assert runs.conduit.state.workspaces() == []


def test_a_workspace_that_is_disabled_already_counts_as_removed(runs: Runs) -> None:
    first = runs.provision()
    runs.conduit.state.disable_workspace(int(first.pushed["workspaces"]["t2"]))
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    assert runs.remove().pushed["counts"] == counts(deleted=1)
    assert runs.conduit.calls == ["1 GET /workspaces/"]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "error_before", "too_many"])
def test_removing_bears_what_goes_wrong_on_the_way(runs: Runs, kind: Kind) -> None:
    runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id < 't4'")
    runs.conduit.control.set_faults([Fault(kind=kind, method="DELETE", every=2, seconds=0.02)])
    assert runs.remove().pushed["counts"] == counts(deleted=4)
    assert set(runs.conduit.clones()) == set(NAMES[4:])


def test_a_dry_run_of_removing_lists_and_sends_nothing(runs: Runs) -> None:
    first = runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    assert runs.remove(dry_run=True).pushed["return_value"] == [
        {"tenant": "t2", "dashboard_id": first.pushed["return_value"]["t2"], "action": "delete"}
    ]
    assert runs.conduit.calls == []


# Secrets


@pytest.mark.parametrize("kind", [None, "error_before", "cut", "wrong", "html"])
def test_no_token_and_no_address_is_told(
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: Kind | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    state = runs.conduit.state
    state.add_workspace("Of t0", "t0")
    own, dashboards = state.workspaces()[0].token, state.dashboards

    def telling(workspace: int | None = None) -> Any:
        if workspace == 1 and kind is None:
            raise ConduitRefusalError(400, own, f"{own} is of {TOKEN}")
        return dashboards(workspace)

    monkeypatch.setattr(state, "dashboards", telling)
    told = []
    for number in range(2):
        runs.conduit.control.set_faults([Fault(kind=kind, every=2)] if kind and not number else [])
        try:
            runs.provision(max_retry_seconds=0)
        except ProvisioningError as error:
            told += [str(error), repr(error), repr(error.failures)]
        told += [repr(runs.last.pushed), repr(runs.task)]
        told.append(repr({name: getattr(runs.task, name) for name in runs.task.template_fields}))
    rows = repr(read(runs.path, "SELECT * FROM tenant_dashboards"))
    out = capfd.readouterr()
    secrets = [TOKEN, *(row.token for row in state.workspaces())]
    secrets += [clone.url for row in state.workspaces() for clone in dashboards(row.id)]
    assert len(secrets) >= 1 + 8 + 7
    assert "t7" in rows
    assert "***" in rows or kind
    told += [rows, caplog.text, out.out, out.err]
    assert not [secret for secret in secrets if any(secret in text for text in told)]


def test_addresses_that_were_asked_for_are_in_xcom_under_their_name_and_nowhere_else(
    runs: Runs, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = runs.provision(push_urls=True)
    shown = [url.rpartition("/")[2] for url in instance.pushed.pop("urls").values()]
    out = capfd.readouterr()
    rows = repr(read(runs.path, "SELECT * FROM tenant_dashboards"))
    told = [repr(instance.pushed), caplog.text, out.out, out.err, rows]
    assert len(shown) == 8
    assert not [key for key in shown if any(key in text for text in told)]
