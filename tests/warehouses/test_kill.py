"""A task is killed by SIGKILL while its ledger is on a server; its next try repairs everything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_databrain.emulator.server import Emulator
from tests.chaos.killer import Tasks, Tripwire
from tests.chaos.task import Job
from tests.databases import Database
from tests.support import SPEC
from tests.warehouses.conftest import Warehouse
from tests.warehouses.test_runs import KEYS, WITH_LEDGER

TENANTS = [*KEYS, *(f"k{number:03}" for number in range(150 - len(KEYS)))]
IDS = {tenant: f"client-{tenant}" for tenant in TENANTS}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize("linger", [0.0, 0.1])
def test_a_killed_task_is_repaired_by_its_next_try(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    connection: Emulator,
    connect: Callable[[Database], Warehouse],
    kind: str,
    linger: float,
) -> None:
    warehouse = connect(request.getfixturevalue(kind))
    warehouse.fill(*TENANTS)
    job = Job(
        operator="databrain.ProvisionTenantDashboardsOperator",
        arguments={**WITH_LEDGER, "spec": SPEC, "concurrency": 16},
        connections={name: os.environ[f"AIRFLOW_CONN_{name.upper()}"] for name in ("databrain_default", "warehouse")},
        run_id="run-1",
        try_number=1,
        linger=linger,
        result=str(tmp_path / "result.json"),
        log=str(tmp_path / "log"),
    )
    with Tasks() as tasks:
        wire = Tripwire(lambda method, path: method == "POST", limit=60)
        connection.control.arrived = wire
        assert tasks.run(job, wire) == -9
        made = connection.state.count_embeds()
        assert 0 < made < len(TENANTS)
        assert tasks.run({**job, "try_number": 2}) == 0, Path(job["log"]).read_text()[-2000:]
        assert json.loads(Path(job["result"]).read_text())["returned"] == IDS
        assert {row.dashboard_id: row.client_id for row in connection.state.embeds()} == {
            made: tenant for tenant, made in IDS.items()
        }
        rows = warehouse.database.run("SELECT tenant, dashboard_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL")
        assert sorted(rows) == sorted(IDS.items())
        connection.control.log.clear()
        assert tasks.run({**job, "run_id": "run-2"}) == 0
        assert not connection.control.log
