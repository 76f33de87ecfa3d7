"""Delete what ``onboard_tenant`` created for one client in Databrain.

Trigger it by hand, with the client's id as its param.

1. ``embed`` deletes the embed ``client-<client>``, its dashboard, and its guest tokens.
2. ``workspace`` deletes the workspace ``<client>-workspace``.

Needs the connection ``databrain_default``. Password: the data app API key. Extra: ``service_token``.

If you run it again: it succeeds and changes nothing. An embed or workspace that no longer exists is not an error.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_databrain import DeleteEmbedOperator, DeleteWorkspaceOperator


@dag(
    schedule=None,
    catchup=False,
    tags=["databrain"],
    params={"client_id": "acme"},
    default_args={"retries": 2, "retry_delay": 30},
)
def offboard_tenant() -> None:
    """Delete the client's embed and dashboard, then its workspace."""
    embed = DeleteEmbedOperator(task_id="embed", embed_id="client-{{ params.client_id }}", is_delete_dashboard=True)
    workspace = DeleteWorkspaceOperator(task_id="workspace", name="{{ params.client_id }}-workspace")
    embed >> workspace


offboard_tenant()
