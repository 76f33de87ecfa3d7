"""How an emulated API words the errors that are not its own: injected faults, limits and the read-only mode.

Each system has one ``Dialect``; ``systems`` says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

_HTML = "<html><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True)
class Dialect:
    """One API's wording.

    :param limited: makes the body of a 429 from the seconds to wait.
    :param error: makes the body of another error from a status, a code and a message.
    :param wrong: a body whose shape no endpoint answers.
    :param cut: the beginning of a JSON body.
    :param whole_seconds: ``Retry-After`` is a whole number, rounded up.
    """

    limited: Callable[[str], dict[str, Any]]
    error: Callable[[int, str, str], dict[str, Any]]
    wrong: dict[str, Any]
    cut: str
    whole_seconds: bool = False

    def too_many(self, seconds: float) -> Response:
        """429: the client must wait ``seconds``."""
        wait = str(math.ceil(seconds)) if self.whole_seconds else f"{seconds:.3f}".rstrip("0").rstrip(".")
        return JSONResponse(self.limited(wait), 429, {"Retry-After": wait})

    def read_only(self) -> Response:
        """403: the server refuses all changes."""
        return JSONResponse(self.error(403, "READ_ONLY", "Changes are refused"), 403)

    def broken_answer(self, kind: str) -> Response:
        """The response that replaces the real one.

        :param kind: the fault's kind.
        """
        if kind == "html":
            return Response(_HTML, 200, media_type="text/html")
        if kind == "cut":
            return Response(self.cut, 200, media_type="application/json")
        if kind == "wrong":
            return JSONResponse(self.wrong)
        return JSONResponse(self.error(500, "INTERNAL_SERVER_ERROR", "Internal server error"), 500)
