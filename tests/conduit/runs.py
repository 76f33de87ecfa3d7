"""Runs of a Dag that provisions Conduit on the emulator, and what must exist afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.conduit.operators import (
    ProvisionConduitDashboardsOperator,
    RemoveConduitWorkspacesOperator,
)
from airflow_provider_databrain.emulator.conduit import ConduitState, WorkspaceRow
from tests.conduit.support import Conduit
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import TaskInstance, change

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
        """Provision the table; returns the task instance."""
        book = {"ledger_conn_id": "warehouse"} if ledger else {}
        task = ProvisionConduitDashboardsOperator(
            task_id="provision", **{**TABLE, **book, "spec": SPEC, "concurrency": 4, **options}
        )
        return self._run(task)

    def remove(self, **options: Any) -> TaskInstance:
        """Remove tenants that no longer exist; returns the task instance."""
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
        """Change the tenant table."""
        change(self.path, statement, *values)

    def ledger(self) -> dict[str, tuple[str, str]]:
        """Tenant to the ids of dashboard and workspace, for tenants that have a clone."""
        rows = read(
            self.path, "SELECT tenant, dashboard_id, embed_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL"
        )
        return {tenant: (dashboard, workspace) for tenant, dashboard, workspace in rows}


def has_all(runs: Runs, instance: TaskInstance, tenants: list[str] = NAMES) -> None:
    """Check that each tenant has exactly one workspace and one clone, and that XCom names them."""
    there = runs.conduit.clones()
    assert list(instance.pushed["return_value"]) == tenants
    assert there == {tenant: there[tenant] for tenant in tenants}
    assert instance.pushed["return_value"] == {tenant: clone for tenant, (clone, _) in there.items()}
    assert instance.pushed["workspaces"] == {tenant: workspace for tenant, (_, workspace) in there.items()}
    assert instance.pushed["failures"] == []


def alter_one_list(
    state: ConduitState, monkeypatch: pytest.MonkeyPatch, number: int, shown: Callable[[WorkspaceRow], bool]
) -> None:
    """Remove some workspaces from one answer of the list; answers are counted from 1."""
    listed, asked = state.workspaces, itertools.count(1)

    def answer() -> list[WorkspaceRow]:
        rows = listed()
        return [row for row in rows if shown(row)] if next(asked) == number else rows

    monkeypatch.setattr(state, "workspaces", answer)
