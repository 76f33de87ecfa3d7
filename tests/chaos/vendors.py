"""PostHog and Conduit in the kill test."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.conduit.target import ConduitTarget
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.state import DashboardRow
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.marks import mark_of
from airflow_provider_databrain.posthog.target import PostHogTarget
from tests.chaos.killer import Tripwire
from tests.chaos.vendor import Found, filled

QUIET_SECONDS = 0.2
"""How long no request may end before the calls of a dead task count as done."""


class _Emulated:
    """What both share.

    :param methods: of requests that change something.
    """

    methods: tuple[str, ...]

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        emulator.control.behaviour = Behaviour(latency=0.002)

    def disturb(self, *, on: bool) -> None:
        kinds = (("reset_after", 7), ("error_after", 11))
        faults = [
            Fault.model_validate({"kind": kind, "every": every, "method": method})
            for method in self.methods
            for kind, every in kinds
        ]
        self._emulator.control.set_faults(faults if on else [])

    def watch(self, limit: int) -> Tripwire:
        tripwire = Tripwire(lambda method, path: method in self.methods, limit)
        self._emulator.control.arrived = tripwire
        return tripwire

    def wait(self) -> None:
        """Wait until the emulator has been quiet for a while."""
        ended, since = len(self._emulator.control.log), time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if (now := len(self._emulator.control.log)) != ended:
                ended, since = now, time.monotonic()
            time.sleep(0.005)


class PostHogVendor(_Emulated):
    """PostHog: a dashboard, shared."""

    provision = "posthog.ProvisionPostHogDashboardsOperator"
    remove = "posthog.RemovePostHogDashboardsOperator"
    removal: Mapping[str, Any] = {}
    specs: tuple[Mapping[str, Any], Mapping[str, Any]] = (
        {
            "name": "{tenant_id}",
            "description": "Of {tenant_id}",
            "tags": ["tenant"],
            "variables": {"v": {"code_name": "tenant", "value": "{tenant_id}"}},
            "use_template": "DEFAULT_APP",
        },
        {
            "name": "{tenant_id} renamed",
            "description": "Of {tenant_id}",
            "tags": ["tenant", "renamed"],
            "sharing": {"settings": {"whitelabel": True}},
        },
    )
    changes_per_creation = 3
    changes_per_update = 2
    methods = ("POST", "PATCH")

    def clear(self) -> None:
        for row in self._emulator.posthog.dashboards():
            self._emulator.posthog.remove_dashboard(row.id)
        self._emulator.control.arrived = Tripwire()

    def connections(self) -> dict[str, str]:
        fields = {"conn_type": "posthog", "host": self._emulator.url, "password": self._emulator.posthog_key}
        return {"posthog_default": json.dumps(fields)}

    def correct(self, spec: Mapping[str, Any]) -> Found:
        return {
            tenant: (str(row.id), str(row.id))
            for row in self._emulator.posthog.dashboards()
            for tenant in [str(row.fields["name"]).removesuffix(" renamed")]
            if self._is_correct(row, filled(spec, tenant), mark_of(tenant))
        }

    def count(self) -> int:
        self.wait()
        return self._emulator.posthog.count_dashboards()

    def wait_for_calls(self) -> None:
        pass

    def spec_hash(self, tenant: str, spec: Mapping[str, Any]) -> str:
        return PostHogTarget(scope="").desire(tenant, filled(spec, tenant)).spec_hash

    def _is_correct(self, row: DashboardRow, spec: Mapping[str, Any], mark: str) -> bool:
        share = self._emulator.posthog.shares.of(row.id)
        settings = spec.get("sharing", {}).get("settings")
        return (
            row.fields["name"] == spec["name"]
            and row.fields["description"] == f"{spec['description']}\n[{mark}]".strip()
            and set(row.fields["tags"]) == set(spec["tags"])
            and spec.get("variables") in (None, row.fields["variables"])
            and share is not None
            and share.enabled
            and (settings is None or share.settings == settings)
        )


class ConduitVendor(_Emulated):
    """Conduit: a workspace, and a clone in it. Nothing can be changed."""

    provision = "conduit.ProvisionConduitDashboardsOperator"
    remove = "conduit.RemoveConduitWorkspacesOperator"
    removal: Mapping[str, Any] = {}
    specs: tuple[Mapping[str, Any], Mapping[str, Any]] = (
        {"source_dashboard": 1, "name": "Overview"},
        {"source_dashboard": 1, "name": "Overview"},
    )
    changes_per_creation = 2
    changes_per_update = 0
    methods = ("POST", "DELETE")

    def clear(self) -> None:
        self._emulator.conduit.clear()
        source = self._emulator.conduit.add_dashboard("Source")
        self.specs = tuple({"source_dashboard": source, "name": "Overview"} for _ in range(2))  # type: ignore[assignment]
        self._emulator.control.arrived = Tripwire()

    def connections(self) -> dict[str, str]:
        token = self._emulator.conduit_token
        fields = {"conn_type": "conduit", "host": f"{self._emulator.url}/v2", "password": token}
        return {"conduit_default": json.dumps(fields)}

    def correct(self, spec: Mapping[str, Any]) -> Found:
        return {
            str(workspace.ext_id): (str(dashboard.id), str(workspace.id))
            for workspace in self._emulator.conduit.workspaces()
            for dashboard in self._emulator.conduit.dashboards(workspace.id)
            if dashboard.name == spec["name"]
        }

    def count(self) -> int:
        self.wait()
        state = self._emulator.conduit
        workspaces = state.workspaces()
        assert len(workspaces) == len({workspace.ext_id for workspace in workspaces})
        return sum(len(state.dashboards(workspace.id)) for workspace in workspaces)

    def wait_for_calls(self) -> None:
        # A clone that is created after the survey of the next try could not be deleted. Airflow waits minutes before it
        # tries again, so the calls of the dead task end first.
        self.wait()

    def spec_hash(self, tenant: str, spec: Mapping[str, Any]) -> str:
        return ConduitTarget(scope="").desire(tenant, filled(spec, tenant)).spec_hash
