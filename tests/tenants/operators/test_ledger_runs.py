"""Runs with a ledger: what a second run costs, what a retry finds, how a run ends early, and what is kept secret."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators.tenants import ProvisionTenantDashboardsOperator
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine import ledger
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.support import ACCESS, SPEC, make_warehouse, set_connection
from tests.tenants.operators.test_provision import NAMES, TABLE, TaskInstance, change, counts, put

WITH_LEDGER: dict[str, Any] = {**TABLE, "ledger_conn_id": "warehouse", "active_column": "active"}
IDS = {name: f"client-{name}" for name in NAMES}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """25 active tenants; the ledger goes into the same file."""
    rows = [(name, "EU", 1) for name in NAMES]
    return make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, region, active")


def provision(instance: TaskInstance, **options: Any) -> Any:
    task = ProvisionTenantDashboardsOperator(
        task_id="provision", **{**WITH_LEDGER, "spec": {**SPEC, "name": "In {region}"}, **options}
    )
    context: Any = {"ti": instance}
    return task.execute(context)


def read(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def sent(emulator: Emulator) -> list[tuple[str, str]]:
    """What was sent since the last call of this function."""
    requests = [(logged.method, logged.path.rpartition("/data-app/")[2]) for logged in emulator.control.log]
    emulator.control.log.clear()
    return requests


def test_a_second_run_sends_nothing(connection: Emulator, warehouse: Path) -> None:
    first, second = TaskInstance(), TaskInstance(run_id="run-2")
    assert provision(first) == IDS
    assert first.pushed["counts"] == counts(created=25)
    # With a ledger the list is not fetched: the API reports an id that is taken.
    assert Counter(method for method, _ in sent(connection)) == {"POST": 25}
    assert provision(second) == IDS
    assert second.pushed["counts"] == counts(unchanged=25)
    assert sent(connection) == []
    assert read(warehouse, "SELECT DISTINCT dag_id, run_id, status FROM tenant_dashboards") == [
        ("tenants", "run-1", "created")
    ]


def test_one_changed_row_costs_one_request(connection: Emulator, warehouse: Path) -> None:
    provision(TaskInstance())
    sent(connection)
    change(warehouse, "UPDATE tenants SET region = 'US' WHERE tenant_id = 't07'")
    instance = TaskInstance(run_id="run-2")
    assert provision(instance) == IDS
    assert instance.pushed["counts"] == counts(updated=1, unchanged=24)
    assert sent(connection) == [("PUT", "embeds/rename")]
    assert {row.embed_id: row.name for row in connection.state.embeds()}["client-t07"] == "In US"
    assert read(warehouse, "SELECT tenant, status FROM tenant_dashboards WHERE run_id = 'run-2'") == [
        ("t07", "updated")
    ]


def test_inactive_rows_are_left_alone(connection: Emulator, warehouse: Path) -> None:
    provision(TaskInstance())
    sent(connection)
    change(warehouse, "UPDATE tenants SET active = 0, region = 'US' WHERE tenant_id = 't07'")
    change(warehouse, "INSERT INTO tenants VALUES ('new', 'EU', 0)")
    instance = TaskInstance(run_id="run-2")
    assert provision(instance) == {name: IDS[name] for name in NAMES if name != "t07"}
    assert instance.pushed["counts"] == counts(unchanged=24, inactive=2)
    assert sent(connection) == []
    assert connection.state.count_embeds() == 25


@pytest.mark.usefixtures("warehouse")
def test_a_retry_counts_what_the_whole_dag_run_did(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", path="dashboard-embeds", every=9, times=2)])
    first = TaskInstance()
    with pytest.raises(ProvisioningError, match="2 of 25 tenants failed"):
        provision(first, max_retry_seconds=0)
    assert first.pushed["counts"] == counts(created=23, failed=2)
    sent(connection)
    again = TaskInstance(try_number=2)
    assert provision(again) == IDS
    assert again.pushed == {"counts": counts(created=25), "failures": []}
    # Calls only for the two that failed, and at most a list before each.
    requests = Counter(method for method, _ in sent(connection))
    assert requests["POST"] == 2
    assert requests.total() <= 4
    third = TaskInstance(try_number=3)
    assert provision(third) == IDS
    assert third.pushed["counts"] == counts(created=25)
    assert sent(connection) == []


def test_an_adopted_dashboard_is_updated_to_the_spec(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id > 't01'")
    put(connection, "t00", "t00")
    wanted = {**ACCESS, "is_allow_email_reports": True}
    instance = TaskInstance()
    spec = {**SPEC, "access_settings": wanted, "name": "In {region}"}
    assert provision(instance, spec=spec) == {name: IDS[name] for name in NAMES[:2]}
    assert instance.pushed["counts"] == counts(created=1, adopted=1)
    assert connection.state.access_settings("client-t00")["isAllowEmailReports"] is True
    assert {row.name for row in connection.state.embeds()} == {"In EU"}
    sent(connection)
    provision(TaskInstance(run_id="run-2"), spec=spec)
    assert sent(connection) == []


@pytest.mark.parametrize(
    ("options", "failures"), [({"fail_fast": True}, 1), ({"max_failures": 3}, 4), ({"max_failures": 0}, 1)]
)
@pytest.mark.usefixtures("warehouse")
def test_a_run_stops_after_too_many_failures(connection: Emulator, options: dict[str, Any], failures: int) -> None:
    connection.control.behaviour = Behaviour(known_clients=["nobody"])
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match=f"stopped after {failures} failures") as caught:
        provision(instance, concurrency=1, **options)
    assert (caught.value.failed, caught.value.left) == (failures, 25 - failures)
    assert instance.pushed["counts"] == counts(failed=failures)
    assert len(sent(connection)) == failures


@pytest.mark.usefixtures("warehouse")
def test_a_wrong_key_stops_the_run_early(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, password="wrong")
    with pytest.raises(ProvisioningError, match=r"the API refuses the credentials; .* were not finished"):
        provision(TaskInstance(), concurrency=4)
    assert 1 <= len(sent(connection)) <= 4
    set_connection(monkeypatch, connection)
    assert provision(TaskInstance(try_number=2)) == IDS


def test_a_ledger_that_vanishes_fails_the_task_but_loses_nothing(
    connection: Emulator, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "WRITE_RETRY_SECONDS", 0.2)
    connection.control.behaviour = Behaviour(latency=0.03)
    begun: list[str] = []
    create = DatabrainTarget.create

    async def dropping(self: DatabrainTarget, api: Any, desired: Any) -> Any:
        begun.append(desired.tenant)
        if len(begun) == 3:
            change(warehouse, "DROP TABLE tenant_dashboards")
        return await create(self, api, desired)

    monkeypatch.setattr(DatabrainTarget, "create", dropping)
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="the ledger, table 'tenant_dashboards', could not store the outcomes"):
        provision(instance, concurrency=1)
    made = {row.client_id: row.dashboard_id for row in connection.state.embeds()}
    assert made
    assert instance.pushed["return_value"] == made
    connection.control.behaviour = Behaviour()
    again = TaskInstance(try_number=2)
    assert provision(again) == IDS
    assert again.pushed["counts"] == counts(adopted=len(made), created=25 - len(made))
    assert sorted(row.client_id for row in connection.state.embeds()) == NAMES
    assert read(warehouse, "SELECT count(*) FROM tenant_dashboards WHERE dashboard_id IS NOT NULL") == [(25,)]


@pytest.mark.parametrize("ledger_conn_id", [None, "warehouse"])
def test_a_dry_run_lists_and_changes_nothing(connection: Emulator, warehouse: Path, ledger_conn_id: str | None) -> None:
    put(connection, "t03", "t03")
    connection.control.behaviour = Behaviour(read_only=True)
    instance = TaskInstance()
    planned = provision(instance, dry_run=True, ledger_conn_id=ledger_conn_id)
    assert planned == [
        {"tenant": name, "dashboard_id": IDS[name], "action": "adopt" if name == "t03" else "create"} for name in NAMES
    ]
    assert instance.pushed["counts"] == counts()
    assert sent(connection) == [("GET", "embeds")]
    assert connection.state.count_embeds() == 1
    assert read(warehouse, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("tenants",)]


def test_a_dry_run_lists_updates(connection: Emulator, warehouse: Path) -> None:
    provision(TaskInstance())
    sent(connection)
    before = read(warehouse, "SELECT * FROM tenant_dashboards")
    change(warehouse, "UPDATE tenants SET region = 'US' WHERE tenant_id = 't07'")
    connection.control.behaviour = Behaviour(read_only=True)
    assert provision(TaskInstance(run_id="run-2"), dry_run="true") == [
        {"tenant": "t07", "dashboard_id": "client-t07", "action": "update"}
    ]
    assert sent(connection) == []
    assert read(warehouse, "SELECT * FROM tenant_dashboards") == before


@pytest.mark.usefixtures("warehouse")
def test_a_dry_run_that_is_neither_true_nor_false_sends_nothing(connection: Emulator) -> None:
    with pytest.raises(ValueError, match="dry_run is 'perhaps'"):
        provision(TaskInstance(), dry_run="perhaps")
    assert sent(connection) == []


@pytest.mark.parametrize("case", ["server errors", "wrong key", "taken", "read only"])
def test_no_secret_is_shown(
    connection: Emulator,
    warehouse: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    case: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [connection.api_key, connection.service_token]
    if case == "server errors":
        connection.control.set_faults([Fault(kind="error_before", path="dashboard-embeds")])
    elif case == "wrong key":
        # The service token in place of the key.
        set_connection(monkeypatch, connection, password=connection.service_token)
    elif case == "taken":
        put(connection, "t07", "globex")
    else:
        connection.control.behaviour = Behaviour(read_only=True)
    instance = TaskInstance()
    with pytest.raises(ProvisioningError) as caught:
        provision(instance, max_retry_seconds=0)
    out = capfd.readouterr()
    shown = [str(caught.value), repr(caught.value), caplog.text, out.out, out.err, repr(instance.pushed)]
    shown.append(repr(read(warehouse, "SELECT * FROM tenant_dashboards")))
    assert "t07" in shown[-1]
    assert not [secret for secret in secrets if any(secret in text for text in shown)]
