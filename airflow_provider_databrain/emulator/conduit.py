"""The emulated Conduit API. It was never compared with the real server.

It is written from the vendor's reference and does not use the client's models, so that each checks the other. If the
reference is silent and a client might rely on the answer, ``ConduitBehaviour`` plays each possible answer. The rest is
our choice:

- The checks come in the order slash, token, set-up, body, references.
- A resource that does not exist, or that the token may not see, is 404.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.routing import Route

from airflow_provider_databrain.emulator.dialects import Dialect
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.page import NEWEST, Table
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes
from airflow_provider_databrain.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS conduit_workspaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ext_id TEXT, name TEXT NOT NULL, token TEXT NOT NULL UNIQUE,
    disabled INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS conduit_dashboards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, share_key TEXT NOT NULL,
    workspace INTEGER, cloned_from INTEGER);
"""
LARGEST_ID = 2**63 - 1


class ConduitBehaviour(BaseModel):
    """How the server behaves if the vendor's reference is silent.

    :param created_status: the status when a workspace or a clone was created.
    :param created_body: what such an answer has: all fields, fields that no reference names too, or nothing.
    :param disabled_status: the status when a workspace was disabled: 200 with a body, or another one without a body.
    :param unique_ext_id: a second workspace with the same ``ext_id`` is refused.
    :param taken_status: the status of that refusal.
    :param returns_existing: a create whose ``ext_id`` or name exists already answers with that workspace.
    :param error_body: the body of each refusal but a 400: code and message, a ``detail``, or none. The reference shows
        code and message for a 400 only.
    :param order: the order of lists.
    :param list_limit: a list has only so many rows, the first ones; 0 means all. Pages are not documented.
    :param lists_late: a new row is missing in so many lists after its creation.
    :param lists_organization: a workspace's list has the organization's dashboards too ("all dashboards available").
    :param lists_disabled: a disabled workspace stays in the list, with its ``ext_id``. Its token is refused.
    :param keeps_ext_id: the ``ext_id`` of a disabled workspace is not free again (with ``unique_ext_id``).
    :param disables_again: a disabled workspace can be disabled again. If not, that is a 404.
    :param changes_ext_id: how an ``ext_id`` is stored; the answer of a create has it as it was sent.
    :param ignores_name: a clone has its source's name, whatever was asked.
    :param answers_source: a clone's answer has the id of its source.
    :param numbers_dashboards: each workspace numbers its dashboards from 1.
    :param new_urls: each call for the URL of a dashboard answers with another one.
    :param has_company_name: "Your company name" is set. Calls for workspaces need it.
    :param has_white_label: a white-label is configured. Clones need it.
    :param needs_slash: a path without a slash at its end is 404.
    """

    created_status: Literal[200, 201, 202] = 201
    created_body: Literal["fields", "more", "empty"] = "fields"
    disabled_status: Literal[200, 202, 204] = 204
    unique_ext_id: bool = False
    taken_status: Literal[400, 409, 422] = 400
    returns_existing: Literal["ext_id", "name"] | None = None
    error_body: Literal["code", "detail", "empty"] = "code"
    order: Literal["oldest", "newest", "random"] = "oldest"
    list_limit: int = 0
    lists_late: int = 0
    lists_organization: bool = False
    lists_disabled: bool = False
    keeps_ext_id: bool = False
    disables_again: bool = False
    changes_ext_id: Literal["lower", "strip"] | None = None
    ignores_name: bool = False
    answers_source: bool = False
    numbers_dashboards: bool = False
    new_urls: bool = False
    has_company_name: bool = True
    has_white_label: bool = True
    needs_slash: bool = False


class WorkspaceRow(NamedTuple):
    """A workspace, with the fields of the API's answer."""

    id: int
    ext_id: str | None
    name: str
    token: str


class DashboardRow(NamedTuple):
    """A dashboard. ``workspace`` is None for a dashboard of the organization itself."""

    id: int
    name: str
    share_key: str
    workspace: int | None
    cloned_from: int | None

    @property
    def url(self) -> str:
        """The public URL. No server answers at it."""
        return f"https://conduit.example/share/{self.share_key}"


