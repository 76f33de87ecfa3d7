"""Operators that create, update and delete a PostHog dashboard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import BaseOperatorLink, Context
from airflow_provider_databrain.base.templating import own_key, whole
from airflow_provider_databrain.posthog.links import PostHogDashboardLink
from airflow_provider_databrain.posthog.operators.base import OneDashboardOperator, PostHogOperator


class _FieldsOperator(PostHogOperator):
    """Base of the operators that set a dashboard's fields.

    :param name: at most 400 characters (templated).
    :param description: (templated)
    :param tags: (templated)
    :param pinned: show it at the top of the list.
    :param restriction_level: 21: everyone in the project may edit; 37: collaborators only (templated).
    :param filters: such as ``{"date_from": "-7d"}`` (templated).
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
        """What was given."""
        tags = [self.tags] if isinstance(self.tags, str) else self.tags
        level = self.restriction_level
        values: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "tags": None if tags is None else list(tags),
            "pinned": self.pinned,
            "restriction_level": None if level is None else whole(level, "restriction_level"),
            "filters": self.filters,
            "variables": self.variables,
        }
        return {name: value for name, value in values.items() if value is not None}


class CreatePostHogDashboardOperator(_FieldsOperator):
    """Create a dashboard, or find the one that an earlier run created; returns its id.

    PostHog makes one more with each create. So a dashboard carries a mark, made of ``key``, by which it is found again.
    Further parameters: those of ``UpdatePostHogDashboardOperator``.

    :param key: what the dashboard is found again by, unique in the project, such as a tenant's key (templated). Where
        it is not given, each Dag run makes its own, and only a retry finds what an earlier try made.
    :param use_template: name of the template that the tiles come from (templated).
    :param use_dashboard: number of the dashboard that it is a copy of (templated).
    :param duplicate_tiles: with ``use_dashboard``: copy the insights too, instead of sharing them.
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
        """Find or create; returns the dashboard's id."""
        from airflow_provider_databrain.posthog.api.models import NewDashboard

        origin = None if self.use_dashboard in (None, "") else whole(self.use_dashboard, "use_dashboard")
        new = NewDashboard(
            **self.fields(),
            use_template=self.use_template or None,
            use_dashboard=origin,
            duplicate_tiles=self.duplicate_tiles,
            create_in_folder=self.create_in_folder,
        )
        dashboard, created = self.hook.find_or_create_dashboard(new, self.key or own_key(context))
        self.log.info("Dashboard %d: %s", dashboard.id, "created" if created else "was there")
        return self.note(dashboard.id)


class UpdatePostHogDashboardOperator(_FieldsOperator, OneDashboardOperator):
    """Change some of a dashboard's fields; returns its id. What is not given stays as it is.

    :param dashboard_id: number of the dashboard (templated).
    :param name: at most 400 characters (templated).
    :param description: (templated)
    :param tags: replace the present ones, the mark of a dashboard that is found by one included (templated).
    :param pinned: show it at the top of the list.
    :param restriction_level: 21: everyone in the project may edit; 37: collaborators only (templated).
    :param filters: such as ``{"date_from": "-7d"}`` (templated).
    :param variables: (templated)
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, *_FieldsOperator.template_fields)

    def execute(self, context: Context) -> int:
        """Update; returns the dashboard's id."""
        number = self.number()
        self.hook.update_dashboard(number, self.fields())
        return number


class DeletePostHogDashboardOperator(OneDashboardOperator):
    """Delete a dashboard; one that is deleted already is no error. ``PostHogHook.restore_dashboard`` brings it back.

    :param dashboard_id: number of the dashboard (templated).
    :param delete_insights: delete those of its insights too that are on no other dashboard.
    """

    operator_extra_links: Collection[BaseOperatorLink] = ()

    def __init__(self, *, delete_insights: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete_insights = delete_insights

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import NotFoundError

        number = self.number()
        try:
            self.hook.delete_dashboard(number, delete_insights=self.delete_insights)
        except NotFoundError:
            self.log.info("Dashboard %d is deleted already", number)
