"""The operator that creates a PostHog dashboard from a template as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.templating import own_key
from airflow_provider_databrain.posthog.links import PostHogDashboardLink
from airflow_provider_databrain.posthog.operators.base import PostHogOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.api.models import Dashboard


class CreatePostHogDashboardFromTemplateOperator(PostHogOperator):
    """Create a dashboard from a template as JSON, or find the one that an earlier run created; returns its id.

    :param template: ``template_name``, ``dashboard_description``, ``dashboard_filters`` and ``tiles`` (templated).
    :param key: as in ``CreatePostHogDashboardOperator`` (templated).
    :param method: ``template`` is PostHog's own action, refused to every key that has scopes; ``build`` makes the
        same of a dashboard, insights and tiles, with dashboard:write and insight:write; ``auto`` takes the second
        where the first is refused.
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, "template", "key")
    template_fields_renderers = {"template": "json"}
    operator_extra_links = (PostHogDashboardLink(),)

    def __init__(
        self,
        *,
        template: Mapping[str, Any],
        key: str | None = None,
        method: Literal["auto", "template", "build"] = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template = template
        self.key = key
        self.method = method

    def execute(self, context: Context) -> int:
        """Find or create; returns the dashboard's id."""
        from airflow_provider_databrain.posthog.api.marks import mark_of, with_that_mark
        from airflow_provider_databrain.posthog.api.templates import check_template

        if self.method not in ("auto", "template", "build"):
            raise ValueError(f"method is {self.method!r}; it is 'auto', 'template' or 'build'. Nothing was sent.")
        check_template(self.template)
        mark = mark_of(self.key or own_key(context))
        if found := with_that_mark(self.hook.list_dashboards(), mark):
            self.log.info("Dashboard %d was there", found[0].id)
            return self.note(found[0].id)
        return self.note(self._create(mark).id)

    def _create(self, mark: str) -> Dashboard:
        from airflow_provider_databrain.client.errors import AuthenticationError
        from airflow_provider_databrain.posthog.api.marks import with_mark

        if self.method != "build":
            described = with_mark(self.template["dashboard_description"], mark)
            tags = [*(self.template.get("tags") or ()), mark]
            marked = {**self.template, "dashboard_description": described, "tags": tags}
            try:
                return self.hook.create_from_template_json(marked)
            except AuthenticationError as refused:
                if self.method == "template" or refused.status != 403:
                    raise
                self.log.info("The key has scopes: the dashboard is built step by step")
        return self.hook.build_dashboard(self.template, mark=mark)
