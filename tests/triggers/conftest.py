"""What the tests of triggers share."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.triggers import base


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for the one poll there is time for."""
    monkeypatch.setattr(base, "SHORTEST_SECONDS", 30.0)
