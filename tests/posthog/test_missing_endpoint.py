"""A server without an endpoint answers 404, as for a dashboard that is gone. Nothing is concluded from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import EndpointMissingError
from airflow_provider_databrain.posthog.hook import PostHogHook
from airflow_provider_databrain.posthog.operators.dashboards import DeletePostHogDashboardOperator
from airflow_provider_databrain.posthog.operators.tiles import DeletePostHogTileOperator
from airflow_provider_databrain.posthog.sensors import PostHogDashboardRefreshedSensor
from airflow_provider_databrain.posthog.target import PostHogTarget
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.posthog.operators.support import run
from tests.support import http_answer, raw_server

MISSING = {"type": "invalid_request", "code": "not_found", "detail": "Endpoint not found.", "attr": None}
TOO_OLD = "too old for this call, or Host in the Airflow connection is wrong"


@pytest.fixture
def without_endpoints(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connection leads to a server that has none of PostHog's dashboards API."""
    with raw_server(http_answer(404, json.dumps(MISSING).encode())) as (url, _):
        fields = {"conn_type": "posthog", "host": url, "password": "phx_x", "extra": {"max_retry_seconds": 0}}
        monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DEFAULT", json.dumps(fields))
        yield


@pytest.mark.usefixtures("without_endpoints")
def test_nothing_counts_as_deleted() -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (DeletePostHogDashboardOperator, {"dashboard_id": 4}),
        (DeletePostHogTileOperator, {"dashboard_id": 4, "tile_id": 5}),
    ]
    for operator, options in calls:
        with pytest.raises(EndpointMissingError, match=TOO_OLD):
            run(operator, **options)


@pytest.mark.usefixtures("without_endpoints")
@pytest.mark.parametrize("compute", [True, False])
def test_the_sensor_fails_and_does_not_wait(compute: bool) -> None:
    options: dict[str, Any] = {"task_id": "t", "dashboard_id": 4, "since": "2026-01-01", "compute": compute}
    with pytest.raises(EndpointMissingError, match=TOO_OLD):
        PostHogDashboardRefreshedSensor(**options).execute({})


@pytest.mark.usefixtures("without_endpoints")
async def test_the_engine_does_not_believe_that_a_dashboard_is_gone() -> None:
    target = PostHogTarget(scope="1")
    async with PostHogHook() as hook:
        with pytest.raises(EndpointMissingError):
            await target.is_gone(hook.atransport(), Existing("4", "4", ""))
