"""The same emulator for all tests of this folder."""

from __future__ import annotations

from tests.databrain.operators.conftest import emulator, running_emulator

__all__ = ["emulator", "running_emulator"]
