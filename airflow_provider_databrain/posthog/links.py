"""Links to PostHog in Airflow's UI.

Airflow calls ``get_link`` when the task ends, in the task's process. The operator remembers the URL until then.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.airflow_compat import BaseOperatorLink


class PostHogDashboardLink(BaseOperatorLink):
    """Link to the dashboard in PostHog, for members of the project."""

    name = "PostHog dashboard"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The URL; empty if the task did not get a dashboard."""
        return getattr(operator, "page_url", None) or ""


class PostHogSharedPageLink(BaseOperatorLink):
    """Link to the shared page, if the task was asked to return its URL."""

    name = "Shared page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The URL; empty if the task was not asked to return it."""
        return getattr(operator, "shared_url", None) or ""
