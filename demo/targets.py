"""The systems that ``make demo`` can provision: each one's Dag, connection and number of dashboards afterwards."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from airflow_provider_databrain.emulator.conduit import ConduitState
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.posthog.state import PostHogState
from airflow_provider_databrain.emulator.systems import TOKENS


@dataclass(frozen=True)
class Credentials:
    """The emulator's tokens. They are stored in the demo's folder, so that a second run uses the same ones."""

    api_key: str
    service_token: str
    posthog_key: str
    conduit_token: str

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the emulator's command."""
        tokens = asdict(self)
        return {token.variable: tokens[token.argument] for token in TOKENS}

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """Read the tokens from a file, make up the missing ones, and write the file."""
        made_up = {field.name: secrets.token_hex(16) for field in fields(cls)}
        known = json.loads(path.read_text()) if path.exists() else {}
        credentials = cls(**(made_up | known))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(credentials)))
        return credentials


@dataclass(frozen=True)
class DemoTarget:
    """One system.

    :param connection: returns the Airflow connection's fields, from the emulator's URL and the credentials.
    :param dashboards: returns the number of tenants' dashboards in the emulator's SQLite file.
    """

    dag_id: str
    conn_id: str
    connection: Callable[[str, Credentials], dict[str, Any]]
    dashboards: Callable[[Path], int]

    def environment(self, url: str, credentials: Credentials) -> dict[str, str]:
        """Return the connection as an environment variable."""
        return {f"AIRFLOW_CONN_{self.conn_id.upper()}": json.dumps(self.connection(url, credentials))}


def _databrain(url: str, credentials: Credentials) -> dict[str, Any]:
    extra = {"service_token": credentials.service_token, "workspace_name": "analytics"}
    return {"conn_type": "databrain", "host": url, "password": credentials.api_key, "extra": extra}


def _posthog(url: str, credentials: Credentials) -> dict[str, Any]:
    return {"conn_type": "posthog", "host": url, "password": credentials.posthog_key, "extra": {"project_id": "1"}}


def _conduit(url: str, credentials: Credentials) -> dict[str, Any]:
    return {"conn_type": "conduit", "host": f"{url}/v2", "password": credentials.conduit_token}


def _embeds(path: Path) -> int:
    state = State(str(path))
    try:
        return state.count_embeds()
    finally:
        state.close()


def _posthog_dashboards(path: Path) -> int:
    state = PostHogState(str(path))
    try:
        return state.count_dashboards(None)
    finally:
        state.close()


def _clones(path: Path) -> int:
    state = ConduitState(str(path))
    try:
        return sum(len(state.dashboards(workspace.id)) for workspace in state.workspaces())
    finally:
        state.close()


TARGETS = {
    "databrain": DemoTarget("provision_tenant_dashboards", "databrain_default", _databrain, _embeds),
    "posthog": DemoTarget("provision_posthog_dashboards", "posthog_default", _posthog, _posthog_dashboards),
    "conduit": DemoTarget("provision_conduit_dashboards", "conduit_default", _conduit, _clones),
}
