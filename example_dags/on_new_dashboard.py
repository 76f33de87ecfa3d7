"""As soon as somebody adds a dashboard to a workspace, embed it, and set what its readers may do.

An asset watcher on the triggerer looks; it takes no schedule, no sensor and no worker. Needs the connection
``databrain_default`` with both tokens and, in its extras, the workspace. Triggered by hand, it takes the dashboard from
the params.
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
    """The ids of the new dashboards."""
    events = [event for each in dict(triggering_asset_events or {}).values() for event in each]
    told = [dashboard for event in events for dashboard in event.extra["payload"]["ids"]]
    return sorted(set(told)) or [params["dashboard_id"]]


@dag(
    schedule=[dashboards],
    catchup=False,
    tags=["databrain"],
    params={"dashboard_id": "sales"},
    default_args={"retries": 2, "retry_delay": 30},
)
def on_new_dashboard() -> None:
    """Embed, see that it is listed, set."""
    embeds = EmbedOperator.partial(task_id="embed", access_settings=ACCESS).expand(dashboard_id=added())
    listed = EmbedSensor.partial(
        task_id="listed", poke_interval=30, timeout=timedelta(minutes=30).total_seconds(), deferrable=True
    ).expand(embed_id=embeds.output)
    # What is there already was taken as it is; now it is as this file says.
    update = UpdateEmbedOperator.partial(task_id="update", access_settings=ACCESS).expand(embed_id=embeds.output)
    listed >> update


on_new_dashboard()