RowT = TypeVar("RowT", WorkspaceRow, DashboardRow)


class ConduitState:
    """The data of one emulated organization.

    :param path: an SQLite file, which is created if it does not exist and is shared with the other systems;
        ``:memory:`` keeps the data in memory.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.behaviour = ConduitBehaviour()
        self._store = Store(path, SCHEMA)
        self._lists = 0
        self._made_at: dict[tuple[str, int], int] = {}

    def add_dashboard(self, name: str, *, workspace: int | None = None, cloned_from: int | None = None) -> int:
        """Add a dashboard to a workspace or, without one, to the organization. Return its id."""
        return self._store.insert(
            "INSERT INTO conduit_dashboards (name, share_key, workspace, cloned_from) VALUES (?, ?, ?, ?)",
            name,
            secrets.token_urlsafe(12),
            workspace,
            cloned_from,
        )

    def add_workspace(self, name: str, ext_id: str | None = None) -> int:
        """Add a workspace with a random token. Return its id."""
        return self._store.insert(
            "INSERT INTO conduit_workspaces (name, ext_id, token) VALUES (?, ?, ?)", name, ext_id, secrets.token_hex(16)
        )

    def disable_workspace(self, workspace_id: int) -> bool:
        """Disable a workspace. Return False if it does not exist or is already disabled."""
        statement = "UPDATE conduit_workspaces SET disabled = 1 WHERE id = ? AND NOT disabled"
        return self._store.change(statement, workspace_id) > 0

    def workspaces(self) -> list[WorkspaceRow]:
        """Return the workspaces that are not disabled, in order of creation."""
        rows = self._store.rows("SELECT id, ext_id, name, token FROM conduit_workspaces WHERE NOT disabled ORDER BY id")
        return [WorkspaceRow(*row) for row in rows]

    def workspace(self, workspace_id: int) -> WorkspaceRow | None:
        """Return a workspace, or None if it does not exist or is disabled."""
        rows = self._store.rows(
            "SELECT id, ext_id, name, token FROM conduit_workspaces WHERE id = ? AND NOT disabled", workspace_id
        )
        return WorkspaceRow(*rows[0]) if rows else None

    def workspace_with(self, *, token: str | None = None, ext_id: str | None = None) -> int | None:
        """Return the id of the workspace with this token or ``ext_id``, or None if no workspace has it."""
        rows = self._store.rows(
            "SELECT id FROM conduit_workspaces WHERE (token = ? OR ext_id = ?) AND NOT disabled ORDER BY id",
            token,
            ext_id,
        )
        return rows[0][0] if rows else None

    def all_workspaces(self) -> list[WorkspaceRow]:
        """Return all workspaces, with the disabled ones, in order of creation."""
        return [
            WorkspaceRow(*row)
            for row in self._store.rows("SELECT id, ext_id, name, token FROM conduit_workspaces ORDER BY id")
        ]

    def shown(self, kind: str, rows: list[RowT]) -> list[RowT]:
        """Return these rows as a list call shows them: some are late or cut off, in the behaviour's order.

        :param kind: ``workspaces`` or ``dashboards``.
        """
        self._lists += 1
        late, order = self.behaviour.lists_late, self.behaviour.order
        rows = [row for row in rows if self._lists > self._made_at.get((kind, row.id), -late) + late]
        if order == "newest":
            rows = rows[::-1]
        elif order == "random":
            rows = random.sample(rows, len(rows))
        return rows[: self.behaviour.list_limit or None]

    def note_made(self, kind: str, row_id: int) -> None:
        """Note that a call has just made this row."""
        self._made_at[kind, row_id] = self._lists

    def dashboards(self, workspace: int | None = None) -> list[DashboardRow]:
        """Return the dashboards of a workspace or, without one, of the organization, in order of creation."""
        rows = self._store.rows(
            "SELECT id, name, share_key, workspace, cloned_from FROM conduit_dashboards WHERE workspace IS ?"
            " ORDER BY id",
            workspace,
        )
        return [DashboardRow(*row) for row in rows]

    def dashboard(self, dashboard_id: int) -> DashboardRow | None:
        """Return a dashboard of the organization or of any workspace, or None if it does not exist."""
        rows = self._store.rows(
            "SELECT id, name, share_key, workspace, cloned_from FROM conduit_dashboards WHERE id = ?", dashboard_id
        )
        return DashboardRow(*rows[0]) if rows else None

    def clear(self) -> None:
        """Delete everything. Ids start at 1 again."""
        self._made_at.clear()
        with self._store.transaction() as database:
            database.execute("DELETE FROM sqlite_sequence WHERE name IN ('conduit_dashboards', 'conduit_workspaces')")
            database.execute("DELETE FROM conduit_dashboards")
            database.execute("DELETE FROM conduit_workspaces")

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _error(_status: int, code: str, message: str) -> dict[str, Any]:
    return {"code": code.lower(), "message": message}


DIALECT = Dialect(
    limited=lambda _: _error(429, "RATE_LIMITED", "Too many requests"),
    error=_error,
    wrong={"id": ["?"], "data": "?"},
    cut='{"id": 4, "name": "',
)
"""How errors that are not Conduit's own are worded. The vendor's reference does not show them: this is our choice."""


class ConduitRefusalError(RefusalError):
    """An error response in the shape of Conduit's errors."""

    def response(self) -> JSONResponse:
        """Return the error as a JSON response."""
        return JSONResponse({"code": self.code, "message": str(self)}, self.status)


