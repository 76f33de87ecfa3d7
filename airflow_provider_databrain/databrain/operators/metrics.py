"""Operators of the data behind Databrain's metrics. All need the data app API key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import (
    DatabrainOperator,
    ListOperator,
    to_xcom_or_file,
    without_blanks,
)
from airflow_provider_databrain.sql.engine import sql_engine

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received


class _MetricDataOperator(DatabrainOperator):
    """Base of what reads a metric's data."""

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "embed_id",
        "metric_id",
        "client_id",
        "dashboard_filter",
        "metric_filter",
        "datasource_name",
        "extra",
    )
    template_fields_renderers = {"dashboard_filter": "json", "metric_filter": "json"}

    def __init__(
        self,
        *,
        embed_id: str,
        metric_id: str,
        client_id: str,
        dashboard_filter: Mapping[str, Any] | None = None,
        metric_filter: Mapping[str, Any] | None = None,
        datasource_name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.metric_id = metric_id
        self.client_id = client_id
        self.dashboard_filter = dashboard_filter
        self.metric_filter = metric_filter
        self.datasource_name = datasource_name
        self.extra = extra

    def read(self) -> tuple[list[dict[str, Any]], int | None]:
        """The rows, and how many there are at the server; None where it does not tell."""
        from airflow_provider_databrain.databrain.api.metrics import MetricQuery

        fields = without_blanks(
            embed_id=self.embed_id,
            metric_id=self.metric_id,
            client_id=self.client_id,
            dashboard_filter=self.dashboard_filter or None,
            metric_filter=self.metric_filter or None,
            datasource_name=self.datasource_name,
        )
        query = MetricQuery.model_validate({**fields, "extra": dict(self.extra or {})})
        answer = self.hook.fetch_metric_data(query)
        self.log.info("Metric %r of client %r: %d rows", self.metric_id, self.client_id, len(answer.data))
        return answer.data, answer.total_records


class FetchMetricDataOperator(_MetricDataOperator):
    """Fetch the rows of a metric as a client sees them; see ``RowsOperator`` for where they go.

    :param embed_id: the embed that shows the metric (templated).
    :param metric_id: the metric (templated).
    :param client_id: whose data are read (templated).
    :param dashboard_filter: values of the dashboard's filters (templated).
    :param metric_filter: values of the metric's own filters (templated).
    :param datasource_name: for an embed with several datasources (templated).
    :param extra: further fields of the API (templated).
    """

    template_fields: Sequence[str] = (*_MetricDataOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str | None = None, max_xcom_bytes: int = 64 * 1024, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.max_xcom_bytes = max_xcom_bytes

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch, then return or write the rows."""
        rows, total = self.read()
        if total is not None and total > len(rows):
            self.log.warning("Metric %r: %d of %d rows came; narrow the filters", self.metric_id, len(rows), total)
        return to_xcom_or_file(rows, self.output_path, self.max_xcom_bytes)


class MetricDataToSqlOperator(_MetricDataOperator):
    """Write the rows of a metric, as a client sees them, to a table; returns how many.

    One transaction deletes the rows that an earlier run wrote with the same ``constants``, and inserts the present
    ones. So a retried or cleared task leaves each row once, and a run that fails leaves the table as it was. A metric
    with no rows leaves none. Nothing is written where the server has more rows than it sent, or where a column of
    either side has no place in the other.

    Further parameters: see ``FetchMetricDataOperator``.

    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: an existing table, ``schema.table`` possible (templated).
    :param constants: columns that are the same in each row, by which this metric, client and day are told from others,
        such as ``{"client_id": "acme", "day": "{{ ds }}"}`` (templated).
    :param columns: metric's column to table's column; those not named have the same name in both. None leaves a
        column out (templated).
    """

    template_fields: Sequence[str] = (
        *_MetricDataOperator.template_fields,
        "sql_conn_id",
        "table",
        "constants",
        "columns",
    )

    def __init__(
        self,
        *,
        sql_conn_id: str,
        table: str,
        constants: Mapping[str, Any],
        columns: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.constants = constants
        self.columns = columns

    def execute(self, context: Context) -> int:
        """Fetch, then replace; returns how many rows were written.

        :raises ValueError: the rows, the constants and the table do not fit; nothing was written.
        """
        from airflow_provider_databrain.sql.replace_rows import replace_rows

        if not self.constants:
            raise ValueError("constants is empty: it says which rows of the table are this metric's. Nothing was sent.")
        engine = sql_engine(self.sql_conn_id, "sql_conn_id")
        try:
            rows, total = self.read()
            subject = f"metric {self.metric_id!r} of client {self.client_id!r}"
            if total is not None and total > len(rows):
                raise ValueError(
                    f"{subject}: {len(rows)} of {total} rows came, and a part would replace the whole; narrow the "
                    "filters. Nothing was written."
                )
            replace_rows(
                engine, self.table, rows, constants=self.constants, columns=self.columns or {}, subject=subject
            )
        finally:
            engine.dispose()
        return len(rows)


class PublishMetricOperator(DatabrainOperator):
    """Publish a metric that a client made, or end that; returns the metric's id.

    :param embed_id: the embed that has it (templated).
    :param metric_id: the metric (templated).
    :param is_published: False ends it.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "embed_id", "metric_id")

    def __init__(self, *, embed_id: str, metric_id: str, is_published: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.metric_id = metric_id
        self.is_published = is_published

    def execute(self, context: Context) -> str:
        """Publish; returns the metric's id."""
        return self.hook.publish_metric(self.embed_id, self.metric_id, is_published=self.is_published)


class ListScheduledReportsOperator(ListOperator):
    """List the scheduled email reports of an embed, as the API has them; see ``RowsOperator`` too.

    :param embed_id: the embed (templated).
    :param client_id: only this client's (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_scheduled_reports(self.embed_id, client_id=self.client_id or None, page="all")


class FetchEmbedMetricsOperator(ListOperator):
    """Fetch the metrics that a client sees in an embed, with its own; see ``RowsOperator`` too.

    :param embed_id: the embed (templated).
    :param client_id: the client (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.fetch_embed_metrics(self.embed_id, self.client_id, page="all")


class FetchDataAppDashboardsOperator(ListOperator):
    """Fetch the dashboards of the data app that the API key belongs to; see ``RowsOperator``."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.fetch_data_app_dashboards(page="all")


class FetchDashboardMetricsOperator(ListOperator):
    """Fetch the metrics of a workspace's dashboard: rows with ``metricId`` and ``name``; see ``RowsOperator`` too.

    Possibly legacy: newer servers may not have the endpoint.

    :param dashboard_id: the dashboard (templated).
    :param workspace_name: the connection's default where it is not given (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "dashboard_id", "workspace_name")

    def __init__(self, *, dashboard_id: str, workspace_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.workspace_name = workspace_name

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.fetch_dashboard_metrics(
            self.hook.workspace(self.workspace_name), self.dashboard_id, page="all"
        )
