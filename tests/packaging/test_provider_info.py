"""What Airflow discovers of the provider."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest

import airflow_provider_databrain
from airflow_provider_databrain import get_provider_info as module
from airflow_provider_databrain.airflow_compat import BaseHook, BaseOperator, BaseTrigger

INFO: dict[str, Any] = module.get_provider_info()
CONNECTIONS: dict[str, dict[str, Any]] = {each["connection-type"]: each for each in INFO["connection-types"]}
Hook: TypeAlias = Any
HOOKS: list[Hook] = [
    getattr(airflow_provider_databrain, name)
    for module, (name, *_) in airflow_provider_databrain.MODULES.items()
    if module.endswith(".hook")
]
MODULES = [
    name
    for kind in ("operators", "sensors", "hooks", "triggers")
    for item in INFO[kind]
    for name in item["python-modules"]
]


def test_the_metadata_is_what_airflow_accepts() -> None:
    schema = json.loads((Path(inspect.getfile(airflow)).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_listed_is_there(name: str) -> None:
    assert inspect.getdoc(import_module(name))


def test_every_public_operator_sensor_hook_and_trigger_is_in_a_listed_module() -> None:
    kinds = (BaseOperator, BaseHook, BaseTrigger)
    public = {name: getattr(airflow_provider_databrain, name) for name in airflow_provider_databrain.__all__[1:]}
    assert set(MODULES) == {value.__module__ for value in public.values() if issubclass(value, kinds)}


def fields(hook: Hook) -> dict[str, dict[str, Any]]:
    """The extra fields of a connection's form."""
    found: dict[str, dict[str, Any]] = CONNECTIONS[hook.conn_type]["conn-fields"]
    return found


def test_every_connection_type_is_that_of_its_hook() -> None:
    there = {}
    for name, connection in CONNECTIONS.items():
        path, _, class_name = connection["hook-class-name"].rpartition(".")
        there[name, connection["hook-name"]] = getattr(import_module(path), class_name)
    assert there == {(hook.conn_type, hook.hook_name): hook for hook in HOOKS}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_field_of_the_form_is_an_extra_and_every_extra_is_in_the_form(hook: Hook) -> None:
    assert set(fields(hook)) == set(hook.extras_model.model_fields)


@pytest.mark.parametrize(("hook", "name"), [(hook, name) for hook in HOOKS for name in sorted(fields(hook))])
def test_the_form_and_the_hook_agree_on_a_field(hook: Hook, name: str) -> None:
    field = fields(hook)[name]
    default = hook.extras_model.model_fields[name].default
    jsonschema.Draft7Validator.check_schema(field["schema"])
    jsonschema.validate(default, field["schema"])
    jsonschema.validate(None, field["schema"])
    assert field["schema"].get("default") == default
    assert field["label"]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_form_shows_where_the_hook_goes_by_default(hook: Hook) -> None:
    assert CONNECTIONS[hook.conn_type]["ui-field-behaviour"]["placeholders"]["host"] == hook.default_url


def test_the_service_token_is_a_password_in_the_form() -> None:
    assert fields(airflow_provider_databrain.DatabrainHook)["service_token"]["schema"]["format"] == "password"


def test_discovery_imports_neither_airflow_nor_a_library() -> None:
    script = (
        "import sys; before = set(sys.modules);"
        "from airflow_provider_databrain.get_provider_info import get_provider_info; get_provider_info();"
        "print('\\n'.join(set(sys.modules) - before))"
    )
    environment = {"PYTHONPATH": str(Path(inspect.getfile(airflow_provider_databrain)).parents[1])}
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name.partition(".")[0] for name in loaded} == {"airflow_provider_databrain"}
    assert loaded == {
        "airflow_provider_databrain",
        "airflow_provider_databrain.base",
        "airflow_provider_databrain.get_provider_info",
        *(f"airflow_provider_databrain.{vendor}" for vendor in module.VENDORS),
        *(f"airflow_provider_databrain.{room}.provider_info" for room in ("base", *module.VENDORS)),
    }
