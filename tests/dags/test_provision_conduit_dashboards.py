"""The example Dag that provisions Conduit dashboards, on a warehouse of 120 tenants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Fault
from demo import warehouse
from tests.conduit.support import Conduit
from tests.dags.conftest import TENANTS, Ran, in_ledger, rename_one_and_deactivate_one

DAG_ID = "provision_conduit_dashboards"
LEDGER = "conduit_dashboards"


def in_server(conduit: Conduit) -> dict[str, str]:
    """Maps each tenant to the id of its clone in Conduit."""
    return {tenant: clone for tenant, (clone, _) in conduit.clones().items()}


def test_every_tenant_gets_a_workspace_with_a_clone_and_the_ids_are_in_xcom(
    conduit: Conduit, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert in_server(conduit) == ran.merged() == in_ledger(tenants, LEDGER)
    assert {row.ext_id: row.name for row in conduit.state.workspaces()} == {
        tenant: name for tenant, name, *_ in warehouse.rows(TENANTS)
    }
    assert ran.merged("workspaces") == {tenant: workspace for tenant, (_, workspace) in conduit.clones().items()}
    assert [counts["created"] for counts in ran.values("provision", "counts")] == [100, 20]
    assert ran.values("provision", "urls") == []
    shown = repr(ran.xcoms)
    assert not [row for row in conduit.state.workspaces() if row.token in shown]


def test_a_second_run_makes_no_call(conduit: Conduit, tenants: Path, run_example: Callable[..., Ran]) -> None:
    first = run_example(DAG_ID)
    conduit.control.arrived.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged() == first.merged()
    assert ran.merged("workspaces") == first.merged("workspaces")
    assert ran.count("unchanged") == TENANTS
    assert conduit.calls == []


def test_an_inactive_tenant_costs_one_list_and_one_delete(
    conduit: Conduit, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    first = run_example(DAG_ID)
    rename_one_and_deactivate_one(tenants)
    conduit.control.arrived.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    remaining = {tenant: clone for tenant, clone in first.merged().items() if tenant != "tenant-00060"}
    assert in_server(conduit) == ran.merged() == in_ledger(tenants, LEDGER) == remaining
    disabled = first.merged("workspaces")["tenant-00060"]
    assert conduit.calls == ["1 GET /workspaces/", f"1 DELETE /workspaces/{disabled}/"]
    assert ran.values("remove", "counts")[0]["deleted"] == 1


def test_despite_resets_errors_and_429s_each_tenant_has_one_clone_and_its_id_is_in_xcom(
    conduit: Conduit, tenants: Path, run_example: Callable[..., Ran], fast_retries: None
) -> None:
    conduit.control.set_faults(
        [
            Fault(kind="reset_after", every=7, method="POST"),
            Fault(kind="error_after", every=11, method="POST"),
            Fault(kind="error_before", every=13, method="POST"),
            Fault(kind="too_many", every=29, seconds=0.02),
        ]
    )
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert in_server(conduit) == ran.merged() == in_ledger(tenants, LEDGER)
    assert len(ran.merged()) == ran.count("created") == TENANTS
    faults = {logged.fault for logged in conduit.control.log}
    assert {"reset_after", "error_after", "error_before", "too_many"} <= faults


def test_without_a_white_label_the_run_fails_and_the_next_run_uses_the_same_workspaces(
    conduit: Conduit, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    conduit.state.behaviour = ConduitBehaviour(has_white_label=False)
    ran = run_example(DAG_ID, retries=0)
    assert ran.state == "failed"
    assert ran.merged() == {}
    assert ran.task_states[("remove", -1)] == "upstream_failed"
    assert "needs a white-label in Conduit" in ran.values("provision", "failures")[0][0]["message"]
    workspaces = {str(row.ext_id): str(row.id) for row in conduit.state.workspaces()}
    conduit.state.behaviour = ConduitBehaviour()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged("workspaces") == workspaces
    assert in_server(conduit) == ran.merged()
