"""PostHog's trigger: it waits on the triggerer until a dashboard is refreshed.

There are two kinds of refresh, and PostHog notes them apart:

- Each insight has the time of its last calculation (``last_refresh`` of a tile). A newer PostHog calculates insights
  for a caller; that takes one analytics call, of which PostHog allows 240 a minute and 1200 an hour for each key.
- The dashboard has the time when a person last refreshed it in PostHog's UI. Nothing else sets it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_databrain.base.trigger import PollTrigger
from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.client.errors import AuthenticationError, EndpointMissingError
from airflow_provider_databrain.posthog.api import dashboards, insights
from airflow_provider_databrain.posthog.api.endpoint import Steps
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.hook import PostHogHook

BY_HAND = "somebody must open the dashboard in PostHog, because only its UI notes a refresh"
TOO_OLD = "this PostHog is too old to calculate insights for a caller, so "
WITHOUT_SCOPE = "Without this scope, set compute=False; then somebody must open the dashboard in PostHog."


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
    :param compute: let PostHog calculate the insights; see ``PostHogDashboardRefreshedSensor``.
    """

    def __init__(
        self,
        *,
        posthog_conn_id: str,
        project_id: str | None,
        dashboard_id: int,
        since: str,
        compute: bool = True,
        **polling: Any,
    ) -> None:
        super().__init__(
            posthog_conn_id=posthog_conn_id,
            project_id=project_id,
            dashboard_id=dashboard_id,
            since=since,
            compute=compute,
            **polling,
        )
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id
        self.dashboard_id = dashboard_id
        self.since = since
        self.compute = compute
        self._too_old = False

    def hook(self) -> PostHogHook:
        """A new hook."""
        return PostHogHook(self.posthog_conn_id, self.project_id, **self.timeouts)

    def subject(self, hook: Any) -> str:
        """The dashboard, for messages."""
        return f"dashboard {self.dashboard_id}"

    def call(self, hook: Any) -> Call[Dashboard]:
        """Look at the dashboard; with ``compute``, let PostHog calculate what is too old, and look again."""
        return self._look() if self.compute else dashboards.retrieve_dashboard(self.dashboard_id)

    def unmet(self, answer: Dashboard) -> str | None:
        """What was last refreshed before ``since``; None if nothing was."""
        if self.compute and not self._too_old:
            return self._old_insights(answer)
        if answer.last_refresh is not None and not self._is_old(answer.last_refresh):
            return None
        last = f"last refreshed at {answer.last_refresh}" if answer.last_refresh else "never refreshed"
        return f"it was {last}; waiting for {self.since}; {TOO_OLD if self._too_old else ''}{BY_HAND}"

    def _look(self) -> Steps[Dashboard]:
        dashboard: Dashboard = yield dashboards.retrieve_dashboard(self.dashboard_id)
        self._too_old = False
        # A result that is calculated before ``since`` would be too old.
        if self._old_insights(dashboard) is None or parse_time(self.since) > datetime.now(UTC):
            return dashboard
        # ``blocking`` calculates what has no result. It keeps a result that PostHog finds fresh, also one before
        # ``since``.
        old = any(time is not None and self._is_old(time) for time in insights.calculated(dashboard))
        try:
            yield insights.run_insights(self.dashboard_id, refresh="force_blocking" if old else "blocking")
        except EndpointMissingError:
            self._too_old = True
            return dashboard
        except AuthenticationError as refused:
            if refused.status == 403 and refused.from_api:
                refused.hint = f"{refused.hint} {WITHOUT_SCOPE}"
            raise
        dashboard = yield dashboards.retrieve_dashboard(self.dashboard_id)
        return dashboard

    def _old_insights(self, dashboard: Dashboard) -> str | None:
        """How many insights were calculated before ``since`` or never; None if each is new enough."""
        times = insights.calculated(dashboard)
        never = times.count(None)
        old = sorted((time for time in times if time is not None and self._is_old(time)), key=parse_time)
        if not never and not old:
            return None
        parts = [f"{never} without a result"] if never else []
        parts += [f"{len(old)} too old, the oldest of {old[0]}"] if old else []
        return f"of {len(times)} insights, {' and '.join(parts)}; waiting for {self.since}"

    def _is_old(self, time: str) -> bool:
        return parse_time(time) < parse_time(self.since)
