"""All batches at once, each in a process of its own, with tenant table and ledger on a server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.server import Emulator
from tests.chaos.killer import Tasks
from tests.chaos.task import Job
from tests.databases import Database
from tests.support import SPEC
from tests.warehouses.conftest import Warehouse
from tests.warehouses.test_kill import IDS, TENANTS
from tests.warehouses.test_runs import WITH_LEDGER, plan


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_all_batches_at_once(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    connection: Emulator,
    connect: Callable[[Database], Warehouse],
    kind: str,
) -> None:
    warehouse = connect(request.getfixturevalue(kind))
    warehouse.fill(*TENANTS)
    batches = plan(size=50)
    names = ("databrain_default", "warehouse")

    def job(run_id: str, batch: Any) -> Job:
        file = f"{run_id}-{batch['number']}"
        return Job(
            operator="databrain.ProvisionTenantDashboardsOperator",
            arguments={**WITH_LEDGER, "spec": SPEC, "concurrency": 8, "batch": batch},
            connections={name: os.environ[f"AIRFLOW_CONN_{name.upper()}"] for name in names},
            run_id=run_id,
            try_number=1,
            linger=0.0,
            result=str(tmp_path / f"{file}.json"),
            log=str(tmp_path / f"{file}.log"),
        )

    with ExitStack() as stack:
        helpers = [stack.enter_context(Tasks()) for _ in batches]
        pool = stack.enter_context(ThreadPoolExecutor(len(batches)))
        for run_id in ("run-1", "run-2"):
            connection.control.log.clear()
            jobs = [job(run_id, batch) for batch in batches]
            codes = list(pool.map(lambda helper, task: helper.run(task), helpers, jobs))
            assert codes == [0] * len(batches), [Path(task["log"]).read_text()[-2000:] for task in jobs]
            results = [json.loads(Path(task["result"]).read_text()) for task in jobs]
            assert {tenant: made for result in results for tenant, made in result["returned"].items()} == IDS
    # The second run of all batches sends nothing.
    assert not connection.control.log
    assert connection.state.count_embeds() == len(TENANTS)
    rows = warehouse.database.run("SELECT tenant, dashboard_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL")
    assert sorted(rows) == sorted(IDS.items())
