"""What Airflow discovers of the provider."""

from __future__ import annotations

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest

from airflow_provider_databrain import get_provider_info as module
from airflow_provider_databrain.conduit.hook import ConduitHook
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.posthog.hook import PostHogHook

INFO: dict[str, Any] = module.get_provider_info()
CONNECTIONS: dict[str, dict[str, Any]] = {each["connection-type"]: each for each in INFO["connection-types"]}
Hook = type[DatabrainHook] | type[PostHogHook] | type[ConduitHook]
HOOKS: list[Hook] = [DatabrainHook, PostHogHook, ConduitHook]
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


INNER = ("__init__", "base", "databrain_base", "engine", "sql_rows")
"""Modules without a class that a Dag would name."""


def test_every_room_with_public_classes_is_listed() -> None:
    package = Path(inspect.getfile(module)).parent
    there = {
        f"airflow_provider_databrain.{kind}.{path.stem}"
        for kind in ("operators", "sensors", "hooks", "triggers")
        for path in (package / kind).glob("*.py")
        if path.stem not in INNER
    }
    assert set(MODULES) == there


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
    assert fields(DatabrainHook)["service_token"]["schema"]["format"] == "password"


def test_discovery_imports_nothing() -> None:
    tree = ast.parse(inspect.getsource(module))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
