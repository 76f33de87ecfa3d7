"""PostHog's operators over a tenant table."""

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
    """PostHog's side of a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param project_id: instead of the connection's.
    :param timeouts: seconds, instead of the connection's; as the hook takes them.
    """

    def __init__(self, conn_id: str, project_id: str | int | None, timeouts: Mapping[str, float | None]) -> None:
        from airflow_provider_databrain.posthog.hook import PostHogHook

        self.hook = PostHogHook(conn_id, project_id, **timeouts)

    def target(self, **options: Any) -> PostHogTarget:
        """The engine's target; ``options`` are those of ``PostHogTarget``."""
        from airflow_provider_databrain.posthog.target import PostHogTarget

        project = self.hook.project_id
        scope = self.hook.conn_id if project.startswith("@") else project
        return PostHogTarget(scope=scope, base_url=self.hook.server.base_url, **options)


class ProvisionPostHogDashboardsOperator(ProvisionSharedOperator):
    """Make every tenant of one batch have its PostHog dashboard; further parameters: see ``ProvisionSharedOperator``.

    The spec's fields are those of ``provisioning.targets.posthog.PostHogSpec``. An update sets those of them that are
    not about the creation (``use_template``, ``use_dashboard``, ``duplicate_tiles``, ``create_in_folder``).

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
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
        """PostHog's side of this task."""
        return PostHogTenants(self.posthog_conn_id, self.project_id, self.timeouts)

    def target(self, *, repeated: bool = False) -> PostHogTarget:
        """PostHog's side of the engine."""
        return self.vendor.target()


class RemovePostHogDashboardsOperator(RemoveTenantsOperator):
    """Delete the PostHog dashboards of tenants that are no more; further parameters: see ``RemoveTenantsOperator``.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
    :param delete_insights: delete those of their insights too that are on no other dashboard.
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
        """PostHog's side of this task."""
        return PostHogTenants(self.posthog_conn_id, self.project_id, self.timeouts)

    def target(self, *, repeated: bool = False) -> PostHogTarget:
        """PostHog's side of the engine."""
        return self.vendor.target(delete_insights=self.delete_insights)
