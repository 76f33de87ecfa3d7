"""Insights: the queries that the tiles of a dashboard show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.models import check_id, json_body, reader
from airflow_provider_databrain.posthog.api.endpoint import endpoint
from airflow_provider_databrain.posthog.api.models import Insight

INSIGHTS = "/api/projects/{project_id}/insights/"
CREATE_INSIGHT = endpoint("create insight", "POST", INSIGHTS, "insight:write", Resend.IF_UNPROCESSED)
UPDATE_INSIGHT = endpoint("update insight", "PATCH", f"{INSIGHTS}{{insight_id}}/", "insight:write")
_read_insight = reader(Insight)


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
