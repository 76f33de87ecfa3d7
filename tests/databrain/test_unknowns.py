"""Tenants' dashboards where Databrain's reference is silent: whatever the server does, no tenant loses its dashboard,
gets two, or gets another tenant's. If that cannot be known, the task says so.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client import retry
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.databrain.operators.client_dashboards import CreateDashboardEmbedOperator
from airflow_provider_databrain.databrain.operators.embeds import EmbedOperator
from airflow_provider_databrain.databrain.operators.tenants import RemoveTenantDashboardsOperator
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.databrain.worlds import WORLDS, enter, world
from tests.emulator.client import EMBEDS, call
from tests.support import ACCESS, SPEC, TEMPLATES, WORKSPACE
from tests.tenants.engine import test_provision as engine
from tests.tenants.operators.test_ledger_runs import IDS, WITH_LEDGER, provision, warehouse
from tests.tenants.operators.test_provision import NAMES, TaskInstance, change, counts, put

__all__ = ["warehouse", "world"]

pytestmark = pytest.mark.usefixtures("fast_retries")
OPEN: dict[str, Any] = {"max_deletions": None, "max_deletion_fraction": 1}
LOST = [Fault(kind="reset_after", method="POST", path="dashboard-embeds", every=3)]


@pytest.fixture(autouse=True)
def many_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several faults in a row for one tenant are rare, but they happen."""
    monkeypatch.setattr(retry, "MAX_FAILURES", 50)


def remove() -> dict[str, int]:
    """Remove the inactive tenants; returns the counts."""
    instance = TaskInstance(run_id="removal")
    task = RemoveTenantDashboardsOperator(task_id="remove", **WITH_LEDGER, **OPEN, delete="dashboard")
    context: Any = {"ti": instance}
    task.execute(context)
    return dict(instance.pushed["counts"])


def has_all(emulator: Emulator, tenants: list[str] = NAMES, **changes: Any) -> None:
    """Check that each tenant has exactly one dashboard with one embed, and that it is as the spec says."""
    rows = emulator.state.embeds()
    assert sorted((row.client_id, row.dashboard_id) for row in rows) == [(name, IDS[name]) for name in tenants]
    assert len(emulator.state.dashboards(WORKSPACE)) == len(tenants) + len(TEMPLATES)
    for row in rows:
        assert row.name == changes.get("name", "In EU")
        settings = emulator.state.access_settings(row.embed_id)
        assert settings["isAllowEmailReports"] is changes.get("reports", False)


def failures(instance: TaskInstance) -> dict[str, str]:
    return {failure["tenant"]: failure["message"] for failure in instance.pushed["failures"]}


# In each world


def test_tenants_are_created_changed_and_removed(connection: Emulator, warehouse: Path, world: str) -> None:
    connection.control.set_faults(LOST)
    assert provision(TaskInstance()) == IDS
    has_all(connection)
    spec = {**SPEC, "name": "In {region}", "access_settings": {**ACCESS, "is_allow_email_reports": True}}
    change(warehouse, "UPDATE tenants SET region = 'US'")
    assert provision(TaskInstance(run_id="run-2"), spec=spec) == IDS
    has_all(connection, name="In US", reports=True)
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id > 't20'")
    assert remove() == counts(deleted=4)
    has_all(connection, NAMES[:21], name="In US", reports=True)


def test_a_dashboard_that_was_deleted_by_hand_is_created_again(
    connection: Emulator, warehouse: Path, world: str
) -> None:
    provision(TaskInstance())
    [gone] = [row.embed_id for row in connection.state.embeds("t07")]
    connection.state.delete_embed(gone, dashboard=True)
    change(warehouse, "UPDATE tenants SET region = 'US'")
    instance = TaskInstance(run_id="run-2")
    assert provision(instance) == IDS
    assert instance.pushed["counts"] == counts(updated=24, created=1)
    has_all(connection, name="In US")


