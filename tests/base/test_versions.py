"""What depends on the installed version of Airflow; ``docs/versions.md`` has the table."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain import airflow_compat
from airflow_provider_databrain.airflow_compat import __all__ as names
from airflow_provider_databrain.databrain.operators.workspaces import FetchWorkspaceMetricsOperator
from airflow_provider_databrain.databrain.triggers.growth import WorkspaceGrowthTrigger
from tests.airflow_names import VERSION

WITH_STATE = VERSION >= (3, 3)


def operator(**arguments: Any) -> FetchWorkspaceMetricsOperator:
    return FetchWorkspaceMetricsOperator(task_id="fetch", workspace_name="analytics", **arguments)


@pytest.mark.parametrize("name", names)
def test_each_name_of_airflow_exists(name: str) -> None:
    assert getattr(airflow_compat, name) is not None


def test_a_name_that_no_version_has_is_an_error_that_names_the_modules() -> None:
    with pytest.raises(ImportError, match=r"no 'Nothing' in airflow\.sdk or airflow\.nowhere"):
        airflow_compat.import_first("Nothing", "airflow.sdk", "airflow.nowhere")
    with pytest.raises(AttributeError, match="Nothing"):
        airflow_compat.__getattr__("Nothing")


@pytest.mark.skipif(not WITH_STATE, reason="from Airflow 3.3 on")
def test_a_task_may_have_a_retry_policy() -> None:
    assert operator(retry_policy=None).task_id == "fetch"


@pytest.mark.skipif(WITH_STATE, reason="before Airflow 3.3")
def test_airflow_refuses_a_retry_policy_and_names_it() -> None:
    with pytest.raises(TypeError, match="retry_policy"):
        operator(retry_policy=None)


def test_an_event_trigger_has_a_place_for_state_from_airflow_3_3_on() -> None:
    assert hasattr(WorkspaceGrowthTrigger(), "asset_state_store") is WITH_STATE
    assert airflow_compat.asset_state_store(WorkspaceGrowthTrigger()) is None
