"""The sensors for dashboards and embeds. ``test_workspace_metrics_sensor`` tests what all sensors share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.databrain.sensors import DatabrainSensor, EmbedSensor, WorkspaceDashboardsSensor
from airflow_provider_databrain.emulator.server import Emulator
from tests.airflow_names import TaskDeferred
from tests.support import TEMPLATES, WORKSPACE, embed

CONTEXT: Any = {}


def dashboards(**arguments: Any) -> WorkspaceDashboardsSensor:
    return WorkspaceDashboardsSensor(task_id="wait", workspace_name=WORKSPACE, **arguments)


@pytest.mark.parametrize(
    ("arguments", "met"),
    [
        ({}, True),
        ({"at_least": "2"}, True),
        ({"at_least": 3}, False),
        ({"dashboards": TEMPLATES}, True),
        ({"dashboards": "Template Basic"}, True),
        ({"dashboards": ["template-basic", "never"]}, False),
    ],
)
def test_dashboards_are_waited_for_by_name_id_or_number(
    connection: Emulator, arguments: dict[str, Any], met: bool
) -> None:
    assert dashboards(**arguments).poke(CONTEXT) is met


@pytest.mark.parametrize("client", [None, "acme"])
def test_an_embed_is_waited_for_by_its_id(connection: Emulator, client: str | None) -> None:
    sensor = EmbedSensor(task_id="wait", embed_id="client-acme", client_id=client)
    assert sensor.poke(CONTEXT) is False
    connection.state.create_embed(wire(embed("acme")), dashboard_name="x", name="x")
    assert sensor.poke(CONTEXT) is True


@pytest.mark.parametrize(
    "sensor",
    [dashboards(dashboards=["never"], deferrable=True), EmbedSensor(task_id="wait", embed_id="never", deferrable=True)],
    ids=["dashboards", "embed"],
)
async def test_a_deferred_wait_ends_once_the_condition_holds(connection: Emulator, sensor: DatabrainSensor) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(CONTEXT)
    path, arguments = deferred.value.trigger.serialize()
    again: Any = type(deferred.value.trigger)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    connection.state.add_workspace(WORKSPACE, dashboards=["never"])
    connection.state.create_embed(wire(embed("x", dashboard_id="never2")), dashboard_name="x", name="x")
    if isinstance(sensor, EmbedSensor):
        again.embed_id = "never2"
    event = await anext(again.run())
    assert event.payload["status"] == "success"
