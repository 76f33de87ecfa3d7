"""What the kill test needs for a vendor: its emulator, its requests, and what a tenant's dashboard must be."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed
from airflow_provider_databrain.databrain.ownership import STAMP
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.databrain.state import EmbedRow
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.chaos.killer import Tripwire
from tests.databrain.worlds import WORLDS, enter
from tests.support import ACCESS, SPEC, WORKSPACE

Found = dict[str, tuple[str, str]]
"""Tenant to dashboard id and embed id."""


class Vendor(Protocol):
    """A vendor's side of the kill test."""

    provision: str
    """Module and class name of the operator, below ``operators``."""
    remove: str
    removal: Mapping[str, Any]
    """The remove operator's own arguments."""
    specs: tuple[Mapping[str, Any], Mapping[str, Any]]
    """What is created first, and what it is changed to."""
    changes_per_creation: int
    """Requests that create a tenant's dashboard."""
    changes_per_update: int
    """Requests that change one spec to the other; 0 if the vendor can change nothing."""

    def clear(self) -> None:
        """Forget everything."""

    def disturb(self, *, on: bool) -> None:
        """Switch faults on, with a new count, or off."""

    def watch(self, limit: int) -> Tripwire:
        """A tripwire that is reached when ``limit`` requests that change something have arrived."""

    def connections(self) -> dict[str, str]:
        """Airflow connections as JSON."""

    def correct(self, spec: Mapping[str, Any]) -> Found:
        """Tenants whose dashboard is their own and as the spec says."""

    def count(self) -> int:
        """The number of all dashboards, for any owner."""

    def wait_for_calls(self) -> None:
        """Before the next try: wait, if the vendor's target needs the killed task's calls to be over."""

    def spec_hash(self, tenant: str, spec: Mapping[str, Any]) -> str:
        """The hash that the ledger must have."""


def filled(spec: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """The spec's own strings filled for one tenant, without the provider's code."""
    return {key: _filled(value, tenant) for key, value in spec.items()}


def _filled(value: Any, tenant: str) -> Any:
    if isinstance(value, Mapping):
        return filled(value, tenant)
    return value.replace("{tenant_id}", tenant) if isinstance(value, str) else value


class DatabrainVendor:
    """Databrain, in each round in another one of the worlds."""

    provision = "databrain.ProvisionTenantDashboardsOperator"
    remove = "databrain.RemoveTenantDashboardsOperator"
    removal: Mapping[str, Any] = {"delete": "dashboard"}
    changes_per_creation = 1
    specs: tuple[Mapping[str, Any], Mapping[str, Any]] = (
        SPEC,
        {
            **SPEC,
            "name": "{tenant_id} renamed",
            "access_settings": {**ACCESS, "is_allow_email_reports": not ACCESS["is_allow_email_reports"]},
        },
    )
    changes_per_update = 2

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._worlds = itertools.cycle(WORLDS)

    def clear(self) -> None:
        enter(self._emulator, next(self._worlds), latency=0.002)
        self._emulator.state.clear()
        self._emulator.state.add_workspace(WORKSPACE)
        self._emulator.control.arrived = Tripwire()

    def disturb(self, *, on: bool) -> None:
        faults = [
            fault
            for method, path in (("POST", "dashboard-embeds"), ("PUT", "embeds"), ("DELETE", "embeds"))
            for fault in (
                Fault(kind="reset_after", every=7, method=method, path=path),
                Fault(kind="error_after", every=11, method=method, path=path),
            )
        ]
        self._emulator.control.set_faults(faults if on else [])

    def watch(self, limit: int) -> Tripwire:
        tripwire = Tripwire(lambda method, path: method in ("POST", "PUT", "DELETE"), limit)
        self._emulator.control.arrived = tripwire
        return tripwire

    def connections(self) -> dict[str, str]:
        fields = {"conn_type": "databrain", "host": self._emulator.url, "password": self._emulator.api_key}
        return {"databrain_default": json.dumps(fields)}

    def correct(self, spec: Mapping[str, Any]) -> Found:
        return {
            row.client_id: (row.dashboard_id, row.embed_id)
            for row in self._emulator.state.embeds()
            if self._is_correct(row, spec)
        }

    def count(self) -> int:
        # The last calls of a killed task may still be under way in the emulator.
        deadline = time.monotonic() + 5
        while (embeds := self._emulator.state.count_embeds()) != len(self._emulator.state.dashboards(WORKSPACE)):
            assert time.monotonic() < deadline, "an embed without a dashboard, or the other way round"
        return embeds

    def wait_for_calls(self) -> None:
        pass

    def spec_hash(self, tenant: str, spec: Mapping[str, Any]) -> str:
        return DatabrainTarget().desire(tenant, filled(spec, tenant)).spec_hash

    def _is_correct(self, row: EmbedRow, spec: Mapping[str, Any]) -> bool:
        tenant = row.client_id
        request = CreateDashboardEmbed.model_validate(filled(spec, tenant))
        return (
            row.dashboard_id == f"client-{tenant}"
            and row.metadata.get(STAMP) == tenant
            and row.name == (request.name or row.dashboard_id)
            and self._emulator.state.access_settings(row.embed_id) == wire(request.access_settings)
        )
