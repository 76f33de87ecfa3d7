"""The operators that create, list, rotate or send Databrain's credentials, and a connection to a database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_databrain.airflow_compat import BaseOperator, Connection
from airflow_provider_databrain.databrain.operators.datasources import (
    CreateDatasourceOperator,
    UpdateDatasourceOperator,
)
from airflow_provider_databrain.databrain.operators.tokens import (
    CreateApiTokenOperator,
    ListApiTokensOperator,
    RotateApiKeyOperator,
    RotateServiceTokenOperator,
)
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.server import Emulator

HOUR = timedelta(hours=1)
PASSWORD = "correct-horse-battery"
PRIVATE_KEY = "MIIEvQIBADANBgkqhkiG9w0BAQ"
SOURCE_SECRETS = [PASSWORD, PRIVATE_KEY]
stored: list[str] = []
"""The keys that ``keep`` and ``drop`` received."""


def keep(key: str) -> None:
    """Store a key."""
    stored.append(key)


def drop(key: str) -> None:
    """Fail to store a key, with an error that quotes it."""
    stored.append(key)
    raise PermissionError(f"may not write {key}")


def opened(connection: Connection) -> Mapping[str, Any]:
    """The credentials of a database that needs more than a password."""
    return {"password": connection.password, "serviceAccount": connection.extra_dejson["service_account"]}


def of_source(operator: type[Any]) -> Callable[..., BaseOperator]:
    """A function that makes a datasource operator, with a template in each templated field."""

    def make(*, store: object, **changes: Any) -> BaseOperator:
        made: BaseOperator = operator(
            name="{{ 'ware' }}house",
            datasource_type="{{ 'postgres' }}",
            source_conn_id="{{ 'source' }}",
            fields={"schema": "{{ 'public' }}"},
            credentials=opened,
            **changes,
        )
        return made

    return make


OPERATORS: dict[str, Callable[..., BaseOperator]] = {
    "create_api_token": lambda **arguments: CreateApiTokenOperator(
        name="{{ 'ci' }}", data_app_name=DATA_APP, **arguments
    ),
    "list_api_tokens": lambda *, store, **arguments: ListApiTokensOperator(
        data_app_name="{{ 'tenant-app' }}", **arguments
    ),
    "rotate_api_key": lambda **arguments: RotateApiKeyOperator(expire_after=HOUR, **arguments),
    "rotate_service_token": lambda **arguments: RotateServiceTokenOperator(expire_after=HOUR, **arguments),
    "create_datasource": of_source(CreateDatasourceOperator),
    "update_datasource": of_source(UpdateDatasourceOperator),
}
"""For each method, a function that makes its operator from ``task_id``, ``store`` and further arguments."""
STORING = ["create_api_token", "rotate_api_key", "rotate_service_token"]


def prepare(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, method: str) -> None:
    """Set the connection ``source``, and the datasource if it is to be changed. Nothing is stored yet."""
    stored.clear()
    extra = {"service_account": {"private_key": PRIVATE_KEY}}
    source = {"conn_type": "postgres", "host": "db.example", "login": "p", "password": PASSWORD, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps(source))
    emulator.catalog.delete_datasource("warehouse")
    if method == "update_datasource":
        emulator.catalog.add_datasource("warehouse")
