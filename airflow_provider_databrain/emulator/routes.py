"""The APIs' routes.

Plain ones of Starlette's: nothing here needs what FastAPI makes of a function's arguments, and making that of each took
most of the emulator's start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Route


class Routes:
    """The routes of one API.

    :param prefix: what all their paths begin with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.routes: list[Route] = []

    def add(self, methods: str | Collection[str], path: str, answer: Callable[[Request], Any]) -> None:
        """Add a route; earlier ones go first.

        :param answer: gives a whole answer, or what is to be sent as JSON; may be awaited.
        """

        async def endpoint(request: Request) -> Response:
            found = answer(request)
            if inspect.isawaitable(found):
                found = await found
            return found if isinstance(found, Response) else JSONResponse(found)

        route = Route(self._prefix + path, endpoint)
        # Not given above, where HEAD would be added to each GET.
        route.methods = {methods} if isinstance(methods, str) else set(methods)
        self.routes.append(route)
