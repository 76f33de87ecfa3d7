"""Operators over a tenant table: plan key ranges, provision one range a task, remove what is no more.

Here is what is the same for all vendors; what each adds is in ``provisioning`` (Databrain), ``posthog`` and
``conduit``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import BaseHook, BaseOperator, Context, conf
from airflow_provider_databrain.operators.base import ApiOperator

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from airflow_provider_databrain.provisioning.crew import Rules
    from airflow_provider_databrain.provisioning.ledger import Ledger
    from airflow_provider_databrain.provisioning.meter import Meter
    from airflow_provider_databrain.provisioning.report import Report
    from airflow_provider_databrain.provisioning.stop import Stop
    from airflow_provider_databrain.provisioning.targets.base import Target
    from airflow_provider_databrain.provisioning.tenants import Batch, TenantSource
    from airflow_provider_databrain.transport.aio import AsyncTransport


class _TenantTableMixin:
    """The arguments that name a tenant table, the same in both operators."""

    sql_conn_id: str
    table: str | None
    query: str | None
    key_column: str

    def source(self) -> TenantSource:
        """The tenant table as a value."""
        from airflow_provider_databrain.provisioning.tenants import TenantSource

        return TenantSource(self.key_column, self.table, self.query)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An SQLAlchemy engine of the SQL connection; its connections are closed at the end."""
        engine = _sql_engine(self.sql_conn_id, "sql_conn_id")
        try:
            yield engine
        finally:
            engine.dispose()


def _sql_engine(conn_id: str, argument: str) -> Engine:
    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise ValueError(f"{argument}: connection {conn_id!r} is no SQL connection")
    engine: Engine = hook.get_sqlalchemy_engine()
    return engine


class PlanTenantBatchesOperator(_TenantTableMixin, BaseOperator):
    """Cut a tenant table into key ranges, one for each mapped task; returns them.

    Give the result to an operator such as
    ``ProvisionTenantDashboardsOperator.partial(...).expand(batch=plan.output)``. The ranges cover every key there is
    or will be, so tenants that arrive between plan and run are in one of them; an empty table has no batch, and
    tenants that arrive then wait for the next run.

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: the tenant table, ``schema.table`` possible (templated).
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant; unique, never null (templated).
    :param batch_size: tenants in a batch. Larger where there would be more batches than Airflow maps
        (``[core] max_map_length``).
    """

    template_fields: Sequence[str] = ("sql_conn_id", "table", "query", "key_column")
    template_fields_renderers = {"query": "sql"}
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        sql_conn_id: str,
        key_column: str,
        table: str | None = None,
        query: str | None = None,
        batch_size: int = 500,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.query = query
        self.key_column = key_column
        self.batch_size = batch_size

    def execute(self, context: Context) -> list[Batch]:
        """Plan; returns the batches."""
        from airflow_provider_databrain.provisioning.tenants import plan_batches

        with self.engine() as engine:
            batches = plan_batches(
                engine,
                self.source(),
                batch_size=self.batch_size,
                max_batches=conf.getint("core", "max_map_length", fallback=1024),
            )
        tenants = sum(batch["rows"] for batch in batches)
        self.log.info("%d tenants in %d batches", tenants, len(batches))
        if batches and batches[0]["rows"] > self.batch_size:
            self.log.warning(
                "Batches hold %d tenants instead of %d, so that Airflow maps them ([core] max_map_length)",
                batches[0]["rows"],
                self.batch_size,
            )
        return batches


