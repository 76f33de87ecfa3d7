"""PostHog's sensor. Its trigger holds the condition, so that it means the same with and without a triggerer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.base.sensor import PollSensor

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.triggers import DashboardRefreshedTrigger


class PostHogDashboardRefreshedSensor(PollSensor):
    """Wait until a dashboard was refreshed at or after a given time. Other parameters: see ``PollSensor``.

    :param dashboard_id: number of the dashboard (templated).
    :param since: the time, as a ``datetime`` or an ISO 8601 string, for example ``{{ data_interval_end }}``. Without a
        time zone it is UTC (templated).
    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: replaces the connection's ``project_id`` (templated).
    """

    template_fields: Sequence[str] = ("posthog_conn_id", "project_id", "dashboard_id", "since")
    ui_color = "#fff3d6"

    def __init__(
        self,
        *,
        dashboard_id: int | str,
        since: datetime | str,
        posthog_conn_id: str = "posthog_default",
        project_id: str | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.since = since
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id

    def trigger(self, **polling: Any) -> DashboardRefreshedTrigger:
        """The trigger that polls PostHog.

        :raises ValueError: ``since`` or ``dashboard_id`` cannot be read; nothing was sent.
        """
        from airflow_provider_databrain.base.templating import positive_int
        from airflow_provider_databrain.posthog.triggers import DashboardRefreshedTrigger, parse_time

        since = self.since if isinstance(self.since, str) else self.since.isoformat()
        try:
            parse_time(since)
        except ValueError:
            raise ValueError(f"since is {since!r}; it must be a time in ISO 8601. Nothing was sent.") from None
        return DashboardRefreshedTrigger(
            posthog_conn_id=self.posthog_conn_id,
            project_id=None if self.project_id in (None, "") else str(self.project_id),
            dashboard_id=positive_int(self.dashboard_id, "dashboard_id"),
            since=since,
            **polling,
        )
