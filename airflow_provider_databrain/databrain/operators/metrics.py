"""Operators of Databrain's metrics, their data, and where they are shown. All need the data app API key."""

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
    """Base of the operators that read a metric's data."""

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
        """Fetch the rows, and how many rows the server has in all; None if the server does not say."""
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
    """Fetch the rows of a metric as one client sees them; returns the rows, each by column.

    If the server sends only a part of the rows, a warning in the log says so.

    Further parameters: see ``RowsOperator``.

    :param embed_id: the embed that shows the metric (templated).
    :param metric_id: the metric (templated).
    :param client_id: the client whose data is read (templated).
    :param dashboard_filter: values of the dashboard's filters (templated).
    :param metric_filter: values of the metric's own filters (templated).
    :param datasource_name: the datasource, if the embed has several (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    """

    template_fields: Sequence[str] = (*_MetricDataOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str | None = None, max_xcom_bytes: int = 64 * 1024, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.max_xcom_bytes = max_xcom_bytes

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch the rows, then return them or write them to a file.

        :raises ValueError: a field is blank, or the rows are larger than ``max_xcom_bytes``.
        :raises NotFoundError: the embed, the metric or the datasource does not exist for this client.
        """
        rows, total = self.read()
        if total is not None and total > len(rows):
            self.log.warning(
                "Metric %r: the server sent %d of %d rows; narrow the filters", self.metric_id, len(rows), total
            )
        return to_xcom_or_file(rows, self.output_path, self.max_xcom_bytes)


class MetricDataToSqlOperator(_MetricDataOperator):
    """Write the rows of a metric, as one client sees them, to an SQL table; returns the number of rows.

    One transaction deletes the rows that an earlier run wrote with the same ``constants``, and inserts the new rows.
    So a task that is retried or cleared writes each row once, and a failed run leaves the table unchanged. If the
    metric has no rows, the transaction only deletes. The task writes nothing if the server has more rows than it sent,
    or if a column of the metric or of the table does not fit the other side.

    Further parameters: see ``DatabrainOperator``.

    :param embed_id: the embed that shows the metric (templated).
    :param metric_id: the metric (templated).
    :param client_id: the client whose data is read (templated).
    :param dashboard_filter: values of the dashboard's filters (templated).
    :param metric_filter: values of the metric's own filters (templated).
    :param datasource_name: the datasource, if the embed has several (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    :param sql_conn_id: the Airflow connection of the database (templated).
    :param table: an existing table, as ``table`` or ``schema.table`` (templated). Write a part that contains a dot in
        double quotes: ``crm."sales.2026"``.
    :param constants: columns with the same value in each row. They identify the rows of this metric, client and day in
        the table, for example ``{"client_id": "acme", "day": "{{ ds }}"}`` (templated).
    :param columns: the metric's column to the table's column. None leaves a column out. A column that is not listed has
        the same name in both (templated).
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
        """Fetch the rows, then replace those in the table; returns the number of rows.

        :raises ValueError: ``constants`` is empty, a field is blank, the server sent only a part of the rows, or rows
            and table do not fit; nothing was written.
        :raises NotFoundError: the embed, the metric or the datasource does not exist for this client.
        """
        from airflow_provider_databrain.sql.replace_rows import replace_rows

        if not self.constants:
            raise ValueError("constants is empty; it must identify this metric's rows in the table. Nothing was sent.")
        engine = sql_engine(self.sql_conn_id, "sql_conn_id")
        try:
            rows, total = self.read()
            subject = f"metric {self.metric_id!r} of client {self.client_id!r}"
            if total is not None and total > len(rows):
                raise ValueError(
                    f"{subject}: the server sent {len(rows)} of {total} rows, and a part must not replace the whole; "
                    "narrow the filters. Nothing was written."
                )
            replace_rows(
                engine, self.table, rows, constants=self.constants, columns=self.columns or {}, subject=subject
            )
        finally:
            engine.dispose()
        return len(rows)


class PublishMetricOperator(DatabrainOperator):
    """Publish a metric that a client created, or unpublish it; returns the metric's id.

    Further parameters: see ``DatabrainOperator``.

    :param embed_id: the embed that contains the metric (templated).
    :param metric_id: the metric (templated).
    :param is_published: True publishes the metric, False unpublishes it.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "embed_id", "metric_id")

    def __init__(self, *, embed_id: str, metric_id: str, is_published: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.metric_id = metric_id
        self.is_published = is_published

    def execute(self, context: Context) -> str:
        """Publish or unpublish the metric; returns its id.

        :raises ValueError: an id is blank; nothing was sent.
        :raises NotFoundError: the embed or the metric does not exist.
        """
        return self.hook.publish_metric(self.embed_id, self.metric_id, is_published=self.is_published)


class ListScheduledReportsOperator(ListOperator):
    """List the scheduled email reports of an embed; returns rows with ``id``.

    Further parameters: see ``RowsOperator``.

    :param embed_id: the embed (templated).
    :param client_id: list only this client's reports (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_scheduled_reports(self.embed_id, client_id=self.client_id or None, page="all")


class FetchEmbedMetricsOperator(ListOperator):
    """Fetch the metrics that a client sees in an embed, including its own; returns rows with ``metricId`` and ``name``.

    Further parameters: see ``RowsOperator``.

    :param embed_id: the embed (templated).
    :param client_id: the client (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.fetch_embed_metrics(self.embed_id, self.client_id, page="all")


class FetchDataAppDashboardsOperator(ListOperator):
    """Fetch the dashboards of the API key's data app; returns rows with ``externalDashboardId`` and ``name``.

    Parameters: see ``RowsOperator``.
    """

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.fetch_data_app_dashboards(page="all")


class FetchDashboardMetricsOperator(ListOperator):
    """Fetch the metrics of a dashboard in a workspace; returns rows with ``metricId`` and ``name``.

    The endpoint may be legacy: newer servers may not have it.

    Further parameters: see ``RowsOperator``.

    :param dashboard_id: the dashboard (templated).
    :param workspace_name: the workspace; the connection's default if not set (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "dashboard_id", "workspace_name")

    def __init__(self, *, dashboard_id: str, workspace_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.workspace_name = workspace_name

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.fetch_dashboard_metrics(
            self.hook.workspace(self.workspace_name), self.dashboard_id, page="all"
        )
