"""What is in the wheel, and what importing the package costs a Dag file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.get_provider_info import get_provider_info

ROOT = Path(__file__).parent.parent.parent


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


def test_parsing_a_dag_file_loads_no_http_library_no_model_and_no_database() -> None:
    """Beyond what Airflow's SDK has loaded by itself. All operators and sensors are imported."""
    info: Any = get_provider_info()
    modules = [name for kind in ("operators", "sensors") for room in info[kind] for name in room["python-modules"]]
    script = (
        "import sys; import airflow.sdk; before = set(sys.modules);"
        f"import {', '.join(modules)}; print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"aiohttp", "requests", "sqlalchemy", "fastapi", "airflow.models", "airflow.triggers.base"}
    assert loaded & heavy == set()
    assert loaded >= set(modules)
    own = {name.removeprefix("airflow_provider_databrain.") for name in loaded if "airflow_provider_databrain." in name}
    # What a task needs when it runs, but not while its Dag file is parsed.
    late = r"\w+\.(hook|target|api|triggers?)(\..*)?|client(\..*)?|tenants\.engine(\..*)?|sql\.replace_rows"
    assert [name for name in sorted(own) if re.fullmatch(late, name)] == []


def test_constraints_pin_the_airflow_they_are_named_for_and_hold_no_url() -> None:
    for path in (ROOT / "constraints").glob("*.txt"):
        text = path.read_text()
        assert f"apache-airflow=={path.stem.removeprefix('airflow-')}\n" in text
        assert "://" not in text


def test_the_airflow_versions_of_the_makefile_are_pinned_and_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    newest, oldest = (re.findall(rf"^{name} := (.+)$", makefile, re.MULTILINE) for name in ("NEWEST", "OLDEST"))
    assert {path.name for path in (ROOT / "constraints").iterdir()} == {
        f"airflow-{version}.txt" for version in (*newest, *oldest)
    }
    readme = (ROOT / "README.md").read_text()
    assert f"installs Airflow {newest[0]} into" in readme
    assert f"developed on {newest[0]}, and its unit tests also run on {oldest[0]}" in readme


def test_the_declared_python_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert project["requires-python"] == ">=3.11,<3.14"
    assert named == {"3.11", "3.12", "3.13"}
