"""Removing the workspaces of tenants that no longer exist."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Fault, Kind
from airflow_provider_databrain.tenants.engine.removal import RemovalGuardError
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.conduit.runs import NAMES, SPEC, Runs, has_all
from tests.conduit.support import BEHAVIOURS
from tests.tenants.operators.test_provision import counts

pytestmark = pytest.mark.usefixtures("fast_retries")


def test_incremental_disables_only_inactive_tenants(runs: Runs) -> None:
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
def test_full_also_disables_missing_tenants_and_a_returning_tenant_gets_a_new_workspace(
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
def test_removals_above_the_limit_are_refused(runs: Runs, mode: str, bounds: dict[str, Any], words: str) -> None:
    runs.provision()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id < 't3'")
    with pytest.raises(RemovalGuardError, match=f"would remove the dashboards of 3 of 8 tenants, but {words}"):
        runs.remove(mode=mode, **bounds)
    assert runs.conduit.calls == []
    assert set(runs.conduit.clones()) == set(NAMES)


def test_a_workspace_that_now_belongs_to_another_tenant_stays(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_workspace_with_another_tenants_clone_stays_until_both_tenants_are_removed(runs: Runs) -> None:
    runs.change("UPDATE tenants SET title = 'group'")
    runs.change("DELETE FROM tenants WHERE tenant_id > 't1'")
    spec = {**SPEC, "ext_id": "{title}", "name": "For {tenant_id}"}
    first = {"number": 1, "of": 2, "rows": 1, "label": "first", "upto": "t0"}
    runs.provision(batch=first, spec=spec)
    # In another batch it is detected only after the clone was made.
    with pytest.raises(ProvisioningError, match="as is the dashboard of 't0'"):
        runs.provision(batch={"number": 2, "of": 2, "rows": 1, "label": "second", "after": "t0"}, spec=spec)
    [workspace] = runs.conduit.state.workspaces()
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't0'")
    with pytest.raises(
        ProvisioningError, match=f"according to the ledger '{workspace.id}' also belongs to tenant 't1'; it was not"
    ):
        runs.remove()
    assert runs.conduit.state.workspaces() == [workspace]
    runs.change("UPDATE tenants SET active = 0")
    assert runs.remove().pushed["counts"] == counts(deleted=2)
    assert runs.conduit.state.workspaces() == []


def test_a_workspace_that_is_already_disabled_counts_as_removed(runs: Runs) -> None:
    first = runs.provision()
    runs.conduit.state.disable_workspace(int(first.pushed["workspaces"]["t2"]))
    runs.change("UPDATE tenants SET active = 0 WHERE tenant_id = 't2'")
    assert runs.remove().pushed["counts"] == counts(deleted=1)
    assert runs.conduit.calls == ["1 GET /workspaces/"]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "error_before", "too_many"])
def test_removing_survives_transient_failures(runs: Runs, kind: Kind) -> None:
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
