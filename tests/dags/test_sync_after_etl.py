"""The example Dag that syncs a datasource after the ETL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran
from tests.support import embed

DAG_ID = "sync_after_etl"


@pytest.fixture
def datasource(connection: Emulator) -> str:
    """The id of a datasource on S3; there is also an embed whose metric is not published."""
    DatabrainHook().create_dashboard_embed(embed())
    connection.state.contents.add_metric("client-acme", "revenue-by-region")
    return connection.catalog.add_datasource("lake", "awss3")


def published(emulator: Emulator) -> list[bool]:
    return [bool(row.published) for row in emulator.state.contents.metrics("client-acme")]


def test_the_metric_is_published_after_the_sync(
    connection: Emulator, datasource: str, run_example: Callable[..., Ran]
) -> None:
    connection.catalog.set_progress("lake", "16/16")
    ran = run_example(DAG_ID, params={"datasource_id": datasource})
    assert ran.state == "success"
    [row] = connection.catalog.datasources()
    assert row.syncs == 1
    assert published(connection) == [True]


def test_a_failed_sync_publishes_nothing(
    connection: Emulator, datasource: str, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    connection.catalog.set_progress("lake", "3/16", "no such bucket")
    ran = run_example(DAG_ID, params={"datasource_id": datasource})
    assert ran.state == "failed"
    assert ran.task_states["synced", -1] == "failed"
    assert "no such bucket" in "".join(capfd.readouterr())
    assert published(connection) == [False]