class _EngineOperator(_TenantTableMixin, ApiOperator):
    """What provisioning and removing share: the tenant table, the ledger, the engine's bounds, and the result."""

    _stop: Stop | None = None

    def __init__(
        self,
        *,
        sql_conn_id: str,
        key_column: str,
        table: str | None = None,
        query: str | None = None,
        active_column: str | None = None,
        ledger_conn_id: str | None = None,
        ledger_table: str = "tenant_dashboards",
        concurrency: int = 16,
        requests_per_second: float | None = None,
        max_failures: int | None = None,
        grace_seconds: float = 3.0,
        dry_run: bool | str = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_above: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.query = query
        self.key_column = key_column
        self.active_column = active_column
        self.ledger_conn_id = ledger_conn_id
        self.ledger_table = ledger_table
        self.concurrency = concurrency
        self.requests_per_second = requests_per_second
        self.max_failures = max_failures
        self.grace_seconds = grace_seconds
        # Not ``self.dry_run``, which is a method of Airflow's.
        self.only_plan = dry_run
        self.deferrable = deferrable
        self.defer_above = defer_above

    def on_kill(self) -> None:
        """Begin no further tenant; those under way have ``grace_seconds``."""
        if self._stop is not None:
            self._stop.request("stopped, because the task was killed")

    def resume(self, context: Context, event: Any = None) -> Any:
        """Go on after a wait that the server has asked for."""
        return self.execute(context)

    def execute(self, context: Context) -> Any:
        """Run, push the outcome, and raise ``ProvisioningError`` where a tenant failed or was not reached."""
        from airflow_provider_databrain.provisioning.stop import Stop, in_background

        self._stop = stop = Stop()
        # Read here, where Airflow answers, and not in the thread.
        server = self.hook.server
        self.log.info("%s is at %s", self.hook.hook_name, server.base_url)
        engines = _Engines(self)
        try:
            report, interrupt = in_background(lambda: self.run(engines, context, stop), stop, self.grace_seconds + 1)
        finally:
            engines.dispose()
        self.log.info("Tenants: %s", ", ".join(f"{count} {action}" for action, count in report.counts().items()))
        value = list(report.planned) if self.planning else report.ids
        self._push(context, report, value)
        if interrupt is not None:
            raise interrupt
        if report.wait is not None:
            self._wait(report.wait)
        report.raise_for_failures()
        return value

    def run(self, engines: _Engines, context: Context, stop: Stop) -> Report:
        """The work itself."""
        raise NotImplementedError

    @property
    def planning(self) -> bool:
        """Whether only a plan is asked for."""
        from airflow_provider_databrain.provisioning.tenants import truth

        only = truth(self.only_plan)
        if only is None:
            raise ValueError(f"dry_run is {self.only_plan!r}; it is true or false. Nothing was sent.")
        return only

    @abstractmethod
    def target(self, *, repeated: bool = False) -> Target[Any]:
        """The vendor's side of the engine.

        :param repeated: an earlier try of this task may have created some of the dashboards.
        """

    def rules(self) -> Rules:
        """The engine's bounds, checked."""
        from airflow_provider_databrain.provisioning.crew import Rules

        return Rules(self.concurrency, self.max_failures, self.grace_seconds)

    def ledger(self, engines: _Engines, context: Context, target: Target[Any]) -> Ledger | None:
        """The ledger, open; None where there is none."""
        from airflow_provider_databrain.provisioning.ledger import Ledger

        if engines.ledger is None:
            return None
        task_instance = context.get("ti")
        ledger = Ledger(
            engines.ledger,
            self.ledger_table,
            system=target.system,
            scope=target.scope,
            dag_id=getattr(task_instance, "dag_id", ""),
            run_id=getattr(task_instance, "run_id", ""),
        )
        ledger.open(create=not self.planning)
        return ledger

    def transport(self, stop: Stop, meter: Meter) -> AsyncTransport:
        """A transport at one pace for all workers; the caller opens it."""
        from airflow_provider_databrain.transport.pace import Pace

        def held(seconds: float) -> None:
            if self.deferrable and seconds > self.defer_above:
                stop.request(f"the server asks to wait {seconds:.0f} s", wait=seconds)

        pace = Pace(self.requests_per_second, on_hold=held)
        stop.on_stop = pace.stop
        return self.hook.concurrent(self.concurrency, pace=pace, watch=meter.tried)

    def _push(self, context: Context, report: Report, value: Any) -> None:
        task_instance = context.get("ti")
        if task_instance is None or not self.do_xcom_push:
            return
        task_instance.xcom_push(key="counts", value=report.counts())
        task_instance.xcom_push(key="failures", value=report.failures)
        for key, handed in self.further(report).items():
            task_instance.xcom_push(key=key, value=handed)
        if report.failures or report.why:
            # A task that raises returns nothing, and the ids must not be lost with it.
            task_instance.xcom_push(key="return_value", value=value)

    def further(self, report: Report) -> dict[str, Any]:
        """What else goes to XCom: key to value."""
        return {}

    def _wait(self, seconds: float) -> None:
        from datetime import timedelta

        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        self.log.info("The server asks to wait %.0f s; giving the slot back until then", seconds)
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=seconds)), method_name="resume")


class _Engines:
    """The database engines of one task, made in the main thread."""

    def __init__(self, operator: _EngineOperator) -> None:
        self.tenants = _sql_engine(operator.sql_conn_id, "sql_conn_id")
        self.ledger = _sql_engine(operator.ledger_conn_id, "ledger_conn_id") if operator.ledger_conn_id else None

    def dispose(self) -> None:
        """Close their connections."""
        self.tenants.dispose()
        if self.ledger is not None:
            self.ledger.dispose()


