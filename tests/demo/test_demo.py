"""The demo itself: a real Airflow with all its processes, and the files that it leaves."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from demo.__main__ import Result, run, stack
from demo.local_airflow import LocalAirflow
from demo.targets import TARGETS

TENANTS = 60
CHANGES = {"databrain": "dashboard-embeds", "posthog": "/api/projects/", "conduit": "/v2/"}
"""A part of the path of each system's creating requests."""
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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run all three systems on one Airflow, with faults in the first run of each."""
    done = Demo(tmp_path_factory.mktemp("demo"))
    with stack(done.folder, TENANTS, TARGETS.values()) as (airflow, url):
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
        done.pids = airflow.pids()
    (done.folder / "rendered.json").write_text(json.dumps(rendered))
    return done


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
    assert theirs == ids


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
    assert "client-{tenant_id}" in (demo.folder / "rendered.json").read_text()


def test_every_started_process_has_ended(demo: Demo) -> None:
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True)
    # A zombie (Z) has ended: only its parent, here the system's first process, has not read its exit status yet.
    groups = [int(group) for group, state in map(str.split, listed.stdout.splitlines()) if not state.startswith("Z")]
    assert set(demo.pids) & set(groups) == set()
