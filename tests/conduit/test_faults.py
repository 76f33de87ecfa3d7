"""Failures while Conduit's workspaces and clones are created."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour, ConduitRefusalError
from airflow_provider_databrain.emulator.faults import Fault, Kind
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.conduit.runs import CLONE, CREATE, NAMES, SPEC, Runs, alter_one_list, has_all
from tests.conduit.support import ALL_BEHAVIOURS
from tests.tenants.operators.test_provision import counts

pytestmark = pytest.mark.usefixtures("fast_retries")


@ALL_BEHAVIOURS
@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("kind", ["reset_after", "error_after", "error_before", "cut"])
@pytest.mark.parametrize(("path", "every"), [(CREATE, 3), (CLONE, 3), ("/$", 5)])
def test_ambiguous_calls_leave_each_tenant_exactly_one_workspace_and_clone(
    runs: Runs, behaviour: ConduitBehaviour, kind: Kind, path: str, every: int, ledger: bool
) -> None:
    runs.conduit.state.behaviour = behaviour
    runs.conduit.control.set_faults([Fault(kind=kind, method="POST", path=path, every=every)])
    instance = runs.provision(ledger=ledger)
    has_all(runs, instance)
    assert instance.pushed["counts"] == counts(created=8)
    runs.conduit.control.set_faults([])
    has_all(runs, runs.provision(ledger=ledger))


def test_a_429_delays_and_creates_nothing_twice(runs: Runs) -> None:
    runs.conduit.control.set_faults([Fault(kind="too_many", every=4, seconds=0.02)])
    has_all(runs, runs.provision(push_urls=True))


@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("path", [CREATE, CLONE])
@pytest.mark.parametrize("kind", ["reset_after", "error_before"])
def test_a_create_that_stays_ambiguous_fails_and_the_next_run_completes_it(
    runs: Runs, path: str, kind: Kind, ledger: bool
) -> None:
    # No create is ever answered.
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
def test_a_refused_clone_fails_with_a_hint_and_the_next_run_uses_the_workspace(runs: Runs, ledger: bool) -> None:
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


def test_a_missing_company_name_fails_every_tenant_with_a_hint_after_one_call(runs: Runs) -> None:
    runs.conduit.state.behaviour = ConduitBehaviour(has_company_name=False)
    with pytest.raises(ProvisioningError, match=r"(?s)8 of 8 tenants failed.*need 'Your company name' in Conduit"):
        runs.provision()
    assert runs.conduit.calls == ["1 GET /workspaces/"]
    runs.conduit.state.behaviour = ConduitBehaviour()
    has_all(runs, runs.provision())


def test_a_missing_source_dashboard_fails_each_tenant(runs: Runs) -> None:
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
def test_a_workspace_that_another_caller_created_meanwhile_is_used(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    state = runs.conduit.state
    state.behaviour = ConduitBehaviour(unique_ext_id=True)
    others = state.add_workspace("Somebody's", "t3")
    # The first list does not have it yet.
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


def test_a_server_that_changes_the_ext_id_gets_one_create_for_each_tenant(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = runs.conduit.state
    add = state.add_workspace
    monkeypatch.setattr(state, "add_workspace", lambda name, ext_id: add(name, ext_id.upper()))
    with pytest.raises(
        ProvisioningError, match=r"8 of 8 .*\n.*has the ext_id 'T\d', not the one that was sent; disable this workspace"
    ):
        runs.provision()
    assert [row.ext_id for row in sorted(state.workspaces(), key=lambda row: row.name)] == [n.upper() for n in NAMES]
