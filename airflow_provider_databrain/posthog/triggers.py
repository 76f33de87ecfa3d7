"""PostHog's trigger: it waits on the triggerer until a dashboard is refreshed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_databrain.base.trigger import PollTrigger
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.posthog.api import dashboards
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.hook import PostHogHook


def parse_time(value: str) -> datetime:
    """Read a time in ISO 8601. Without a time zone it is UTC.

    :raises ValueError: ``value`` is not a time in ISO 8601.
    """
    time = datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class DashboardRefreshedTrigger(PollTrigger):
    """Fires when a dashboard was refreshed at or after a given time. Other parameters: see ``PollTrigger``.

    :param posthog_conn_id: the Airflow connection.
    :param project_id: replaces the connection's ``project_id``; None keeps it.
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
        """A new hook."""
        return PostHogHook(self.posthog_conn_id, self.project_id, **self.timeouts)

    def subject(self, hook: Any) -> str:
        """The dashboard, for messages."""
        return f"dashboard {self.dashboard_id}"

    def call(self, hook: Any) -> Request[Dashboard]:
        """Retrieve the dashboard."""
        return dashboards.retrieve_dashboard(self.dashboard_id)

    def unmet(self, answer: Dashboard) -> str | None:
        """When it was last refreshed, if that was before ``since``; otherwise None."""
        if answer.last_refresh is None:
            return f"it was never refreshed; waiting for {self.since}"
        if parse_time(answer.last_refresh) < parse_time(self.since):
            return f"it was last refreshed at {answer.last_refresh}; waiting for {self.since}"
        return None
