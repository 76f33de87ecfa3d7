"""Waiting for a dashboard's refresh, on the triggerer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_databrain.base.trigger import PollTrigger
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.posthog.api import dashboards
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.hook import PostHogHook


def moment(text: str) -> datetime:
    """A time in ISO 8601; without a zone, it is UTC."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


class DashboardRefreshedTrigger(PollTrigger):
    """Fires once a dashboard was refreshed at or after a time; further parameters: see ``PollTrigger``.

    :param posthog_conn_id: the Airflow connection.
    :param project_id: instead of the connection's.
    :param dashboard_id: number of the dashboard.
    :param since: the time, in ISO 8601.
    """

    def __init__(
        self, *, posthog_conn_id: str, project_id: str | None, dashboard_id: int, since: str, **polling: Any
    ) -> None:
        super().__init__(
            posthog_conn_id=posthog_conn_id,
            project_id=project_id,
            dashboard_id=dashboard_id,
            since=since,
            **polling,
        )
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id
        self.dashboard_id = dashboard_id
        self.since = since

    def hook(self) -> PostHogHook:
        """A hook of its own."""
        return PostHogHook(self.posthog_conn_id, self.project_id, **self.timeouts)

    def subject(self, hook: Any) -> str:
        """The dashboard."""
        return f"dashboard {self.dashboard_id}"

    def call(self, hook: Any) -> Request[Dashboard]:
        """The dashboard itself."""
        return dashboards.retrieve_dashboard(self.dashboard_id)

    def unmet(self, answer: Dashboard) -> str | None:
        """When it was refreshed, where that is too long ago."""
        if answer.last_refresh is None:
            return f"it was never refreshed; waiting for {self.since}"
        if moment(answer.last_refresh) < moment(self.since):
            return f"it was last refreshed at {answer.last_refresh}; waiting for {self.since}"
        return None
