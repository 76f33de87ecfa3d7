"""A request that an emulated API refuses."""

from __future__ import annotations

from fastapi.responses import JSONResponse


class RefusalError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> JSONResponse:
        """The answer's JSON."""
        return JSONResponse({"error": {"code": self.code, "message": str(self)}}, self.status)


def invalid(message: str) -> RefusalError:
    """The refusal of a request that is not as it must be."""
    return RefusalError(400, "INVALID_REQUEST_BODY", message)
