"""What a client leaves behind goes: its embed and dashboard, then its workspace. Trigger it with the client's id.

Needs the connection ``databrain_default`` with both tokens. To run it again changes nothing.
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
    """The way of ``onboard_tenant``, back."""
    embed = DeleteEmbedOperator(task_id="embed", embed_id="client-{{ params.client_id }}", is_delete_dashboard=True)
    workspace = DeleteWorkspaceOperator(task_id="workspace", name="{{ params.client_id }}-workspace")
    embed >> workspace


offboard_tenant()
