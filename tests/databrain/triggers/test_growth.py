"""The event trigger for asset watchers."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal

import pytest
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_databrain.databrain.triggers.growth import WorkspaceGrowthTrigger
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.exposure import Exposed
from tests.support import METRICS, WORKSPACE, set_connection


class AssetState:
    """The state store that Airflow passes to an event trigger, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    async def aget(self, key: str, default: object = None) -> object:
        return self.values.get(key, default)

    async def aset(self, key: str, value: object) -> None:
        self.values[key] = value


def trigger(state: AssetState | None = None, kind: Literal["metrics", "dashboards"] = "metrics") -> Any:
    made: Any = WorkspaceGrowthTrigger(workspace_name=WORKSPACE, kind=kind, poll_interval=0.001)
    made.asset_state_store = state
    return made


async def first(events: AsyncIterator[TriggerEvent]) -> Any:
    """The payload of the next event."""
    return (await anext(events)).payload


def on_poll(emulator: Emulator, number: int, action: Callable[[], object]) -> None:
    """Run ``action`` at the ``number``-th request to the emulator from now on."""

    class Counting(Counter[tuple[str, str]]):
        def __setitem__(self, key: tuple[str, str], value: int) -> None:
            super().__setitem__(key, value)
            if self.total() == number:
                action()

    emulator.control.arrived = Counting()


def grow_after_a_poll(emulator: Emulator, **what: list[str]) -> None:
    """Add something to the workspace after the first poll."""
    on_poll(emulator, 2, lambda: emulator.state.add_workspace(WORKSPACE, **what))


def test_it_is_an_event_trigger_and_can_be_rebuilt_from_its_serialized_form() -> None:
    path, arguments = trigger(kind="dashboards").serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert isinstance(again, BaseEventTrigger)
    assert again.serialize() == (path, arguments)


@pytest.mark.parametrize("state", [None, AssetState()], ids=["Airflow before 3.3", "Airflow 3.3"])
async def test_the_log_says_whether_airflow_keeps_a_state_for_the_asset(
    connection: Emulator, exposed: Exposed, state: AssetState | None
) -> None:
    grow_after_a_poll(connection, metrics=["gross-margin"])
    async with aclosing(trigger(state).run()) as events:
        await first(events)
    said = [record for record in exposed.records if "keeps no state for the asset" in record.getMessage()]
    assert len(said) == (state is None)


@pytest.mark.parametrize(
    ("kind", "what"), [("metrics", {"metrics": ["gross-margin"]}), ("dashboards", {"dashboards": ["template-max"]})]
)
async def test_a_workspace_that_gains_something_fires_with_its_id(
    connection: Emulator, kind: Literal["metrics", "dashboards"], what: dict[str, list[str]]
) -> None:
    grow_after_a_poll(connection, **what)
    async with aclosing(trigger(kind=kind).run()) as events:
        [gained] = what.values()
        assert await first(events) == {"workspace": WORKSPACE, "kind": kind, "ids": gained}


async def test_an_id_added_while_no_triggerer_ran_is_reported_by_the_next_one(connection: Emulator) -> None:
    state = AssetState()
    grow_after_a_poll(connection, metrics=["gross-margin"])
    async with aclosing(trigger(state).run()) as events:
        await first(events)
    # It ended after the event, before it stored the ids.
    connection.state.add_workspace(WORKSPACE, metrics=["net-margin"])
    async with aclosing(trigger(state).run()) as events:
        assert sorted((await first(events))["ids"]) == ["gross-margin", "net-margin"]


async def test_an_id_that_was_reported_and_stored_is_not_reported_again(connection: Emulator) -> None:
    state = AssetState()
    grow_after_a_poll(connection, metrics=["gross-margin"])
    async with aclosing(trigger(state).run()) as events:
        assert (await first(events))["ids"] == ["gross-margin"]
        connection.state.add_workspace(WORKSPACE, metrics=["net-margin"])
        assert (await first(events))["ids"] == ["net-margin"]


async def test_an_id_that_was_removed_and_added_again_is_new(connection: Emulator) -> None:
    grow_after_a_poll(connection, metrics=["gross-margin"])
    async with aclosing(trigger().run()) as events:
        await first(events)
        connection.state.remove_metrics(WORKSPACE)
        grow_after_a_poll(connection, metrics=METRICS)
        assert sorted((await first(events))["ids"]) == METRICS


@pytest.mark.parametrize("kind", ["error_before", "reset_before", "html"])
async def test_polls_that_fail_do_not_end_the_watch(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    set_connection(monkeypatch, connection, extra={"max_retry_seconds": 0})
    connection.control.set_faults([Fault.model_validate({"kind": kind, "times": 3})])
    on_poll(connection, 5, lambda: connection.state.add_workspace(WORKSPACE, metrics=["gross-margin"]))
    async with aclosing(trigger().run()) as events:
        assert (await first(events))["ids"] == ["gross-margin"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="it must be 'metrics' or 'dashboards'"):
        WorkspaceGrowthTrigger(kind="tables")  # type: ignore[arg-type]


def test_the_interval_is_read_from_its_text_or_refused() -> None:
    text: Any = "8"
    assert WorkspaceGrowthTrigger(poll_interval=text).poll_interval == 8
    wrong: Any
    for wrong in ("None", "", True, -1, float("nan"), float("inf"), None, [8]):
        with pytest.raises(ValueError, match=r"^poll_interval is .*; it must be a number from 0"):
            WorkspaceGrowthTrigger(poll_interval=wrong)
