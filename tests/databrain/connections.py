"""A hook for a test's own connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.databrain.hook import DatabrainHook

KEY = "data-app-key-0123456789"
SERVICE = "service-token-0123456789"


def hook_for(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> DatabrainHook:
    """A hook for a connection with both tokens; ``fields`` replace the connection's."""
    connection = {"conn_type": "databrain", "password": KEY, "extra": {"service_token": SERVICE}, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_MY_CONN", json.dumps(connection))
    return DatabrainHook("my_conn")
