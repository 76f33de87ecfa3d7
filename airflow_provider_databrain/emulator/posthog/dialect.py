"""How the emulated PostHog words errors that are not its own, in the envelope of its framework.

The 429 is worded like a recorded answer of a real PostHog. The wording of the read-only mode is our choice.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.emulator.dialects import Dialect


def _limited(wait: str) -> dict[str, Any]:
    detail = f"Request was throttled. Expected available in {wait} second{'' if wait == '1' else 's'}."
    return {"type": "throttled_error", "code": "throttled", "detail": detail, "attr": None}


def _error(status: int, _code: str, message: str) -> dict[str, Any]:
    if status == 403:
        return {"type": "authentication_error", "code": "permission_denied", "detail": message, "attr": None}
    return {"type": "server_error", "code": "error", "detail": "A server error occurred.", "attr": None}


DIALECT = Dialect(
    limited=_limited,
    error=_error,
    wrong={"id": ["?"], "results": "?", "tiles": "?"},
    cut='{"id": 4, "name": "',
    whole_seconds=True,
)