class ConduitApi:
    """The API's routes over a state.

    :param token: the organization's token. The workspaces' tokens are in the state.
    """

    def __init__(self, state: ConduitState, token: str) -> None:
        self._state = state
        self._token = token
        self.router = Routes("/v2")
        self._add("GET", "/workspaces", self.list_workspaces)
        self._add("POST", "/workspaces", self.create_workspace, changes=True)
        self._add("DELETE", "/workspaces/{workspace_id}", self.disable_workspace, changes=True)
        self._add("GET", "/dashboards", self.list_dashboards)
        self._add("GET", "/dashboards/{dashboard_id}/share", self.share_dashboard)
        self._add("POST", "/dashboards/{dashboard_id}/clone", self.clone_dashboard, changes=True)

    async def list_workspaces(self, request: Request) -> list[dict[str, Any]]:
        """List the organization's workspaces."""
        self._authorize_for_workspaces(request)
        state = self._state
        rows = state.all_workspaces() if state.behaviour.lists_disabled else state.workspaces()
        return [self._filled(row._asdict()) for row in state.shown("workspaces", rows)]

    async def create_workspace(self, request: Request) -> Response:
        """Create a workspace."""
        self._authorize_for_workspaces(request)
        body = await _body(request, {"name": str, "ext_id": str}, "name")
        ext_id = body.get("ext_id")
        behaviour, state = self._state.behaviour, self._state
        if (existing := self._existing(body["name"], ext_id)) is not None:
            return self._created(existing._asdict())
        if ext_id is not None and behaviour.unique_ext_id and self._is_taken(ext_id):
            raise ConduitRefusalError(behaviour.taken_status, "ext_id_taken", "A workspace has this ext_id already")
        made = state.add_workspace(body["name"], ext_id and self._stored(ext_id))
        state.note_made("workspaces", made)
        row = state.workspace(made)
        sent = {"ext_id": ext_id} if behaviour.changes_ext_id else {}
        return self._created({**(row._asdict() if row else {}), **sent})

    async def disable_workspace(self, request: Request) -> Response:
        """Disable a workspace."""
        self._authorize_for_workspaces(request)
        number, behaviour = _number(request.path_params["workspace_id"]), self._state.behaviour
        again = behaviour.disables_again and any(row.id == number for row in self._state.all_workspaces())
        if not self._state.disable_workspace(number) and not again:
            raise _not_found()
        if behaviour.disabled_status != 200:
            return Response(status_code=behaviour.disabled_status)
        return JSONResponse({"message": "The workspace is disabled"})

    async def list_dashboards(self, request: Request) -> list[dict[str, Any]]:
        """List the dashboards of the token's owner: the organization or a workspace."""
        owner, state = self._owner(request), self._state
        rows = state.dashboards(owner)
        if owner is not None and state.behaviour.lists_organization:
            rows = [*state.dashboards(), *rows]
        shown = state.shown("dashboards", rows)
        return [self._filled({"id": self._number_of(row), "name": row.name}) for row in shown]

    async def share_dashboard(self, request: Request) -> dict[str, Any]:
        """Share a dashboard of the token's owner."""
        url = self._dashboard(request.path_params["dashboard_id"], self._owner(request)).url
        return self._filled({"url": f"{url}/{secrets.token_hex(8)}" if self._state.behaviour.new_urls else url})

    async def clone_dashboard(self, request: Request) -> Response:
        """Copy one of the organization's dashboards into a workspace."""
        self._authorize(request)
        if not self._state.behaviour.has_white_label:
            raise ConduitRefusalError(400, "white_label_missing", "White-label is not configured")
        body = await _body(request, {"workspace": int, "name": str}, "workspace")
        source = self._dashboard(request.path_params["dashboard_id"], None)
        if self._state.workspace(body["workspace"]) is None:
            raise ConduitRefusalError(400, "invalid_workspace", "The workspace does not exist")
        behaviour = self._state.behaviour
        name = source.name if behaviour.ignores_name else body.get("name", source.name)
        made = self._state.add_dashboard(name, workspace=body["workspace"], cloned_from=source.id)
        self._state.note_made("dashboards", made)
        clone = self._state.dashboard(made) or source
        number = source.id if behaviour.answers_source else self._number_of(clone)
        return self._created({"id": number, "name": clone.name, "url": clone.url})

    def _created(self, fields: dict[str, Any]) -> Response:
        """The answer of a create."""
        status = self._state.behaviour.created_status
        if self._state.behaviour.created_body == "empty":
            return Response(status_code=status)
        return JSONResponse(self._filled(fields), status)

    def _filled(self, fields: dict[str, Any]) -> dict[str, Any]:
        """These fields, with some that no reference names if the behaviour says so."""
        more = {"created_at": None, "status": "active", "owner": {"id": 1}}
        return {**fields, **more} if self._state.behaviour.created_body == "more" else fields

    def _existing(self, name: str, ext_id: str | None) -> WorkspaceRow | None:
        """The workspace that a create answers with instead of a new one; None if it makes a new one."""
        by = self._state.behaviour.returns_existing
        for row in self._state.workspaces() if by else []:
            if (by == "ext_id" and row.ext_id == ext_id is not None) or (by == "name" and row.name == name):
                return row
        return None

    def _is_taken(self, ext_id: str) -> bool:
        state, stored = self._state, self._stored(ext_id)
        if state.behaviour.keeps_ext_id and any(row.ext_id == stored for row in state.all_workspaces()):
            return True
        return state.workspace_with(ext_id=stored) is not None

    def _stored(self, ext_id: str) -> str:
        change = self._state.behaviour.changes_ext_id
        return ext_id.lower() if change == "lower" else ext_id.strip() if change == "strip" else ext_id

    def _number_of(self, row: DashboardRow) -> int:
        """The id of a dashboard as the API shows it."""
        if row.workspace is None or not self._state.behaviour.numbers_dashboards:
            return row.id
        return 1 + [each.id for each in self._state.dashboards(row.workspace)].index(row.id)

    def _add(self, method: str, path: str, answer: Callable[[Request], Any], *, changes: bool = False) -> None:
        """Add a route with a slash at its end, and one without, which some servers do not have."""

        async def with_slash(request: Request) -> Any:
            try:
                return await answer(request)
            except ConduitRefusalError as error:
                return self._refused(error)

        async def without_slash(request: Request) -> Any:
            return self._refused(_not_found()) if self._state.behaviour.needs_slash else await with_slash(request)

        self.router.add(method, f"{path}/", with_slash, changes=changes)
        self.router.add(method, path, without_slash, changes=changes)

    def _refused(self, error: ConduitRefusalError) -> Response:
        body = self._state.behaviour.error_body
        if error.status == 400 or body == "code":
            return error.response()
        return JSONResponse({"detail": str(error)}, error.status) if body == "detail" else Response("", error.status)

    def _owner(self, request: Request) -> int | None:
        """Return the owner of the request's token: a workspace's id, or None for the organization."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise ConduitRefusalError(401, "missing_token", "The token is missing")
        if token == self._token:
            return None
        workspace = self._state.workspace_with(token=token)
        if workspace is None:
            raise ConduitRefusalError(401, "invalid_token", "Invalid token")
        return workspace

    def _authorize(self, request: Request) -> None:
        if self._owner(request) is not None:
            raise ConduitRefusalError(401, "invalid_token", "Invalid token")

    def _authorize_for_workspaces(self, request: Request) -> None:
        self._authorize(request)
        if not self._state.behaviour.has_company_name:
            raise ConduitRefusalError(400, "company_name_missing", "Your company name is not set")

    def _dashboard(self, dashboard_id: str, owner: int | None) -> DashboardRow:
        number = _number(dashboard_id)
        if owner is not None and self._state.behaviour.numbers_dashboards:
            row = dict(enumerate(self._state.dashboards(owner), 1)).get(number)
        else:
            row = self._state.dashboard(number)
        if row is None or row.workspace != owner:
            raise _not_found()
        return row


class Conduit:
    """A Conduit organization.

    :param path: the SQLite file of the state.
    :param tokens: the accepted ``conduit_token``, which is the organization's.
    """

    def __init__(self, path: str, _control: Control, tokens: Mapping[str, str]) -> None:
        self.state = ConduitState(path)
        self.routes: list[Route] = ConduitApi(self.state, tokens["conduit_token"]).router.routes

    def add_samples(self, workspace: str) -> None:
        """Add a dashboard to clone, if the organization has none."""
        if not self.state.dashboards():
            self.state.add_dashboard("Tenant overview")

    def tables(self) -> list[Table]:
        """Return the newest workspaces."""
        workspaces = self.state.workspaces()
        rows = [(row.id, row.ext_id or "", row.name) for row in reversed(workspaces[-NEWEST:])]
        return [Table("Conduit workspaces", ("Id", "ext_id", "Name"), rows, len(workspaces))]

    def close(self) -> None:
        """Close the file."""
        self.state.close()


def _not_found() -> ConduitRefusalError:
    return ConduitRefusalError(404, "not_found", "Not found")


def _number(text: str) -> int:
    """Return an id of a path as a number. If it is not a possible id, it is not found."""
    if not (text.isascii() and text.isdigit() and len(text) < len(str(LARGEST_ID))):
        raise _not_found()
    return int(text)


async def _body(request: Request, fields: Mapping[str, type], required: str) -> dict[str, Any]:
    """Return the JSON object of a request. An unknown field is refused."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _invalid("The body must be a JSON object")
    if required not in body:
        raise _invalid(f"{required} is required")
    for name, value in body.items():
        _check(name, value, fields.get(name))
    return body


def _check(name: str, value: object, kind: type | None) -> None:
    if kind is None:
        raise _invalid(f"{name} is unknown")
    if kind is str and (not isinstance(value, str) or not value.strip()):
        raise _invalid(f"{name} must be a non-empty string")
    if kind is int and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_ID):
        raise _invalid(f"{name} must be a positive integer")


def _invalid(message: str) -> ConduitRefusalError:
    return ConduitRefusalError(400, "invalid_request", message)
