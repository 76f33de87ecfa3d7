"""Every name of Airflow that the tests use and that is not in the same place in each version."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import import_first

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred

    redact: Callable[..., Any]
else:
    # The second place before Airflow 3.2.
    EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
    AirflowException = import_first("AirflowException", *EXCEPTIONS)
    AirflowSensorTimeout = import_first("AirflowSensorTimeout", *EXCEPTIONS)
    AirflowSkipException = import_first("AirflowSkipException", *EXCEPTIONS)
    TaskDeferred = import_first("TaskDeferred", *EXCEPTIONS)
    # The second place before Airflow 3.1.
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
    "AirflowException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "TaskDeferred",
    "redact",
]
