"""Links to PostHog."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.airflow_compat import BaseOperatorLink


class PostHogDashboardLink(BaseOperatorLink):
    """The dashboard in PostHog, for members of the project."""

    name = "PostHog dashboard"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address; empty where the task came to no dashboard. Called at the task's end, in its process."""
        return getattr(operator, "page_url", None) or ""


class PostHogSharedPageLink(BaseOperatorLink):
    """The shared page, where the task was asked to return its address."""

    name = "Shared page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address; empty where it was not asked for."""
        return getattr(operator, "shared_url", None) or ""
