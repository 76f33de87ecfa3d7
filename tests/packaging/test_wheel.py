"""What is in the wheel, and whether the versions that different files name agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from airflow_provider_databrain.airflow_compat import _PLACES

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "airflow_provider_databrain"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the wheel's metadata folder."""
    [found] = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(found).decode()


def test_every_example_dag_is_where_airflow_looks_for_it(wheel: zipfile.ZipFile) -> None:
    examples = {path.name for path in (ROOT / "example_dags").glob("*.py")}
    assert examples
    shipped = {
        Path(name).name for name in wheel.namelist() if name.startswith("airflow_provider_databrain/example_dags/")
    }
    assert shipped == examples


def test_the_typing_marker_and_the_emulators_page_are_in_it(wheel: zipfile.ZipFile) -> None:
    assert {"airflow_provider_databrain/py.typed", "airflow_provider_databrain/emulator/page.html"} <= set(
        wheel.namelist()
    )


def test_nothing_but_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"airflow_provider_databrain", "airflow_provider_databrain-0.1.0.dist-info"}


def test_airflow_finds_the_provider_by_its_entry_point(wheel: zipfile.ZipFile) -> None:
    entry_points = metadata(wheel, "entry_points.txt")
    assert "[apache_airflow_provider]" in entry_points
    assert "provider_info = airflow_provider_databrain.get_provider_info:get_provider_info" in entry_points


def test_the_metadata_names_airflow_as_framework(wheel: zipfile.ZipFile) -> None:
    fields = message_from_string(metadata(wheel, "METADATA"))
    assert (fields["Name"], fields["Version"]) == ("airflow-provider-databrain", "0.1.0")
    assert fields["License-Expression"] == "Apache-2.0"
    assert "Framework :: Apache Airflow :: Provider" in fields.get_all("Classifier", [])


def imported(files: Iterable[Path]) -> set[str]:
    """The distributions that these modules import."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    names |= {place for places in _PLACES.values() for place in places}
    names = {name for name in names if name.partition(".")[0] not in {*sys.stdlib_module_names, PACKAGE.name}}
    # airflow.providers.sqlite..., airflow.providers.common.sql...
    parts = [name.split(".")[2:4] for name in names if name.startswith("airflow.providers.")]
    providers = {"-".join(part) if part[0] == "common" else part[0] for part in parts}
    tops = {name.partition(".")[0] for name in names}
    others = {"apache-airflow" if top == "airflow" else packages_distributions()[top][0].lower() for top in tops}
    return others | {f"apache-airflow-providers-{provider}" for provider in providers}


def test_each_imported_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    always, emulator = (
        {re.split(r"[>=]", each)[0] for each in each_list}
        for each_list in (project["dependencies"], project["optional-dependencies"]["emulator"])
    )
    files = {file: "emulator" in file.parts for file in PACKAGE.rglob("*.py")}
    assert imported(files) <= always | emulator
    assert always == imported(file for file, apart in files.items() if not apart)


def makefile(name: str) -> list[str]:
    """The words of a variable of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    [newest], [value] = (re.findall(rf"^{each} := (.+)$", text, re.MULTILINE) for each in ("NEWEST", name))
    return str(value).replace("$(NEWEST)", newest).split()


def test_constraints_pin_the_airflow_they_are_named_for_and_hold_no_url() -> None:
    for path in (ROOT / "constraints").glob("*.txt"):
        text = path.read_text()
        assert f"apache-airflow=={path.stem.removeprefix('airflow-')}\n" in text
        assert "://" not in text


def test_the_airflow_versions_of_the_makefile_are_pinned_and_in_the_docs() -> None:
    [newest], versions = makefile("NEWEST"), makefile("MATRIX")
    assert f"make test AIRFLOW={versions[0]}\n" in (ROOT / ".ci" / "run").read_text()
    assert {path.name for path in (ROOT / "constraints").iterdir()} == {f"airflow-{each}.txt" for each in versions}
    readme = (ROOT / "README.md").read_text()
    assert f"installs Airflow {newest} into" in readme
    assert f"developed on {newest}" in readme
    table = (ROOT / "docs" / "versions.md").read_text()
    assert all(f"| {each} |" in table for each in versions)


def test_the_declared_python_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert project["requires-python"] == ">=3.11"
    assert named == {"3.11", "3.12", "3.13", "3.14"}
