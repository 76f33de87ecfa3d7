"""Every month, new keys for the connection ``databrain_default``, while the old ones still live.

The new key goes into the file that Airflow's ``LocalFilesystemBackend`` reads connections from; with another secrets
backend, write it there. It is in no log and no XCom.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag

from airflow_provider_databrain import RotateApiKeyOperator, RotateServiceTokenOperator

CONNECTION = "databrain_default"


def change_connection(change: Callable[[dict[str, Any]], None]) -> None:
    """Change the connection in the file, as a whole or not at all."""
    path = Path(os.environ["AIRFLOW_CONNECTIONS_FILE"])
    connections = json.loads(path.read_text())
    change(connections[CONNECTION])
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(connections, indent=2))
    new.replace(path)


def store_api_key(key: str) -> None:
    """The connection's password."""
    change_connection(lambda connection: connection.update(password=key))


def store_service_token(token: str) -> None:
    """The extra ``service_token``."""
    change_connection(lambda connection: connection["extra"].update(service_token=token))


@dag(schedule="@monthly", catchup=False, tags=["databrain"])
def rotate_databrain_keys() -> None:
    """One after the other, because both change one file; not retried, because each try makes a new key."""
    api_key = RotateApiKeyOperator(task_id="api_key", store=store_api_key, expire_after=timedelta(days=1))
    service_token = RotateServiceTokenOperator(
        task_id="service_token", store=store_service_token, expire_after=timedelta(days=1)
    )
    api_key >> service_token


rotate_databrain_keys()
