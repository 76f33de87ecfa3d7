"""The example Dags use every operator and sensor, and a test runs each example Dag."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_databrain.airflow_compat import BaseOperator
from airflow_provider_databrain.get_provider_info import get_provider_info
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from tests.dags.conftest import EXAMPLES, load_dags

INFO: dict[str, Any] = get_provider_info()


def public_operators() -> Iterator[type]:
    """Operators and sensors for use in a Dag. Base classes are left out: abstract, private, or without ``execute``."""
    for kind in ("operators", "sensors"):
        for integration in INFO[kind]:
            for name in integration["python-modules"]:
                for value in vars(import_module(name)).values():
                    if isinstance(value, type) and issubclass(value, BaseOperator) and value.__module__ == name:
                        base = inspect.isabstract(value) or value.execute is BaseOperator.execute
                        if not (base or value.__name__.startswith("_")):
                            yield value


@pytest.fixture(scope="module")
def dags(airflow_database: None) -> dict[str, DAG]:
    return load_dags(EXAMPLES)


def test_an_example_uses_every_operator_and_sensor(dags: dict[str, DAG]) -> None:
    used = {
        task.operator_class if isinstance(task, MappedOperator) else type(task)
        for dag in dags.values()
        for task in dag.tasks
    }
    public = set(public_operators())
    assert PlanTenantBatchesOperator in public
    assert len(public) > 60
    assert {operator.__name__ for operator in public - used} == set()


def test_the_test_file_of_each_example_names_its_dag(dags: dict[str, DAG]) -> None:
    folder = EXAMPLES.parent / "tests" / "dags"
    for dag in dags.values():
        test = folder / f"test_{Path(dag.fileloc).name}"
        assert f'"{dag.dag_id}"' in test.read_text(), dag.dag_id
