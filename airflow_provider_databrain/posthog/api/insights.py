"""Insights: the queries that the tiles of a dashboard show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.models import check_id, json_body, reader
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, endpoint, for_dashboard
from airflow_provider_databrain.posthog.api.models import Dashboard, Insight, PostHogModel, Tile

INSIGHTS = "/api/projects/{project_id}/insights/"
CREATE_INSIGHT = endpoint("create insight", "POST", INSIGHTS, "insight:write", Resend.IF_UNPROCESSED)
UPDATE_INSIGHT = endpoint("update insight", "PATCH", f"{INSIGHTS}{{insight_id}}/", "insight:write")
RUN_INSIGHTS = endpoint(
    "run insights",
    "GET",
    f"{DASHBOARD}run_insights/",
    "query:read",
    if_missing="Use retrieve_dashboard: it has the results that PostHog calculated last.",
)
_REFRESH = ("force_cache", "blocking", "force_blocking")


class _Results(PostHogModel):
    results: list[Tile]


_read_insight = reader(Insight)
_read_results = reader(_Results)


def create_insight(fields: Mapping[str, Any]) -> Request[Insight]:
    """Create an insight.

    It is not sent again after an ambiguous failure, because each create makes another insight.

    :param fields: ``name``, ``description``, ``query`` and ``dashboards``, the ids of the dashboards that show it.
    """
    return Request(CREATE_INSIGHT, _read_insight, body=json_body(fields))


def update_insight(insight_id: int, fields: Mapping[str, Any]) -> Request[Insight]:
    """Change some fields of an insight. ``dashboards`` replaces all ids of the dashboards that show it."""
    path = {"insight_id": str(check_id(insight_id, "insight_id"))}
    return Request(UPDATE_INSIGHT, _read_insight, body=json_body(fields), path=path)


def run_insights(
    dashboard_id: int, *, refresh: Literal["force_cache", "blocking", "force_blocking"] = "force_cache"
) -> Request[list[Tile]]:
    """The results of all insights of a dashboard: one tile for each insight, with the field ``result`` in its insight.

    Only newer servers have this call, and it was written from PostHog's source: nobody has run it against a real
    PostHog yet. PostHog allows 240 such calls a minute and 1200 an hour for each key. An answer does not say when a
    result was calculated; the tiles of ``retrieve_dashboard`` do (``last_refresh``).

    :param refresh: ``force_cache`` returns what was calculated last, ``blocking`` calculates what PostHog finds too
        old, ``force_blocking`` calculates everything. The answer comes when all is calculated, so it may need a longer
        ``read_timeout``. After an ambiguous failure, ``force_blocking`` is not sent again.
    :raises NotFoundError: the dashboard does not exist.
    :raises EndpointMissingError: the server is too old.
    """
    if refresh not in _REFRESH:
        raise ValueError(f"refresh is {refresh!r}; it must be one of {', '.join(_REFRESH)}")
    # To calculate everything again is harmless but expensive.
    resend = Resend.IF_UNPROCESSED if refresh == "force_blocking" else RUN_INSIGHTS.resend
    query = {"refresh": refresh, "output_format": "json"}
    return Request(replace(RUN_INSIGHTS, resend=resend), _read_tiles, query=query, **for_dashboard(dashboard_id))


def calculated(dashboard: Dashboard) -> list[str | None]:
    """When each insight of a dashboard was last calculated, in ISO 8601; None for one without a result.

    An insight without a query has nothing to calculate and is left out.

    :param dashboard: the answer of ``retrieve_dashboard``.
    """
    return [
        _text(tile, "last_refresh") or _text(tile.insight, "last_refresh")
        for tile in dashboard.tiles or ()
        if tile.insight is not None and _has_query(tile.insight)
    ]


def _has_query(insight: Insight) -> bool:
    """Whether an insight has a query. An old insight has filters in its place."""
    fields = insight.as_row()
    return "query" not in fields or bool(fields["query"] or fields.get("filters"))


def _text(model: PostHogModel, name: str) -> str | None:
    value = model.as_row().get(name)
    return value if isinstance(value, str) else None


def _read_tiles(payload: object) -> list[Tile]:
    return _read_results(payload).results
