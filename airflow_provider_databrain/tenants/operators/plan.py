"""Plan key ranges over a tenant table, the same for all vendors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseOperator, Context, conf
from airflow_provider_databrain.sql.engine import sql_engine

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from airflow_provider_databrain.tenants.engine.batches import Batch
    from airflow_provider_databrain.tenants.engine.table import TenantSource


class TenantTableMixin:
    """The arguments that name a tenant table, the same in all operators over one."""

    sql_conn_id: str
    table: str | None
    query: str | None
    key_column: str

    def source(self) -> TenantSource:
        """The tenant table as a value."""
        from airflow_provider_databrain.tenants.engine.table import TenantSource

        return TenantSource(self.key_column, self.table, self.query)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An SQLAlchemy engine of the SQL connection; its connections are closed at the end."""
        engine = sql_engine(self.sql_conn_id, "sql_conn_id")
        try:
            yield engine
        finally:
            engine.dispose()


class PlanTenantBatchesOperator(TenantTableMixin, BaseOperator):
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
        from airflow_provider_databrain.tenants.engine.batches import plan_batches

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
