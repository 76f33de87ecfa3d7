"""A status that no API has worded: no operator succeeds with it, and no sensor takes it for an answer.

The walk goes over all public operators and sensors, so a new one is tried too.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_databrain.base.sensor import PollSensor
from airflow_provider_databrain.base.trigger import PollTrigger
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.conduit.hook import ConduitHook
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.base.test_arguments import made
from tests.dags.test_every_operator import public_operators
from tests.support import ACCESS, http_answer, raw_server
from tests.tenants.operators.test_gateway_single_calls import TEMPLATE

PUBLIC = sorted(
    {
        operator
        for operator in public_operators()
        if not operator.__module__.startswith("airflow_provider_databrain.tenants")
    },
    key=lambda operator: operator.__name__,
)
SENSORS = [operator for operator in PUBLIC if issubclass(operator, PollSensor)]
TABLES = [operator for operator in PUBLIC if hasattr(made(operator), "key_column")]
"""They run the engine, whose behaviour ``tests/tenants/operators/test_gateway*.py`` show."""
SINGLE = [operator for operator in PUBLIC if operator not in SENSORS and operator not in TABLES]
STATUSES = [401, 403, 404, 409, 410]
BODIES = {
    "text": (b"default backend", "text/plain"),
    "json": (b'{"error": {"code": 404, "message": "no"}}', "application/json"),
}
UUID = "00000000-0000-4000-8000-000000000001"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "AddPostHogCollaboratorsOperator": {"user_uuids": [UUID]},
    "CopyPostHogTileOperator": {"from_dashboard_id": 5, "tile_id": 2},
    "DeletePostHogTileOperator": {"tile_id": 2},
    "CreateDashboardEmbedOperator": {"dashboard_id": "d", "access_settings": ACCESS, "workspace_name": "w"},
    "EmbedOperator": {"dashboard_id": "d", "access_settings": ACCESS},
    "FetchDashboardMetricsOperator": {"dashboard_id": "d"},
    "PromoteDashboardOperator": {"dashboard_id": "d", "target_workspace_name": "v"},
    "CreateDatamartOperator": {"table_list": [{"name": "t", "columns": [{"name": "a"}]}]},
    "CreateWorkspaceOperator": {"connection_type": "MULTI_DATASOURCE"},
    "SetSemanticLayerOperator": {"feedback": "f"},
    "UpdateDatamartOperator": {"table_list": [{"name": "t", "columns": [{"name": "a"}]}]},
    "UpdateEmbedOperator": {"name": "n"},
    "UpdateWorkspaceOperator": {"connection_type": "MULTI_DATASOURCE"},
    "CreateDatasourceOperator": {"datasource_type": "postgres"},
    "UpdateDatasourceOperator": {"datasource_type": "postgres"},
    "CreatePostHogDashboardFromTemplateOperator": {"template": TEMPLATE},
}


@pytest.fixture(
    params=[(status, body) for status in STATUSES for body in BODIES], ids=lambda each: f"{each[0]}-{each[1]}"
)
def met(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The three connections lead to a server that answers each request with one bare status."""
    status, body = request.param
    with raw_server(http_answer(status, *BODIES[body])) as (url, requests):
        extras: dict[str, dict[str, Any]] = {
            "databrain": {"service_token": "t", "workspace_name": "w", "data_app_name": "a"},
            "posthog": {"project_id": 1},
            "conduit": {},
        }
        for system, extra in extras.items():
            fields = {"conn_type": system, "host": url, "password": "p", "extra": json.dumps(extra)}
            monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_DEFAULT", json.dumps(fields))
        monkeypatch.setenv("AIRFLOW_CONN_X", "postgresql://u:p@h:5432/d")
        yield requests


def test_the_walk_finds_them() -> None:
    assert len(SINGLE) > 45
    assert len(SENSORS) >= 5
    assert len(TABLES) == 6


@pytest.mark.parametrize("operator", SINGLE)
def test_a_bare_status_is_the_tasks_error(met: list[bytes], operator: Any) -> None:
    context: Any = {}
    with pytest.raises(ApiError) as failed:
        made(operator, **ARGUMENTS.get(operator.__name__, {})).execute(context)
    assert met
    assert not failed.value.from_api


@pytest.mark.parametrize("operator", SENSORS)
def test_a_bare_status_is_a_failed_poll_and_no_answer(met: list[bytes], operator: Any) -> None:
    sensor = made(operator, **ARGUMENTS.get(operator.__name__, {}), max_transient_failures=1)
    context: Any = {}
    assert sensor.poke(context) is False
    with pytest.raises(ApiError) as failed:
        sensor.poke(context)
    assert not failed.value.from_api
    assert len(met) == 2


@pytest.mark.parametrize("operator", SENSORS)
def test_a_deferred_wait_polls_again_after_a_bare_status(met: list[bytes], operator: Any) -> None:
    sensor = made(operator, **ARGUMENTS.get(operator.__name__, {}))
    trigger: PollTrigger = sensor.trigger(
        poke_interval=0.001, deadline=time.time() + 600, max_transient_failures=2, silent_fail=False, timeouts={}
    )
    with pytest.raises(ApiError) as failed:
        asyncio.run(trigger.wait())
    assert not failed.value.from_api
    assert len(met) == 3


@pytest.mark.parametrize("hook", [DatabrainHook, PostHogHook, ConduitHook])
def test_the_test_button_does_not_call_the_credentials_refused(met: list[bytes], hook: Any) -> None:
    passed, message = hook().test_connection()
    assert not passed
    assert "not an answer of the API" in message
    assert met
