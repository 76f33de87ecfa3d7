"""The remove operator: what the limits stop, and what is removed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.databrain.ownership import STAMP
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.removal import RemovalGuardError
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from tests.airflow_names import TaskDeferred
from tests.support import SPEC, WORKSPACE, make_warehouse
from tests.tenants.operators.test_provision import NAMES, TABLE, Metrics, TaskInstance, change, counts, metrics

__all__ = ["metrics"]

WITH_LEDGER: dict[str, Any] = {**TABLE, "ledger_conn_id": "warehouse", "active_column": "active"}
OPEN: dict[str, Any] = {"max_deletions": None, "max_deletion_fraction": 1}


@pytest.fixture
def warehouse(tmp_path: Path, connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """25 active tenants, all of them provisioned by the Dag ``tenants``."""
    rows = [(name, 1) for name in NAMES]
    path = make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, active")
    provision()
    connection.control.log.clear()
    return path


def provision(dag_id: str = "tenants") -> None:
    context: Any = {"ti": TaskInstance(dag_id=dag_id)}
    ProvisionTenantDashboardsOperator(task_id="provision", **WITH_LEDGER, spec=SPEC).execute(context)


def remove(instance: TaskInstance | None = None, **options: Any) -> Any:
    context: Any = {"ti": instance or TaskInstance(run_id="run-2")}
    return removing(**options).execute(context)


def removing(**options: Any) -> RemoveTenantDashboardsOperator:
    fields = {**WITH_LEDGER, "delete": "dashboard", "mode": "full", **options}
    return RemoveTenantDashboardsOperator(task_id="remove", **fields)


def deletions(emulator: Emulator) -> int:
    return sum(logged.method == "DELETE" for logged in emulator.control.log)


def clients(emulator: Emulator) -> list[str]:
    return sorted(row.client_id for row in emulator.state.embeds())


@pytest.mark.parametrize("bounds", [OPEN, {}])
def test_an_empty_table_removes_nothing(connection: Emulator, warehouse: Path, bounds: dict[str, Any]) -> None:
    change(warehouse, "DELETE FROM tenants")
    with pytest.raises(RemovalGuardError, match="table is empty, and mode 'full' would remove all 25 tenants"):
        remove(**bounds)
    assert not connection.control.log
    assert clients(connection) == NAMES


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, "max_deletion_fraction is 0.1"),
        ({"max_deletions": 4, "max_deletion_fraction": 1}, "max_deletions is 4"),
        ({"max_deletions": 4}, "max_deletions is 4 and max_deletion_fraction is 0.1"),
    ],
)
def test_a_table_that_lost_rows_stops_at_the_limits(
    connection: Emulator, warehouse: Path, bounds: dict[str, Any], words: str
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    with pytest.raises(RemovalGuardError) as caught:
        remove(**bounds)
    shown = str(caught.value)
    assert "nothing was removed: this run would remove the dashboards of 5 of 25 tenants" in shown
    assert words in shown
    assert "'t00', 't01', 't02', 't03', 't04'." in shown
    assert caught.value.tenants == 5
    assert deletions(connection) == 0
    assert clients(connection) == NAMES


@pytest.mark.parametrize("delete", ["embed", "dashboard"])
def test_with_higher_limits_exactly_the_missing_tenants_are_removed(
    connection: Emulator, warehouse: Path, delete: str
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    instance = TaskInstance(run_id="run-2")
    assert remove(instance, delete=delete, max_deletion_fraction=0.2) == {}
    assert instance.pushed == {"counts": counts(deleted=5), "failures": []}
    assert clients(connection) == NAMES[5:]
    assert deletions(connection) == 5
    assert connection.state.dashboard_exists("client-t00", WORKSPACE) is (delete == "embed")
    again = TaskInstance(run_id="run-3")
    assert remove(again, delete=delete) == {}
    assert again.pushed["counts"] == counts()
    assert deletions(connection) == 5


def test_incremental_removes_only_inactive_tenants(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id IN ('t07', 't08')")
    instance = TaskInstance(run_id="run-2")
    assert remove(instance, mode="incremental") == {}
    assert instance.pushed["counts"] == counts(deleted=2)
    assert clients(connection) == [name for name in NAMES if name not in ("t07", "t08")]


def test_full_removes_inactive_and_missing_tenants(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id = 't00'")
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id = 't07'")
    remove()
    assert clients(connection) == [name for name in NAMES if name not in ("t00", "t07")]


def test_a_tenant_that_comes_back_gets_a_new_dashboard(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id = 't07'")
    remove()
    assert "t07" not in clients(connection)
    change(warehouse, "UPDATE tenants SET active = 1")
    provision()
    assert clients(connection) == NAMES


def test_a_dashboard_that_now_belongs_to_another_tenant_stays(connection: Emulator, warehouse: Path) -> None:
    connection.state.delete_embed("client-t07", dashboard=True)
    body = {"dashboardId": "client-t07", "workspaceName": WORKSPACE, "clientId": "globex", "accessSettings": {}}
    connection.state.create_embed({**body, "metadata": {STAMP: "globex"}}, dashboard_name="x", name="x")
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id IN ('t07', 't08')")
    instance = TaskInstance(run_id="run-2")
    with pytest.raises(ProvisioningError, match=r"(?s)1 of 2 tenants failed.*'t07'.*now belongs to 'globex'"):
        remove(instance)
    assert instance.pushed["counts"] == counts(deleted=1, failed=1)
    assert clients(connection) == sorted({*NAMES, "globex"} - {"t07", "t08"})
    assert deletions(connection) == 1


def test_a_dashboard_that_no_longer_exists_counts_as_removed(connection: Emulator, warehouse: Path) -> None:
    connection.state.delete_embed("client-t07", dashboard=True)
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id = 't07'")
    instance = TaskInstance(run_id="run-2")
    remove(instance)
    assert instance.pushed["counts"] == counts(deleted=1)
    assert deletions(connection) == 0


def test_a_dashboard_that_another_dag_provisioned_stays(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id = 't00'")
    other = TaskInstance(dag_id="other", run_id="run-2")
    remove(other)
    assert other.pushed["counts"] == counts()
    assert clients(connection) == NAMES


def test_a_dry_run_lists_and_removes_nothing(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    connection.control.behaviour = Behaviour(read_only=True)
    planned = [{"tenant": name, "dashboard_id": f"client-{name}", "action": "delete"} for name in NAMES[:5]]
    instance = TaskInstance(run_id="run-2")
    assert remove(instance, dry_run=True) == planned
    assert instance.pushed["counts"] == counts()
    assert not connection.control.log
    connection.control.behaviour = Behaviour()
    remove(**OPEN)
    assert clients(connection) == NAMES[5:]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"table": "nowhere"}, TenantTableError, "nowhere"),
        ({"table": None, "query": "SELECT nothing FROM tenants"}, TenantTableError, "nothing"),
        # Fails at the last row, after the others were read.
        (
            {"table": None, "query": "SELECT tenant_id, active FROM tenants UNION ALL SELECT NULL, 1"},
            TenantTableError,
            "null tenant_id",
        ),
        ({"active_column": "tenant_id"}, TenantTableError, "neither true nor false"),
        ({"mode": "some"}, ValueError, "mode is 'some'"),
        ({"delete": "all"}, ValueError, "delete is 'all'"),
        ({"mode": "incremental", "active_column": None}, ValueError, "mode 'incremental' needs active_column"),
        ({"max_deletions": -1}, ValueError, "max_deletions is -1"),
        ({"max_deletion_fraction": 1.5}, ValueError, "max_deletion_fraction is 1.5"),
        ({"concurrency": 0}, ValueError, "concurrency is 0"),
    ],
)
def test_a_table_that_cannot_be_read_and_a_wrong_option_remove_nothing(
    connection: Emulator, warehouse: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id = 't00'")
    with pytest.raises(error, match=words):
        remove(**{**OPEN, **options})
    assert not connection.control.log
    assert clients(connection) == NAMES


def test_a_failed_list_removes_nothing_and_a_failed_deletion_is_tried_again(
    connection: Emulator, warehouse: Path
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    connection.control.set_faults([Fault(kind="error_before", method="GET")])
    with pytest.raises(Exception, match="list embeds failed"):
        remove(**OPEN, max_retry_seconds=0)
    assert clients(connection) == NAMES
    connection.control.set_faults([Fault(kind="error_after", method="DELETE", every=2, times=2)])
    instance = TaskInstance(run_id="run-2")
    with pytest.raises(ProvisioningError, match="2 of 5 tenants failed"):
        remove(instance, **OPEN, max_retry_seconds=0)
    assert instance.pushed["counts"] == counts(deleted=3, failed=2)
    again = TaskInstance(run_id="run-2", try_number=2)
    assert remove(again, **OPEN) == {}
    assert again.pushed["counts"] == counts(deleted=2)
    assert clients(connection) == NAMES[5:]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("seconds", [120, 3000], ids=["a wait that a call may take", "a longer one"])
def test_a_long_wait_defers_the_task(connection: Emulator, warehouse: Path, method: str, seconds: int) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    connection.control.set_faults([Fault(kind="too_many", method=method, times=1, seconds=seconds)])
    instance = TaskInstance(run_id="run-2")
    with pytest.raises(TaskDeferred) as caught:
        remove(instance, **OPEN, deferrable=True, concurrency=1)
    assert instance.pushed["counts"] == counts()
    assert caught.value.method_name == "resume"
    assert clients(connection) == NAMES
    context: Any = {"ti": TaskInstance(run_id="run-2")}
    assert removing(**OPEN, deferrable=True).resume(context) == {}
    assert clients(connection) == NAMES[5:]


def test_a_task_killed_during_the_list_removes_nothing(
    connection: Emulator, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id < 't05'")
    connection.control.set_faults([Fault(kind="slow", method="GET", seconds=8)])
    task = removing(**OPEN, grace_seconds=0.3)
    survey = DatabrainTarget.survey

    async def killed(self: DatabrainTarget, api: Any) -> None:
        task.on_kill()
        await survey(self, api)

    instance = TaskInstance(run_id="run-2")
    context: Any = {"ti": instance}
    monkeypatch.setattr(DatabrainTarget, "survey", killed)
    began = time.monotonic()
    with pytest.raises(ProvisioningError, match="5 of 5 tenants were not"):
        task.execute(context)
    assert time.monotonic() - began < 3
    assert instance.pushed["counts"] == counts()
    assert clients(connection) == NAMES


@pytest.mark.usefixtures("connection")
def test_airflow_gets_the_metrics(warehouse: Path, metrics: Metrics) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id IN ('t01', 't02')")
    remove()
    assert metrics.counted["tenant_dashboards.outcomes.deleted"] == 2
    # A list, the page after its end, and two deletions.
    assert metrics.counted["tenant_dashboards.calls"] == metrics.timed["tenant_dashboards.call_duration"] == 4
