"""The routes of the emulated PostHog API, with the checks of keys, projects and scopes.

It is written from the vendor's reference and does not use the client's models, so that each checks the other. The
command ``compare`` compares it with recorded answers of a real PostHog of August 2025, to which the later methods were
added: sharing passwords, ``stream_tiles`` and the newer ``move_tile``. The checks come in the order ``Accept``, key,
project, scope, the resource in the path, the right to edit, body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from airflow_provider_databrain.emulator.faults import Control, PostHogVersion
from airflow_provider_databrain.emulator.posthog.account import Account
from airflow_provider_databrain.emulator.posthog.checks import (
    Call,
    Key,
    PostHogRefusalError,
    Renderer,
    forbidden,
    negotiated,
    not_found,
    refusal,
    rendered,
    sent,
)
from airflow_provider_databrain.emulator.posthog.dashboards import Collaborators, Dashboards
from airflow_provider_databrain.emulator.posthog.newer import NewerTiles
from airflow_provider_databrain.emulator.posthog.sharing import PublicPages, Sharing
from airflow_provider_databrain.emulator.posthog.state import PROJECT, PostHogState
from airflow_provider_databrain.emulator.posthog.templates import Templates
from airflow_provider_databrain.emulator.posthog.tiles import Insights, Tiles
from airflow_provider_databrain.emulator.posthog.views import Views
from airflow_provider_databrain.emulator.routes import Routes

READ, WRITE = "dashboard:read", "dashboard:write"
SHARE_READ, SHARE_WRITE = "sharing_configuration:read", "sharing_configuration:write"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Action:
    """What one HTTP method does at a path.

    :param scope: the scope that a key needs; None if no scope covers the action, so that only keys without scopes may.
    :param act: returns a value to send as JSON, or a response, or an awaitable of one of them.
    :param status: the status of the JSON response.
    """

    scope: str | None
    act: Callable[[Call], Any]
    status: int = 200


@dataclass(frozen=True)
class View:
    """The actions of a path, by HTTP method.

    :param streams: the path can also answer as an event stream.
    :param json_only: the path does not accept forms.
    :param since: the first ``PostHogVersion`` that has the path.
    """

    actions: Mapping[str, Action]
    streams: bool = False
    json_only: bool = False
    since: PostHogVersion = "2025-08"


class PostHogApi:
    """The API's routes over a state, and the public pages.

    :param keys: the accepted keys. They may change while the server runs.
    """

    def __init__(self, state: PostHogState, control: Control, keys: Mapping[str, Key]) -> None:
        self._state = state
        self._control = control
        self._keys = keys
        self._account = Account(state, control)
        views = Views(state, control)
        self.router = Routes()
        self._add("/api/projects", self._projects, changes=False)
        self._add("/api/users/@me", self._me, changes=False)
        for prefix in ("/api/projects/{project}", "/api/environments/{project}"):
            for path, view in self._views(views).items():
                self._add(prefix + path, self._route(view))
            self._add(prefix + "/{rest:path}", self._nowhere)
        pages = PublicPages(state, views)
        for kind in ("shared", "embedded"):
            self.router.add("GET", f"/{kind}/{{token}}", pages.answer)

    def _views(self, views: Views) -> dict[str, View]:
        """Return the paths below a project. If two match, the first one answers."""
        dashboards = Dashboards(self._state, self._control, views)
        collaborators = Collaborators(self._state, views)
        sharing = Sharing(self._state, self._control, views)
        tiles = Tiles(self._state, self._control, views)
        insights = Insights(self._state, views)
        newer = NewerTiles(self._state, views)
        template = Action(None, Templates(self._state, self._control, views).create)
        update = Action(WRITE, dashboards.update)
        one, shared = "/dashboards/{key}", "/dashboards/{key}/sharing"
        return {
            "/dashboards": View(
                {"GET": Action(READ, dashboards.list_page), "POST": Action(WRITE, dashboards.create, 201)}, streams=True
            ),
            "/dashboards/create_from_template_json": View({"POST": template}, streams=True, json_only=True),
            one: View(
                {
                    "GET": Action(READ, dashboards.retrieve),
                    "PATCH": update,
                    "PUT": update,
                    "DELETE": Action(WRITE, dashboards.delete),
                },
                streams=True,
            ),
            f"{one}/move_tile": View({"PATCH": Action(None, tiles.move)}, streams=True),
            f"{one}/stream_tiles": View({"GET": Action(None, tiles.stream)}, streams=True, since="2026-01"),
            f"{one}/collaborators": View(
                {"GET": Action(READ, collaborators.list_all), "POST": Action(WRITE, collaborators.add, 201)}
            ),
            f"{one}/collaborators/{{user}}": View({"DELETE": Action(WRITE, collaborators.remove)}),
            shared: View({"GET": Action(SHARE_READ, sharing.show), "PATCH": Action(SHARE_WRITE, sharing.change)}),
            f"{shared}/refresh": View({"POST": Action(SHARE_WRITE, sharing.refresh)}),
            f"{shared}/passwords": View({"POST": Action(SHARE_WRITE, sharing.add_password, 201)}, since="2026-01"),
            f"{shared}/passwords/{{password}}": View(
                {"DELETE": Action(SHARE_WRITE, sharing.remove_password)}, since="2026-01"
            ),
            f"{one}/copy_tile": _newest("POST", WRITE, newer.copy),
            f"{one}/create_text_tile": _newest("POST", WRITE, newer.add_text, 201),
            f"{one}/update_text_tile": _newest("POST", WRITE, newer.change_text),
            f"{one}/delete_tile": _newest("POST", WRITE, newer.remove),
            f"{one}/reorder_tiles": _newest("POST", WRITE, newer.reorder),
            f"{one}/run_insights": _newest("GET", "query:read", newer.run),
            "/insights": View({"POST": Action("insight:write", insights.create, 201)}),
            "/insights/{key}": View({"PATCH": Action("insight:write", insights.update)}),
        }

    def _add(self, path: str, answer: Callable[[Request], Any], *, changes: bool = True) -> None:
        """Add a route for all methods, with and without a slash at its end."""
        for ending in ("", "/"):
            self.router.add(METHODS, path + ending, answer, changes=changes)

    def _route(self, view: View) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            renderer: Renderer = "json"
            if self._control.behaviour.posthog_version < view.since:
                return await self._nowhere(request)
            try:
                renderer = negotiated(request, ("json", "sse") if view.streams else ("json",))
                action = self._action(view, request)
                call = await self._call(request, action, json_only=view.json_only)
                result = action.act(call)
                if isawaitable(result):
                    result = await result
            except PostHogRefusalError as error:
                return rendered(error.body, error.status, renderer)
            return result if isinstance(result, Response) else rendered(result, action.status, renderer)

        return answer

    def _action(self, view: View, request: Request) -> Action:
        actions = view.actions
        if request.url.path.rstrip("/").endswith("/move_tile") and self._control.behaviour.posthog_version >= "2026-07":
            moved = Action(WRITE, actions["PATCH"].act)
            actions = {"PATCH": moved, "POST": moved}
        return actions.get(request.method) or Action(None, _not_allowed)

    async def _call(self, request: Request, action: Action, *, json_only: bool) -> Call:
        """Check key, project and scope of a request, and read its body."""
        key = self._key(request)
        project = self._project(request.path_params["project"], key)
        key.check(action.scope)
        body = await sent(request, json_only=json_only)
        return Call(request, self._state.member(key.member), project, request.path_params, body)

    def _key(self, request: Request) -> Key:
        """Return the key of a request. The query may hold it too, although logs then show it."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        where = "Authorization header"
        if scheme != "Bearer":
            token, where = request.query_params.get("personal_api_key", ""), "query string"
        if not token:
            raise refusal(401, "not_authenticated", "Authentication credentials were not provided.")
        if token not in self._keys:
            raise refusal(401, "authentication_failed", f"Personal API key found in request {where} is invalid.")
        return self._keys[token]

    def _project(self, named: str, key: Key) -> int:
        if named == "@current":
            return PROJECT if key.project is None else key.project
        if named not in {str(project) for project, _ in self._state.projects()}:
            raise not_found("Project not found.")
        if key.project not in (None, int(named)):
            raise forbidden(f"API key does not have access to the requested project: ID {named}.")
        return int(named)

    async def _projects(self, request: Request) -> Response:
        return self._outside(request, "project:read", self._account.projects)

    async def _me(self, request: Request) -> Response:
        return self._outside(request, "user:read", self._account.me)

    def _outside(self, request: Request, scope: str, answer: Callable[[Key], Any]) -> Response:
        """Answer a call outside of projects."""
        try:
            negotiated(request, ("json",))
            key = self._key(request)
            key.check(scope if request.method == "GET" else None)
            if request.method != "GET":
                raise _no_method(request.method)
            return rendered(answer(key), 200, "json")
        except PostHogRefusalError as error:
            return rendered(error.body, error.status, "json")

    async def _nowhere(self, request: Request) -> Response:
        missing = not_found("Endpoint not found.")
        return rendered(missing.body, missing.status, "json")


def _newest(method: str, scope: str, act: Callable[[Call], Any], status: int = 200) -> View:
    """Return a path that only the newest version has."""
    return View({method: Action(scope, act, status)}, streams=True, since="2026-07")


def _not_allowed(call: Call) -> Response:
    raise _no_method(call.request.method)


def _no_method(method: str) -> PostHogRefusalError:
    return refusal(405, "method_not_allowed", f'Method "{method}" not allowed.')
