"""The emulated Databrain's creation of a client's dashboard and its embed.

It is written from the vendor's reference and does not use the client's models, so that each checks the other. Where the
reference is silent, the choice is ours:

- The checks come in the order token, body, workspace, client, dashboard id, template. ``checks`` has those of the body.
- A token of the wrong kind is 401.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.checks import create_body
from airflow_provider_databrain.emulator.databrain.request import data_app_of
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes


class ClientDashboardsApi:
    """The route that creates a client's dashboard.

    :param account: has the keys that are accepted.
    """

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/dashboard-embeds", self.create, changes=True)

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a client's dashboard. The answer of the legacy path has no ``name``."""
        data_app = data_app_of(request, self._account)
        body = await create_body(request, self._control.behaviour.max_id_length)
        _check_references(body, self._state, self._control)
        dashboard = body["dashboardId"]
        renamed = body.get("isRenameDashboard") and body.get("name")
        name = body.get("name", dashboard)
        title = str(renamed or f"{dashboard}_{body['clientId']}")
        self._state.create_embed(body, dashboard_name=title, name=name, data_app=data_app)
        legacy = "/dataApp/" in request.url.path
        return {"id": dashboard, "error": None} | ({} if legacy else {"name": name})


def _check_references(body: Mapping[str, Any], state: State, control: Control) -> None:
    if not state.has_workspace(body["workspaceName"]):
        raise RefusalError(400, "WORKSPACE_ID_ERROR", "Invalid workspace name")
    known = control.behaviour.known_clients
    if known is not None and body["clientId"] not in (*known, "None"):
        raise RefusalError(400, "CLIENT_ID_ERROR", "Invalid client id")
    if state.dashboard_exists(body["dashboardId"]):
        raise RefusalError(400, "INVALID_DASHBOARD_ID", "Dashboard already exists")
    template = body.get("templateDashboardId")
    if template is not None and not state.dashboard_exists(template, body["workspaceName"]):
        raise RefusalError(400, "TEMPLATE_DASHBOARD_ERROR", "Invalid template dashboard id")
