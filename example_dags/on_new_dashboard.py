"""When somebody adds a dashboard to a Databrain workspace, embed it and set what its readers may do.

An asset watcher on the triggerer polls the workspace. It starts this Dag when the workspace has new dashboards; until
then no task runs and no worker slot is held. If you trigger the Dag by hand, it takes the dashboard's id from its
params.

1. ``added`` returns the ids of the new dashboards.
2. ``embed``, mapped over the ids, creates an embed of each dashboard.
3. ``listed`` waits for at most 30 minutes until the data app lists the embed.
4. ``update`` sets the access settings.

Needs:

- The connection ``databrain_default``. Password: the data app API key. Extras: ``service_token`` and
  ``workspace_name``.
- A running triggerer.
- In Databrain: the datamart ``customer-analytics``.

If it runs again: ``embed`` returns the embed that exists, and ``update`` sets the same access settings again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_databrain import EmbedOperator, EmbedSensor, UpdateEmbedOperator, WorkspaceGrowthTrigger

ACCESS = {
    "datamart_name": "customer-analytics",
    "is_allow_email_reports": True,
    "is_allow_manage_metrics": False,
    "is_allow_metric_creation": False,
    "is_allow_metric_deletion": False,
    "is_allow_metric_layout_change": False,
    "is_allow_metric_update": False,
    "is_allow_underlying_data": False,
    "is_allow_create_dashboard_view": False,
    "metric_creation_mode": "DRAG_DROP",
}
dashboards = Asset(
    "databrain_dashboards",
    watchers=[AssetWatcher(name="databrain_growth", trigger=WorkspaceGrowthTrigger(kind="dashboards"))],
)


@task
def added(params: Any = None, triggering_asset_events: Any = None) -> list[str]:
    """Return the ids of the new dashboards, or the id in the params if no event started this run."""
    events = [event for asset_events in dict(triggering_asset_events or {}).values() for event in asset_events]
    ids = [dashboard for event in events for dashboard in event.extra["payload"]["ids"]]
    return sorted(set(ids)) or [params["dashboard_id"]]


@dag(
    schedule=[dashboards],
    catchup=False,
    tags=["databrain"],
    params={"dashboard_id": "sales"},
    default_args={"retries": 2, "retry_delay": 30},
)
def on_new_dashboard() -> None:
    """Embed each new dashboard, wait until it is listed, then set its access settings."""
    embeds = EmbedOperator.partial(task_id="embed", access_settings=ACCESS).expand(dashboard_id=added())
    listed = EmbedSensor.partial(
        task_id="listed", poke_interval=30, timeout=timedelta(minutes=30).total_seconds(), deferrable=True
    ).expand(embed_id=embeds.output)
    # ``embed`` does not change an embed that exists; this task does.
    update = UpdateEmbedOperator.partial(task_id="update", access_settings=ACCESS).expand(embed_id=embeds.output)
    listed >> update


on_new_dashboard()
