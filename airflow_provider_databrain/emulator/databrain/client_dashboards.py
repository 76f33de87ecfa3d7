"""The emulated Databrain's creation of a client's dashboard and its embed.

It is written from the vendor's reference and does not use the client's models, so that each checks the other. Where the
reference is silent, the choice is ours:

- The checks come in the order token, body, workspace, client, dashboard id, template. ``checks`` has those of the body.
  With a template, an unknown workspace has the template's error: that was observed.
- A token of the wrong kind is 401.
- ``Behaviour`` plays each possible answer if a client might rely on it: which id the answer has, whether an id is
  changed, what is left of a create that failed, whether an id can be used again, what two creates at the same time get,
  and whose metadata a dashboard from a template has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.checks import create_body
from airflow_provider_databrain.emulator.databrain.request import data_app_of, new_embed_id
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes

_NO_TEMPLATE = "invalid workspace or template dashboard id, no template dashboard found."


class ClientDashboardsApi:
    """The route that creates a client's dashboard.

    :param account: has the keys that are accepted.
    """

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self._waiting: dict[str, asyncio.Event] = {}
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/dashboard-embeds", self.create, changes=True)

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a client's dashboard. The answer of the legacy path has no ``name``."""
        data_app = data_app_of(request, self._account)
        behaviour = self._control.behaviour
        body = await create_body(request, behaviour.max_id_length)
        if behaviour.normalises_ids:
            body["dashboardId"] = body["dashboardId"].strip().lower()
        dashboard = body["dashboardId"]
        if behaviour.frees_ids:
            self._state.remove_unembedded(dashboard)
        _check_references(body, self._state, self._control)
        await self._wait_for_rival(dashboard, behaviour.race_seconds)
        if behaviour.template_replaces_metadata and "templateDashboardId" in body:
            body["metadata"] = self._state.metadata(body["templateDashboardId"])
        renamed = body.get("isRenameDashboard") and body.get("name")
        name = body.get("name", dashboard)
        title = str(renamed or f"{dashboard}_{body['clientId']}")
        partial = body["clientId"] in behaviour.partial_clients
        if partial and not self._state.dashboard_exists(dashboard):
            self._state.add_client_dashboard(body, dashboard_name=title)
        if self._state.dashboard_exists(dashboard):
            status = behaviour.create_error_status
            raise RefusalError(status, "DASHBOARD_CREATE_ERROR", "Failed to create client dashboard")
        embed_id = new_embed_id(dashboard) if behaviour.own_embed_ids else dashboard
        self._state.create_embed(body, dashboard_name=title, name=name, data_app=data_app, embed_id=embed_id)
        legacy = "/dataApp/" in request.url.path
        return {"id": embed_id, "error": None} | ({} if legacy else {"name": name})

    async def _wait_for_rival(self, dashboard: str, seconds: float) -> None:
        """Wait for another create with the same id, which then goes first."""
        if rival := self._waiting.pop(dashboard, None):
            rival.set()
        elif seconds:
            arrived = self._waiting[dashboard] = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), seconds)
            if self._waiting.get(dashboard) is arrived:
                del self._waiting[dashboard]


def _check_references(body: Mapping[str, Any], state: State, control: Control) -> None:
    template = body.get("templateDashboardId")
    if template is not None and not state.has_workspace(body["workspaceName"]):
        raise RefusalError(400, "TEMPLATE_DASHBOARD_ERROR", _NO_TEMPLATE)
    if not state.has_workspace(body["workspaceName"]):
        raise RefusalError(400, "WORKSPACE_ID_ERROR", "Invalid workspace name")
    known = control.behaviour.known_clients
    if known is not None and body["clientId"] not in (*known, "None"):
        raise RefusalError(400, "CLIENT_ID_ERROR", "Invalid client id")
    if state.dashboard_exists(body["dashboardId"]):
        raise RefusalError(400, "INVALID_DASHBOARD_ID", "Dashboard already exists")
    if template is not None and not state.dashboard_exists(template, body["workspaceName"]):
        raise RefusalError(400, "TEMPLATE_DASHBOARD_ERROR", "Invalid template dashboard id")
