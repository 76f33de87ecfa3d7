"""How the emulated Databrain words errors that are not its own.

The vendor's reference does not show such errors. The codes, the messages and a ``Retry-After`` with decimals are our
choice.
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
