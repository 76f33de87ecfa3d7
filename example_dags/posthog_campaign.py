"""A PostHog dashboard for one campaign, made from a template of this file, with a link for the agency; and its end.

Two Dags that are triggered by hand. Need the connection ``posthog_default``, whose key has the scopes dashboard:write,
insight:write and sharing_configuration:write. The agency's people, by their UUIDs in PostHog, may edit it.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_databrain import (
    AddPostHogCollaboratorsOperator,
    CreatePostHogDashboardFromTemplateOperator,
    DeletePostHogDashboardOperator,
    RefreshPostHogSharingOperator,
    SharePostHogDashboardOperator,
    UpdatePostHogDashboardOperator,
)

KEY = "campaign-{{ params.campaign }}"
TEMPLATE = {
    "template_name": "Campaign {{ params.campaign }}",
    "dashboard_description": "Visits and sign-ups of one campaign.",
    "dashboard_filters": {"date_from": "-30d"},
    "tiles": [
        {
            "type": "INSIGHT",
            "name": "Visits",
            "description": "By day",
            "query": {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": []}},
            "layouts": {"sm": {"x": 0, "y": 0, "w": 12, "h": 5}},
            "color": "blue",
        },
    ],
}
SETTINGS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "tags": ["posthog"],
    "params": {"campaign": "spring", "editors": Param([], type="array", items={"type": "string"})},
    "default_args": {"retries": 2, "retry_delay": 30},
    "render_template_as_native_obj": True,
}


@dag(**SETTINGS)
def posthog_campaign() -> None:
    """Create or find, restrict it to its editors, share it, and give the link another address than the last run's."""
    create = CreatePostHogDashboardFromTemplateOperator(task_id="create", key=KEY, template=TEMPLATE)
    restrict = UpdatePostHogDashboardOperator(
        task_id="restrict", dashboard_id="{{ ti.xcom_pull('create') }}", restriction_level=37
    )
    editors = AddPostHogCollaboratorsOperator(
        task_id="editors", dashboard_id="{{ ti.xcom_pull('create') }}", user_uuids="{{ params.editors }}"
    )
    share = SharePostHogDashboardOperator(task_id="share", dashboard_id="{{ ti.xcom_pull('create') }}")
    refresh = RefreshPostHogSharingOperator(task_id="refresh", dashboard_id="{{ ti.xcom_pull('create') }}")
    create >> restrict >> editors >> share >> refresh


@dag(**{**SETTINGS, "params": {"dashboard_id": Param(type="integer", minimum=1)}})
def end_posthog_campaign() -> None:
    """Delete the dashboard that ``posthog_campaign`` has returned, with its insights; PostHog can restore it."""
    DeletePostHogDashboardOperator(task_id="delete", dashboard_id="{{ params.dashboard_id }}", delete_insights=True)


posthog_campaign()
end_posthog_campaign()
