"""The example Dag that provisions PostHog dashboards, on a warehouse of 120 tenants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from demo import warehouse
from tests.dags.conftest import TENANTS, Ran, in_ledger, rename_one_and_deactivate_one

DAG_ID = "provision_posthog_dashboards"
LEDGER = "posthog_dashboards"
CREATES = "/dashboards/$"


def in_server(emulator: Emulator) -> dict[str, str]:
    """Maps the name of each existing dashboard to its id. Names are unique, and all dashboards are shared."""
    rows = emulator.posthog.dashboards()
    assert len({row.fields["name"] for row in rows}) == len(rows)
    assert all(row.shared for row in rows)
    return {row.fields["name"]: str(row.id) for row in rows}


def by_name(ids: dict[str, str]) -> dict[str, str]:
    """Replace the tenants in a mapping by their names."""
    names = {tenant: name for tenant, name, *_ in warehouse.rows(TENANTS)}
    return {names[tenant]: dashboard for tenant, dashboard in ids.items()}


def test_every_tenant_gets_a_shared_dashboard_and_the_ids_are_in_xcom(
    posthog: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged() == in_ledger(tenants, LEDGER)
    assert in_server(posthog) == by_name(ran.merged())
    assert len(ran.merged()) == ran.count("created") == TENANTS
    [row] = posthog.posthog.found(int(ran.merged()["tenant-00001"]))
    assert row.fields["description"].startswith("How Tenant 1 uses the product")
    assert {"tenant", "pro"} <= set(row.fields["tags"])
    assert posthog.posthog.contents.tiles(row.id)
    assert ran.values("provision", "urls") == []


def test_a_second_run_makes_no_call(posthog: Emulator, tenants: Path, run_example: Callable[..., Ran]) -> None:
    first = run_example(DAG_ID)
    posthog.control.log.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged() == first.merged()
    assert ran.count("unchanged") == TENANTS
    assert list(posthog.control.log) == []


def test_a_changed_and_an_inactive_tenant_cost_one_change_each_and_one_list(
    posthog: Emulator, tenants: Path, run_example: Callable[..., Ran]
) -> None:
    first = run_example(DAG_ID).merged()
    rename_one_and_deactivate_one(tenants)
    posthog.control.log.clear()
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    remaining = {tenant: dashboard for tenant, dashboard in first.items() if tenant != "tenant-00060"}
    assert ran.merged() == in_ledger(tenants, LEDGER) == remaining
    assert in_server(posthog) == {
        "New name" if tenant == "tenant-00007" else name: remaining[tenant]
        for tenant, name, *_ in warehouse.rows(TENANTS)
        if tenant in remaining
    }
    calls = Counter((logged.method, logged.path.rpartition("/dashboards/")[2]) for logged in posthog.control.log)
    assert calls == {
        ("PATCH", f"{first['tenant-00007']}/"): 1,
        ("GET", ""): 1,
        ("PATCH", f"{first['tenant-00060']}/"): 1,
    }
    assert ran.values("remove", "counts")[0]["deleted"] == 1


def test_despite_resets_errors_and_429s_each_tenant_has_one_dashboard_and_its_id_is_in_xcom(
    posthog: Emulator, tenants: Path, run_example: Callable[..., Ran], fast_retries: None
) -> None:
    posthog.control.set_faults(
        [
            Fault(kind="reset_after", every=7, method="POST", path=CREATES),
            Fault(kind="error_after", every=5, method="POST", path=CREATES),
            Fault(kind="error_after", every=9, path="/sharing/"),
            Fault(kind="too_many", every=101, times=1, seconds=0.05),
        ]
    )
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert ran.merged() == in_ledger(tenants, LEDGER)
    assert in_server(posthog) == by_name(ran.merged())
    assert len(ran.merged()) == ran.count("created") == TENANTS
    assert {"reset_after", "error_after", "too_many"} <= {logged.fault for logged in posthog.control.log}