def test_a_lost_ledger_costs_no_dashboard(connection: Emulator, warehouse: Path, world: str) -> None:
    provision(TaskInstance())
    change(warehouse, "DELETE FROM tenant_dashboards")
    change(warehouse, "UPDATE tenants SET region = 'US'")
    instance = TaskInstance(run_id="run-2")
    assert provision(instance) == IDS
    assert instance.pushed["counts"] == counts(adopted=25)
    has_all(connection, name="In US")


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("ledger_conn_id", [None, "warehouse"])
def test_another_tenants_dashboard_is_not_adopted(connection: Emulator, world: str, ledger_conn_id: str | None) -> None:
    put(connection, "t07", "globex")
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="1 of 25 tenants failed"):
        provision(instance, ledger_conn_id=ledger_conn_id)
    assert "belongs to client 'globex', not to 't07'" in failures(instance)["t07"]
    assert sorted(row.client_id for row in connection.state.embeds()) == sorted({*NAMES, "globex"} - {"t07"})


@pytest.mark.usefixtures("world")
def test_a_single_dashboard_survives_a_lost_answer(connection: Emulator) -> None:
    for number in range(20):
        put(connection, f"x{number}", f"x{number}")
    connection.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    task = CreateDashboardEmbedOperator(
        task_id="t", dashboard_id="client-acme", client_id="acme", access_settings=ACCESS
    )
    [embed_id] = {task.execute({}), task.execute({})}
    assert [row.embed_id for row in connection.state.embeds("acme")] == [embed_id]


def test_an_embed_is_found_among_many(connection: Emulator, world: str) -> None:
    for number in range(40):
        put(connection, f"x{number}", f"x{number}")
    connection.catalog.put_datamart(ACCESS["datamart_name"], "warehouse", {"tableList": []})
    task = EmbedOperator(task_id="t", dashboard_id=TEMPLATES[0], access_settings=ACCESS, name="Everybody's")
    if WORLDS[world].get("older_embed_list"):
        with pytest.raises(MalformedAnswerError, match=r"the list does not say what embed .* shows"):
            task.execute({})
        return
    connection.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    found = {task.execute({}) for _ in range(10)}
    assert len(found) == 1
    assert connection.state.count_embeds() == 41


async def test_two_runs_at_once_make_one_dashboard_for_each_tenant(emulator: Emulator, world: str) -> None:
    enter(emulator, world, race_seconds=0.2)
    tenants = engine.TENANTS[:20]
    reports = await asyncio.gather(*(engine.provision(emulator, tenants) for _ in range(2)))
    assert [report.failures for report in reports] == [[], []]
    assert [report.ids for report in reports] == [{tenant: f"client-{tenant}" for tenant in tenants}] * 2
    assert sorted(row.client_id for row in emulator.state.embeds()) == tenants


# One unknown at a time


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("ledger_conn_id", [None, "warehouse"])
def test_a_late_list_fails_only_the_tenants_whose_answer_was_lost(
    connection: Emulator, ledger_conn_id: str | None
) -> None:
    connection.control.behaviour = Behaviour(late_embeds=2)
    connection.control.set_faults([LOST[0].model_copy(update={"times": 5})])
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="5 of 25 tenants failed"):
        provision(instance, ledger_conn_id=ledger_conn_id)
    assert all("The list may be late: then the next run finds it" in message for message in failures(instance).values())
    connection.control.behaviour = Behaviour()
    assert provision(TaskInstance(run_id="run-2"), ledger_conn_id=ledger_conn_id) == IDS
    has_all(connection)


