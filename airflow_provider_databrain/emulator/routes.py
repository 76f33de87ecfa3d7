"""The routes of the emulated APIs.

They are Starlette's plain routes, not FastAPI's: reading the signatures of all handlers took most of the start-up time.
A route says itself whether its requests change something. If the server is read-only, such a request is refused before
its handler runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Route

READ_ONLY = "emulator.read_only"
"""The key in a request's scope that holds the refusal of changes, if the server is read-only."""


class Routes:
    """The routes of one API.

    :param prefix: the beginning of all their paths.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.routes: list[Route] = []

    def add(
        self,
        methods: str | Collection[str],
        path: str,
        answer: Callable[[Request], Any],
        *,
        changes: bool = False,
    ) -> None:
        """Add a route. If two routes match a request, the first one added answers it.

        :param answer: returns a response, or a value to send as JSON; may be async.
        :param changes: its requests change something, except those with GET.
        """

        async def endpoint(request: Request) -> Response:
            refusal: Response | None = request.scope.get(READ_ONLY)
            if refusal is not None and changes and request.method != "GET":
                return refusal
            result = answer(request)
            if inspect.isawaitable(result):
                result = await result
            return result if isinstance(result, Response) else JSONResponse(result)

        route = Route(self._prefix + path, endpoint)
        # Set here, because Starlette adds HEAD to each GET that is passed as an argument.
        route.methods = {methods} if isinstance(methods, str) else set(methods)
        self.routes.append(route)
