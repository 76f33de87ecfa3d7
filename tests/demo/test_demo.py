"""The demo itself: a real Airflow with all its processes, and the files that it leaves."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_databrain import __version__
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.get_provider_info import get_provider_info
from demo.__main__ import ROOT, Result, calls, run, stack
from demo.local_airflow import FINISHED, LocalAirflow
from demo.targets import TARGETS, Credentials
from tests.airflow_names import VERSION
from tests.demo.dags.wait_and_remove import EMBEDS
from tests.support import embed

TENANTS = 60
CHANGES = {"databrain": "dashboard-embeds", "posthog": "/api/projects/", "conduit": "/v2/"}
"""A part of the path of each system's creating requests."""
REMOVED = ("tenant-00007", "tenant-00030")
"""The tenants whose dashboards the Dag ``wait_and_remove`` removes."""
SECRETS = {
    "a PostHog dashboard's access token": "SELECT access_token FROM posthog_shares",
    "a Conduit workspace's token": "SELECT token FROM conduit_workspaces",
    "a Conduit dashboard's address": "SELECT share_key FROM conduit_dashboards",
}
"""Secrets that only the emulator's own file may hold."""


@dataclass
class Demo:
    """The results of two runs for each system."""

    folder: Path
    results: dict[str, list[Result]] = field(default_factory=dict)
    ids: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    pids: list[int] = field(default_factory=list)
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The number of task instances of the Dag ``wait_and_remove``, by task and state."""
    log: str = ""
    """The log of its task ``create``."""
    providers: list[dict[str, Any]] = field(default_factory=list)
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What Airflow's UI knows of each connection type."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run all three systems on one Airflow, with faults in the first run of each."""
    done = Demo(tmp_path_factory.mktemp("demo"))
    dags = tmp_path_factory.mktemp("dags")
    for file in [*(ROOT / "example_dags").glob("*.py"), *(Path(__file__).parent / "dags").glob("*.py")]:
        shutil.copy(file, dags)
    with stack(done.folder, TENANTS, TARGETS.values(), dags) as (airflow, url):
        rendered: list[object] = []
        for name, target in TARGETS.items():
            faults = [
                {"kind": "reset_after", "every": 7, "path": CHANGES[name], "method": "POST"},
                {"kind": "error_after", "every": 5, "path": CHANGES[name], "method": "POST"},
                {"kind": "too_many", "every": 11, "path": CHANGES[name], "seconds": 0.1, "method": "POST"},
            ]
            requests.put(f"{url}/_emulator/faults", json=faults, timeout=10).raise_for_status()
            both = [run(airflow, url, TENANTS, done.folder, target) for _ in range(2)]
            done.results[name] = [result for result, _ in both]
            done.ids[name] = [ids for _, ids in both]
            rendered += rendered_fields(airflow, target.dag_id)
        done.states, done.log = wait_and_remove(airflow, url, done.folder)
        rendered += rendered_fields(airflow, "wait_and_remove")
        done.providers = airflow.get("/providers", limit=1000)["providers"]
        forms = airflow.call("GET", "/connections/hook_meta", below="/ui")
        done.forms = {form["connection_type"]: form for form in forms}
        done.pids = airflow.pids()
    (done.folder / "rendered.json").write_text(json.dumps(rendered))
    return done


def wait_and_remove(airflow: LocalAirflow, url: str, folder: Path) -> tuple[Counter[tuple[str, str]], str]:
    """Run the Dag of this name. Its embeds appear after each deferred sensor has polled several times.

    Return the states of its tasks, and the log of ``create``.
    """
    dag_id = "wait_and_remove"
    with closing(sqlite3.connect(folder / "warehouse.sqlite")) as database:
        database.execute("UPDATE tenants SET is_active = 0 WHERE tenant_id IN (?, ?)", REMOVED)
        database.commit()
    requests.put(f"{url}/_emulator/faults", json=[], timeout=10).raise_for_status()
    airflow.wait_for_dag(dag_id)
    run_id = airflow.trigger(dag_id)

    def states() -> Counter[tuple[str, str]]:
        return Counter((each["task_id"], str(each["state"])) for each in airflow.task_instances(dag_id, run_id))

    until(lambda: states()["wait", "deferred"] == len(EMBEDS))
    before = calls(url)
    until(lambda: calls(url) >= before + 3 * len(EMBEDS))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in TARGETS["databrain"].environment(url, Credentials.load(folder / "credentials.json")).items():
            patch.setenv(name, value)
        for embed_id in EMBEDS:
            DatabrainHook().create_dashboard_embed(embed(embed_id.removeprefix("client-")))
    until(lambda: airflow.run_state(dag_id, run_id) in FINISHED)
    return states(), json.dumps(airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/create/logs/1"))


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def rendered_fields(airflow: LocalAirflow, dag_id: str) -> list[object]:
    """Return the rendered fields of every task instance of every run, as the UI shows them."""
    fields: list[object] = []
    for dag_run in airflow.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]:
        instances = airflow.task_instances(dag_id, dag_run["dag_run_id"])
        fields += [instance["rendered_fields"] for instance in instances]
    return fields


def in_emulator(folder: Path, statement: str) -> list[tuple[str, ...]]:
    """Return rows of the emulator's own file."""
    with closing(sqlite3.connect(folder / "emulator.sqlite")) as database:
        return [tuple(map(str, row)) for row in database.execute(statement)]


@pytest.mark.parametrize("system", TARGETS)
def test_the_first_run_creates_every_dashboard_once_despite_faults(demo: Demo, system: str) -> None:
    first, ids = demo.results[system][0], demo.ids[system][0]
    assert (first.created, first.adopted, first.failed) == (TENANTS, 0, 0)
    assert (first.xcom_ids, first.dashboards, len(set(ids.values()))) == (TENANTS, TENANTS, TENANTS)


