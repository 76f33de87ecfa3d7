"""Create what one new client needs in Databrain: a workspace, a dashboard in it, and a first guest token.

Trigger it by hand, with the client's id as its param.

1. ``workspace`` creates the workspace ``<client>-workspace``.
2. ``dashboard`` creates the client's dashboard and its embed, both with the id ``client-<client>``.
3. ``open_dashboard`` makes a guest token for one hour and passes it to ``welcome``. Put your application's code there.

Needs:

- The connection ``databrain_default``. Password: the data app API key. Extras: ``service_token`` and
  ``data_app_name``.
- In Databrain: the datamart ``customer-analytics``.

If you run it again: it uses the workspace and the dashboard that exist, and makes a new token. ``offboard_tenant``
deletes what this Dag creates.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_databrain import CreateDashboardEmbedOperator, CreateWorkspaceOperator

log = logging.getLogger(__name__)

ACCESS = {
    "datamart_name": "customer-analytics",
    "is_allow_email_reports": False,
    "is_allow_manage_metrics": True,
    "is_allow_metric_creation": True,
    "is_allow_metric_deletion": False,
    "is_allow_metric_layout_change": True,
    "is_allow_metric_update": True,
    "is_allow_underlying_data": False,
    "is_allow_create_dashboard_view": True,
    "metric_creation_mode": "DRAG_DROP",
}


def welcome(client_id: str, token: str) -> None:
    """Replace this with what your application does with the token, for example render the client's first page."""
    log.info("Client %r has a token of %d characters", client_id, len(token))


@task
def open_dashboard(client_id: str, dashboard_id: str) -> None:
    """Make a token that opens the client's dashboard, and use it here. If the task returned it, XCom would hold it."""
    from airflow_provider_databrain import DatabrainHook
    from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken

    hook = DatabrainHook()
    request = CreateGuestToken.model_validate(
        {
            "client_id": client_id,
            "data_app_name": hook.data_app(),
            "expiry_time": timedelta(hours=1),
            "params": {"dashboard_app_filters": [{"dashboard_id": dashboard_id, "values": {"client": client_id}}]},
        }
    )
    welcome(client_id, hook.create_guest_token(request).token)


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"client_id": "acme"},
    default_args={"retries": 2, "retry_delay": 30},
)
def onboard_tenant() -> None:
    """Create the client's workspace and dashboard, then make a guest token."""
    workspace = CreateWorkspaceOperator(
        task_id="workspace", name="{{ params.client_id }}-workspace", connection_type="MULTI_DATASOURCE"
    )
    dashboard = CreateDashboardEmbedOperator(
        task_id="dashboard",
        dashboard_id="client-{{ params.client_id }}",
        client_id="{{ params.client_id }}",
        workspace_name=workspace.output,
        name="{{ params.client_id }}",
        access_settings=ACCESS,
    )
    open_dashboard("{{ params.client_id }}", dashboard.output)


onboard_tenant()
