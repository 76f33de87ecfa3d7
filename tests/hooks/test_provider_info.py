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
from airflow_provider_databrain.hooks.databrain import DatabrainExtras, DatabrainHook

INFO: dict[str, Any] = module.get_provider_info()  # type: ignore[no-untyped-call]
[CONNECTION] = INFO["connection-types"]
FIELDS: dict[str, dict[str, Any]] = CONNECTION["conn-fields"]
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


def test_every_room_with_public_classes_is_listed() -> None:
    package = Path(inspect.getfile(module)).parent
    there = {
        f"airflow_provider_databrain.{kind}.{path.stem}"
        for kind in ("operators", "sensors", "hooks", "triggers")
        for path in (package / kind).glob("*.py")
        if path.stem not in ("__init__", "base")
    }
    assert set(MODULES) == there


def test_the_connection_type_is_that_of_its_hook() -> None:
    path, _, name = CONNECTION["hook-class-name"].rpartition(".")
    assert getattr(import_module(path), name) is DatabrainHook
    assert (CONNECTION["connection-type"], CONNECTION["hook-name"]) == (
        DatabrainHook.conn_type,
        DatabrainHook.hook_name,
    )


def test_every_field_of_the_form_is_an_extra_and_every_extra_is_in_the_form() -> None:
    assert set(FIELDS) == set(DatabrainExtras.model_fields)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_form_and_the_hook_agree_on_a_field(name: str) -> None:
    schema = FIELDS[name]["schema"]
    default = DatabrainExtras.model_fields[name].default
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(default, schema)
    jsonschema.validate(None, schema)
    assert schema.get("default") == default
    assert FIELDS[name]["label"]


def test_the_service_token_is_a_password_in_the_form() -> None:
    assert FIELDS["service_token"]["schema"]["format"] == "password"


def test_discovery_imports_nothing() -> None:
    tree = ast.parse(inspect.getsource(module))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
