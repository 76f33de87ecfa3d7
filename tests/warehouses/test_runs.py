"""The whole job on each database: plan, provision, second run, changes, removal, with keys that are nearly equal."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from tests.support import ODD_IDS, SPEC
from tests.tenants.operators.test_provision import TaskInstance, counts
from tests.warehouses.conftest import Warehouse

NEARLY_EQUAL = [
    "Acme",
    "acme",
    "ACME",
    "emile",
    "Émile",
    "strasse",
    "straße",
    "e\u0301",
    "é",
    "\uff57ide",
    "wide",
    "🦆",
]
KEYS = [*ODD_IDS, *NEARLY_EQUAL, *(f"t{number:02}" for number in range(20))]
TABLE: dict[str, Any] = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
WITH_LEDGER: dict[str, Any] = {**TABLE, "ledger_conn_id": "warehouse", "active_column": "active"}
IDS = {key: f"client-{key}" for key in KEYS}


def plan(size: int = 7) -> list[Any]:
    return PlanTenantBatchesOperator(task_id="plan", batch_size=size, **TABLE).execute({})


def provision(run_id: str, batch: Any = None, **options: Any) -> tuple[dict[str, str], dict[str, int]]:
    spec = {**SPEC, "name": "In {region}"}
    task = ProvisionTenantDashboardsOperator(
        task_id="provision", **{**WITH_LEDGER, "spec": spec, "batch": batch, **options}
    )
    instance = TaskInstance(run_id=run_id)
    context: Any = {"ti": instance}
    ids: dict[str, str] = task.execute(context)
    return ids, instance.pushed["counts"]


def remove(run_id: str) -> dict[str, int]:
    task = RemoveTenantDashboardsOperator(
        task_id="remove", mode="full", delete="embed", max_deletion_fraction=0.5, **WITH_LEDGER
    )
    instance = TaskInstance(run_id=run_id)
    context: Any = {"ti": instance}
    task.execute(context)
    return dict(instance.pushed["counts"])


def requests(emulator: Emulator) -> Counter[str]:
    sent = Counter(logged.method for logged in emulator.control.log)
    emulator.control.log.clear()
    return sent


def owners(emulator: Emulator) -> dict[str, str]:
    return {row.dashboard_id: row.client_id for row in emulator.state.embeds()}


def statuses(warehouse: Warehouse) -> dict[str, str]:
    return {row[0]: row[1] for row in warehouse.database.run("SELECT tenant, status FROM tenant_dashboards")}


def test_from_plan_to_removal(connection: Emulator, warehouse: Warehouse) -> None:
    warehouse.fill(*KEYS)
    done: dict[str, str] = {}
    batches = plan()
    assert len(batches) == -(-len(KEYS) // 7)
    for batch in batches:
        ids, _ = provision("run-1", batch)
        assert not done.keys() & ids.keys()
        done |= ids
    assert done == IDS
    assert owners(connection) == {f"client-{key}": key for key in KEYS}
    assert statuses(warehouse) == dict.fromkeys(KEYS, "created")

    requests(connection)
    again = [provision("run-2", batch) for batch in plan()]
    assert {tenant: made for ids, _ in again for tenant, made in ids.items()} == IDS
    assert sum(counted["unchanged"] for _, counted in again) == len(KEYS)
    assert requests(connection) == {}

    warehouse.change("acme", region="US")
    ids, counted = provision("run-3")
    assert (ids, counted) == (IDS, counts(updated=1, unchanged=len(KEYS) - 1))
    assert {row.client_id for row in connection.state.embeds() if row.name == "In US"} == {"acme"}

    warehouse.change("Acme", active=0)
    warehouse.change("é", active=0)
    assert remove("run-4") == counts(deleted=2)
    assert owners(connection) == {f"client-{key}": key for key in KEYS if key not in ("Acme", "é")}
    changed = {"acme": "updated", "Acme": "deleted", "é": "deleted"}
    assert statuses(warehouse) == {**dict.fromkeys(KEYS, "created"), **changed}


def test_keys_that_are_exactly_equal_are_refused(connection: Emulator, warehouse: Warehouse) -> None:
    warehouse.fill("Acme", "acme", "Acme", "b", "ACME", "c", "c")
    with pytest.raises(TenantTableError) as caught:
        plan()
    assert [line for line in str(caught.value).splitlines() if line.startswith("- ")] == [
        "- tenant 'Acme' has more than one row",
        "- tenant 'c' has more than one row",
    ]
    with pytest.raises(Exception, match="tenant 'Acme' has more than one row"):
        provision("run-1")
    assert requests(connection) == {}


def test_integer_keys(connection: Emulator, warehouse: Warehouse) -> None:
    warehouse.database.run("CREATE TABLE numbers (id INTEGER, region VARCHAR(20), active INTEGER)")
    warehouse.database.insert("numbers", [{"id": number, "region": "%", "active": 1} for number in range(1, 13)])
    source = {"table": "numbers", "key_column": "id"}
    spec = {**SPEC, "dashboard_id": "client-{id}", "client_id": "{id}"}
    batches = PlanTenantBatchesOperator(
        task_id="plan", batch_size=5, sql_conn_id="warehouse", table="numbers", key_column="id"
    ).execute({})
    done = [provision("run-1", batch, spec=spec, **source)[0] for batch in batches]
    assert [len(ids) for ids in done] == [5, 5, 2]
    assert {tenant for ids in done for tenant in ids} == {str(number) for number in range(1, 13)}
