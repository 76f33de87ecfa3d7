"""What lies elsewhere, or differs, from one Airflow version to the next: the one room to change for a new version.

Kept light, because operators import it while a Dag file is parsed. ``airflow.triggers.base`` and
``airflow.sdk.ObjectStoragePath`` are the same in all of Airflow 3 and are imported where they are used.
"""

from __future__ import annotations

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

__all__ = [
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "Stats",
    "amask_secret",
    "conf",
    "mask_secret",
]


async def amask_secret(secret: str) -> None:
    """Mask a secret from within an event loop, where the plain call may deadlock with another one under way."""
    try:
        from airflow.sdk.log import amask_secret as masker
    except ImportError:  # before Airflow 3.3.2
        from asgiref.sync import sync_to_async

        await sync_to_async(mask_secret)(secret)
    else:
        await masker(secret)
