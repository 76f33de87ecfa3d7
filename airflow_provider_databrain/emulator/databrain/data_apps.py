"""The emulated Databrain's data apps and their API tokens.

It is written from the vendor's reference and does not use the client's models. A successful answer has no ``error``.
Our choices:

- A token that is not accepted is 400 in all these endpoints, as three pages of the reference say.
- A rename to a name that is taken is refused, as a create is.
- An expired key is in no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState, AppRow
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import page, service_token
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes

_REFUSED = (400, "AUTHENTICATION_ERROR")
_PAGING = {"isPagination": str, "pageNumber": str}


class DataAppsApi:
    """The routes of data apps and their API tokens."""

    def __init__(self, state: State, control: Control, account: AccountState) -> None:
        self._state = state
        self._control = control
        self._account = account
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", prefix, self.create, changes=True)
            self.router.add("GET", prefix, self.list_all)
            self.router.add("PUT", prefix, self.rename, changes=True)
            self.router.add("DELETE", prefix, self.delete, changes=True)
            self.router.add("POST", f"{prefix}/api-tokens", self.create_token, changes=True)
            self.router.add("GET", f"{prefix}/api-tokens", self.list_tokens)

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a data app."""
        body = await self._body(request, "name")
        if not self._account.create_app(body["name"]):
            raise _taken()
        return {"name": body["name"]}

    async def list_all(self, request: Request) -> dict[str, Any]:
        """List data apps with their embeds."""
        query = self._query(request, _PAGING)
        return page([self._shown(app) for app in self._account.apps()], query, self._control)

    async def rename(self, request: Request) -> dict[str, Any]:
        """Rename a data app. Its embeds and keys stay with it."""
        body = await self._body(request, "name", "updateName")
        old, new = body["name"], body["updateName"]
        self._check_app(old)
        if new != old and self._account.has_app(new):
            raise _taken()
        self._account.rename_app(old, new)
        self._state.rename_data_app(old, new)
        return {"name": new}

    async def delete(self, request: Request) -> dict[str, Any]:
        """Delete a data app with its embeds, keys and guest tokens."""
        name = self._query(request, {"name": str}, "name")["name"]
        self._check_app(name)
        self._account.delete_app(name)
        self._state.delete_data_app(name)
        return {"name": name}

    async def create_token(self, request: Request) -> dict[str, Any]:
        """Create an API token. The reference does not say whether a description is accepted; here it is not."""
        body = await self._body(request, "dataAppName", "name")
        self._check_app(body["dataAppName"])
        return {"key": self._account.add_key(body["dataAppName"], body["name"])}

    async def list_tokens(self, request: Request) -> dict[str, Any]:
        """List a data app's API tokens with their keys."""
        query = self._query(request, {"dataAppName": str, **_PAGING}, "dataAppName")
        self._check_app(query["dataAppName"])
        rows = [
            {"key": row.key, "name": row.name, "description": row.description, "createdAt": row.created_at}
            for row in self._account.live_keys(query["dataAppName"])
        ]
        return page(rows, query, self._control)

    async def _body(self, request: Request, *fields: str) -> dict[str, Any]:
        service_token(request, self._account, _REFUSED)
        body = await json_object(request)
        check(body, dict.fromkeys(fields, str), fields)
        return body

    def _query(self, request: Request, fields: Mapping[str, type], *required: str) -> dict[str, str]:
        service_token(request, self._account, _REFUSED)
        query = dict(request.query_params)
        check(query, fields, required)
        return query

    def _check_app(self, name: str) -> None:
        if not self._account.has_app(name):
            raise RefusalError(400, "DATA_APP_NOT_FOUND", "Data app not found")

    def _shown(self, app: AppRow) -> dict[str, Any]:
        embeds = [
            {"name": row.name, "embedId": row.embed_id, "createdAt": row.created_at, "updatedAt": row.updated_at}
            for row in self._state.embeds(data_app=app.name)
        ]
        return {
            "name": app.name,
            "type": "embedded",
            "createdAt": app.created_at,
            "updatedAt": app.updated_at,
            "embedCount": len(embeds),
            "embeds": embeds,
        }


def _taken() -> RefusalError:
    return RefusalError(400, "DATA_APP_ALREADY_EXISTS", "Data app already exists")
