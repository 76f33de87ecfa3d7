"""A PostHog dashboard for one team: created once, kept as this file says, shared, and reported on once it is fresh.

Needs the connection ``posthog_default``, whose key has the scopes dashboard:write and sharing_configuration:write.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_databrain import (
    CreatePostHogDashboardOperator,
    PostHogDashboardRefreshedSensor,
    SharePostHogDashboardOperator,
    UpdatePostHogDashboardOperator,
)


@dag(schedule=None, catchup=False, tags=["posthog"])
def posthog_team_dashboard() -> None:
    """Create or find, update, share, then wait until PostHog has calculated it within the last day."""
    create = CreatePostHogDashboardOperator(
        task_id="create", key="team-growth", name="Growth", use_template="DEFAULT_APP"
    )
    update = UpdatePostHogDashboardOperator(
        task_id="update", dashboard_id="{{ ti.xcom_pull('create') }}", name="Growth team", filters={"date_from": "-30d"}
    )
    share = SharePostHogDashboardOperator(
        task_id="share", dashboard_id="{{ ti.xcom_pull('create') }}", settings={"legend": True}
    )
    fresh = PostHogDashboardRefreshedSensor(
        task_id="fresh",
        dashboard_id="{{ ti.xcom_pull('create') }}",
        since="{{ (dag_run.run_after - macros.timedelta(days=1)).isoformat() }}",
        poke_interval=60,
        timeout=timedelta(hours=2).total_seconds(),
        deferrable=True,
        soft_fail=True,
    )
    create >> update >> share >> fresh


posthog_team_dashboard()
