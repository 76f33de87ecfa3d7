"""Give one client a Conduit workspace with a copy of one of your dashboards, and end it later.

Trigger each Dag by hand. Its params are the client's id and the name of one of your organization's dashboards.

``conduit_client``:

1. ``workspace`` creates the client's workspace. If a workspace with this ``ext_id`` exists, it returns that one.
2. ``ours`` lists your organization's dashboards. ``number_of`` picks the one with the given name; it fails unless
   exactly one dashboard has that name.
3. ``copy`` clones the dashboard into the workspace. If the workspace has a dashboard of that name, it returns that
   one.
4. ``share`` asks for the copy's address, as a check that the copy can be shared. The address is not stored.

``end_conduit_client``:

1. ``workspaces`` lists all workspaces. ``workspace_of`` picks the client's.
2. ``disable`` disables it.

Needs:

- The connection ``conduit_default``. Password: the organization token.
- In Conduit: "Your company name" on the page "API", and a white-label, without which Conduit refuses to clone.

If you run it again: ``conduit_client`` creates nothing a second time. ``end_conduit_client`` changes nothing; without
a workspace of the client, ``disable`` is skipped.
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
    """Return the id of the only dashboard with this name."""
    [number] = [dashboard["id"] for dashboard in dashboards if dashboard["name"] == name]
    return int(number)


@task
def workspace_of(workspaces: list[dict[str, Any]], client_id: str) -> list[int]:
    """Return the ids of the client's workspaces: one, or an empty list."""
    return [workspace["id"] for workspace in workspaces if workspace["ext_id"] == client_id]


@dag(**SETTINGS)
def conduit_client() -> None:
    """Create the client's workspace, copy the dashboard into it, and check that the copy can be shared."""
    workspace = CreateConduitWorkspaceOperator(task_id="workspace", ext_id="{{ params.client_id }}")
    dashboards = ListConduitDashboardsOperator(task_id="ours")
    copy = CloneConduitDashboardOperator(
        task_id="copy",
        workspace_id=workspace.output,
        dashboard_id=number_of(dashboards.output, "{{ params.dashboard }}"),
        name="{{ params.dashboard }}",
    )
    # With return_url=True, the address is in XCom. Anyone who has the address can open the dashboard.
    ShareConduitDashboardOperator(task_id="share", dashboard_id=copy.output, workspace_id=workspace.output)


@dag(**SETTINGS)
def end_conduit_client() -> None:
    """Disable the client's workspace, if it exists."""
    workspaces = ListConduitWorkspacesOperator(task_id="workspaces")
    DisableConduitWorkspaceOperator.partial(task_id="disable").expand(
        workspace_id=workspace_of(workspaces.output, "{{ params.client_id }}")
    )


conduit_client()
end_conduit_client()
