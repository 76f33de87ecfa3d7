"""Databrain's metrics: the metrics of an embed or dashboard, their data, and what else a data app shows.

A data app also shows dashboards and sends scheduled reports; the lists of both are here.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, Field, JsonValue

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, endpoint, read_id
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader, workspace_page
from airflow_provider_databrain.databrain.api.workspaces import Metric, WorkspaceDashboard, read_metrics

_CODES = {
    "INVALID_METRIC_ID": NotFoundError,
    "DATASOURCE_NAME_ERROR": NotFoundError,
    "DASHBOARD_PARAM_ERROR": NotFoundError,
}

# Page fetch-dashboards-by-datapp.
FETCH_DATA_APP_DASHBOARDS = endpoint("fetch data app dashboards", "GET", "/data-app/dashboards", API_KEY)
# Page fetch-metrics-by-embed-and-client.
FETCH_EMBED_METRICS = endpoint("fetch embed metrics", "GET", "/data-app/metrics", API_KEY, codes=_CODES)
# Not in the present reference, possibly legacy. The facts are from the vendor's own demo code, which sent a data app
# key.
FETCH_DASHBOARD_METRICS = endpoint(
    "fetch dashboard metrics", "POST", "/workspace/dashboard/metrics", API_KEY, codes=_CODES, resend=Resend.ALWAYS
)
# Page publish-metric.
PUBLISH_METRIC = endpoint("publish metric", "PUT", "/data-app/metrics/publish", API_KEY, codes=_CODES)
# Page fetch-metric-data-by-dataapp. A POST that only reads.
FETCH_METRIC_DATA = endpoint(
    "fetch metric data",
    "POST",
    "/data-app/query",
    API_KEY,
    legacy_path="/api/v2/dataApp/query",
    codes=_CODES,
    resend=Resend.ALWAYS,
)
# Page list-schedule-reports-by-embed.
LIST_SCHEDULED_REPORTS = endpoint("list scheduled reports", "GET", "/data-app/embeds/reports", API_KEY, codes=_CODES)


class DataAppDashboard(WorkspaceDashboard):
    """A dashboard of the data app. Older servers answer without ``embed_id``."""

    embed_id: str | None = None


class EmbedMetric(Metric):
    """A metric that a client sees.

    :param created_by_user: the client's user who created it; None if it came with the dashboard.
    """

    is_published: bool | None = None
    created_by_user: JsonValue = None


class MetricQuery(Extensible):
    """A query for a metric's data.

    There is one more filter, for embeds with several datamarts. It goes into ``extra``: its name is not known.

    :param client_id: the client whose data is read.
    :param dashboard_filter: values of the dashboard's filters.
    :param metric_filter: values of the metric's own filters.
    :param datasource_name: for an embed with several datasources.
    """

    embed_id: Name
    metric_id: Name
    client_id: Name
    dashboard_filter: dict[str, JsonValue] | None = None
    metric_filter: dict[str, JsonValue] | None = None
    datasource_name: Name | None = None


class DataColumn(Received):
    """A column of a metric's data."""

    name: str
    data_type: str | None = None


class MetricMetaData(Received):
    """The columns of a metric's data."""

    columns: list[DataColumn] = Field(default_factory=list)
    groupby_column_list: list[str] = Field(default_factory=list)


class MetricData(Received):
    """A metric's data.

    :param data: the rows; each maps a column to its value.
    :param time_taken: milliseconds.
    :param metric_id: the server names it ``metricid``; ``metricId`` is read too.
    """

    data: list[dict[str, JsonValue]]
    time_taken: float | None = None
    comparison_value: JsonValue = None
    total_records: int | None = None
    meta_data: MetricMetaData | None = None
    metric_id: str | None = Field(
        default=None, validation_alias=AliasChoices("metricid", "metricId"), serialization_alias="metricid"
    )


class ReportMetric(Received):
    """A metric in a report."""

    metric_id: str | None = None


class ReportChart(Received):
    """A chart in a report."""

    external_metric: ReportMetric | None = None


class ScheduledReport(Received):
    """A report that is sent by email.

    :param time_configurations: when it is sent: frequency, time, timezone, day.
    """

    id: str
    subject: str | None = None
    schedule_email_report_charts: list[ReportChart] = Field(default_factory=list)
    time_configurations: JsonValue = None
    created_at: str | None = None
    updated_at: str | None = None
    client_id: str | None = None
    embed_id: str | None = None
    created_by_identifier: str | None = None

    @property
    def metric_ids(self) -> list[str]:
        """The ids of the metrics that it shows."""
        shown = (chart.external_metric for chart in self.schedule_email_report_charts)
        return [metric.metric_id for metric in shown if metric and metric.metric_id]


