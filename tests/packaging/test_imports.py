"""What an import costs a Dag file, and that it gives no warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.get_provider_info import get_provider_info
from tests.airflow_names import AIRFLOW_WARNINGS

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "example_dags"
SETUP = f"""
import pkgutil, runpy, warnings
from importlib import import_module
from pathlib import Path
for name in {AIRFLOW_WARNINGS}:
    module, _, category = name.rpartition(".")
    warnings.filterwarnings("error", category=getattr(import_module(module), category))
warnings.filterwarnings("error", module=r"airflow_provider_databrain|__main__|dag_file")
"""
PACKAGE = """
import airflow_provider_databrain as package
names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
modules = [import_module(name) for name in names if "example_dags" not in name and not name.endswith(".__main__")]
assert len(modules) > 100
for name in package.__all__:
    getattr(package, name)
"""
DAGS = f"""
files = sorted(Path({str(EXAMPLES)!r}).glob("*.py"))
assert len(files) > 10
for file in files:
    runpy.run_path(str(file), run_name="dag_file")
"""
SELF_TEST = """
from airflow.exceptions import RemovedInAirflow4Warning
warnings.warn("planted", RemovedInAirflow4Warning)
"""


def run(script: str) -> str:
    """Run a script in a new process. Return its errors."""
    done = subprocess.run([sys.executable, "-c", SETUP + script], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("script", [PACKAGE, DAGS], ids=["package", "example Dags"])
def test_an_import_gives_no_warning(script: str) -> None:
    assert run(script) == ""


def test_the_check_notices_a_warning() -> None:
    assert "RemovedInAirflow4Warning: planted" in run(SELF_TEST)


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
