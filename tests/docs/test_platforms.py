"""``docs/platforms``: its files are valid, and the names in its pages exist. Nothing here runs on a platform."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import airflow_provider_databrain as face
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.posthog.api.endpoint import EU_URL
from airflow_provider_databrain.tenants.engine.spec import fill

yaml: Any = import_module("yaml")  # it comes with Airflow, without types
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "platforms"
PAGES = sorted(FOLDER.glob("*.md"))
HOOKS: list[Any] = [getattr(face, name) for name in ("DatabrainHook", "PostHogHook", "ConduitHook")]
HOOK_OF = {hook.conn_type: hook for hook in HOOKS}
CONNECTIONS = {*(hook.default_conn_name for hook in HOOKS), "warehouse"}
"""Connection ids that a page may name: our defaults, and the database of all examples."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def fences(page: Path, language: str) -> Iterator[str]:
    """The code blocks of a page in one language."""
    for indent, text in re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_index_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text()
    others = [path.name for path in FOLDER.iterdir() if path.is_file() and path.name != "README.md"]
    assert [name for name in sorted(others) if f"]({name})" not in text] == []


@each_page
def test_every_class_and_connection_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    classes = set(re.findall(r"`(\w+(?:Operator|Sensor|Hook|Trigger))`", text))
    assert classes <= set(face.__all__)
    variables = {name.lower() for name in re.findall(r"AIRFLOW_CONN_(\w+)", text)}
    assert variables | set(re.findall(r"\b[a-z]+_default\b", text)) - {"aws_default"} <= CONNECTIONS


@each_page
def test_every_connection_of_a_page_is_accepted_by_its_hook(page: Path) -> None:
    for block in fences(page, "json"):
        connection = json.loads(block)
        HOOK_OF[connection["conn_type"]].extras_model.model_validate(connection["extra"])


def test_the_index_names_the_host_of_every_hook() -> None:
    text = (FOLDER / "README.md").read_text()
    for url in (*(hook.default_url for hook in HOOKS), EU_URL):
        assert f"`{urlsplit(url).hostname}`" in text


def grace_of_the_index() -> int:
    (seconds,) = re.findall(r"`terminationGracePeriodSeconds` of at least (\d+)", (FOLDER / "README.md").read_text())
    return int(seconds)


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number; the units that the files use."""
    match = re.fullmatch(r"(\d+)(m|Mi|Gi|)", str(text))
    assert match, text
    number, unit = match.groups()
    return float(number) * {"m": 1e-3, "": 1, "Mi": 2**20, "Gi": 2**30}[unit]


def check_resources(resources: dict[str, dict[str, str]]) -> None:
    assert set(resources) == {"requests", "limits"}
    for name, limit in resources["limits"].items():
        assert 0 < quantity(resources["requests"][name]) <= quantity(limit)
    assert quantity(resources["requests"]["cpu"]) > 0


def test_the_pod_template_is_a_pod_for_the_kubernetes_executor() -> None:
    pod = load("pod_template.yaml")
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    spec = pod["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] >= grace_of_the_index()
    (container,) = spec["containers"]
    assert container["name"] == "base"
    check_resources(container["resources"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


def test_the_values_and_the_pod_template_agree() -> None:
    values, pod = load("values.yaml"), load("pod_template.yaml")
    kubernetes, container = values["workers"]["kubernetes"], pod["spec"]["containers"][0]
    assert kubernetes["resources"] == container["resources"]
    assert container["image"] == f"{values['defaultAirflowRepository']}:{values['defaultAirflowTag']}"
    secrets = {
        variable["name"]: (reference["name"], reference["key"])
        for variable in container["env"]
        if variable["name"].startswith("AIRFLOW_CONN_")
        for reference in [variable["valueFrom"]["secretKeyRef"]]
    }
    assert secrets == {secret["envName"]: (secret["secretName"], secret["secretKey"]) for secret in values["secret"]}
    assert {name.removeprefix("AIRFLOW_CONN_").lower() for name in secrets} <= CONNECTIONS
    for worker in ("celery", "kubernetes"):
        assert values["workers"][worker]["terminationGracePeriodSeconds"] >= grace_of_the_index()
        check_resources(values["workers"][worker]["resources"])


@each_page
def test_python_in_a_page_compiles(page: Path) -> None:
    for block in fences(page, "python"):
        compile(block, page.name, "exec")


# Of the first Airflow 3.0, which ignores ``executor=``.
@pytest.mark.filterwarnings("ignore:Specifying executors for operators is not yet supported")
def test_the_dag_with_queues_uses_what_the_index_says() -> None:
    module = runpy.run_path(str(FOLDER / "queues.py"))
    tasks = module["tenant_dashboards_in_queues"]().task_dict
    assert tasks["provision"].partial_kwargs["queue"] == "databrain"
    assert tasks["provision"].partial_kwargs["pool"] == "databrain"
    assert tasks["plan"].queue != "databrain"
    assert tasks["remove"].executor == "KubernetesExecutor"
    assert tasks["remove"].executor in load("values.yaml")["executor"].split(",")
    spec = module["DASHBOARD"]
    assert tasks["provision"].partial_kwargs["spec"] == spec
    assert (
        DatabrainTarget().desire("7", fill(spec, {"tenant_id": "7", "name": "Seven"}, "7")).dashboard_id == "client-7"
    )
