"""PostHog and Conduit on MariaDB, whose usual collation ignores case and accents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_databrain.conduit.operators import (
    ProvisionConduitDashboardsOperator,
    RemoveConduitWorkspacesOperator,
)
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.tenants import (
    ProvisionPostHogDashboardsOperator,
    RemovePostHogDashboardsOperator,
)
from tests.conduit.support import Conduit
from tests.databases import Database
from tests.tenants.operators.test_provision import TaskInstance, counts
from tests.warehouses.conftest import Warehouse
from tests.warehouses.test_runs import WITH_LEDGER

KEYS = ["Acme", "acme", "é", "e", "🦆", "t1"]


@pytest.fixture
def warehouse(mariadb: Database, connect: Callable[[Database], Warehouse]) -> Warehouse:
    """A tenant table in MariaDB."""
    made = connect(mariadb)
    made.fill(*KEYS)
    return made


def run(kind: Any, run_id: str, **options: Any) -> dict[str, int]:
    task = kind(task_id="task", **{**WITH_LEDGER, **options})
    instance = TaskInstance(run_id=run_id)
    context: Any = {"ti": instance}
    task.execute(context)
    return dict(instance.pushed["counts"])


def check(warehouse: Warehouse, provision: Any, remove: Any, spec: dict[str, Any], removal: dict[str, Any]) -> None:
    """Provision twice, remove one of two nearly equal tenants, and provision again."""
    assert run(provision, "run-1", spec=spec) == counts(created=len(KEYS))
    assert run(provision, "run-2", spec=spec) == counts(unchanged=len(KEYS))
    warehouse.change("acme", active=0)
    assert run(remove, "run-3", max_deletion_fraction=1, **removal) == counts(deleted=1)
    rows = warehouse.database.run("SELECT tenant FROM tenant_dashboards WHERE spec_hash IS NULL")
    assert rows == [("acme",)]
    assert run(provision, "run-4", spec=spec) == counts(unchanged=len(KEYS) - 1, inactive=1)


def test_posthog(posthog: Emulator, warehouse: Warehouse) -> None:
    spec = {"name": "Sales of {tenant_id}"}
    check(warehouse, ProvisionPostHogDashboardsOperator, RemovePostHogDashboardsOperator, spec, {})
    names = {str(row.fields["name"]) for row in posthog.posthog.dashboards() if not row.fields.get("deleted")}
    assert names == {f"Sales of {key}" for key in KEYS if key != "acme"}


def test_conduit(conduit: Conduit, warehouse: Warehouse) -> None:
    spec = {"source_dashboard": 1, "name": "Overview", "workspace_name": "Of {tenant_id}"}
    check(warehouse, ProvisionConduitDashboardsOperator, RemoveConduitWorkspacesOperator, spec, {})
