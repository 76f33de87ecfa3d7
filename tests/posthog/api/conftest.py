"""Calls over HTTP run for both transports here too."""

from __future__ import annotations

from tests.client.conftest import run

__all__ = ["run"]
