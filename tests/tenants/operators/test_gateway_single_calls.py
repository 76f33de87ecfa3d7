"""A gateway answers a single call with a status of its own: no operator takes it for "gone" or "exists"."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, AuthenticationError, NotFoundError
from airflow_provider_databrain.conduit.operators import DisableConduitWorkspaceOperator
from airflow_provider_databrain.databrain.operators.client_dashboards import CreateDashboardEmbedOperator
from airflow_provider_databrain.databrain.operators.dashboards import PromoteDashboardOperator
from airflow_provider_databrain.databrain.operators.data_apps import CreateDataAppOperator, DeleteDataAppOperator
from airflow_provider_databrain.databrain.operators.embeds import DeleteEmbedOperator
from airflow_provider_databrain.databrain.operators.semantic_layers import (
    DeleteSemanticLayerOperator,
    SetSemanticLayerOperator,
)
from airflow_provider_databrain.databrain.sensors import EmbedSensor
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.collaborators import AddPostHogCollaboratorsOperator
from airflow_provider_databrain.posthog.operators.dashboards import DeletePostHogDashboardOperator
from airflow_provider_databrain.posthog.operators.templates import CreatePostHogDashboardFromTemplateOperator
from tests.conduit.support import Conduit
from tests.gateway import Bare, Gateway
from tests.support import ACCESS, WORKSPACE, http_answer, raw_server

USER = "00000000-0000-4000-8000-000000000001"
CALLS: list[tuple[int, type[ApiError], type[Any], dict[str, Any]]] = [
    (404, NotFoundError, DeleteEmbedOperator, {"embed_id": "e"}),
    (404, NotFoundError, DeleteDataAppOperator, {"name": "a"}),
    (409, AlreadyExistsError, CreateDataAppOperator, {"name": "a"}),
    (404, NotFoundError, SetSemanticLayerOperator, {"name": "m", "feedback": "f"}),
    (404, NotFoundError, DeleteSemanticLayerOperator, {"name": "m"}),
    (404, NotFoundError, DeletePostHogDashboardOperator, {"dashboard_id": 4}),
    (409, AlreadyExistsError, AddPostHogCollaboratorsOperator, {"dashboard_id": 4, "user_uuids": [USER]}),
]
TEMPLATE: dict[str, Any] = {
    "template_name": "x",
    "dashboard_description": "",
    "dashboard_filters": {},
    "tags": [],
    "tiles": [{"type": "TEXT", "body": "x", "layouts": {}}],
}
BODIES = [(b"default backend - 404", "text/plain"), (b'{"error": {"code": 404, "message": "no"}}', "application/json")]


@pytest.fixture(params=BODIES, ids=["text", "json"])
def bare(request: pytest.FixtureRequest) -> tuple[bytes, str]:
    """A body that is no API's own."""
    body: tuple[bytes, str] = request.param
    return body


@pytest.mark.parametrize(("status", "expected", "operator", "fields"), CALLS)
def test_a_bare_status_fails_the_task(
    monkeypatch: pytest.MonkeyPatch,
    bare: tuple[bytes, str],
    status: int,
    expected: type[ApiError],
    operator: type[Any],
    fields: dict[str, Any],
) -> None:
    with raw_server(http_answer(status, *bare)) as (url, met):
        for system, extra in (("databrain", {"service_token": "t"}), ("posthog", {"project_id": 1})):
            fixed = {"conn_type": system, "host": url, "password": "p", "extra": json.dumps(extra)}
            monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_DEFAULT", json.dumps(fixed))
        context: Any = {}
        with pytest.raises(expected, match="no error code of the API"):
            operator(task_id="task", **fields).execute(context)
    assert len(met) == 1


