"""Keep a PostHog dashboard for one team as this file says, share it, and wait until it is fresh.

1. ``create`` creates the dashboard from a PostHog template. If an earlier run created it, it returns that one. Names
   are not unique in PostHog, so each dashboard carries a mark made from ``key``.
2. ``update`` sets its name and filters.
3. ``share`` makes it public to everyone who has its address. The address is not in XCom.
4. ``fresh`` waits until each insight was calculated in the day before this run or later. A newer PostHog calculates
   what is too old. With an older one, somebody must open the dashboard in PostHog. It polls every minute, for at most
   two hours, on the triggerer; after that, the task is skipped and the run does not fail.

Needs the connection ``posthog_default``. Password: a personal API key with the scopes dashboard:write,
sharing_configuration:write and, for a newer PostHog, query:read. Extras: ``region`` and ``project_id``.

If it runs again: it uses the same dashboard and sets the same fields again.
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
    """Create or find the dashboard, update it, share it, then wait until it was calculated within the last day."""
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
