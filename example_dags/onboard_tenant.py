"""Everything for one new client: a workspace, its own dashboard in it, and a first guest token for your application.

Needs the connection ``databrain_default`` with both tokens and, in its extras, the data app's name. Trigger it with the
client's id. To run it again changes nothing: what is there is taken as it is, but for a new token.
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
    """Stands for what your application does with a token, such as to render the client's first page."""
    log.info("Client %r has a token of %d characters", client_id, len(token))


@task
def open_dashboard(client_id: str, dashboard_id: str) -> None:
    """Make a token that opens the client's dashboard, and use it here: what a task returns can be read in XCom."""
    from airflow_provider_databrain import DatabrainHook
    from airflow_provider_databrain.databrain.api.tokens import CreateGuestToken

    hook = DatabrainHook()
    wanted = CreateGuestToken.model_validate(
        {
            "client_id": client_id,
            "data_app_name": hook.data_app(),
            "expiry_time": timedelta(hours=1),
            "params": {"dashboard_app_filters": [{"dashboard_id": dashboard_id, "values": {"client": client_id}}]},
        }
    )
    welcome(client_id, hook.create_guest_token(wanted).token)


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"client_id": "acme"},
    default_args={"retries": 2, "retry_delay": 30},
)
def onboard_tenant() -> None:
    """Workspace, then dashboard, then token."""
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
