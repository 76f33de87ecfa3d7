"""Provisioning: the dashboards of one batch of tenants are created, adopted or updated.

This module knows no vendor. The operators that a Dag uses are in ``databrain.operators.tenants``,
``posthog.operators.tenants`` and ``conduit.operators``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.tenants.operators.task import TenantTask

if TYPE_CHECKING:
    from airflow_provider_databrain.client.transport.aio import AsyncTransport
    from airflow_provider_databrain.tenants.engine.report import Report
    from airflow_provider_databrain.tenants.engine.stop import Stop
    from airflow_provider_databrain.tenants.operators.task import Databases

_NOT_GIVEN: Any = object()
"""The default of ``batch``. An XCom may give None, which must not mean the whole table for each mapped task."""


class ProvisionTenantsOperator(TenantTask):
    """Give every tenant of one batch the dashboard that table and spec describe; returns ``{tenant: dashboard id}``.

    All rows are checked before anything is sent. Then missing dashboards are created. Changed dashboards are updated,
    as far as the vendor can change them. Existing dashboards are adopted if it is proved that they are the tenant's.
    With a ledger, tenants whose row and spec did not change cost no call.

    One tenant's failure stops no other tenant. The ids of the good tenants are pushed to XCom, then the task fails and
    names the failed tenants. XCom also has ``counts`` (created, adopted, updated, deleted, unchanged, inactive, failed:
    what this Dag run did) and ``failures`` (tenant, dashboard_id, error, message; at most 1,000).

    :param sql_conn_id: the Airflow connection of the tenant table's database (templated).
    :param table: the tenant table, optionally with the schema: ``schema.table`` (templated). Write a part that contains
        a dot in double quotes: ``crm."tenants.2026"``.
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant (templated).
    :param active_column: the column that says whether a tenant is active: a boolean, 0 or 1, or a word such as ``yes``
        or ``inactive``. Inactive tenants are left alone; ``RemoveTenantsOperator`` removes theirs (templated).
    :param spec: the fields of the dashboard, where ``{column}`` in any string stands for the row's value (templated).
        A text that is a JSON object, or a mapping as Airflow renders it, is read as that.
    :param spec_callable: instead of ``spec``, a function that makes the fields from a row (a mapping from column name
        to value; decimals, dates and so on are Python's objects).
    :param columns: the names of the columns that ``spec_callable`` needs, beside the key and ``active_column``; None
        means all columns. Name them if the connection may not read all columns of the table, or if a column that
        nobody needs cannot be read. Not possible with ``spec``, which names its columns itself (templated).
    :param batch: one of the batches that ``PlanTenantBatchesOperator`` returned for the same connection, table or
        query, and key column. Without it, the whole table. Anything else is refused, also a template or an XCom that
        gives nothing, and None for one of several mapped tasks (templated).
    :param ledger_conn_id: the SQL connection of the ledger's database; None means no ledger (templated).
    :param ledger_table: the ledger's table, created on first use. Each tenant table, and each second dashboard for the
        same tenants, needs its own ledger table (templated).
    :param concurrency: tenants under way at a time.
    :param requests_per_second: maximum calls per second of this task; None means only the server's own limit.
    :param max_failures: failed tenants after which no other tenant is started; None means no limit.
    :param fail_fast: the same as ``max_failures=0``.
    :param grace_seconds: how long calls under way may still take after the task is killed or times out. Less than 5: if
        the task is marked or cleared in the UI, Airflow before 3.4 kills the process five seconds later.
    :param dry_run: send nothing that changes anything; return what would be done, a list of ``tenant``,
        ``dashboard_id`` and ``action`` (templated, as ``dry_run_flag``).
    :param deferrable: release the worker slot if the server asks to wait longer than ``defer_above``.
    :param defer_above: seconds.
    """

    template_fields: Sequence[str] = (
        "sql_conn_id",
        "table",
        "query",
        "key_column",
        "active_column",
        "spec",
        "columns",
        "batch",
        "ledger_conn_id",
        "ledger_table",
        "dry_run_flag",
    )
    template_fields_renderers = {"query": "sql", "spec": "json", "batch": "json"}
    must_not_vanish: ClassVar[Collection[str]] = (*TenantTask.must_not_vanish, "batch", "spec")
    keeps_embed_ids = False
    """See ``Report``."""

    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        spec_callable: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        columns: Sequence[str] | None = None,
        batch: Mapping[str, Any] | None = _NOT_GIVEN,
        fail_fast: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        # Not a template field: Airflow would call the function while it renders templates.
        self.spec_callable = spec_callable
        self.columns = columns
        self._has_batch = batch is not _NOT_GIVEN
        self.batch = batch if self._has_batch else None
        self.fail_fast = fail_fast
        if self.fail_fast:
            self.max_failures = 0

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render as Airflow does, except the batch: its bounds are tenants' keys and must not reach Jinja."""
        if content is self.batch and isinstance(content, Mapping):
            return content
        return super().render_template(content, *args, **kwargs)

    def check_arguments(self, context: Context) -> None:
        """Check the batch too: what it is, and what it was planned from."""
        from airflow_provider_databrain.tenants.engine.planned import check_planned

        super().check_arguments(context)
        if self.spec is not None and not isinstance(self.spec, Mapping):
            raise ValueError(f"spec is {self.spec!r}; it must be a mapping. Nothing was sent.")
        if self.batch is not None:
            if not check_planned(self.batch, self.sql_conn_id, self.source()):
                self.log.warning(
                    "The batch does not say what it was planned from: an earlier version planned it. It is used as it "
                    "is; plan again if the plan and this task may read different tables"
                )
        elif self._has_batch and getattr(context.get("ti"), "map_index", -1) >= 0:
            raise ValueError(
                "batch is None in a mapped task, and each such task would provision the whole table. Map over batches: "
                ".expand(batch=plan.output), or leave batch out. Nothing was sent."
            )

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
        target = self.vendor.target(repeated=getattr(context.get("ti"), "try_number", 1) > 1)
        ledger = self.ledger(databases, context, target)
        rows = read_batch(
            databases.tenants,
            self.source(),
            self.batch or {},
            active_column=self.active_column,
            columns=self._columns(spec),
            asked_by="the spec" if self.columns is None else "columns",
        )
        with check_batch(rows, spec, target, ledger, keeps_embed_ids=self.keeps_embed_ids) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))

            async def send() -> Report:
                async with self.transport(stop, progress) as transport:
                    if self.is_dry_run:
                        return await preview(target, transport, checked, rules=rules, stop=stop, ledger=ledger)
                    report = await provision(
                        target, transport, checked, progress=progress, rules=rules, stop=stop, ledger=ledger
                    )
                    await self.after_provisioning(target, transport, report, stop)
                    return report

            return asyncio.run(send())

    def _columns(self, spec: Any) -> Sequence[str] | None:
        """The columns of a row that are read beside the operator's own; None means all."""
        from airflow_provider_databrain.tenants.engine import spec as specs

        if self.columns is None:
            return specs.columns(spec)
        if self.spec is not None:
            raise ValueError("columns is for spec_callable; a spec names its columns itself. Nothing was sent.")
        a_list = isinstance(self.columns, Sequence) and not isinstance(self.columns, str)
        if not a_list or not all(isinstance(name, str) for name in self.columns):
            raise ValueError(f"columns is {self.columns!r}; it must be a list of names. Nothing was sent.")
        return self.columns

    async def after_provisioning(self, target: Any, transport: AsyncTransport, report: Report, stop: Stop) -> None:
        """Further calls after all tenants are done."""


class ProvisionSharedOperator(ProvisionTenantsOperator):
    """Base for vendors whose dashboards have an address of their own; parameters: see ``ProvisionTenantsOperator``.

    :param push_urls: also fetch each tenant's address, with one call for each, and push ``{tenant: address}`` under the
        XCom key ``urls``. Everybody who has such an address can see the dashboard, and everybody who can read Airflow's
        XCom has the address.
    """

    keeps_embed_ids = True
    _urls: Mapping[str, str] | None = None

    def __init__(self, *, push_urls: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.push_urls = push_urls

    async def after_provisioning(self, target: Any, transport: AsyncTransport, report: Report, stop: Stop) -> None:
        """Fetch the addresses, if ``push_urls``."""
        from airflow_provider_databrain.tenants.engine.addresses import fetch_addresses

        if self.push_urls:
            self._urls = await fetch_addresses(target, transport, report, concurrency=self.concurrency, stop=stop)

    def extra_xcoms(self, report: Report) -> dict[str, Any]:
        """The addresses, if they were fetched."""
        return {} if self._urls is None else {"urls": self._urls}
