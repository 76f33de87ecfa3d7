"""How the emulated Databrain words errors that are not its own.

``INTERNAL_SERVER_ERROR`` is the vendor's code. The reference does not show the body of a 429 or its ``Retry-After``:
they are our choice, and so is the wording of the read-only mode.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.emulator.dialects import Dialect


def _error(_status: int, code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


DIALECT = Dialect(
    limited=lambda _: _error(429, "RATE_LIMITED", "Too many requests"),
    error=_error,
    wrong={"id": ["?"], "data": "?", "error": None},
    cut='{"id": "client-',
)
