"""Every month, replace the two keys of the connection ``databrain_default``. The old keys work for one more day.

1. ``api_key`` makes a new data app API key and stores it as the connection's password.
2. ``service_token`` makes a new service token and stores it as the connection's extra ``service_token``.

No log and no XCom holds a key. Each task returns the time until which the old key works.

Needs:

- The connection ``databrain_default``. Password: the data app API key. Extra: ``service_token``.
- Airflow's ``LocalFilesystemBackend`` as secrets backend, with the connection in a JSON file.
- The environment variable ``AIRFLOW_CONNECTIONS_FILE``: the path of that file. The workers must be able to write to it
  and to its folder. With another secrets backend, write your own ``store_api_key`` and ``store_service_token``.

If it runs again: each run makes two new keys. If a key could not be stored, fix the cause and clear that task within
the day.
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
    """Change the connection in the file. The file is replaced as a whole, so no reader sees half of it."""
    path = Path(os.environ["AIRFLOW_CONNECTIONS_FILE"])
    connections = json.loads(path.read_text())
    change(connections[CONNECTION])
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(connections, indent=2))
    new.replace(path)


def store_api_key(key: str) -> None:
    """Store the key as the connection's password."""
    change_connection(lambda connection: connection.update(password=key))


def store_service_token(token: str) -> None:
    """Store the token as the connection's extra ``service_token``."""
    change_connection(lambda connection: connection["extra"].update(service_token=token))


@dag(schedule="@monthly", catchup=False, tags=["databrain"])
def rotate_databrain_keys() -> None:
    """Rotate one key after the other: both change the same file. No retries, because each try makes a new key."""
    api_key = RotateApiKeyOperator(task_id="api_key", store=store_api_key, expire_after=timedelta(days=1))
    service_token = RotateServiceTokenOperator(
        task_id="service_token", store=store_service_token, expire_after=timedelta(days=1)
    )
    api_key >> service_token


rotate_databrain_keys()
