"""The example Dag that keeps one team's PostHog dashboard and waits until it is fresh."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog import state as posthog_state
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import POSTHOG_SCOPES, Emulator
from airflow_provider_databrain.posthog.sensors import PostHogDashboardRefreshedSensor
from tests.dags.conftest import Ran, load_dags

DAG_ID = "posthog_team_dashboard"


@pytest.fixture
def refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person refreshes each new dashboard at once: the emulated PostHog is too old to calculate insights."""
    when = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    monkeypatch.setitem(posthog_state.NEW_DASHBOARD, "last_refresh", when)


@pytest.mark.usefixtures("refreshed")
def test_the_dashboard_is_created_updated_shared_and_fresh(posthog: Emulator, run_example: Callable[..., Ran]) -> None:
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert set(ran.task_states.values()) == {"success"}
    [row] = posthog.posthog.dashboards()
    assert ran.values("create") == ran.values("update") == [row.id]
    assert (row.fields["name"], row.fields["filters"], row.shared) == ("Growth team", {"date_from": "-30d"}, True)
    assert posthog.posthog.contents.tiles(row.id)
    share = posthog.posthog.shares.of(row.id)
    assert share is not None
    assert share.access_token not in repr(ran.xcoms)


@pytest.mark.usefixtures("refreshed")
def test_a_second_run_uses_the_same_dashboard(posthog: Emulator, run_example: Callable[..., Ran]) -> None:
    first, second = (run_example(DAG_ID) for _ in range(2))
    assert second.state == "success"
    assert second.values("create") == first.values("create")
    assert [row.id for row in posthog.posthog.dashboards()] == first.values("create")


@pytest.mark.usefixtures("refreshed")
def test_a_lost_answer_to_a_create_leaves_one_dashboard(
    posthog: Emulator, run_example: Callable[..., Ran], fast_retries: None
) -> None:
    posthog.control.set_faults([Fault(kind="reset_after", method="POST", path="/dashboards/$", times=1)])
    ran = run_example(DAG_ID)
    assert ran.state == "success"
    assert [row.id for row in posthog.posthog.dashboards()] == ran.values("create")


def test_a_newer_posthog_calculates_the_insights_and_nobody_opens_the_dashboard(
    posthog: Emulator, run_example: Callable[..., Ran]
) -> None:
    posthog.control.behaviour = Behaviour(posthog_version="2026-07")
    posthog.posthog_keys[posthog.posthog_key] = Key((*POSTHOG_SCOPES, "query:read"))
    ran = run_example(DAG_ID)
    assert set(ran.task_states.values()) == {"success"}
    [row] = posthog.posthog.dashboards()
    assert row.fields["last_refresh"] is None
    assert posthog.control.arrived["GET", f"/api/projects/1/dashboards/{row.id}/run_insights/"] == 1


def test_the_wait_has_an_end(example_files: dict[str, Path]) -> None:
    fresh = load_dags(example_files[DAG_ID])[DAG_ID].get_task("fresh")
    assert isinstance(fresh, PostHogDashboardRefreshedSensor)
    assert (fresh.timeout, fresh.soft_fail) == (7200, True)
