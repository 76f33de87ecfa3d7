"""The operator that creates a dashboard from a template as JSON.

It looks for the mark first (see ``posthog.api.marks``), so a retry finds the dashboard of an earlier try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.templating import task_key
from airflow_provider_databrain.posthog.links import PostHogDashboardLink
from airflow_provider_databrain.posthog.operators.base import PostHogOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.api.models import Dashboard


class CreatePostHogDashboardFromTemplateOperator(PostHogOperator):
    """Create a dashboard from a template as JSON, or find the one that an earlier run created; returns its id.

    :param template: ``template_name``, ``dashboard_description``, ``dashboard_filters`` and ``tiles`` (templated).
    :param key: as in ``CreatePostHogDashboardOperator`` (templated).
    :param method: ``template`` calls PostHog's own action, which PostHog refuses to every key with scopes. ``build``
        creates the dashboard, its insights and its tiles in several requests; it needs the scopes dashboard:write and
        insight:write. ``auto`` uses ``build`` if PostHog refuses ``template``.
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
        """Find or create the dashboard; returns its id."""
        from airflow_provider_databrain.posthog.api.marks import is_unfinished, look, mark_of
        from airflow_provider_databrain.posthog.api.templates import check_template

        if self.method not in ("auto", "template", "build"):
            raise ValueError(f"method is {self.method!r}; it must be 'auto', 'template' or 'build'. Nothing was sent.")
        check_template(self.template)
        mark = mark_of(self.key or task_key(context))
        if found := self.hook.run(look(mark)):
            self.log.info("Dashboard %d: already exists", found[0].id)
            if is_unfinished(found[0], mark):
                self._finish(found[0])
            return self.note(found[0].id)
        return self.note(self._create(mark).id)

    def _create(self, mark: str) -> Dashboard:
        from airflow_provider_databrain.client.errors import AuthenticationError
        from airflow_provider_databrain.posthog.api.marks import marked_description, marked_name

        if self.method != "build":
            described = marked_description(self.template["dashboard_description"], mark)
            marked = {**self.template, "dashboard_description": described}
            tags = marked.pop("tags", None)
            if tags:
                # New tags can make a create fail, so an update sets them. Until then the name has the mark.
                marked["template_name"] = marked_name(self.template["template_name"], mark)
            try:
                created = self.hook.create_from_template_json(marked)
                return self._finish(created) if tags else created
            except AuthenticationError as refused:
                if self.method == "template" or refused.status != 403 or not refused.from_api:
                    raise
                self.log.info("The key has scopes, so the dashboard is built in several requests")
        return self.hook.build_dashboard(self.template, mark=mark)

    def _finish(self, created: Dashboard) -> Dashboard:
        """Set the name and the tags of a dashboard from ``create_from_template_json``."""
        fields = {"name": self.template["template_name"], "tags": list(self.template.get("tags") or ())}
        return self.hook.update_dashboard(created.id, fields)