def test_what_a_late_list_does_not_show_is_not_recorded_as_removed(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id = 't07'")
    provision(TaskInstance())
    connection.control.behaviour = Behaviour(late_embeds=2)
    for _ in range(3):
        call(connection, "GET", EMBEDS)
    change(warehouse, "UPDATE tenants SET active = 1")
    provision(TaskInstance(run_id="run-2"))
    change(warehouse, "UPDATE tenants SET active = 0 WHERE tenant_id IN ('t07', 't08')")
    with pytest.raises(ProvisioningError, match=r"(?s)1 of 2 tenants failed.*the API still answers for it; nothing"):
        remove()
    assert "t07" in {row.client_id for row in connection.state.embeds()}
    assert remove() == counts(deleted=1)
    has_all(connection, [name for name in NAMES if name not in ("t07", "t08")])


@pytest.mark.usefixtures("warehouse")
def test_an_id_that_the_server_changes_is_reported(connection: Emulator) -> None:
    connection.control.behaviour = Behaviour(normalises_ids=True)
    spec = {**SPEC, "dashboard_id": "Client-{tenant_id}", "name": "In {region}"}
    first, second = TaskInstance(), TaskInstance(run_id="run-2")
    with pytest.raises(ProvisioningError, match="25 of 25 tenants failed"):
        provision(first, spec=spec)
    assert "was created, but the server has changed its id to 'client-t07'" in failures(first)["t07"]
    with pytest.raises(ProvisioningError, match="25 of 25 tenants failed"):
        provision(second, spec=spec)
    assert "id is taken, and lists 'client-t07' instead" in failures(second)["t07"]
    has_all(connection)
    assert provision(TaskInstance(run_id="run-3")) == IDS
    has_all(connection)


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("frees_ids", [False, True])
def test_a_dashboard_without_an_embed_is_reported_and_not_made_twice(
    connection: Emulator, status: int, frees_ids: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "MAX_FAILURES", 3)
    half = {"create_error_status": status, "frees_ids": frees_ids}
    connection.control.behaviour = Behaviour.model_validate({**half, "partial_clients": ["t07"]})
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="1 of 25 tenants failed"):
        provision(instance)
    assert ("INVALID_DASHBOARD_ID" in failures(instance)["t07"]) is not frees_ids
    assert ("a dashboard without an embed" in failures(instance)["t07"]) is not frees_ids
    assert connection.state.count_embeds() == 24
    assert len(connection.state.dashboards(WORKSPACE)) == 25 + len(TEMPLATES)
    # The cause is gone; where the id stays taken, a person has deleted the dashboard.
    connection.control.behaviour = Behaviour.model_validate(half)
    if not frees_ids:
        connection.state.remove_unembedded("client-t07")
    assert provision(TaskInstance(run_id="run-2")) == IDS
    has_all(connection)


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("renamed", [False, True])
def test_without_our_stamp_the_title_is_the_proof(connection: Emulator, renamed: bool) -> None:
    connection.control.behaviour = Behaviour(template_replaces_metadata=True)
    connection.control.set_faults([LOST[0].model_copy(update={"times": 5})])
    spec = {
        **SPEC,
        "name": "In {region}",
        "template_dashboard_id": TEMPLATES[0],
        **({"is_rename_dashboard": True} if renamed else {}),
    }
    instance = TaskInstance()
    if not renamed:
        assert provision(instance, spec=spec) == IDS
    else:
        with pytest.raises(ProvisioningError, match="5 of 25 tenants failed"):
            provision(instance, spec=spec)
        assert all("nothing proves that it belongs to" in message for message in failures(instance).values())
    has_all(connection)


def test_an_unknown_code_for_a_missing_embed_costs_one_run(connection: Emulator, warehouse: Path) -> None:
    provision(TaskInstance())
    connection.control.behaviour = Behaviour(missing_embed_code="EMBED_IS_GONE")
    connection.state.delete_embed("client-t07", dashboard=True)
    change(warehouse, "UPDATE tenants SET region = 'US'")
    instance = TaskInstance(run_id="run-2")
    with pytest.raises(ProvisioningError, match="1 of 25 tenants failed"):
        provision(instance)
    assert "EMBED_IS_GONE" in failures(instance)["t07"]
    assert provision(TaskInstance(run_id="run-3")) == IDS
    has_all(connection, name="In US")


@pytest.mark.usefixtures("warehouse")
def test_a_list_that_names_no_dashboard_proves_nothing(connection: Emulator) -> None:
    connection.control.behaviour = Behaviour(older_embed_list=True, own_embed_ids=True)
    connection.control.set_faults([LOST[0].model_copy(update={"times": 5})])
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="5 of 25 tenants failed"):
        provision(instance)
    shown = "its list does not say which dashboard the embed 'client-"
    assert all(shown in message for message in failures(instance).values())
    has_all(connection)
