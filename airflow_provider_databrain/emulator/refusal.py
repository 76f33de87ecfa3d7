"""The error with which an emulated API refuses a request."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from airflow_provider_databrain.portable import Portable


class RefusalError(Portable, Exception):
    """An error response of an emulated API.

    :param status: the HTTP status.
    :param code: the API's error code.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> JSONResponse:
        """Return the error as a JSON response."""
        return JSONResponse({"error": {"code": self.code, "message": str(self)}}, self.status)


def invalid(message: str) -> RefusalError:
    """Return the refusal of an invalid request: 400 with ``INVALID_REQUEST_BODY``."""
    return RefusalError(400, "INVALID_REQUEST_BODY", message)
