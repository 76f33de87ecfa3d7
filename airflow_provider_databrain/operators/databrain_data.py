"""Operators of the data behind Databrain's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.operators.databrain import DatabrainOperator, RowsOperator


class FetchMetricDataOperator(RowsOperator):
    """Fetch the rows of a metric as a client sees them; see ``RowsOperator`` for where they go.

    Needs the data app API key.

    :param embed_id: the embed that shows the metric (templated).
    :param metric_id: the metric (templated).
    :param client_id: whose data are read (templated).
    :param dashboard_filter: values of the dashboard's filters (templated).
    :param metric_filter: values of the metric's own filters (templated).
    :param datasource_name: for an embed with several datasources (templated).
    :param extra: further fields of the API (templated).
    """

    template_fields: Sequence[str] = (
        *RowsOperator.template_fields,
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

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch, then return or write the rows."""
        from airflow_provider_databrain.api.databrain_data import MetricQuery

        query = MetricQuery(
            embed_id=self.embed_id,
            metric_id=self.metric_id,
            client_id=self.client_id,
            dashboard_filter=dict(self.dashboard_filter) if self.dashboard_filter else None,
            metric_filter=dict(self.metric_filter) if self.metric_filter else None,
            datasource_name=self.datasource_name or None,
            extra=dict(self.extra or {}),
        )
        answer = self.hook.fetch_metric_data(query)
        total = answer.total_records
        if total is not None and total > len(answer.data):
            self.log.warning(
                "Metric %r: %d of %d rows came; narrow the filters", self.metric_id, len(answer.data), total
            )
        self.log.info("Metric %r of client %r: %d rows", self.metric_id, self.client_id, len(answer.data))
        return self.hand_on(answer.data)


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


class ListScheduledReportsOperator(RowsOperator):
    """List the scheduled email reports of an embed, as the API has them; see ``RowsOperator`` too.

    :param embed_id: the embed (templated).
    :param client_id: only this client's (templated).
    """

    template_fields: Sequence[str] = (*RowsOperator.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """List."""
        reports = self.hook.list_scheduled_reports(self.embed_id, client_id=self.client_id or None, page="all")
        return self.hand_on([one.as_row() for one in reports])
