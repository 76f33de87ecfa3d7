"""PostHog's operators over a tenant table.

``tenants.operators`` holds what they do. This module adds the connection, the project and the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.posthog.operators.base import PostHogOperator
from airflow_provider_databrain.tenants.operators.provision import ProvisionSharedOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.target import PostHogTarget


class PostHogTenants:
    """PostHog's hook and target for a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param project_id: replaces the connection's ``project_id``; None keeps it.
    :param timeouts: the hook's timeout arguments, in seconds; they replace the connection's values.
    :param options: further arguments of ``PostHogTarget``.
    """

    def __init__(
        self, conn_id: str, project_id: str | int | None, timeouts: Mapping[str, float | None], **options: Any
    ) -> None:
        from airflow_provider_databrain.posthog.hook import PostHogHook

        self.hook = PostHogHook(conn_id, project_id, **timeouts)
        self._options = options

    def target(self, *, repeated: bool) -> PostHogTarget:
        """The target for the engine, the same for a first and a repeated try."""
        from airflow_provider_databrain.posthog.target import PostHogTarget

        project = self.hook.project_id
        scope = self.hook.conn_id if project.startswith("@") else project
        return PostHogTarget(scope=scope, base_url=self.hook.server.base_url, **self._options)


class ProvisionPostHogDashboardsOperator(ProvisionSharedOperator):
    """Give every tenant of one batch its PostHog dashboard. Other parameters: see ``ProvisionSharedOperator``.

    The spec's fields are those of ``posthog.target.PostHogSpec``. ``use_template``, ``use_dashboard``,
    ``duplicate_tiles`` and ``create_in_folder`` are used only when a dashboard is created; an update sets the others.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: replaces the connection's ``project_id`` (templated).
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, *ProvisionSharedOperator.template_fields)
    ui_color = PostHogOperator.ui_color

    def __init__(
        self, *, posthog_conn_id: str = "posthog_default", project_id: str | int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id

    @cached_property
    def vendor(self) -> PostHogTenants:
        """PostHog's hook and target."""
        return PostHogTenants(self.posthog_conn_id, self.project_id, self.timeouts)


class RemovePostHogDashboardsOperator(RemoveTenantsOperator):
    """Delete the PostHog dashboards of tenants that no longer exist. Other parameters: see ``RemoveTenantsOperator``.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: replaces the connection's ``project_id`` (templated).
    :param delete_insights: also delete their insights that are on no other dashboard.
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, *RemoveTenantsOperator.template_fields)

    def __init__(
        self,
        *,
        posthog_conn_id: str = "posthog_default",
        project_id: str | int | None = None,
        delete_insights: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id
        self.delete_insights = delete_insights

    @cached_property
    def vendor(self) -> PostHogTenants:
        """PostHog's hook and target."""
        return PostHogTenants(
            self.posthog_conn_id, self.project_id, self.timeouts, delete_insights=self.delete_insights
        )
