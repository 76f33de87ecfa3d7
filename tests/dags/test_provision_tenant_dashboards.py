"""The example Dag that provisions Databrain dashboards, on a warehouse of 120 tenants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from demo import warehouse
from tests.dags.conftest import TENANTS, Ran, in_ledger, rename_one_and_deactivate_one
from tests.support import embed

DAG_ID = "provision_tenant_dashboards"
CREATES = "dashboard-embeds"


def expected(count: int = TENANTS) -> dict[str, str]:
    """Maps each tenant to the dashboard id that the spec gives it."""
    return {tenant: f"client-{tenant}" for tenant, *_ in warehouse.rows(count)}


def in_server(emulator: Emulator) -> dict[str, str]:
    """Maps each client to its dashboard id on the server. No client has two."""
    rows = emulator.state.embeds()
    assert len({row.client_id for row in rows}) == len(rows)
    return {row.client_id: row.dashboard_id for row in rows}


def test_every_tenant_gets_a_dashboard_and_the_ids_are_in_xcom(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert in_server(connection) == ran.merged() == in_ledger(tenants) == expected()
    assert [counts["created"] for counts in ran.values("provision", "counts")] == [50, 50, 20]
    body = connection.state.created_with("client-tenant-00001")
    assert body["metadata"]["region"] == "us"
    assert body["templateDashboardId"] == "template-pro"


def test_a_second_run_makes_no_call(connection: Emulator, tenants: Path, run_example: Callable[..., Ran]) -> None:
    run_example(DAG_ID)
    connection.control.log.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged() == expected()
    assert ran.count("unchanged") == TENANTS
    assert list(connection.control.log) == []


def test_a_changed_and_an_inactive_tenant_cost_one_change_each_and_one_list(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    run_example(DAG_ID)
    rename_one_and_deactivate_one(tenants)
    connection.control.log.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    remaining = {tenant: dashboard for tenant, dashboard in expected().items() if tenant != "tenant-00060"}
    assert in_server(connection) == ran.merged() == in_ledger(tenants) == remaining
    assert sorted((logged.method, logged.path) for logged in connection.control.log) == [
        ("DELETE", "/api/v2/data-app/embeds"),
        # The list, and the page after its end.
        ("GET", "/api/v2/data-app/embeds"),
        ("GET", "/api/v2/data-app/embeds"),
        ("PUT", "/api/v2/data-app/embeds/rename"),
    ]
    assert ran.values("remove", "counts")[0]["deleted"] == 1


def test_despite_resets_errors_and_429s_each_tenant_has_one_dashboard_and_its_id_is_in_xcom(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran], fast_retries: None
) -> None:
    connection.control.set_faults(
        [
            Fault(kind="reset_after", every=7, path=CREATES),
            Fault(kind="error_after", every=5, path=CREATES),
            Fault(kind="too_many", every=11, path=CREATES, seconds=0.05),
        ]
    )
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert in_server(connection) == ran.merged() == in_ledger(tenants) == expected()
    assert {"reset_after", "error_after", "too_many"} <= {logged.fault for logged in connection.control.log}
    assert ran.count("created") == TENANTS


def test_on_a_long_wait_the_task_defers_and_the_batch_continues_where_it_stopped(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    connection.control.set_faults([Fault(kind="too_many", every=30, times=3, path=CREATES, seconds=1.2)])
    ran = run_example(DAG_ID, deferrable=True, defer_above=1.0, grace_seconds=0.2)
    assert ran.state == "success"
    assert in_server(connection) == ran.merged() == in_ledger(tenants) == expected()
    assert [counts["created"] for counts in ran.values("provision", "counts")] == [50, 50, 20]
    assert connection.control.arrived["POST", "/api/v2/data-app/dashboard-embeds"] == TENANTS + 3


def test_a_dry_run_lists_what_would_be_done_and_changes_nothing(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    connection.control.behaviour.read_only = True
    ran = run_example(DAG_ID, dry_run=True)
    assert ran.state == "success"
    planned = [row for batch in ran.values("provision") for row in batch]
    assert {row["tenant"]: row["dashboard_id"] for row in planned} == expected()
    assert {row["action"] for row in planned} == {"create"}
    assert in_server(connection) == {}


def test_a_tenant_whose_id_is_taken_fails_the_run_and_the_others_get_their_dashboards(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    taken = wire(embed("globex", dashboard_id="client-tenant-00060"))
    connection.state.create_embed(taken, dashboard_name="client-tenant-00060_globex", name="x")
    ran = run_example(DAG_ID, retries=0)
    assert ran.state == "failed"
    others = {tenant: dashboard for tenant, dashboard in expected().items() if tenant != "tenant-00060"}
    assert ran.merged() == in_ledger(tenants) == others
    [failure] = [failure for failures in ran.values("provision", "failures") for failure in failures]
    assert failure["tenant"] == "tenant-00060"
    assert "'globex'" in failure["message"]
    assert "'tenant-00060'" in failure["message"]
    assert ran.values("hand_on") == [TENANTS - 1]
    assert ran.task_states[("remove", -1)] == "upstream_failed"


def test_with_an_empty_tenant_table_the_run_succeeds_and_sends_nothing(
    connection: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    warehouse.build(tenants, 0)
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.task_states[("provision", -1)] == "skipped"
    assert len(connection.control.log) == 0
