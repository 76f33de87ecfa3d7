"""The emulator and the process that forks tasks. Each module of tests has one of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.killer import Tasks
from tests.posthog.fleet.fleet import PATIENCE_SECONDS, Fleet
from tests.posthog.fleet.settings import Setting
from tests.posthog.fleet.watcher import WatchedEmulator

NewFleet = Callable[..., Fleet]


@pytest.fixture(scope="module")
def watched() -> Iterator[WatchedEmulator]:
    """An emulator with a watcher."""
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as folder,
        WatchedEmulator(Path(folder) / "posthog.db") as running,
    ):
        yield running


@pytest.fixture(scope="module")
def tasks() -> Iterator[Tasks]:
    """The process that forks tasks."""
    with Tasks(PATIENCE_SECONDS) as running:
        yield running


@pytest.fixture
def new_fleet(watched: WatchedEmulator, tasks: Tasks, tmp_path: Path) -> NewFleet:
    """Makes the tenants of a test, and an empty PostHog."""

    def make(setting: Setting, **options: Any) -> Fleet:
        return Fleet(watched, tasks, tmp_path, setting, **options)

    return make
