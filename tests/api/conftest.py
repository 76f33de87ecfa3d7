"""Calls over HTTP run for both transports here too."""

from __future__ import annotations

from tests.transport.conftest import run

__all__ = ["run"]
