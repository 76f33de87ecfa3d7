"""Removal: the dashboards of tenants that are not active or no longer exist are removed, within limits.

This module knows no vendor. The operators that a Dag uses are in ``databrain.operators.tenants``,
``posthog.operators.tenants`` and ``conduit.operators``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.tenants.operators.task import TenantTask

if TYPE_CHECKING:
    from airflow_provider_databrain.tenants.engine.report import Report
    from airflow_provider_databrain.tenants.engine.stop import Stop
    from airflow_provider_databrain.tenants.operators.task import Databases


class RemoveTenantsOperator(TenantTask):
    """Remove the dashboards of tenants that are not active or no longer exist, within limits; returns ``{}``.

    Put it after all batches: one task sees the whole table, so its limits hold for the whole run. Nothing is removed if
    the table cannot be read, if it is empty, or if more dashboards would be removed than the limits allow; the error
    names the tenants. XCom has ``counts`` and ``failures``, as for ``ProvisionTenantsOperator``.

    :param sql_conn_id: the Airflow connection of the tenant table's database (templated).
    :param table: the tenant table (templated).
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant (templated).
    :param active_column: the column that says whether a tenant is active (templated).
    :param ledger_conn_id: the SQL connection of the ledger's database (templated).
    :param ledger_table: the ledger's table (templated).
    :param mode: ``incremental`` removes tenants whose ``active_column`` says that they are not active. ``full`` also
        removes tenants that have no row in the table, if this Dag provisioned them (templated).
    :param max_deletions: maximum number of tenants in one run; None means no limit.
    :param max_deletion_fraction: maximum fraction of the tenants in the ledger, from 0 to 1.
    :param dry_run: remove nothing; return what would be removed, a list of ``tenant``, ``dashboard_id`` and ``action``.
        The limits are not applied.
    """

    template_fields: Sequence[str] = (
        "sql_conn_id",
        "table",
        "query",
        "key_column",
        "active_column",
        "ledger_conn_id",
        "ledger_table",
        "mode",
        "dry_run_flag",
    )
    template_fields_renderers = {"query": "sql"}
    ui_color = "#fce8e6"

    def __init__(
        self,
        *,
        ledger_conn_id: str,
        mode: Literal["incremental", "full"] = "incremental",
        max_deletions: int | None = 100,
        max_deletion_fraction: float = 0.1,
        concurrency: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(ledger_conn_id=ledger_conn_id, concurrency=concurrency, **kwargs)
        self.mode = mode
        self.max_deletions = max_deletions
        self.max_deletion_fraction = max_deletion_fraction

    def run(self, databases: Databases, context: Context, stop: Stop) -> Report:
        """Compare table and ledger, check the limits, then remove."""
        import asyncio

        from airflow_provider_databrain.tenants.engine import removal
        from airflow_provider_databrain.tenants.engine.progress import Progress
        from airflow_provider_databrain.tenants.engine.report import Report
        from airflow_provider_databrain.tenants.engine.table import read_keys

        if self.mode == "incremental" and not self.active_column:
            raise ValueError(
                "mode 'incremental' needs active_column: it removes the tenants that this column marks as inactive. "
                "Nothing was removed."
            )
        rules = self.rules()
        guard = removal.Guard(self.max_deletions, self.max_deletion_fraction)
        target = self.vendor.target(repeated=False)
        ledger = self.ledger(databases, context, target)
        assert ledger is not None  # noqa: S101 - its connection is a required argument
        rows = read_keys(databases.tenants, self.source(), active_column=self.active_column)
        plan = removal.plan_removal(rows, ledger, self.mode)
        if plan.other_dags:
            self.log.warning(
                "%d tenants have no row in this table and were provisioned by another Dag; they are left alone",
                plan.other_dags,
            )
        report = Report(total=len(plan.entries))
        if self.is_dry_run:
            report.planned = removal.preview(plan.entries)
            return report
        guard.check(plan.entries, plan.in_ledger)
        progress = Progress(target.system, report, len(plan.entries))

        async def send() -> Report:
            async with self.transport(stop, progress) as transport:
                return await removal.remove(
                    target,
                    transport,
                    plan.entries,
                    report=report,
                    progress=progress,
                    rules=rules,
                    stop=stop,
                    ledger=ledger,
                )

        return asyncio.run(send())
