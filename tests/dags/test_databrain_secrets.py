"""A Dag of all tasks that handle one of Databrain's credentials: Airflow neither stores nor logs any of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_databrain.airflow_compat import import_first
from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import DAG_BAG, TriggerRule
from tests.dags.conftest import forget_bundles, new_bag
from tests.databrain.secret_cases import OPERATORS, SOURCE_SECRETS, STORING, drop, keep, prepare, stored
from tests.exposure import Exposed, given_by, pieces
from tests.support import set_connection

DAG_ID = "credentials"
GUEST = ["use_guest_token", "return_guest_token"]


@task
def use_guest_token() -> int:
    """What a user's task should do: use the token and return something that is not secret."""
    request = CreateGuestToken(client_id="acme", data_app_name=DATA_APP)
    return len(DatabrainHook(max_retry_seconds=0).create_guest_token(request).token)


@task
def return_guest_token() -> Any:
    """What a user's task should not do: return the token."""
    return DatabrainHook(max_retry_seconds=0).create_guest_token(
        CreateGuestToken(client_id="acme", data_app_name=DATA_APP)
    )


def dag_with_all(store: Callable[[str], None]) -> DAG:
    """A Dag with one task per operator; the datasource is updated after its create, even a failed one."""
    with DAG(DAG_ID, schedule=None) as dag:
        tasks = {method: make(task_id=method, store=store, max_retry_seconds=0) for method, make in OPERATORS.items()}
        use_guest_token()
        return_guest_token()
    tasks["create_datasource"].set_downstream(tasks["update_datasource"])
    tasks["update_datasource"].trigger_rule = TriggerRule.ALL_DONE
    return dag


def database() -> Path:
    """The file of Airflow's metadata database."""
    from airflow.settings import engine

    assert engine
    assert engine.url.database
    return Path(engine.url.database)


def run(dag: DAG) -> tuple[str, dict[str, str]]:
    """Run the Dag in this process; returns the run's id and the tasks' states."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    [bundle] = manager.get_all_dag_bundles()
    bag = new_bag(bundle.path, bundle.path, bundle.name)
    bag.bag_dag(dag)
    import_first("sync_bag_to_db", *DAG_BAG)(bag, bundle.name, None)
    dag_run = dag.test()
    return dag_run.run_id, {instance.task_id: str(instance.state) for instance in dag_run.get_task_instances()}


def stored_by_airflow(run_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The XComs and the rendered fields of a run, by task, through Airflow's models, because its tables differ."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(XComModel).filter_by(dag_id=DAG_ID, run_id=run_id).all()
        xcoms = {row.task_id: row.value for row in rows}
        instances = session.query(TaskInstance).filter_by(dag_id=DAG_ID, run_id=run_id).all()
        fields = {
            one.task_id: RenderedTaskInstanceFields.get_templated_fields(one, session=session) for one in instances
        }
    return xcoms, fields


def assert_no_leak(exposed: Exposed, emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(database())) as connection:
        exposed.texts += connection.iterdump()
    exposed.texts += capfd.readouterr()
    issued = given_by(emulator)
    assert set(stored) <= set(issued)
    exposed.secrets += pieces(*issued, *SOURCE_SECRETS)
    assert exposed.leaks() == []


@pytest.fixture
def databrain(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, airflow_database: None
) -> Iterator[Emulator]:
    """The emulator behind the connection; Airflow reads Dags from an empty folder."""
    set_connection(monkeypatch, emulator)
    prepare(monkeypatch, emulator, "create_datasource")
    folder = {
        "name": DAG_ID,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(tmp_path)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([folder]))
    forget_bundles()
    yield emulator
    monkeypatch.undo()
    forget_bundles()


def test_a_successful_run_stores_and_logs_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str]
) -> None:
    run_id, states = run(dag_with_all(keep))
    assert states == dict.fromkeys([*OPERATORS, *GUEST], "success")
    assert len(stored) == len(STORING)
    xcoms, fields = stored_by_airflow(run_id)
    assert set(xcoms) == {*OPERATORS, *GUEST}
    assert {row["name"] for row in xcoms["list_api_tokens"]} >= {"default"}
    assert (xcoms["create_api_token"], xcoms["update_datasource"]) == ("ci", "warehouse")
    # The task returned the token; Airflow stores the object without it.
    assert xcoms["return_guest_token"]["__data__"] == {}
    assert fields["create_datasource"] == {
        "databrain_conn_id": "databrain_default",
        "name": "warehouse",
        "datasource_type": "postgres",
        "source_conn_id": "source",
        "fields": {"schema": "public"},
    }
    assert_no_leak(exposed, databrain, capfd)


def test_a_run_with_failing_stores_and_refused_credentials_stores_and_logs_none(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str]
) -> None:
    databrain.control.behaviour = Behaviour(refuses_credentials=True)
    _, states = run(dag_with_all(drop))
    failed = {name for name, state in states.items() if state == "failed"}
    assert failed == {*STORING, "create_datasource", "update_datasource"}
    assert len(stored) == len(STORING)
    assert_no_leak(exposed, databrain, capfd)


@pytest.mark.parametrize("kind", ["reset_midway", "error_after"])
def test_a_run_whose_answers_are_all_lost_stores_and_logs_no_credential(
    databrain: Emulator, exposed: Exposed, capfd: pytest.CaptureFixture[str], kind: Any
) -> None:
    databrain.control.set_faults([Fault(kind=kind)])
    _, states = run(dag_with_all(keep))
    assert states == dict.fromkeys([*OPERATORS, *GUEST], "failed")
    assert stored == []
    assert len(given_by(databrain)) > len(STORING)
    assert_no_leak(exposed, databrain, capfd)