@pytest.mark.parametrize("system", TARGETS)
def test_the_second_run_makes_no_call(demo: Demo, system: str) -> None:
    second = demo.results[system][1]
    assert (second.created, second.adopted, second.unchanged, second.failed) == (0, 0, TENANTS, 0)
    assert second.api_calls == 0
    assert demo.ids[system][1] == demo.ids[system][0]


@pytest.mark.parametrize(
    ("system", "statement"),
    [
        ("databrain", "SELECT client_id, dashboard_id FROM embeds"),
        ("posthog", "SELECT json_extract(fields, '$.name'), id FROM posthog_dashboards WHERE NOT deleted"),
        ("conduit", "SELECT w.ext_id, d.id FROM conduit_workspaces w JOIN conduit_dashboards d ON d.workspace = w.id"),
    ],
)
def test_each_tenant_gets_its_own_dashboard(demo: Demo, system: str, statement: str) -> None:
    theirs = {row[0]: row[1] for row in in_emulator(demo.folder, statement)}
    ids = demo.ids[system][0]
    if system == "posthog":
        # There, the spec names a dashboard after the tenant's name.
        ids = {f"Tenant {int(tenant.removeprefix('tenant-'))}": dashboard for tenant, dashboard in ids.items()}
    if system == "databrain":
        # The run of ``wait_and_remove`` removed two tenants' dashboards and added these.
        ids = {tenant: dashboard for tenant, dashboard in ids.items() if tenant not in REMOVED}
        ids |= {embed_id.removeprefix("client-"): embed_id for embed_id in [*EMBEDS, "client-last"]}
    assert theirs == ids


def test_sensors_that_wait_at_the_same_time_on_the_triggerer_end_and_inactive_tenants_are_removed(demo: Demo) -> None:
    assert demo.states == {("wait", "success"): len(EMBEDS), ("remove", "success"): 1, ("create", "success"): 1}
    left = {client for (client,) in in_emulator(demo.folder, "SELECT client_id FROM embeds")}
    tenants = {f"tenant-{number:05}" for number in range(1, TENANTS + 1)}
    assert tenants - left == set(REMOVED)


def test_the_log_says_that_airflow_before_3_3_has_no_task_state(demo: Demo) -> None:
    assert "client_dashboards" in demo.log or "create" in demo.log
    assert ("has no task state store" in demo.log) == (VERSION < (3, 3))


def test_airflow_lists_the_provider(demo: Demo) -> None:
    [provider] = [each for each in demo.providers if each["package_name"] == "airflow-provider-databrain"]
    assert provider["version"] == __version__


@pytest.mark.parametrize("system", TARGETS)
def test_airflows_ui_has_the_connection_form(demo: Demo, system: str) -> None:
    form = demo.forms[system]
    info: dict[str, Any] = get_provider_info()
    [known] = [each for each in info["connection-types"] if each["connection-type"] == system]
    assert (form["hook_name"], form["hook_class_name"]) == (known["hook-name"], known["hook-class-name"])
    if VERSION < (3, 2):
        # The UI shows Airflow's standard fields, and the extra as JSON.
        assert form["extra_fields"] is None
    else:
        assert form["extra_fields"].keys() == known["conn-fields"].keys()
        assert form["standard_fields"]["login"]["hidden"]


def test_no_secret_is_in_any_file_that_the_demo_leaves(demo: Demo) -> None:
    """The files are logs, Airflow's database with XCom and rendered fields, and the emulator's log."""
    credentials = demo.folder / "credentials.json"
    stored = json.loads(credentials.read_text())
    tokens = {value: name for name, value in stored.items()}
    assert {"api_key", "service_token", "posthog_key", "conduit_token"} <= stored.keys()
    theirs = {secret: name for name, statement in SECRETS.items() for (secret,) in in_emulator(demo.folder, statement)}
    assert len(theirs) >= 3 * TENANTS
    searched = [path for path in demo.folder.rglob("*") if path.is_file() and path != credentials]
    names = {path.name for path in searched}
    assert {"airflow.db", "emulator.sqlite", "emulator.log", "scheduler.log", "rendered.json"} <= names
    assert any(name.startswith("attempt=") for name in names)
    # The emulator's own file has the keys that it rotates and the tokens that it creates.
    kept = {value for name, value in stored.items() if name in ("api_key", "service_token")} | theirs.keys()
    leaks = []
    for path in searched:
        content = path.read_bytes()
        own = kept if path.name.startswith("emulator.sqlite") else set()
        leaks += [
            (path, name)
            for secret, name in (tokens | theirs).items()
            if secret not in own and secret.encode() in content
        ]
    assert leaks == []
    assert b"client-{tenant_id}" in (demo.folder / "airflow" / "airflow.db").read_bytes()
    # Before Airflow 3.3, a list of task instances has no rendered fields.
    assert VERSION < (3, 3) or "client-{tenant_id}" in (demo.folder / "rendered.json").read_text()


def test_no_log_has_a_warning_about_this_package_or_its_examples(demo: Demo) -> None:
    logs = [path for path in demo.folder.rglob("*.log") if path.is_file()]
    assert len(logs) > 20
    pattern = re.compile(rb"(?:airflow_provider_databrain|example_dags|/dags\d)\S*\.py:\d+\S* \w*Warning.*")
    assert [found for path in logs for found in pattern.findall(path.read_bytes())] == []


def test_every_started_process_has_ended(demo: Demo) -> None:
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True)
    # A zombie (Z) has ended: only its parent, here the system's first process, has not read its exit status yet.
    groups = [int(group) for group, state in map(str.split, listed.stdout.splitlines()) if not state.startswith("Z")]
    assert set(demo.pids) & set(groups) == set()
