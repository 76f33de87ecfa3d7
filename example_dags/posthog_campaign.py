"""Create a PostHog dashboard for one campaign from a template in this file, share it, and delete it later.

Trigger each Dag by hand.

``posthog_campaign`` has two params: the campaign, and the UUIDs of the PostHog members who may edit the dashboard.

1. ``create`` creates the dashboard from the template. If an earlier run created it, it returns that one. Names are not
   unique in PostHog, so each dashboard carries a mark made from ``key``.
2. ``restrict`` lets only its collaborators edit it.
3. ``editors`` adds the members as collaborators.
4. ``share`` makes it public to everyone who has its address.
5. ``refresh`` gives it a new public address. The old address works for five more minutes.

The address is not in XCom and not in a log. Copy it from PostHog, or set ``return_url=True`` on ``refresh``; it is
then in XCom.

``end_posthog_campaign`` has one param, the id that ``create`` returned. It deletes the dashboard, and its insights
that are on no other dashboard. ``PostHogHook.restore_dashboard`` brings the dashboard back.

Needs the connection ``posthog_default``. Password: a personal API key with the scopes dashboard:write, insight:write
and sharing_configuration:write. Extras: ``region`` and ``project_id``.

If you run one again: ``posthog_campaign`` uses the same dashboard and makes a new address. ``end_posthog_campaign``
changes nothing.
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
    """Create or find the dashboard, restrict it to its editors, share it, and give it a new public address."""
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
    """Delete the dashboard that ``posthog_campaign`` created, with its insights. PostHog can restore it."""
    DeletePostHogDashboardOperator(task_id="delete", dashboard_id="{{ params.dashboard_id }}", delete_insights=True)


posthog_campaign()
end_posthog_campaign()