def test_a_workspace_that_is_listed_is_not_taken_for_disabled(conduit: Conduit, bare: tuple[bytes, str]) -> None:
    workspace = conduit.state.add_workspace("Acme")
    body, kind = bare
    with Gateway(conduit.url) as gateway, pytest.MonkeyPatch.context() as patch:
        fields = f'{{"conn_type": "conduit", "host": "{gateway.url}", "password": "organization-token-0123456789"}}'
        patch.setenv("AIRFLOW_CONN_CONDUIT_DEFAULT", fields)
        gateway.refuse("^DELETE", Bare(404, kind, body))
        context: Any = {}
        task = DisableConduitWorkspaceOperator(task_id="task", workspace_id=workspace)
        with pytest.raises(NotFoundError, match="no error code of the API"):
            task.execute(context)
        conduit.state.disable_workspace(workspace)
        task.execute(context)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wait_polls_again_after_a_bare_status(
    monkeypatch: pytest.MonkeyPatch, bare: tuple[bytes, str], status: int
) -> None:
    with raw_server(http_answer(status, *bare)) as (url, _):
        fields = f'{{"conn_type": "databrain", "host": "{url}", "password": "p"}}'
        monkeypatch.setenv("AIRFLOW_CONN_DATABRAIN_DEFAULT", fields)
        sensor = EmbedSensor(task_id="wait", embed_id="e", max_transient_failures=1)
        context: Any = {}
        assert sensor.poke(context) is False
        with pytest.raises(NotFoundError if status == 404 else AuthenticationError):
            sensor.poke(context)


def test_a_bare_403_does_not_choose_how_a_template_is_built(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch, bare: tuple[bytes, str]
) -> None:
    body, kind = bare
    fields = json.loads(os.environ["AIRFLOW_CONN_POSTHOG_DEFAULT"])
    with Gateway(posthog.url) as gateway:
        monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DEFAULT", json.dumps({**fields, "host": gateway.url}))
        gateway.refuse("^POST", Bare(403, kind, body))
        context: Any = {}
        task = CreatePostHogDashboardFromTemplateOperator(task_id="task", template=TEMPLATE, key="k")
        with pytest.raises(AuthenticationError, match="no error code of the API"):
            task.execute(context)
    assert len(gateway.refused) == 1


@pytest.fixture
def between(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway in front of Databrain, which has a dashboard and a workspace to copy it to."""
    connection.state.add_workspace("production")
    connection.state.contents.add_dashboard("sales", "Sales", WORKSPACE, {"layout": [], "metrics": []})
    fields = json.loads(os.environ["AIRFLOW_CONN_DATABRAIN_DEFAULT"])
    with Gateway(connection.url) as gateway:
        monkeypatch.setenv("AIRFLOW_CONN_DATABRAIN_DEFAULT", json.dumps({**fields, "host": gateway.url}))
        yield gateway


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410])
@pytest.mark.parametrize("requests", ["^POST .*import-dashboard", "production", r"^(?!.*import-dashboard).*\bcopy\b"])
def test_a_promotion_concludes_nothing_from_a_bare_status(
    between: Gateway, bare: tuple[bytes, str], status: int, requests: str
) -> None:
    body, kind = bare
    between.refuse(requests, Bare(status, kind, body))
    context: Any = {}
    task = PromoteDashboardOperator(
        task_id="task", dashboard_id="sales", target_workspace_name="production", target_dashboard_id="copy"
    )
    with pytest.raises(ApiError) as failed:
        task.execute(context)
    assert not failed.value.from_api
    assert between.refused
    between.pass_all()
    assert task.execute(context) == "copy"


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410])
def test_a_client_dashboard_is_not_taken_for_existing_after_a_bare_status(
    between: Gateway, bare: tuple[bytes, str], status: int
) -> None:
    body, kind = bare
    between.refuse("^POST", Bare(status, kind, body))
    context: Any = {}
    task = CreateDashboardEmbedOperator(
        task_id="task", dashboard_id="d", client_id="c", access_settings=ACCESS, if_exists="fail"
    )
    with pytest.raises(ApiError) as failed:
        task.execute(context)
    assert not failed.value.from_api
    assert between.passed == []
    between.pass_all()
    assert task.execute(context)
