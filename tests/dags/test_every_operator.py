"""The example Dags show every operator and sensor, and each is run by a test."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_databrain.airflow_compat import BaseOperator
from airflow_provider_databrain.get_provider_info import get_provider_info
from airflow_provider_databrain.tenants.operators.provision import PlanTenantBatchesOperator
from tests.dags.conftest import EXAMPLES

INFO: dict[str, Any] = get_provider_info()


def to_be_used() -> Iterator[type]:
    """Operators and sensors that a Dag would name; what others are made of is abstract or cannot be executed."""
    for kind in ("operators", "sensors"):
        for room in INFO[kind]:
            for name in room["python-modules"]:
                for value in vars(import_module(name)).values():
                    if isinstance(value, type) and issubclass(value, BaseOperator) and value.__module__ == name:
                        base = inspect.isabstract(value) or value.execute is BaseOperator.execute
                        if not (base or value.__name__.startswith("_")):
                            yield value


@pytest.fixture(scope="module")
def bag(airflow_database: None) -> DagBag:
    found = DagBag(str(EXAMPLES), bundle_path=EXAMPLES, bundle_name="dags-folder")
    assert found.import_errors == {}
    return found


def test_every_operator_and_sensor_is_in_an_example(bag: DagBag) -> None:
    used = {
        task.operator_class if isinstance(task, MappedOperator) else type(task)
        for dag in bag.dags.values()
        for task in dag.tasks
    }
    wanted = set(to_be_used())
    assert PlanTenantBatchesOperator in wanted
    assert len(wanted) > 60
    assert {one.__name__ for one in wanted - used} == set()


def test_every_example_is_named_in_the_test_of_its_file(bag: DagBag) -> None:
    folder = EXAMPLES.parent / "tests" / "dags"
    for dag in bag.dags.values():
        test = folder / f"test_{Path(dag.fileloc).name}"
        assert f'"{dag.dag_id}"' in test.read_text(), dag.dag_id
