"""What PostHog's operators share: the hook, the dashboard's id and the link to the dashboard.

Arguments come through templates, so a number may be a string. An invalid argument is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseOperatorLink
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.base.templating import positive_int
from airflow_provider_databrain.posthog.links import PostHogDashboardLink

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.hook import PostHogHook


class PostHogOperator(ApiOperator):
    """Base of PostHog's operators. Other parameters: see ``ApiOperator``.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: replaces the connection's ``project_id`` (templated).
    """

    template_fields: Sequence[str] = ("posthog_conn_id", "project_id")
    ui_color = "#fff3d6"
    page_url: str | None = None
    """URL of the dashboard in PostHog, for the link in the UI; None until the task has a dashboard."""

    def __init__(
        self, *, posthog_conn_id: str = "posthog_default", project_id: str | int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id

    @cached_property
    def hook(self) -> PostHogHook:
        """The hook, created when it is first used."""
        from airflow_provider_databrain.posthog.hook import PostHogHook

        return PostHogHook(self.posthog_conn_id, self.project_id, **self.timeouts)

    def note(self, dashboard_id: int) -> int:
        """Remember the dashboard's URL for the link; returns the id."""
        project = self.hook.project_id
        within = "" if project.startswith("@") else f"/project/{project}"
        self.page_url = f"{self.hook.server.base_url}{within}/dashboard/{dashboard_id}"
        return dashboard_id


class OneDashboardOperator(PostHogOperator):
    """Base of the operators that work on one dashboard.

    :param dashboard_id: number of the dashboard (templated).
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, "dashboard_id")
    operator_extra_links: Collection[BaseOperatorLink] = (PostHogDashboardLink(),)

    def __init__(self, *, dashboard_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id

    def number(self) -> int:
        """The dashboard's id as a number; remembers it for the link.

        :raises ValueError: ``dashboard_id`` is not a whole number above 0; nothing was sent.
        """
        return self.note(positive_int(self.dashboard_id, "dashboard_id"))
