"""What depends on the installed version of Airflow; ``docs/versions.md`` has the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain import airflow_compat
from airflow_provider_databrain.airflow_compat import BaseHook, Connection
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


def test_a_module_that_cannot_be_imported_is_not_taken_for_an_older_airflow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_place.py").write_text("import a_library_that_is_missing")
    (tmp_path / "older_place.py").write_text("name = 1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
        airflow_compat.import_first("name", "broken_place", "older_place")
    assert airflow_compat.import_first("name", "missing_place.inner", "older_place") == 1


class SyncVault(BaseHook):
    """Reads its connections elsewhere."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        return Connection(conn_id=conn_id, conn_type="databrain", password="from-sync", extra='{"a": 1}')


class AsyncVault(BaseHook):
    """The same, on an event loop."""

    @classmethod
    async def aget_connection(cls, conn_id: str) -> Connection:
        return Connection(conn_id=conn_id, conn_type="databrain", password="from-async", extra='{"a": 1}')


class BothVaults(AsyncVault, SyncVault):
    """Has both methods."""


@pytest.mark.parametrize(
    ("hook", "password"), [(SyncVault(), "from-sync"), (AsyncVault(), "from-async"), (BothVaults(), "from-async")]
)
async def test_a_hook_with_its_own_connections_is_asked_on_the_event_loop_too(hook: BaseHook, password: str) -> None:
    connection, extra = await airflow_compat.aget_connection(hook, "vault")
    assert (connection.password, extra) == (password, {"a": 1})


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
