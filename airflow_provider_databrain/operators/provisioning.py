"""Operators that turn a tenant table into dashboards: plan key ranges, then provision one range a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import BaseHook, BaseOperator, Context, conf
from airflow_provider_databrain.operators.databrain import DatabrainOperator

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from airflow_provider_databrain.provisioning.report import Report
    from airflow_provider_databrain.provisioning.tenants import Batch, TenantSource


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
        hook = BaseHook.get_hook(self.sql_conn_id)
        if not hasattr(hook, "get_sqlalchemy_engine"):
            raise ValueError(f"sql_conn_id: connection {self.sql_conn_id!r} is no SQL connection")
        engine: Engine = hook.get_sqlalchemy_engine()
        try:
            yield engine
        finally:
            engine.dispose()


class PlanTenantBatchesOperator(_TenantTableMixin, BaseOperator):
    """Cut a tenant table into key ranges, one for each mapped task; returns them.

    Give the result to ``ProvisionTenantDashboardsOperator.partial(...).expand(batch=plan.output)``. The ranges
    cover every key there is or will be, so tenants that arrive between plan and run are in one of them; an empty
    table has no batch, and tenants that arrive then wait for the next run.

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


class ProvisionTenantDashboardsOperator(_TenantTableMixin, DatabrainOperator):
    """Make the dashboard of every tenant in one batch exist; returns ``{tenant: dashboard id}``.

    All rows are checked before anything is sent. Then missing dashboards are created, ``concurrency`` at a
    time, and existing ones adopted where they are proved to be the tenant's. One tenant's failure stops no
    other: the ids of the good ones are pushed, then the task fails and names the bad ones. XCom also holds
    ``counts`` (created, adopted, failed) and ``failures`` (tenant, dashboard_id, error, message).

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: the tenant table, ``schema.table`` possible (templated).
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant (templated).
    :param spec: the request's fields (see ``api.databrain.CreateDashboardEmbed``), with ``{column}`` in any string
        for the row's value (templated).
    :param spec_callable: instead of ``spec``, a function that makes the fields of a row (a mapping from column
        name to value).
    :param batch: one of the batches that ``PlanTenantBatchesOperator`` returned; None for the whole table (templated).
    :param concurrency: calls under way at a time.
    :param if_exists: ``adopt`` takes over a dashboard that is proved to be the tenant's; ``fail`` does not, except
        where the task is tried again and an earlier try may have created it.
    :param stamp: note the client id in each new dashboard's metadata, as the proof that ``adopt`` looks for.
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "sql_conn_id",
        "table",
        "query",
        "key_column",
        "spec",
        "batch",
        "if_exists",
    )
    template_fields_renderers = {"query": "sql", "spec": "json", "batch": "json"}

    def __init__(
        self,
        *,
        sql_conn_id: str,
        key_column: str,
        spec: Mapping[str, Any] | None = None,
        spec_callable: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        table: str | None = None,
        query: str | None = None,
        batch: Mapping[str, Any] | None = None,
        concurrency: int = 16,
        if_exists: Literal["adopt", "fail"] = "adopt",
        stamp: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.query = query
        self.key_column = key_column
        self.spec = spec
        # No template field: Airflow would call it as a template of its own.
        self.spec_callable = spec_callable
        self.batch = batch
        self.concurrency = concurrency
        self.if_exists = if_exists
        self.stamp = stamp

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render as Airflow does, but take a batch as it is: its bounds are tenants' keys, and no templates."""
        if content is self.batch and isinstance(content, Mapping):
            return content
        return super().render_template(content, *args, **kwargs)

    def execute(self, context: Context) -> dict[str, str]:
        """Provision the batch; returns the ids, or pushes them and raises ``ProvisioningError``."""
        task_instance = context.get("ti")
        report = self.provision(repeated=getattr(task_instance, "try_number", 1) > 1)
        ids = report.ids()
        self.log.info("Tenants: %s", ", ".join(f"{count} {action}" for action, count in report.counts().items()))
        if task_instance is not None and self.do_xcom_push:
            task_instance.xcom_push(key="counts", value=report.counts())
            task_instance.xcom_push(key="failures", value=report.failures())
            if report.failures():
                # A task that raises returns nothing, and the ids must not be lost with it.
                task_instance.xcom_push(key="return_value", value=ids)
        report.raise_for_failures()
        return ids

    def provision(self, *, repeated: bool = False) -> Report:
        """Read, check, send; returns each tenant's outcome.

        :param repeated: an earlier try of this task may have created some of the dashboards.
        """
        import asyncio

        from airflow_provider_databrain.provisioning.runner import desire_all, provision
        from airflow_provider_databrain.provisioning.targets.databrain import DatabrainTarget
        from airflow_provider_databrain.provisioning.tenants import read_batch

        spec = self.spec_callable or self.spec
        if spec is None or (self.spec is not None and self.spec_callable is not None):
            raise ValueError("give either spec or spec_callable")
        with self.engine() as engine:
            rows = read_batch(engine, self.source(), self.batch or {})
        target = DatabrainTarget(
            workspace_name=self.hook.extras.workspace_name,
            if_exists=self.if_exists,
            stamp=self.stamp,
            repeated=repeated,
        )
        wanted = desire_all(target, spec, rows)

        async def send() -> Report:
            async with self.hook.concurrent(self.concurrency) as api:
                return await provision(target, api, wanted, concurrency=self.concurrency)

        return asyncio.run(send())
