"""The emulated Databrain's guest tokens, and the rotation of keys.

It is written from the vendor's reference and does not use the client's models. Our choices:

- An unknown field is refused.
- A data app that is not the key's is ``DATA_APP_NOT_FOUND``.
- The checks come in the order token, body, data app, client, dashboards, metrics. Any datasource is accepted.
- A guest token ends when it expires or when its data app is deleted. The reference says that it also ends with its
  embed. That does not happen here.
"""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState, TokenKind
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import bearer, data_app_of, holder
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_GUEST_TOKEN = {
    "clientId": str,
    "dataAppName": str,
    "expiryTime": int,
    "datasourceName": str,
    "permissions": dict,
    "params": dict,
    # Only one example of the vendor has these two.
    "theme": dict,
    "accessSettings": dict,
}
_PERMISSIONS = (
    "isEnableManageMetrics",
    "isEnableCreateDashboardView",
    "isEnableMetricUpdation",
    "isEnableCustomizeLayout",
    "isEnableUnderlyingData",
    "isEnableDownloadMetrics",
    "isShowSideBar",
    "isShowDashboardName",
)
_PARAMS = {
    "dashboardAppFilters": list,
    "appFilters": list,
    "rlsSettings": list,
    "hideDashboardFilters": list,
    "userIdentifier": str,
    "timezone": str,
    "allowedEmbeds": list,
}
_BY_METRIC: dict[str, type] = {"metricId": str, "values": dict}
_ITEMS: dict[str, tuple[dict[str, type], tuple[str, ...]]] = {
    "dashboardAppFilters": ({"dashboardId": str, "values": dict, "isShowOnUrl": bool}, ("dashboardId", "values")),
    "appFilters": (_BY_METRIC, tuple(_BY_METRIC)),
    "rlsSettings": (_BY_METRIC, tuple(_BY_METRIC)),
}


class TokensApi:
    """The routes that create guest tokens and rotate keys."""

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        self.router.add("POST", "/guest-token/create", self.create_guest_token, changes=True)
        self.router.add("POST", "/data-app/rotate-api", self.rotate_api_key, changes=True)
        self.router.add("POST", "/service-token/rotate", self.rotate_service_token, changes=True)

    async def create_guest_token(self, request: Request) -> dict[str, Any]:
        """Create a guest token."""
        data_app = data_app_of(request, self._account)
        body = await _guest_token_body(request)
        if body["dataAppName"] != data_app:
            raise RefusalError(400, "DATA_APP_NOT_FOUND", "Data app not found")
        known = self._control.behaviour.known_clients
        if known is not None and body["clientId"] not in (*known, "None"):
            raise RefusalError(400, "CLIENT_ID_ERROR", "Invalid client id")
        self._check_references(body.get("params", {}))
        return {"token": self._account.add_guest_token(data_app, body), "error": None}

    async def rotate_api_key(self, request: Request) -> dict[str, Any]:
        """Replace the API key that the request is sent with. A token that cannot be a key is 400."""
        if self._account.key(bearer(request)) is None and not _is_uuid(bearer(request)):
            raise RefusalError(400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
        return await self._rotate(request, "api_key")

    async def rotate_service_token(self, request: Request) -> dict[str, Any]:
        """Replace the service token that the request is sent with."""
        return await self._rotate(request, "service_token")

    async def _rotate(self, request: Request, kind: TokenKind) -> dict[str, Any]:
        old = holder(request, self._account, kind, (401, "AUTHENTICATION_ERROR"))
        body = await json_object(request)
        if isinstance(body.get("expireAt"), str):
            body["expireAt"] = _number(body["expireAt"])
        check(body, {"expireAt": int}, ("expireAt",))
        if body["expireAt"] < 0:
            raise invalid('"expireAt" must be greater than or equal to 0')
        return {"key": self._account.rotate(old, body["expireAt"])}

    def _check_references(self, params: dict[str, Any]) -> None:
        for item in params.get("dashboardAppFilters", []):
            if not self._state.dashboard_exists(item["dashboardId"]):
                # A real server answers with these words.
                message = f"Invalid dashboard Id: {item['dashboardId']} in dashboard appFilter"
                raise RefusalError(400, "APP_FILTER_PARAM_ERROR", message)
        for field, code in (("appFilters", "APP_FILTER_PARAM_ERROR"), ("rlsSettings", "RLS_SETTINGS_PARAM_ERROR")):
            for item in params.get(field, []):
                if not self._state.metric_exists(item["metricId"]):
                    raise RefusalError(400, code, f"Invalid metric Id: {item['metricId']} in {field}")


async def _guest_token_body(request: Request) -> dict[str, Any]:
    body = await json_object(request)
    check(body, _GUEST_TOKEN, ("clientId", "dataAppName"))
    if body.get("expiryTime", 1) <= 0:
        raise invalid('"expiryTime" must be a positive number')
    check(body.get("permissions", {}), dict.fromkeys(_PERMISSIONS, bool), ())
    params = body.get("params", {})
    check(params, _PARAMS, ())
    for name, (fields, required) in _ITEMS.items():
        for item in params.get(name, []):
            check(item, fields, required)
    for name in ("hideDashboardFilters", "allowedEmbeds"):
        for item in params.get(name, []):
            check({name: item}, {name: str}, ())
    return body


def _number(text: str) -> object:
    """Return the number in a string, or the string itself if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() else text


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