_read_dashboards = rows_reader(DataAppDashboard)
_read_embed_metrics = rows_reader(EmbedMetric)
_read_reports = rows_reader(ScheduledReport)
_read_data = reader(MetricData)


def fetch_data_app_dashboards(
    *, page: Page = None, extra: Mapping[str, str] | None = None
) -> Call[list[DataAppDashboard]]:
    """The dashboards of the data app.

    :param extra: more fields of the query. One filters by dashboard names; its name is not known.
    :raises ValueError: ``extra`` repeats a known field.
    """
    return pages(
        lambda number: Request(FETCH_DATA_APP_DASHBOARDS, _read_dashboards, query=_query(page_query(number), extra)),
        page,
    )


def fetch_embed_metrics(
    embed_id: str, client_id: str, *, is_metric: bool | None = None, page: Page = None
) -> Call[list[EmbedMetric]]:
    """The metrics that a client sees in an embed. A metric that a client created is visible to that client only.

    :param is_metric: True asks for metrics only.
    :raises ValueError: an id is blank.
    """
    query = {"embedId": not_blank(embed_id, "embed_id"), "clientId": not_blank(client_id, "client_id")}
    if is_metric is not None:
        query["isMetric"] = "true" if is_metric else "false"
    return pages(
        lambda number: Request(
            FETCH_EMBED_METRICS,
            _read_embed_metrics,
            query=query | page_query(number),
            tenant=client_id,
            dashboard=embed_id,
        ),
        page,
    )


def fetch_dashboard_metrics(workspace_name: str, dashboard_id: str, *, page: Page = None) -> Call[list[Metric]]:
    """The metrics of a dashboard in a workspace. Possibly legacy: newer servers may not have it.

    :raises ValueError: an argument is blank.
    """
    not_blank(dashboard_id, "dashboard_id")
    return pages(
        lambda number: Request(
            FETCH_DASHBOARD_METRICS,
            read_metrics,
            body=workspace_page(workspace_name, number, dashboardId=dashboard_id),
            dashboard=dashboard_id,
        ),
        page,
    )


def publish_metric(embed_id: str, metric_id: str, *, is_published: bool = True) -> Request[str]:
    """Publish an embed's metric, or unpublish it. The result is the metric's id.

    Unclear failures are tried again: the same state twice changes nothing more.

    :raises ValueError: an id is blank.
    """
    body = {
        "embedId": not_blank(embed_id, "embed_id"),
        "metricId": not_blank(metric_id, "metric_id"),
        "isPublished": is_published,
    }
    return Request(PUBLISH_METRIC, read_id, body=json_body(body), dashboard=embed_id)


def fetch_metric_data(query: MetricQuery) -> Request[MetricData]:
    """The data that a metric shows to a client."""
    return Request(
        FETCH_METRIC_DATA,
        _read_data,
        body=json_body(wire(query)),
        tenant=query.client_id,
        dashboard=query.embed_id,
    )


def list_scheduled_reports(
    embed_id: str, *, client_id: str | None = None, page: Page = None, extra: Mapping[str, str] | None = None
) -> Call[list[ScheduledReport]]:
    """The scheduled reports of an embed.

    :param client_id: only this client's reports.
    :param extra: more fields of the query. One filters by user; its name is not known.
    :raises ValueError: ``embed_id`` is blank, or ``extra`` repeats a known field.
    """
    query = {"embedId": not_blank(embed_id, "embed_id")} | ({} if client_id is None else {"clientId": client_id})
    return pages(
        lambda number: Request(
            LIST_SCHEDULED_REPORTS,
            _read_reports,
            query=_query(query | page_query(number), extra),
            tenant=client_id,
            dashboard=embed_id,
        ),
        page,
    )


def _query(known: Mapping[str, str], extra: Mapping[str, str] | None) -> dict[str, str]:
    """The query of a list: our own fields, then the caller's.

    :raises ValueError: ``extra`` repeats a known field.
    """
    names = {"embedId", "clientId", "isPagination", "pageNumber"}
    if repeated := sorted(names & set(extra or {})):
        raise ValueError(f"extra repeats known fields: {', '.join(repeated)}; pass them as arguments")
    return {**known, **(extra or {})}
