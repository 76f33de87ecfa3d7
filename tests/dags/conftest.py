"""Run the example Dags with ``dag.test()`` on a metadata database of the tests."""

from __future__ import annotations

import inspect
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models.pool import Pool
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.utils.db import initdb
from airflow.utils.session import create_session

from airflow_provider_databrain.emulator.server import Emulator
from demo import warehouse
from tests.airflow_names import DagBag
from tests.support import METRICS, WORKSPACE

EXAMPLES = Path(__file__).parent.parent.parent / "example_dags"
BUNDLE = "dags-folder"
TENANTS = 120


@dataclass(frozen=True)
class Ran:
    """A finished run of an example Dag."""

    state: str
    task_states: dict[tuple[str, int], str | None]
    xcoms: dict[tuple[str, int, str], Any]

    def values(self, task_id: str, key: str = "return_value") -> list[Any]:
        """Return a task's XComs of one key, in the order of the mapped tasks."""
        return [value for (task, _, name), value in sorted(self.xcoms.items()) if (task, name) == (task_id, key)]

    def merged(self, key: str = "return_value") -> dict[str, str]:
        """Merge the XComs of all batches, which map tenants to values."""
        return {tenant: value for batch in self.values("provision", key) for tenant, value in batch.items()}

    def count(self, action: str) -> int:
        """Return for how many tenants the batches did ``action``."""
        return sum(counts[action] for counts in self.values("provision", "counts"))


def in_ledger(path: Path, table: str = "tenant_dashboards") -> dict[str, str]:
    """Map each tenant that has a dashboard to its id, from the ledger."""
    with sqlite3.connect(path) as database:
        live = f"SELECT tenant, dashboard_id FROM {table} WHERE spec_hash IS NOT NULL"
        return dict(database.execute(live).fetchall())


def rename_one_and_deactivate_one(path: Path) -> None:
    """Rename tenant 7 and deactivate tenant 60 in the warehouse."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tenants SET name = 'New name' WHERE tenant_id = 'tenant-00007'")
        database.execute("UPDATE tenants SET is_active = 0 WHERE tenant_id = 'tenant-00060'")


def new_bag(path: Path, bundle: Path, name: str) -> Any:
    """Return a DagBag of a file or folder in a bundle."""
    # Before Airflow 3.2, a DagBag has no ``bundle_name``.
    names = {"bundle_name": name} if "bundle_name" in inspect.signature(DagBag).parameters else {}
    return DagBag(str(path), bundle_path=bundle, **names)


def load_dags(path: Path) -> dict[str, DAG]:
    """Load the example Dags of a file or folder, by Dag id. Each file must be imported without an error."""
    bag = new_bag(path, EXAMPLES, BUNDLE)
    assert bag.import_errors == {}
    return dict(bag.dags)


def forget_bundles() -> None:
    """From Airflow 3.4 on, a process reads the bundles' configuration only once."""
    from airflow.dag_processing.bundles import manager

    if hasattr(manager, "_load_bundle_config_snapshot"):
        manager._load_bundle_config_snapshot.cache_clear()


@pytest.fixture
def tenants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's warehouse, behind the Airflow connection ``warehouse``."""
    path = tmp_path / "warehouse.sqlite"
    warehouse.build(path, TENANTS)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """A migrated metadata database with the pool that the example Dags name."""
    initdb()
    Pool.create_or_update_pool("databrain", slots=4, description="", include_deferred=False)


@pytest.fixture(scope="session")
def example_files(airflow_database: None) -> dict[str, Path]:
    """The file of each example Dag, by Dag id."""
    return {dag_id: Path(dag.fileloc) for dag_id, dag in load_dags(EXAMPLES).items()}


@pytest.fixture
def run_example(example_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run an example Dag to its end in this process and return its states and XComs.

    ``dag.test()`` parses the Dag's whole bundle again and stores all of its Dags. That is most of a run's time, so the
    bundle is only the Dag's own file.
    """

    def run(dag_id: str, *, params: dict[str, Any] | None = None, **changes: Any) -> Ran:
        """Run the Dag.

        :param params: the parameters of a run that a person triggers.
        :param changes: arguments of the mapped operators.
        """
        path = example_files[dag_id]
        bundle = {
            "name": BUNDLE,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
        forget_bundles()
        dag = load_dags(path)[dag_id]
        if not hasattr(dag, "test"):
            pytest.skip("the first Airflow 3.0 has no dag.test()")
        for task in dag.tasks:
            # The retries of the file, without their delay.
            if isinstance(task, MappedOperator):
                task.partial_kwargs |= {"retry_delay": timedelta(0), **changes}
            else:
                task.retry_delay = timedelta(0)
        dag_run = dag.test(run_conf=params)
        with create_session() as session:
            rows = session.query(XComModel).filter_by(dag_id=dag_id, run_id=dag_run.run_id).all()
            xcoms = {(row.task_id, row.map_index, row.key): XComModel.deserialize_value(row) for row in rows}
        states = {(task.task_id, task.map_index): task.state for task in dag_run.get_task_instances()}
        return Ran(str(dag_run.state), states, xcoms)

    return run


@pytest.fixture
def late_metrics(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The workspace has no metrics until after the first request."""
    connection.state.remove_metrics(WORKSPACE)
    stop = threading.Event()

    def appear() -> None:
        while not stop.is_set() and not connection.control.log:
            stop.wait(0.01)
        connection.state.add_workspace(WORKSPACE, metrics=METRICS)

    thread = threading.Thread(target=appear)
    thread.start()
    yield
    stop.set()
    thread.join()
