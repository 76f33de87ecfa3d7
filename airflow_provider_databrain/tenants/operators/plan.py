"""Planning: a tenant table is cut into batches, one for each mapped task. This module knows no vendor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseOperator, Context, conf
from airflow_provider_databrain.base.arguments import ReadsArguments
from airflow_provider_databrain.sql.engine import sql_engine

if TYPE_CHECKING:
    from airflow_provider_databrain.tenants.engine.batches import Batch


class PlanTenantBatchesOperator(ReadsArguments, BaseOperator):
    """Cut a tenant table into key ranges, one for each mapped task; returns them.

    Give the result to an operator such as
    ``ProvisionTenantDashboardsOperator.partial(...).expand(batch=plan.output)``. The ranges cover every key, including
    keys that are added after the plan. An empty table gives no batch; tenants added then wait for the next run.

    A batch names its source: connection, table (or a hash of the query) and key column. A task that reads another
    source refuses it. Give both tasks the same arguments. If the provisioning task reads a query that joins more
    columns, plan over that query too.

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: the tenant table, optionally with the schema: ``schema.table`` (templated). Write a part that contains
        a dot in double quotes: ``crm."tenants.2026"``.
    :param query: a SELECT statement instead of a table (templated).
    :param key_column: the column that identifies a tenant; unique, never null (templated).
    :param batch_size: tenants in a batch. Batches are larger if there would be more of them than Airflow maps
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
        from airflow_provider_databrain.tenants.engine.planned import planned_from
        from airflow_provider_databrain.tenants.engine.table import TenantSource

        source = TenantSource(self.key_column, self.table, self.query)
        engine = sql_engine(self.sql_conn_id, "sql_conn_id")
        try:
            batches = plan_batches(
                engine,
                source,
                batch_size=self.batch_size,
                max_batches=conf.getint("core", "max_map_length", fallback=1024),
            )
        finally:
            engine.dispose()
        for batch in batches:
            batch["source"] = planned_from(self.sql_conn_id, source)
        tenants = sum(batch["rows"] for batch in batches)
        self.log.info("%d tenants in %d batches", tenants, len(batches))
        if batches and batches[0]["rows"] > self.batch_size:
            self.log.warning(
                "Batches have %d tenants instead of %d, because Airflow maps at most [core] max_map_length batches",
                batches[0]["rows"],
                self.batch_size,
            )
        return batches
