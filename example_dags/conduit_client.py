"""A Conduit workspace for one client, with a copy of one of your dashboards and its link; and the client's end.

Two Dags that are triggered with the client's id. Need the connection ``conduit_default``. Which dashboard is copied is
told by its name.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from airflow_provider_databrain import (
    CloneConduitDashboardOperator,
    CreateConduitWorkspaceOperator,
    DisableConduitWorkspaceOperator,
    ListConduitDashboardsOperator,
    ListConduitWorkspacesOperator,
    ShareConduitDashboardOperator,
)

SETTINGS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "tags": ["conduit"],
    "params": {"client_id": "acme", "dashboard": "Sales"},
    "default_args": {"retries": 2, "retry_delay": 30},
}


@task
def number_of(dashboards: list[dict[str, Any]], name: str) -> int:
    """The number of the dashboard of that name."""
    [found] = [dashboard["id"] for dashboard in dashboards if dashboard["name"] == name]
    return int(found)


@task
def workspace_of(workspaces: list[dict[str, Any]], client_id: str) -> list[int]:
    """The numbers of the client's workspaces: one, or none."""
    return [workspace["id"] for workspace in workspaces if workspace["ext_id"] == client_id]


@dag(**SETTINGS)
def conduit_client() -> None:
    """Workspace, copy, and a first look at its address, which is not kept."""
    workspace = CreateConduitWorkspaceOperator(task_id="workspace", ext_id="{{ params.client_id }}")
    ours = ListConduitDashboardsOperator(task_id="ours")
    copy = CloneConduitDashboardOperator(
        task_id="copy",
        workspace_id=workspace.output,
        dashboard_id=number_of(ours.output, "{{ params.dashboard }}"),
        name="{{ params.dashboard }}",
    )
    # With return_url=True the address, which opens the dashboard to whoever has it, is in XCom.
    ShareConduitDashboardOperator(task_id="share", dashboard_id=copy.output, workspace_id=workspace.output)


@dag(**SETTINGS)
def end_conduit_client() -> None:
    """Disable the client's workspace, where there is one."""
    workspaces = ListConduitWorkspacesOperator(task_id="workspaces")
    DisableConduitWorkspaceOperator.partial(task_id="disable").expand(
        workspace_id=workspace_of(workspaces.output, "{{ params.client_id }}")
    )


conduit_client()
end_conduit_client()
