"""Every name of Airflow that the tests use and that is not in the same place in each version."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_databrain.airflow_compat import import_first

VERSION = Version(airflow_version).release
"""Of the installed Airflow, for example ``(3, 3, 2)``."""
DAG_BAG = ("airflow.dag_processing.dagbag", "airflow.models.dagbag")
"""The modules of ``DagBag`` and, from Airflow 3.1 on, of ``sync_bag_to_db``. The second before Airflow 3.2."""

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred

    DagBag: Any
    TriggerRule: Any
    redact: Callable[..., Any]
else:
    # The second place before Airflow 3.2.
    EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
    AirflowException = import_first("AirflowException", *EXCEPTIONS)
    AirflowSensorTimeout = import_first("AirflowSensorTimeout", *EXCEPTIONS)
    AirflowSkipException = import_first("AirflowSkipException", *EXCEPTIONS)
    TaskDeferred = import_first("TaskDeferred", *EXCEPTIONS)
    DagBag = import_first("DagBag", *DAG_BAG)
    # The second places before Airflow 3.1.
    TriggerRule = import_first("TriggerRule", "airflow.sdk", "airflow.utils.trigger_rule")
    redact = import_first("redact", "airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker")

AIRFLOW_WARNINGS = [
    f"{module}.{name}"
    for module, name in (
        ("airflow.exceptions", "AirflowProviderDeprecationWarning"),
        ("airflow.exceptions", "RemovedInAirflow4Warning"),
        # From Airflow 3.1 on.
        ("airflow.utils.deprecation_tools", "DeprecatedImportWarning"),
    )
    if hasattr(import_module(module), name)
]
"""The categories of Airflow's deprecation warnings."""

__all__ = [
    "AIRFLOW_WARNINGS",
    "DAG_BAG",
    "VERSION",
    "AirflowException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "DagBag",
    "TaskDeferred",
    "TriggerRule",
    "redact",
]
