"""The page of all endpoints says what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute

from airflow_provider_databrain.api import (
    conduit,
    databrain,
    databrain_data,
    databrain_data_apps,
    databrain_datamarts,
    databrain_datasources,
    databrain_embeds,
    databrain_semantic,
    databrain_tokens,
    databrain_transfer,
    databrain_workspaces,
    posthog,
)
from airflow_provider_databrain.api.core import Endpoint
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.hooks.conduit import ConduitHook
from airflow_provider_databrain.hooks.databrain import DatabrainHook
from airflow_provider_databrain.hooks.posthog import PostHogHook

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "endpoints.md"
SYSTEMS: dict[str, tuple[list[ModuleType], Any, str]] = {
    "Databrain": (
        [
            databrain,
            databrain_workspaces,
            databrain_data_apps,
            databrain_tokens,
            databrain_embeds,
            databrain_data,
            databrain_datasources,
            databrain_datamarts,
            databrain_semantic,
            databrain_transfer,
        ],
        DatabrainHook,
        "",
    ),
    "PostHog": ([posthog], PostHogHook, ""),
    "Conduit": ([conduit], ConduitHook, "/v2"),
}
MODULES = [
    import_module(f"airflow_provider_databrain.{name}")
    for name in (
        "operators.databrain",
        "operators.databrain_data",
        "operators.databrain_datamarts",
        "operators.databrain_datasources",
        "operators.databrain_embeds",
        "operators.databrain_keys",
        "operators.databrain_transfer",
        "operators.databrain_workspaces",
        "operators.posthog",
        "operators.conduit",
        "sensors.databrain",
        "sensors.posthog",
    )
]


class Row(NamedTuple):
    """One line of a table."""

    operation: str
    request: str
    method: str
    operators: tuple[str, ...]
    test: str


def rows(system: str) -> list[Row]:
    """What the page says of one system."""
    [section] = re.findall(rf"^## {system}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [
        Row(one[0], one[1].strip("`"), one[2].strip("`"), tuple(re.findall("`(.*?)`", one[3])), one[4].strip("`"))
        for one in cells[2:]
    ]


def endpoints(modules: list[ModuleType]) -> Iterator[Endpoint]:
    """What the code has."""
    return (value for module in modules for value in vars(module).values() if isinstance(value, Endpoint))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_page_has_each_endpoint_and_no_other(system: str) -> None:
    modules = SYSTEMS[system][0]
    told = sorted((row.operation, row.request) for row in rows(system))
    assert told == sorted((one.name, f"{one.method} {one.path}") for one in endpoints(modules))


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_hook_method_is_there_sync_and_async(system: str) -> None:
    hook = SYSTEMS[system][1]
    for row in rows(system):
        assert callable(getattr(hook, row.method)), row
        assert callable(getattr(hook, f"a{row.method}")), row


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_is_called_in_the_test_that_is_named(system: str) -> None:
    for row in rows(system):
        assert re.search(rf"\b{row.method}\b", (ROOT / row.test).read_text()), row


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_operator_is_there(system: str) -> None:
    for row in rows(system):
        for name in row.operators:
            assert any(hasattr(module, name) for module in MODULES), row


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_emulator_has_a_route_for_each(system: str, emulator: Emulator) -> None:
    modules, _, prefix = SYSTEMS[system]
    app: Any = emulator.server.config.app
    routes = [(method, one) for one in app.routes if isinstance(one, APIRoute) for method in one.methods]
    for one in endpoints(modules):
        path = prefix + re.sub(r"\{\w+\}", "1", one.path)
        assert any(method == one.method and route.path_regex.match(path) for method, route in routes), one
