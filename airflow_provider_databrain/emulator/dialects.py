"""How each emulated API says that something went wrong on the way, for faults that are not the API's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

_HTML = "<html><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True)
class Dialect:
    """One API's words.

    :param limited: makes the body of a 429 from the seconds to wait.
    :param error: makes the body of another error from a status, a code and a message.
    :param wrong: a body of another shape than any answer.
    :param cut: the beginning of a body.
    :param whole_seconds: ``Retry-After`` is a whole number, rounded up.
    """

    limited: Callable[[str], dict[str, Any]]
    error: Callable[[int, str, str], dict[str, Any]]
    wrong: dict[str, Any]
    cut: str
    whole_seconds: bool = False

    def too_many(self, seconds: float) -> Response:
        """429: come back after so many seconds."""
        wait = str(math.ceil(seconds)) if self.whole_seconds else f"{seconds:.3f}".rstrip("0").rstrip(".")
        return JSONResponse(self.limited(wait), 429, {"Retry-After": wait})

    def read_only(self) -> Response:
        """403: nothing may be changed."""
        return JSONResponse(self.error(403, "READ_ONLY", "Changes are refused"), 403)

    def spoiled(self, kind: str) -> Response:
        """What comes instead of an answer, by a fault's kind."""
        if kind == "html":
            return Response(_HTML, 200, media_type="text/html")
        if kind == "cut":
            return Response(self.cut, 200, media_type="application/json")
        if kind == "wrong":
            return JSONResponse(self.wrong)
        return JSONResponse(self.error(500, "INTERNAL_SERVER_ERROR", "Internal server error"), 500)


def _databrain(_status: int, code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _posthog_limited(wait: str) -> dict[str, Any]:
    detail = f"Request was throttled. Expected available in {wait} second{'' if wait == '1' else 's'}."
    return {"type": "throttled_error", "code": "throttled", "detail": detail, "attr": None}


def _posthog(status: int, _code: str, message: str) -> dict[str, Any]:
    if status == 403:
        return {"type": "authentication_error", "code": "permission_denied", "detail": message, "attr": None}
    return {"type": "server_error", "code": "error", "detail": "A server error occurred.", "attr": None}


def _conduit(_status: int, code: str, message: str) -> dict[str, Any]:
    return {"code": code.lower(), "message": message}


DATABRAIN = Dialect(
    limited=lambda _: _databrain(429, "RATE_LIMITED", "Too many requests"),
    error=_databrain,
    wrong={"id": ["?"], "data": "?", "error": None},
    cut='{"id": "client-',
)
POSTHOG = Dialect(
    limited=_posthog_limited,
    error=_posthog,
    wrong={"id": ["?"], "results": "?", "tiles": "?"},
    cut='{"id": 4, "name": "',
    whole_seconds=True,
)
CONDUIT = Dialect(
    limited=lambda _: _conduit(429, "RATE_LIMITED", "Too many requests"),
    error=_conduit,
    wrong={"id": ["?"], "data": "?"},
    cut='{"id": 4, "name": "',
)


def of(path: str) -> Dialect | None:
    """The dialect of the API at a path; None where there is no API."""
    for prefix, dialect in (("/api/v2/", DATABRAIN), ("/api/", POSTHOG), ("/v2/", CONDUIT)):
        if path.startswith(prefix):
            return dialect
    return None
