"""The fixture ``run`` sends a call over HTTP with both transports."""

from __future__ import annotations

from tests.client.conftest import run

__all__ = ["run"]
