"""Operators that create, update and delete a dashboard.

Each create makes another dashboard in PostHog. So the create operator looks for the mark first (see
``posthog.api.marks``), and a retry finds the dashboard of an earlier try.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import BaseOperatorLink, Context
from airflow_provider_databrain.base.templating import positive_int, task_key
from airflow_provider_databrain.posthog.links import PostHogDashboardLink
from airflow_provider_databrain.posthog.operators.base import OneDashboardOperator, PostHogOperator


class _FieldsOperator(PostHogOperator):
    """Base of the operators that set a dashboard's fields.

    :param name: at most 400 characters (templated).
    :param description: (templated)
    :param tags: (templated)
    :param pinned: show the dashboard at the top of the list.
    :param restriction_level: 21 lets everyone in the project edit, 37 only collaborators (templated).
    :param filters: for example ``{"date_from": "-7d"}`` (templated).
    :param variables: (templated)
    """

    template_fields: Sequence[str] = ("name", "description", "tags", "restriction_level", "filters", "variables")
    template_fields_renderers = {"filters": "json", "variables": "json"}

    def __init__(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        pinned: bool | None = None,
        restriction_level: int | str | None = None,
        filters: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.description = description
        self.tags = tags
        self.pinned = pinned
        self.restriction_level = restriction_level
        self.filters = filters
        self.variables = variables

    def fields(self) -> dict[str, Any]:
        """The fields that have a value."""
        tags = [self.tags] if isinstance(self.tags, str) else self.tags
        level = self.restriction_level
        values: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "tags": None if tags is None else list(tags),
            "pinned": self.pinned,
            "restriction_level": None if level is None else positive_int(level, "restriction_level"),
            "filters": self.filters,
            "variables": self.variables,
        }
        return {name: value for name, value in values.items() if value is not None}


class CreatePostHogDashboardOperator(_FieldsOperator):
    """Create a dashboard, or find the one that an earlier run created; returns its id.

    The dashboard carries a mark made from ``key``, and is found again by it. Other parameters: those of
    ``UpdatePostHogDashboardOperator``.

    :param key: identifies the dashboard; must be unique in the project, for example a tenant's key (templated). Without
        a key, each Dag run creates its own dashboard, and a retry finds the dashboard of an earlier try.
    :param use_template: name of the template that provides the tiles (templated).
    :param use_dashboard: number of the dashboard to copy (templated).
    :param duplicate_tiles: with ``use_dashboard``: copy the insights too. Otherwise both dashboards share them.
    :param create_in_folder: folder of the project tree (templated).
    """

    template_fields: Sequence[str] = (
        *PostHogOperator.template_fields,
        *_FieldsOperator.template_fields,
        "key",
        "use_template",
        "use_dashboard",
        "create_in_folder",
    )
    operator_extra_links = (PostHogDashboardLink(),)

    def __init__(
        self,
        *,
        key: str | None = None,
        use_template: str | None = None,
        use_dashboard: int | str | None = None,
        duplicate_tiles: bool | None = None,
        create_in_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.use_template = use_template
        self.use_dashboard = use_dashboard
        self.duplicate_tiles = duplicate_tiles
        self.create_in_folder = create_in_folder

    def execute(self, context: Context) -> int:
        """Find or create the dashboard; returns its id."""
        from airflow_provider_databrain.posthog.api.models import NewDashboard

        origin = None if self.use_dashboard in (None, "") else positive_int(self.use_dashboard, "use_dashboard")
        new = NewDashboard(
            **self.fields(),
            use_template=self.use_template or None,
            use_dashboard=origin,
            duplicate_tiles=self.duplicate_tiles,
            create_in_folder=self.create_in_folder,
        )
        dashboard, created = self.hook.find_or_create_dashboard(new, self.key or task_key(context))
        self.log.info("Dashboard %d: %s", dashboard.id, "created" if created else "already exists")
        return self.note(dashboard.id)


class UpdatePostHogDashboardOperator(_FieldsOperator, OneDashboardOperator):
    """Change some fields of a dashboard; returns its id. A field that is not given keeps its value.

    :param dashboard_id: number of the dashboard (templated).
    :param name: at most 400 characters (templated).
    :param description: the mark at the end of the old one stays (templated).
    :param tags: replace all tags (templated).
    :param pinned: show the dashboard at the top of the list.
    :param restriction_level: 21 lets everyone in the project edit, 37 only collaborators (templated).
    :param filters: for example ``{"date_from": "-7d"}`` (templated).
    :param variables: (templated)
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, *_FieldsOperator.template_fields)

    def execute(self, context: Context) -> int:
        """Update the dashboard; returns its id."""
        number = self.number()
        self.hook.update_dashboard(number, self.fields())
        return number


class DeletePostHogDashboardOperator(OneDashboardOperator):
    """Delete a dashboard. If it is already deleted, nothing happens. ``PostHogHook.restore_dashboard`` undoes this.

    :param dashboard_id: number of the dashboard (templated).
    :param delete_insights: also delete its insights that are on no other dashboard.
    """

    operator_extra_links: Collection[BaseOperatorLink] = ()

    def __init__(self, *, delete_insights: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete_insights = delete_insights

    def execute(self, context: Context) -> None:
        """Delete the dashboard."""
        from airflow_provider_databrain.client.errors import NotFoundError
        from airflow_provider_databrain.posthog.api.endpoint import is_gone

        number = self.number()
        try:
            self.hook.delete_dashboard(number, delete_insights=self.delete_insights)
        except NotFoundError as error:
            if not is_gone(error):
                raise
            self.log.info("Dashboard %d does not exist or is already deleted", number)
