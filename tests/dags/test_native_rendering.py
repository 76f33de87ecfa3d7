"""A Dag with ``render_template_as_native_obj=True``: texts stay texts, objects stay objects, on all three systems."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.server import Emulator
from tests.conduit.support import Conduit
from tests.dags import conftest
from tests.dags.conftest import Ran
from tests.support import ACCESS, WORKSPACE

DAG_ID = "native_rendering"
IDS = ["1001", "007", "1_000", "1e5", "None", "True", "0x10", "2024"]
"""Keys that Python reads as something else."""
DAG = """
from airflow.sdk import DAG, task

from airflow_provider_databrain import (
    CreateConduitWorkspaceOperator,
    ListEmbedsOperator,
    PlanTenantBatchesOperator,
    ProvisionConduitDashboardsOperator,
    ProvisionPostHogDashboardsOperator,
    ProvisionTenantDashboardsOperator,
)

TENANTS = {"sql_conn_id": "warehouse", "table": "{{ 'native' }}", "key_column": "tenant_id"}

with DAG("native_rendering", schedule=None, render_template_as_native_obj=True):

    @task
    def ids():
        return {ids!r}

    @task
    def number():
        return 1001

    @task
    def fields():
        return {"dashboard_id": "d-{tenant_id}", "client_id": "{tenant_id}", "workspace_name": {workspace!r},
                "name": "2024", "access_settings": {access!r}}

    chosen = ids()
    plan = PlanTenantBatchesOperator(task_id="plan", **TENANTS, batch_size=5)
    ProvisionTenantDashboardsOperator.partial(
        task_id="databrain", **TENANTS, concurrency="4", deferrable="False",
        spec="{{ ti.xcom_pull(task_ids='fields') }}",
    ).expand(batch=plan.output) << fields()
    ProvisionPostHogDashboardsOperator.partial(
        task_id="posthog", **TENANTS,
        spec={"name": "{tenant_id}", "description": "{{ '1e5' }}", "tags": ["{{ '[1]' }}"]},
    ).expand(batch=plan.output)
    ProvisionConduitDashboardsOperator.partial(
        task_id="conduit", **TENANTS, spec={"source_dashboard": "{{ 1 }}", "name": "{{ '1_0' }}"},
    ).expand(batch=plan.output)
    # An XCom and a template.
    CreateConduitWorkspaceOperator.partial(task_id="mapped", name="{{ '1e5' }}").expand(ext_id=chosen)
    CreateConduitWorkspaceOperator(task_id="of_number", ext_id=number(), name="{{ '007' }}")
    # Errors.
    ListEmbedsOperator.partial(task_id="wrong", retries=0).expand(client_id=[1.5, {"a": 1}, True])
    ProvisionTenantDashboardsOperator(task_id="all_batches", **TENANTS, spec={}, batch=plan.output, retries=0)
    ProvisionTenantDashboardsOperator.partial(
        task_id="none", **TENANTS, spec={}, retries=0
    ).expand_kwargs([{"batch": None}, {"batch": 1}])
    ProvisionTenantDashboardsOperator(
        task_id="missing", **TENANTS, spec={}, retries=0, batch="{{ ti.xcom_pull(task_ids='nothing') }}"
    )
"""


def test_ids_and_names_are_what_the_table_and_the_dag_say(
    connection: Emulator,
    posthog: Emulator,
    conduit: Conduit,
    tenants: Path,
    tmp_path: Path,
    example_files: dict[str, Path],
    run_example: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sqlite3.connect(tenants) as database:
        database.execute("CREATE TABLE native (tenant_id TEXT)")
        database.executemany("INSERT INTO native VALUES (?)", [(key,) for key in IDS])
    file = tmp_path / "native_rendering.py"
    source = DAG
    for name, value in (("ids", IDS), ("workspace", WORKSPACE), ("access", ACCESS)):
        source = source.replace(f"{{{name}!r}}", repr(value))
    file.write_text(source)
    monkeypatch.setitem(example_files, DAG_ID, file)
    monkeypatch.setattr(conftest, "EXAMPLES", tmp_path)

    ran = run_example(DAG_ID)

    assert ran.state == "failed"
    states: dict[str, set[Any]] = {}
    for (task_id, _), state in ran.task_states.items():
        states.setdefault(task_id, set()).add(str(state))
    assert {task_id for task_id, found in states.items() if found == {"failed"}} == {
        "wrong",
        "all_batches",
        "none",
        "missing",
    }
    assert {found for each in states.values() for found in each} == {"success", "failed"}
    assert {row.dashboard_id: row.client_id for row in connection.state.embeds()} == {f"d-{key}": key for key in IDS}
    dashboards = [row.fields for row in posthog.posthog.dashboards()]
    assert sorted(fields["name"] for fields in dashboards) == sorted(IDS)
    assert {fields["description"].split()[0] for fields in dashboards} == {"1e5"}
    assert all("[1]" in fields["tags"] for fields in dashboards)
    workspaces = {row.ext_id: row.name for row in conduit.state.workspaces()}
    assert set(workspaces) == set(IDS)
