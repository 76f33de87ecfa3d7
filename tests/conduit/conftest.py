"""The fixture ``runs``: a tenant table and Conduit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conduit.runs import NAMES, Runs
from tests.conduit.support import Conduit
from tests.support import make_warehouse


@pytest.fixture
def runs(conduit: Conduit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Eight active tenants that are not provisioned yet."""
    rows = [(name, "Overview", 1) for name in NAMES]
    return Runs(conduit, make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, title, active"))
