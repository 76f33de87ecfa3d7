"""PostHog's operators over a tenant table: an SQLite warehouse, the emulator, no scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.tenants import (
    ProvisionPostHogDashboardsOperator,
    RemovePostHogDashboardsOperator,
)
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.posthog.support import names, sent, set_posthog_connection
from tests.support import make_warehouse
from tests.tenants.operators.test_provision import TABLE, TaskInstance, change, counts

NAMES = [f"t{number}" for number in range(6)]
OPTIONS: dict[str, Any] = {**TABLE, "ledger_conn_id": "warehouse", "active_column": "active"}
SPEC: dict[str, Any] = {"name": "Sales of {tenant_id}", "filters": {"region": "{region}"}}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six active tenants; the ledger is in the same file."""
    rows = [(name, "EU", 1) for name in NAMES]
    return make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, region, active")


def provision(instance: TaskInstance | None = None, **options: Any) -> Any:
    task = ProvisionPostHogDashboardsOperator(task_id="provision", **{**OPTIONS, "spec": SPEC, **options})
    context: Any = {"ti": instance or TaskInstance()}
    return task.execute(context)


def remove(**options: Any) -> Any:
    bounds = {"max_deletion_fraction": 1.0}
    task = RemovePostHogDashboardsOperator(task_id="remove", **{**OPTIONS, **bounds, **options})
    context: Any = {"ti": TaskInstance(run_id="run-9")}
    return task.execute(context)


def addresses(emulator: Emulator, ids: dict[str, str]) -> dict[str, str]:
    """The public URL of each tenant's dashboard."""
    shares = {tenant: emulator.posthog.shares.of(int(number)) for tenant, number in ids.items()}
    return {tenant: f"{emulator.url}/shared/{share.access_token}" for tenant, share in shares.items() if share}


@pytest.mark.parametrize("push_urls", [True, False])
@pytest.mark.usefixtures("warehouse")
def test_every_tenant_gets_its_dashboard_and_urls_are_pushed_only_with_push_urls(
    posthog: Emulator, push_urls: bool
) -> None:
    instance = TaskInstance()
    ids = provision(instance, push_urls=push_urls)
    assert list(ids) == NAMES
    assert names(posthog) == [f"Sales of {name}" for name in sorted(NAMES, key=lambda name: int(ids[name]))]
    open_to_all = addresses(posthog, ids)
    pushed = {"counts": counts(created=6), "failures": []}
    assert instance.pushed == ({**pushed, "urls": open_to_all} if push_urls else pushed)
    assert requests.get(open_to_all["t3"], timeout=5).status_code == 200


@pytest.mark.usefixtures("warehouse")
def test_urls_are_pushed_for_unchanged_tenants_too_and_only_for_shared_dashboards(posthog: Emulator) -> None:
    ids = provision()
    posthog.posthog.shares.save(int(ids["t2"]), enabled=False)
    sent(posthog)
    instance = TaskInstance(run_id="run-2")
    assert provision(instance, push_urls=True) == ids
    assert instance.pushed["counts"] == counts(unchanged=6)
    urls = addresses(posthog, ids)
    assert instance.pushed["urls"] == {tenant: url for tenant, url in urls.items() if tenant != "t2"}
    assert {call.split("/")[-2] for call in sent(posthog)} == {"sharing"}


@pytest.mark.usefixtures("warehouse")
def test_a_url_that_cannot_be_fetched_fails_only_its_tenant(posthog: Emulator) -> None:
    ids = provision()
    posthog.control.set_faults([Fault(kind="error_before", path=f"/{ids['t2']}/sharing/")])
    instance = TaskInstance(run_id="run-2")
    with pytest.raises(ProvisioningError, match=r"(?s)1 of 6 tenants failed:.*'t2': get sharing .*server error"):
        provision(instance, push_urls=True, max_retry_seconds=0)
    assert sorted(instance.pushed["urls"]) == [name for name in NAMES if name != "t2"]
    assert instance.pushed["return_value"] == ids


@pytest.mark.usefixtures("warehouse")
def test_a_key_that_may_not_read_sharing_says_so(posthog: Emulator) -> None:
    provision()
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:write",))
    with pytest.raises(ProvisioningError, match="scope 'sharing_configuration:read'"):
        provision(TaskInstance(run_id="run-2"), push_urls=True)
    assert len(provision(TaskInstance(run_id="run-3"))) == 6


def test_only_the_changed_row_is_updated(posthog: Emulator, warehouse: Path) -> None:
    ids = provision()
    change(warehouse, "UPDATE tenants SET region = 'US' WHERE tenant_id = 't3'")
    sent(posthog)
    instance = TaskInstance(run_id="run-2")
    assert provision(instance) == ids
    assert instance.pushed["counts"] == counts(updated=1, unchanged=5)
    assert sent(posthog) == [f"PATCH dashboards/{ids['t3']}/"]
    assert posthog.posthog.found(int(ids["t3"]))[0].fields["filters"] == {"region": "US"}


@pytest.mark.usefixtures("warehouse")
def test_a_dry_run_sends_nothing_that_changes_anything(posthog: Emulator) -> None:
    posthog.control.behaviour = Behaviour(read_only=True)
    planned = provision(dry_run=True)
    assert planned == [{"tenant": name, "dashboard_id": None, "action": "create"} for name in NAMES]
    assert sent(posthog) == ["GET dashboards/"]


def test_inactive_tenants_dashboards_are_removed(posthog: Emulator, warehouse: Path) -> None:
    ids = provision()
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id IN ('t1', 't4')")
    planned = remove(dry_run="true")
    assert [plan["dashboard_id"] for plan in planned] == [ids["t1"], ids["t4"]]
    assert len(names(posthog)) == 6
    remove(delete_insights=True)
    assert sorted(names(posthog)) == ["Sales of t0", "Sales of t2", "Sales of t3", "Sales of t5"]


@pytest.mark.usefixtures("warehouse")
def test_the_ledger_keeps_projects_apart(posthog: Emulator) -> None:
    posthog.posthog.add_project(2, "second")
    first = provision()
    second = provision(project_id=2)
    assert set(first.values()).isdisjoint(second.values())
    assert (len(names(posthog)), len(names(posthog, 2))) == (6, 6)
    sent(posthog)
    assert (provision(), provision(project_id="2")) == (first, second)
    assert sent(posthog) == []


@pytest.mark.usefixtures("warehouse")
def test_the_current_project_is_stored_under_the_connection_in_the_ledger(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_posthog_connection(monkeypatch, posthog, extra={"project_id": "@current"})
    ids = provision()
    sent(posthog)
    assert provision() == ids
    assert sent(posthog) == []


@pytest.mark.parametrize("operator", [ProvisionPostHogDashboardsOperator, RemovePostHogDashboardsOperator])
def test_connection_project_and_table_are_templated(operator: Any) -> None:
    assert {"posthog_conn_id", "project_id", "sql_conn_id", "table", "ledger_conn_id", "dry_run_flag"} <= set(
        operator.template_fields
    )


@pytest.mark.usefixtures("warehouse")
def test_a_retry_after_a_half_done_run_completes_the_dashboards(posthog: Emulator) -> None:
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH", path="/sharing/$")])
    with pytest.raises(ProvisioningError, match="6 of 6 tenants failed"):
        provision(max_retry_seconds=0)
    posthog.control.set_faults([])
    instance = TaskInstance(try_number=2)
    ids = provision(instance)
    assert list(ids) == NAMES
    assert len(names(posthog)) == 6
    assert len(addresses(posthog, ids)) == 6
