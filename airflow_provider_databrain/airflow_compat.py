"""Every name of Airflow that this package uses.

What always holds:

- No other module imports ``airflow``. Differences between Airflow's versions are handled here.
- Importing this module is cheap, because operators import it while a Dag file is parsed. The names in ``_LAZY`` are
  imported on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseHook,
    BaseOperator,
    BaseOperatorLink,
    BaseSensorOperator,
    Connection,
    Context,
    Stats,
    conf,
    mask_secret,
)

if TYPE_CHECKING:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import ObjectStoragePath
    from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

__all__ = [
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Connection",
    "Context",
    "ObjectStoragePath",
    "Stats",
    "TimeDeltaTrigger",
    "TriggerEvent",
    "aget_connection",
    "amask_secret",
    "asset_state_store",
    "conf",
    "mask_secret",
    "task_state_store",
]

_LAZY = {
    "BaseEventTrigger": "airflow.triggers.base",
    "BaseTrigger": "airflow.triggers.base",
    "ObjectStoragePath": "airflow.sdk",
    "TimeDeltaTrigger": "airflow.providers.standard.triggers.temporal",
    "TriggerEvent": "airflow.triggers.base",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


async def aget_connection(hook: BaseHook, conn_id: str) -> tuple[Connection, Mapping[str, Any]]:
    """An Airflow connection and its extras, read without blocking the event loop."""
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

    connection = await get_async_connection(conn_id, hook=hook)
    return connection, await get_async_extra_dejson(connection)


async def amask_secret(secret: str) -> None:
    """Mask a secret on an event loop, where the sync function may deadlock with another call that is under way."""
    try:
        from airflow.sdk.log import amask_secret as masker
    except ImportError:  # Before Airflow 3.3.2.
        from asgiref.sync import sync_to_async

        await sync_to_async(mask_secret)(secret)
    else:
        await masker(secret)


def task_state_store(context: Context) -> Any | None:
    """The store that a task shares with its later tries: ``get``, ``set``, ``delete``. None before Airflow 3.3."""
    return context.get("task_state_store")


def asset_state_store(trigger: BaseEventTrigger) -> Any | None:
    """The store of an asset's watcher: ``aget``, ``aset``. None before Airflow 3.3."""
    return getattr(trigger, "asset_state_store", None)