class ProvisionTenantsOperator(_EngineOperator):
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
        ``dashboard_id`` and ``action`` (templated, as ``only_plan``).
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
        "only_plan",
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

    def run(self, engines: _Engines, context: Context, stop: Stop) -> Report:
        """Read and check every row, then send."""
        import asyncio

        from airflow_provider_databrain.provisioning.intake import take_in
        from airflow_provider_databrain.provisioning.meter import Meter
        from airflow_provider_databrain.provisioning.runner import preview, provision
        from airflow_provider_databrain.provisioning.tenants import read_batch

        spec = self.spec_callable or self.spec
        if spec is None or (self.spec is not None and self.spec_callable is not None):
            raise ValueError("give either spec or spec_callable")
        rules = self.rules()
        repeated = getattr(context.get("ti"), "try_number", 1) > 1
        target = self.target(repeated=repeated)
        ledger = self.ledger(engines, context, target)
        rows = read_batch(engines.tenants, self.source(), self.batch or {}, active_column=self.active_column)
        with take_in(rows, spec, target, ledger, keeps_embed_ids=self.keeps_embed_ids) as intake:
            meter = Meter(target.system, intake.report, len(intake.work))

            async def send() -> Report:
                async with self.transport(stop, meter) as api:
                    if self.planning:
                        return await preview(target, api, intake, rules=rules, stop=stop)
                    report = await provision(target, api, intake, meter=meter, rules=rules, stop=stop, ledger=ledger)
                    await self.after(target, api, report, stop)
                    return report

            return asyncio.run(send())

    keeps_embed_ids = False
    """See ``Report``."""

    async def after(self, target: Any, api: AsyncTransport, report: Report, stop: Stop) -> None:
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

    async def after(self, target: Any, api: AsyncTransport, report: Report, stop: Stop) -> None:
        """Ask for the addresses."""
        from airflow_provider_databrain.provisioning.addresses import addresses

        if self.push_urls:
            self._urls = await addresses(target, api, report, concurrency=self.concurrency, stop=stop)

    def further(self, report: Report) -> dict[str, Any]:
        """The addresses, where asked for."""
        return {} if self._urls is None else {"urls": self._urls}


class RemoveTenantsOperator(_EngineOperator):
    """Remove the dashboards of tenants that are no more, within bounds; returns ``{}``.

    Put it after all batches: one task sees the whole table, so its bounds hold for the whole run. Nothing is removed
    where the table cannot be read, where it is empty, or where more would be removed than the bounds allow; the message
    says what would have been. XCom holds ``counts`` and ``failures`` as ``ProvisionTenantsOperator`` has them.

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: the tenant table (templated).
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant (templated).
    :param active_column: the column that says whether a tenant is active (templated).
    :param ledger_conn_id: the SQL connection of the ledger's database (templated).
    :param ledger_table: the ledger's table (templated).
    :param mode: ``incremental`` removes those whose ``active_column`` says no; ``full`` takes the table for the
        whole truth and also removes those that vanished from it, as far as this Dag provisioned them (templated).
    :param max_deletions: tenants at most in one run; None for no bound.
    :param max_deletion_fraction: of the tenants that the ledger holds, from 0 to 1.
    :param dry_run: remove nothing; return what would be, a list of ``tenant``, ``dashboard_id`` and ``action``. The
        bounds are not applied.
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
        "only_plan",
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

    def run(self, engines: _Engines, context: Context, stop: Stop) -> Report:
        """Compare table and ledger, check the bounds, then remove."""
        import asyncio

        from airflow_provider_databrain.provisioning import removal
        from airflow_provider_databrain.provisioning.meter import Meter
        from airflow_provider_databrain.provisioning.report import Report
        from airflow_provider_databrain.provisioning.tenants import read_keys

        if self.mode == "incremental" and not self.active_column:
            raise ValueError(
                "mode 'incremental' removes what active_column says; name that column. Nothing was removed."
            )
        rules = self.rules()
        guard = removal.Guard(self.max_deletions, self.max_deletion_fraction)
        target = self.target()
        ledger = self.ledger(engines, context, target)
        assert ledger is not None  # noqa: S101 - its connection is required
        rows = read_keys(engines.tenants, self.source(), active_column=self.active_column)
        found = removal.doomed(rows, ledger, self.mode)
        if found.foreign:
            self.log.warning(
                "%d tenants have no row here and were provisioned by another Dag; they are left alone", found.foreign
            )
        report = Report(total=len(found.entries))
        if self.planning:
            report.planned = removal.planned(found.entries)
            return report
        guard.check(found.entries, found.held)
        meter = Meter(target.system, report, len(found.entries))

        async def send() -> Report:
            async with self.transport(stop, meter) as api:
                return await removal.remove(
                    target, api, found.entries, report=report, meter=meter, rules=rules, stop=stop, ledger=ledger
                )

        return asyncio.run(send())
