"""The wheel's contents, and the modules that a Dag file loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    """Return a file of the wheel's metadata folder."""
    [found] = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(found).decode()


def test_every_example_dag_is_where_airflow_looks_for_it(wheel: zipfile.ZipFile) -> None:
    examples = {path.name for path in (ROOT / "example_dags").glob("*.py")}
    assert examples
    shipped = {
        Path(name).name for name in wheel.namelist() if name.startswith("airflow_provider_databrain/example_dags/")
    }
    assert shipped == examples


def test_the_wheel_has_the_typing_marker_and_the_emulators_page(wheel: zipfile.ZipFile) -> None:
    assert {"airflow_provider_databrain/py.typed", "airflow_provider_databrain/emulator/page.html"} <= set(
        wheel.namelist()
    )


def test_the_wheel_has_only_the_package(wheel: zipfile.ZipFile) -> None:
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
    """What Airflow's SDK loads by itself does not count."""
    script = (
        "import sys; import airflow.sdk; before = set(sys.modules);"
        "import airflow_provider_databrain.databrain.operators.client_dashboards,"
        "airflow_provider_databrain.databrain.operators.tenants,"
        "airflow_provider_databrain.databrain.operators.metrics,"
        "airflow_provider_databrain.databrain.sensors; print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"aiohttp", "requests", "sqlalchemy", "fastapi", "airflow.models", "airflow.triggers.base"}
    own = {"client", "databrain.api", "databrain.hook", "databrain.target", "databrain.triggers", "tenants.engine"}
    own = {f"airflow_provider_databrain.{room}" for room in own}
    assert all(find_spec(name) for name in heavy | own)
    assert {name for name in loaded if name.startswith(tuple(heavy | own))} == set()
    assert "airflow_provider_databrain.databrain.operators.client_dashboards" in loaded


def test_each_constraints_file_pins_the_airflow_of_its_name_and_has_no_url() -> None:
    for path in (ROOT / "constraints").glob("*.txt"):
        text = path.read_text()
        assert f"apache-airflow=={path.stem.removeprefix('airflow-')}\n" in text
        assert "://" not in text


def test_the_declared_python_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert project["requires-python"] == ">=3.11,<3.14"
    assert named == {"3.11", "3.12", "3.13"}
