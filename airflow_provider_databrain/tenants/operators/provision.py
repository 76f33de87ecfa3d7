"""Operators over a tenant table: plan key ranges, provision one range a task, remove what is no more.

Here is what is the same for all vendors; what each adds is in ``provisioning`` (Databrain), ``posthog`` and
``conduit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from airflow_provider_databrain.tenants.operators.task import TenantTask

if TYPE_CHECKING:
    from airflow_provider_databrain.client.transport.aio import AsyncTransport
    from airflow_provider_databrain.tenants.engine.report import Report
    from airflow_provider_databrain.tenants.engine.stop import Stop
    from airflow_provider_databrain.tenants.operators.task import Databases

__all__ = [
    "PlanTenantBatchesOperator",
    "ProvisionSharedOperator",
    "ProvisionTenantsOperator",
]


class ProvisionTenantsOperator(TenantTask):
    """Make the dashboard of every tenant in one batch exist, as the table says; returns ``{tenant: dashboard id}``.

    All rows are checked before anything is sent. Then missing dashboards are created, changed ones updated as far as
    the vendor can change them, and existing ones adopted where they are proved to be the tenant's. With a ledger,
    tenants whose row and spec have not changed cost no call. One tenant's failure stops no other: the ids of the good
    ones are pushed, then the task fails and names the bad ones. XCom also holds ``counts`` (created, adopted,
    updated, deleted, unchanged, inactive, failed: what this Dag run did) and ``failures`` (tenant, dashboard_id,
    error, message; at most 1,000).

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: the tenant table, ``schema.table`` possible (templated).
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant (templated).
    :param active_column: the column that says whether a tenant is active: boolean, 0 or 1, or such a word; inactive
        ones are left alone (templated). ``RemoveTenantsOperator`` removes theirs.
    :param spec: the fields of what is wanted, with ``{column}`` in any string for the row's value (templated).
    :param spec_callable: instead of ``spec``, a function that makes the fields of a row (a mapping from column
        name to value).
    :param batch: one of the batches that ``PlanTenantBatchesOperator`` returned; None for the whole table (templated).
    :param ledger_conn_id: the SQL connection of the ledger's database; None for no ledger (templated).
    :param ledger_table: the ledger's table, made on first use (templated). Give each tenant table, and each second
        dashboard for the same tenants, one of its own.
    :param concurrency: tenants under way at a time.
    :param requests_per_second: calls a second at most, in this task; None for no cap beside the server's own.
    :param max_failures: failed tenants after which no further one is begun; None for no bound.
    :param fail_fast: the same as ``max_failures=0``.
    :param grace_seconds: where the task is killed or times out, how long calls under way may still take. Airflow kills
        for good five seconds after it asks.
    :param dry_run: send nothing that changes anything; return what would be done, a list of ``tenant``,
        ``dashboard_id`` and ``action`` (templated, as ``dry_run_flag``).
    :param deferrable: give the worker's slot back where the server asks to wait longer than ``defer_above``.
    :param defer_above: seconds.
    """

    template_fields: Sequence[str] = (
        "sql_conn_id",
        "table",
        "query",
        "key_column",
        "active_column",
        "spec",
        "batch",
        "ledger_conn_id",
        "ledger_table",
        "dry_run_flag",
    )
    template_fields_renderers = {"query": "sql", "spec": "json", "batch": "json"}

    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        spec_callable: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        batch: Mapping[str, Any] | None = None,
        fail_fast: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        # No template field: Airflow would call it as a template of its own.
        self.spec_callable = spec_callable
        self.batch = batch
        if fail_fast:
            self.max_failures = 0

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render as Airflow does, but take a batch as it is: its bounds are tenants' keys, and no templates."""
        if content is self.batch and isinstance(content, Mapping):
            return content
        return super().render_template(content, *args, **kwargs)

    def run(self, databases: Databases, context: Context, stop: Stop) -> Report:
        """Read and check every row, then send."""
        import asyncio

        from airflow_provider_databrain.tenants.engine.apply import provision
        from airflow_provider_databrain.tenants.engine.check import check_batch
        from airflow_provider_databrain.tenants.engine.preview import preview
        from airflow_provider_databrain.tenants.engine.progress import Progress
        from airflow_provider_databrain.tenants.engine.table import read_batch

        spec = self.spec_callable or self.spec
        if spec is None or (self.spec is not None and self.spec_callable is not None):
            raise ValueError("give either spec or spec_callable")
        rules = self.rules()
        repeated = getattr(context.get("ti"), "try_number", 1) > 1
        target = self.target(repeated=repeated)
        ledger = self.ledger(databases, context, target)
        rows = read_batch(databases.tenants, self.source(), self.batch or {}, active_column=self.active_column)
        with check_batch(rows, spec, target, ledger, keeps_embed_ids=self.keeps_embed_ids) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))

            async def send() -> Report:
                async with self.transport(stop, progress) as transport:
                    if self.is_dry_run:
                        return await preview(target, transport, checked, rules=rules, stop=stop)
                    report = await provision(
                        target, transport, checked, progress=progress, rules=rules, stop=stop, ledger=ledger
                    )
                    await self.after(target, transport, report, stop)
                    return report

            return asyncio.run(send())

    keeps_embed_ids = False
    """See ``Report``."""

    async def after(self, target: Any, transport: AsyncTransport, report: Report, stop: Stop) -> None:
        """What is still to be asked once all tenants are done."""


class ProvisionSharedOperator(ProvisionTenantsOperator):
    """Base for vendors whose dashboards have an address of their own; parameters: see ``ProvisionTenantsOperator``.

    :param push_urls: also ask for each tenant's address, a call for each, and push ``{tenant: address}`` under the
        XCom key ``urls``. Whoever has such an address may see the dashboard, and whoever sees Airflow's XCom has it.
    """

    keeps_embed_ids = True
    _urls: Mapping[str, str] | None = None

    def __init__(self, *, push_urls: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.push_urls = push_urls

    async def after(self, target: Any, transport: AsyncTransport, report: Report, stop: Stop) -> None:
        """Ask for the addresses."""
        from airflow_provider_databrain.tenants.engine.addresses import fetch_addresses

        if self.push_urls:
            self._urls = await fetch_addresses(target, transport, report, concurrency=self.concurrency, stop=stop)

    def extra_xcoms(self, report: Report) -> dict[str, Any]:
        """The addresses, where asked for."""
        return {} if self._urls is None else {"urls": self._urls}
