"""``docs/endpoints.md`` agrees with the code, the tests and the emulator."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from starlette.routing import Route

import airflow_provider_databrain as face
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.client.call import Endpoint
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.get_provider_info import VENDORS, get_provider_info
from airflow_provider_databrain.tenants.operators.task import TenantTask

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "endpoints.md"


def api_modules(vendor: str) -> list[ModuleType]:
    """Every module of a vendor's API."""
    package = import_module(f"{face.__name__}.{vendor}.api")
    inner = [info.name for info in pkgutil.iter_modules(getattr(package, "__path__", []))]
    return [package, *(import_module(f"{package.__name__}.{name}") for name in inner)]


SYSTEMS: dict[str, tuple[list[ModuleType], Any, str]] = {
    str(vendor.INTEGRATION["integration-name"]): (
        api_modules(name),
        getattr(face, face.MODULES[f"{name}.hook"][0]),
        urlsplit(str(vendor.CONNECTION["ui-field-behaviour"]["placeholders"]["host"])).path,
    )
    for name, vendor in VENDORS.items()
}
"""Each vendor: the modules of its API, its hook, and the path that its base URL ends with."""
INFO: dict[str, Any] = get_provider_info()
MODULES = [
    import_module(name) for kind in ("operators", "sensors") for room in INFO[kind] for name in room["python-modules"]
]
TRIGGERS = {
    name: value
    for room in INFO["triggers"]
    for path in room["python-modules"]
    for name, value in vars(import_module(path)).items()
    if isinstance(value, type)
}
"""All triggers by class name: they call the API for an operator or a sensor that is deferred."""
CALLED_INSTEAD = {
    "create_embed": "find_or_create_embed",
    "create_workspace": "find_or_create_workspace",
    "create_dashboard": "find_or_create_dashboard",
    "create_insight": "build_dashboard",
    "create_share_password": "update_sharing",
    "create_api_token": "create_api_token_into",
    "list_api_tokens": "create_api_token_into",
    "rotate_api_key": "rotate_api_key_into",
    "rotate_service_token": "rotate_service_token_into",
}
"""The hook method that operators call in place of the plain one; it makes the plain one's call itself."""


class Row(NamedTuple):
    """One line of a table."""

    operation: str
    request: str
    method: str
    operators: tuple[str, ...]
    test: str


def rows(system: str) -> list[Row]:
    """The table of one system."""
    [section] = re.findall(rf"^## {system}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [
        Row(row[0], row[1].strip("`"), row[2].strip("`"), tuple(re.findall("`(.*?)`", row[3])), row[4].strip("`"))
        for row in cells[2:]
    ]


def endpoints(modules: list[ModuleType]) -> Iterator[Endpoint]:
    """The endpoints that these modules define."""
    return (value for module in modules for value in vars(module).values() if isinstance(value, Endpoint))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_page_lists_exactly_the_endpoints_of_the_code(system: str) -> None:
    modules = SYSTEMS[system][0]
    shown = sorted((row.operation, row.request) for row in rows(system))
    assert shown == sorted((each.name, f"{each.method} {each.path}") for each in endpoints(modules))


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_hook_method_exists_sync_and_async(system: str) -> None:
    hook = SYSTEMS[system][1]
    for row in rows(system):
        assert callable(getattr(hook, row.method)), row
        assert callable(getattr(hook, f"a{row.method}")), row
        if both := getattr(getattr(hook, row.method), "__wrapped__", None):
            assert getattr(hook, f"a{row.method}").__wrapped__ is both, row


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_hook_method_is_called_in_its_test(system: str) -> None:
    for row in rows(system):
        assert re.search(rf"\b{row.method}\b", (ROOT / row.test).read_text()), row


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_operator_exists_and_calls_the_hook_method(system: str) -> None:
    for row in rows(system):
        for name in row.operators:
            [operator] = {vars(module)[name] for module in MODULES if name in vars(module)}
            called = "".join(map(source, operator.__mro__))
            called += "".join(
                source(TRIGGERS[trigger]) for trigger in re.findall(r"\w+Trigger\b", called) if trigger in TRIGGERS
            )
            assert re.search(rf"\b({row.method}|{CALLED_INSTEAD.get(row.method, row.method)})\b", called), (row, name)


def test_each_operator_for_single_calls_is_on_the_page() -> None:
    shown = {name for system in SYSTEMS for row in rows(system) for name in row.operators}
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("_") or not isinstance(value, type) or not issubclass(value, ApiOperator):
                continue
            if not (inspect.isabstract(value) or issubclass(value, TenantTask) or value.__subclasses__()):
                assert name in shown


def source(cls: type) -> str:
    """The source of a class, if it belongs to this package."""
    return inspect.getsource(cls) if cls.__module__.startswith("airflow_provider_databrain.") else ""


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_emulator_has_a_route_for_each_endpoint(system: str, emulator: Emulator) -> None:
    modules, _, prefix = SYSTEMS[system]
    app: Any = emulator.server.config.app
    routes = [(method, each) for each in app.routes if isinstance(each, Route) for method in each.methods or ()]
    for endpoint in endpoints(modules):
        path = prefix + re.sub(r"\{\w+\}", "1", endpoint.path)
        assert any(method == endpoint.method and route.path_regex.match(path) for method, route in routes), endpoint
