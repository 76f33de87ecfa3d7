"""Runs of the engine against an emulated PostHog, without Airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.emulator.posthog.state import DashboardRow
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.target import PostHogTarget
from airflow_provider_databrain.tenants.engine.apply import provision
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.preview import preview
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.removal import plan_removal, remove
from airflow_provider_databrain.tenants.engine.report import Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.posthog.support import posthog_server

TENANTS = [f"t{number:02}" for number in range(20)]
SPEC: dict[str, Any] = {"name": "Sales of {tenant_id}"}


class Runs:
    """Runs on one project. Each is its own Dag run; with a database, all use the same ledger."""

    def __init__(self, emulator: Emulator, database: Database | None = None) -> None:
        self.emulator = emulator
        self.database = database
        self.target: type[PostHogTarget] = PostHogTarget
        self.server = posthog_server(emulator)
        self._runs = 0

    def ledger(self) -> Ledger | None:
        """The ledger of the next run."""
        if self.database is None:
            return None
        self._runs += 1
        made = ledger_on(self.database, system="posthog", scope="1", run_id=f"run-{self._runs}")
        made.open()
        return made

    def entries(self) -> dict[str, Entry]:
        """The live entries of the ledger, by tenant."""
        ledger = self.ledger()
        assert ledger is not None
        return {entry.tenant: entry for entry in ledger.live()}

    async def provision(
        self, tenants: Sequence[str] = TENANTS, spec: Mapping[str, Any] = SPEC, **columns: Any
    ) -> Report:
        """Provision these tenants; every row has the same ``columns``."""
        ledger, target = self.ledger(), self.target(scope="1", base_url=self.emulator.url)
        with check_batch(rows(tenants, **columns), spec, target, ledger) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))
            async with AsyncTransport(self.server) as transport:
                return await provision(
                    target,
                    transport,
                    checked,
                    progress=progress,
                    rules=Rules(concurrency=4),
                    stop=Stop(),
                    ledger=ledger,
                )

    async def preview(self, tenants: Sequence[str], spec: Mapping[str, Any] = SPEC) -> list[tuple[Any, ...]]:
        """What a run would do: tenant, dashboard and action."""
        target = self.target(scope="1")
        with check_batch(rows(tenants), spec, target, self.ledger()) as checked:
            async with AsyncTransport(self.server) as transport:
                report = await preview(target, transport, checked, rules=Rules(), stop=Stop())
        return [(plan["tenant"], plan["dashboard_id"], plan["action"]) for plan in report.planned]

    async def remove(self, tenants: Sequence[str], **options: Any) -> Report:
        """Remove these tenants' dashboards."""
        ledger, target = self.ledger(), PostHogTarget(scope="1", **options)
        assert ledger is not None
        entries = plan_removal([TenantRow(tenant, {}, False) for tenant in tenants], ledger, "incremental").entries
        report = Report(total=len(entries))
        async with AsyncTransport(self.server) as transport:
            return await remove(
                target,
                transport,
                entries,
                report=report,
                progress=Progress("posthog", report, len(entries)),
                rules=Rules(),
                stop=Stop(),
                ledger=ledger,
            )

    def dashboards(self) -> dict[str, DashboardRow]:
        """The existing dashboards, by id."""
        return {str(row.id): row for row in self.emulator.posthog.dashboards()}

    def check(self, report: Report, tenants: Sequence[str] = TENANTS) -> None:
        """Check that each tenant has exactly one dashboard, that it is shared, and that the report names it."""
        existing = self.dashboards()
        assert {tenant: existing[number].fields["name"] for tenant, number in report.ids.items()} == {
            tenant: f"Sales of {tenant}".strip() for tenant in tenants
        }
        assert len(existing) == len(tenants)
        assert all(row.shared for row in existing.values())
        if self.database is not None:
            assert {tenant: entry.dashboard_id for tenant, entry in self.entries().items()} == report.ids


def rows(tenants: Sequence[str], **columns: Any) -> list[TenantRow]:
    return [TenantRow(tenant, {"tenant_id": tenant, **columns}, True) for tenant in tenants]


def counts(report: Report) -> dict[str, int]:
    """The counts of the report that are not 0."""
    return {action: count for action, count in report.counts().items() if count}
