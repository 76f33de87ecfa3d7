"""Every name of Airflow that this package uses, and where each version of Airflow has it.

What always holds:

- No other module imports ``airflow``. Differences between Airflow's versions are handled here.
- Airflow itself is asked for a name, in its newest place first, because the older places warn. The package does not
  depend on ``apache-airflow-providers-common-compat``: Airflow's constraints files pin versions of it that lack these
  names.
- Importing this module is cheap, because operators import it while a Dag file is parsed. Each name is imported on first
  use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import (
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
    )
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException
    from airflow.sdk.log import mask_secret
    from airflow.sdk.observability.stats import Stats
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
    "DbApiHook",
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

_PLACES: Mapping[str, tuple[str, ...]] = {
    "AirflowSensorTimeout": ("airflow.sdk.exceptions", "airflow.exceptions"),  # The second before Airflow 3.2.
    "AirflowSkipException": ("airflow.sdk.exceptions", "airflow.exceptions"),  # The second before Airflow 3.2.
    "BaseEventTrigger": ("airflow.triggers.base",),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),  # The second before Airflow 3.1.
    "BaseOperator": ("airflow.sdk",),
    "BaseOperatorLink": ("airflow.sdk",),
    "BaseSensorOperator": ("airflow.sdk",),
    "BaseTrigger": ("airflow.triggers.base",),
    "Connection": ("airflow.sdk",),
    "Context": ("airflow.sdk",),
    "DbApiHook": ("airflow.providers.common.sql.hooks.sql",),
    "ObjectStoragePath": ("airflow.sdk",),
    "Stats": ("airflow.sdk.observability.stats", "airflow.stats"),  # The second before Airflow 3.2.
    "TimeDeltaTrigger": ("airflow.providers.standard.triggers.temporal",),
    "TriggerEvent": ("airflow.triggers.base",),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),  # The second before Airflow 3.2.
    "mask_secret": ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker"),  # The second before Airflow 3.0.4.
}


def import_first(name: str, *modules: str) -> Any:
    """Import a name from the first of these modules that has it.

    :raises ImportError: no module has it, or a module exists and cannot be imported.
    """
    for module in modules:
        try:
            place = import_module(module)
        except ModuleNotFoundError as missing:
            # Only if this module is missing: a module that it needs may be missing too.
            if not f"{module}.".startswith(f"{missing.name}."):
                raise
        else:
            if hasattr(place, name):
                return getattr(place, name)
    raise ImportError(f"this version of Airflow has no {name!r} in {' or '.join(modules)}")


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = import_first(name, *_PLACES[name])
    return value


async def aget_connection(hook: BaseHook, conn_id: str) -> tuple[Connection, Mapping[str, Any]]:
    """An Airflow connection and its extras, read without blocking the event loop.

    If a subclass of the hook has its own ``aget_connection`` or ``get_connection``, that method reads it.
    """
    # Not ``asyncio.to_thread``: Airflow's channel to its supervisor must be used by one thread at a time.
    from airflow.sdk import Connection
    from asgiref.sync import sync_to_async

    # Airflow 3.3.2 brought ``aextra_dejson``. Before it, Airflow's ``aget_connection`` masks the secrets with a sync
    # call, which may deadlock with another call of the same event loop.
    safe = hasattr(Connection, "aextra_dejson") and not _has_own(hook, "get_connection")
    if safe or _has_own(hook, "aget_connection"):
        connection = await hook.aget_connection(conn_id)
    else:
        connection = await sync_to_async(hook.get_connection)(conn_id)
    if hasattr(connection, "aextra_dejson"):
        return connection, await connection.aextra_dejson()
    return connection, await sync_to_async(lambda: connection.extra_dejson)()


def _has_own(hook: BaseHook, method: str) -> bool:
    """Whether the hook's class does not take a method from Airflow's own hook."""
    from airflow_provider_databrain.airflow_compat import BaseHook

    return next((owner for owner in type(hook).__mro__ if method in vars(owner)), BaseHook) is not BaseHook


async def amask_secret(secret: str) -> None:
    """Mask a secret on an event loop, where the sync function may deadlock with another call that is under way."""
    try:
        from airflow.sdk.log import amask_secret as masker
    except ImportError:  # Before Airflow 3.3.2.
        from asgiref.sync import sync_to_async

        await sync_to_async(import_first("mask_secret", *_PLACES["mask_secret"]))(secret)
    else:
        await masker(secret)


def task_state_store(context: Context) -> Any | None:
    """The store that a task shares with its later tries: ``get``, ``set``, ``delete``. None before Airflow 3.3."""
    return context.get("task_state_store")


def asset_state_store(trigger: BaseEventTrigger) -> Any | None:
    """The store of an asset's watcher: ``aget``, ``aset``. None before Airflow 3.3."""
    return getattr(trigger, "asset_state_store", None)
