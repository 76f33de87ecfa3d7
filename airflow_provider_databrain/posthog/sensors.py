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

    With ``compute``, each poke looks when each insight of the dashboard was last calculated. If one has no result, or
    one from before ``since``, PostHog calculates the insights, and the sensor looks again. So nobody has to open the
    dashboard. The wait is over when each insight is as new as ``since``. A dashboard without insights has nothing to
    calculate, so its wait is over at once. Before ``since`` has come, nothing is calculated. A calculation that takes
    longer than ``read_timeout`` counts as a failed poll; PostHog may still finish it, and a later poke sees its
    results.

    Without ``compute``, and on a PostHog that is too old for it, only the time counts at which a person last refreshed
    the dashboard in PostHog. Then somebody must open the dashboard, or the sensor waits until its ``timeout``.

    Nobody has run the calculation against a real PostHog yet: it was written from PostHog's source.

    :param dashboard_id: number of the dashboard (templated).
    :param since: the time, as a ``datetime`` or an ISO 8601 string, for example ``{{ data_interval_end }}``. Without a
        time zone it is UTC (templated).
    :param compute: let PostHog calculate the insights. The key then needs the scope query:read beside dashboard:read.
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
        compute: bool = True,
        posthog_conn_id: str = "posthog_default",
        project_id: str | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.since = since
        self.compute = compute
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
            compute=self.compute,
            **polling,
        )
