"""The demo itself: a real Airflow with all its processes, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import requests

from airflow_provider_databrain.emulator.state import State
from demo.__main__ import DATABRAIN, Result, run, stack
from demo.local_airflow import LocalAirflow

TENANTS = 60


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result], list[dict[str, str]], list[int]]:
    """Two runs on one Airflow, the first of them with faults; gives folder, results, ids and process ids."""
    folder = tmp_path_factory.mktemp("demo")
    results: list[Result] = []
    ids: list[dict[str, str]] = []
    with stack(folder, TENANTS) as (airflow, url):
        faults = [
            {"kind": "reset_after", "every": 7, "path": "dashboard-embeds"},
            {"kind": "error_after", "every": 5, "path": "dashboard-embeds"},
            {"kind": "too_many", "every": 11, "path": "dashboard-embeds", "seconds": 0.1},
        ]
        requests.put(f"{url}/_emulator/faults", json=faults, timeout=10).raise_for_status()
        for _ in range(2):
            result, found = run(airflow, url, TENANTS, folder)
            results.append(result)
            ids.append(found)
        rendered = rendered_fields(airflow)
        pids = airflow.pids()
    (folder / "rendered.json").write_text(json.dumps(rendered))
    return folder, results, ids, pids


def rendered_fields(airflow: LocalAirflow) -> list[object]:
    """What the UI shows as rendered fields, of every task instance of every run."""
    fields: list[object] = []
    for dag_run in airflow.get(f"/dags/{DATABRAIN.dag_id}/dagRuns")["dag_runs"]:
        fields += [one["rendered_fields"] for one in airflow.task_instances(DATABRAIN.dag_id, dag_run["dag_run_id"])]
    return fields


def test_the_first_run_creates_every_dashboard_in_spite_of_faults(
    demo: tuple[Path, list[Result], list[dict[str, str]], list[int]],
) -> None:
    folder, [first, _], [ids, _], _ = demo
    assert (first.created, first.adopted, first.failed, first.xcom_ids) == (TENANTS, 0, 0, TENANTS)
    state = State(str(folder / "emulator.sqlite"))
    assert {row.client_id: row.dashboard_id for row in state.embeds()} == ids
    assert state.count_embeds() == TENANTS
    state.close()


def test_the_second_run_makes_no_call(
    demo: tuple[Path, list[Result], list[dict[str, str]], list[int]],
) -> None:
    _, [_, second], [first_ids, second_ids], _ = demo
    assert (second.created, second.adopted, second.unchanged, second.failed) == (0, 0, TENANTS, 0)
    assert second.api_calls == 0
    assert second_ids == first_ids


def test_no_token_is_in_any_file_that_the_demo_leaves(
    demo: tuple[Path, list[Result], list[dict[str, str]], list[int]],
) -> None:
    """Logs, Airflow's database with XCom and rendered fields, the emulator's database and log."""
    folder = demo[0]
    credentials = folder / "credentials.json"
    tokens = [token.encode() for token in json.loads(credentials.read_text()).values()]
    searched = [path for path in folder.rglob("*") if path.is_file() and path != credentials]
    names = {path.name for path in searched}
    assert {"airflow.db", "emulator.sqlite", "emulator.log", "scheduler.log", "rendered.json"} <= names
    assert any(name.startswith("attempt=") for name in names)
    assert [path for path in searched if any(token in path.read_bytes() for token in tokens)] == []
    assert "client-{tenant_id}" in (folder / "rendered.json").read_text()


def test_nothing_that_was_started_is_left_running(
    demo: tuple[Path, list[Result], list[dict[str, str]], list[int]],
) -> None:
    listed = subprocess.run(["ps", "-eo", "pgid="], capture_output=True, text=True, check=True)
    assert set(demo[3]) & {int(line) for line in listed.stdout.split()} == set()
