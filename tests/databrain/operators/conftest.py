"""One emulator for all tests of this folder, emptied before each test. To start one for each test would be slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import METRICS, TEMPLATES, WORKSPACE


@pytest.fixture(scope="package")
def running_emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(running_emulator: Emulator) -> Emulator:
    """An emptied emulator with one workspace, five metrics and two templates."""
    state, control = running_emulator.state, running_emulator.control
    account, catalog = running_emulator.account, running_emulator.catalog
    state.clear()
    for app in account.apps():
        if app.name != DATA_APP:
            account.delete_app(app.name)
    for mart in catalog.datamarts():
        catalog.delete_datamart(mart.name)
    for source in catalog.datasources():
        catalog.delete_datasource(source.name)
    control.set_faults([])
    control.behaviour = Behaviour()
    control.log.clear()
    control.arrived.clear()
    state.add_workspace(WORKSPACE, metrics=METRICS, dashboards=TEMPLATES)
    return running_emulator
