"""The public face: every public class can be imported from the package by its name, and one table says where it is."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import airflow_provider_databrain as face
from airflow_provider_databrain.airflow_compat import BaseHook, BaseOperator, BaseOperatorLink, BaseTrigger

ROOT = Path(__file__).parents[2]
TABLE = [(name, module) for module, names in face.MODULES.items() for name in names]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INTERNAL = {"StoppedError"}
"""Errors that no caller of ours gets to see."""


def classes() -> set[type]:
    """Every class that is defined in the package, outside of the emulator."""
    found = set()
    for info in pkgutil.walk_packages(face.__path__, f"{face.__name__}."):
        if ".emulator" in info.name or ".example_dags" in info.name:
            continue
        module = import_module(info.name)
        found |= {value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == info.name}
    return found


def is_public(value: type) -> bool:
    """Whether a user names this class: no private one, and no base of our own classes."""
    if value.__name__.startswith("_") or value.__name__ in INTERNAL:
        return False
    if issubclass(value, Exception):
        return True
    if value.__module__.endswith(".target") and value.__name__.endswith("Target"):
        return ".tenants." not in value.__module__
    kinds = (BaseOperator, BaseHook, BaseTrigger, BaseOperatorLink)
    return issubclass(value, kinds) and not value.__subclasses__()


@pytest.mark.parametrize(("name", "module"), TABLE)
def test_a_name_gives_the_class_of_its_module(name: str, module: str) -> None:
    assert getattr(face, name) is vars(import_module(f"{face.__name__}.{module}"))[name]


def test_every_public_class_is_in_the_table_and_nothing_else() -> None:
    prefix = f"{face.__name__}."
    public = [(value.__name__, value.__module__.removeprefix(prefix)) for value in classes() if is_public(value)]
    assert sorted(TABLE) == sorted(public)
    assert len(dict(TABLE)) == len(TABLE)


def test_type_checkers_read_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(inspect.getsource(face))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    prefix = f"{face.__name__}."
    read = [(alias.name, str(node.module).removeprefix(prefix)) for node in imports for alias in node.names]
    assert sorted(read) == sorted(TABLE)
    # Without the repeated name, a strict type checker takes an import for a private one.
    assert all(alias.asname == alias.name for node in imports for alias in node.names)


def test_all_and_dir_have_every_name() -> None:
    assert face.__all__ == ["__version__", *sorted(name for name, _ in TABLE)]
    assert set(face.__all__) <= set(dir(face))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'airflow_provider_databrain' has no attribute 'Nothing'"):
        _ = face.Nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_none_of_its_modules_and_a_name_imports_what_it_needs() -> None:
    script = (
        "import sys; import airflow_provider_databrain as face;"
        "loaded = lambda: [name for name in sys.modules if name.startswith('airflow')];"
        "print(loaded()); face.MalformedAnswerError; print(loaded())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    before, after = map(ast.literal_eval, done.stdout.splitlines())
    assert before == ["airflow_provider_databrain"]
    assert after == [
        "airflow_provider_databrain",
        "airflow_provider_databrain.client",
        "airflow_provider_databrain.printable",
        "airflow_provider_databrain.portable",
        "airflow_provider_databrain.client.errors",
    ]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_imports_from_the_face_and_only_request_models_from_an_api(page: Path) -> None:
    imports = re.findall(r"from (airflow_provider_databrain[\w.]*) import (\([^)]*\)|[^\n]*)", page.read_text())
    for module, names in imports:
        there = face.__all__ if module == face.__name__ else dir(import_module(module))
        assert set(re.findall(r"\w+", names)) <= set(there)
        assert module == face.__name__ or ".api." in f"{module}."


@pytest.mark.parametrize(
    ("name", "module"), [row for row in TABLE if issubclass(getattr(face, row[0]), BaseOperator | BaseHook)]
)
def test_every_operator_sensor_and_hook_is_in_the_readme_or_on_its_vendors_page(name: str, module: str) -> None:
    pages = [ROOT / "README.md", ROOT / "docs" / f"{module.partition('.')[0]}.md"]
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in pages if page.exists())


@pytest.mark.parametrize("name", sorted(name for name, _ in TABLE if issubclass(getattr(face, name), BaseOperator)))
def test_every_connection_id_of_an_operator_is_templated(name: str) -> None:
    operator = getattr(face, name)
    arguments = {
        argument
        for base in operator.__mro__
        if base.__module__.startswith(face.__name__) and "__init__" in vars(base)
        for argument in inspect.signature(base.__init__).parameters
    }
    ids = {argument for argument in arguments if argument.endswith("conn_id")}
    assert ids
    assert ids <= set(operator.template_fields)
