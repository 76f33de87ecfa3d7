"""The sensor of refreshes lets PostHog calculate the insights: the same in poke mode, in reschedule mode, deferred."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_databrain.base.sensor import WaitError
from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key, invalid
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import insights
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.sensors import PostHogDashboardRefreshedSensor
from airflow_provider_databrain.posthog.triggers import BY_HAND, TOO_OLD, DashboardRefreshedTrigger
from tests.airflow_names import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from tests.posthog.support import sent

QUERY = {"kind": "InsightVizNode"}
OLD, NEW = "2026-03-01T12:00:00.402833Z", "2026-03-01T12:00:01.402833Z"
SINCE = "2026-03-01T12:00:01Z"
NEWEST = Behaviour(posthog_version="2026-07")


class Board:
    """A dashboard with a text and two insights, on a server of 2026-07. The key may use all of it."""

    def __init__(self, emulator: Emulator) -> None:
        emulator.control.behaviour = NEWEST
        emulator.posthog_keys[emulator.posthog_key] = Key(("dashboard:read", "query:read"))
        self.state = emulator.posthog
        self.number = self.state.add_dashboard(name="one")
        contents = self.state.contents
        contents.add_tile(self.number, text=contents.add_text("owner", "# x"))
        self.insights = [contents.add_insight(1, "owner", name=name, query=QUERY) for name in ("a", "b")]
        for insight in self.insights:
            contents.add_tile(self.number, insight=insight)

    def calculate(self, *times: str | None) -> None:
        """Set when each insight was calculated."""
        for key, time in zip(self.insights, times, strict=True):
            row = self.state.contents.insight(key)
            assert row is not None
            self.state.contents.change_insight(row, last_refresh=time)

    def calculated(self) -> list[str | None]:
        rows = [self.state.contents.insight(key) for key in self.insights]
        return [row.fields.get("last_refresh") for row in rows if row is not None]

    def calls(self, *kinds: str) -> list[str]:
        """The calls of these kinds: a look at the dashboard, or a calculation."""
        paths = {"look": "", "calculation": "run_insights/"}
        return [f"GET dashboards/{self.number}/{paths[kind]}" for kind in kinds]


@pytest.fixture
def board(posthog: Emulator) -> Board:
    """See ``Board``."""
    return Board(posthog)


def sensor(board: Board, **options: Any) -> PostHogDashboardRefreshedSensor:
    fixed = {"max_retry_seconds": 0, "poke_interval": 0.001, "since": SINCE, "dashboard_id": board.number}
    return PostHogDashboardRefreshedSensor(task_id="t", **{**fixed, **options})


def poke(board: Board, way: str, **options: Any) -> bool:
    """Poll once in one of the modes; return whether the wait is over."""
    task = sensor(board, **options)
    if way == "poke":
        return bool(task.poke({}))
    # The first poll of a deferred sensor is its own, the next ones are the trigger's. This is one of the trigger.
    trigger = task._trigger()

    async def once() -> bool:
        async with trigger.hook() as hook:
            return trigger.unmet(await hook.arun(trigger.call(hook))) is None

    return asyncio.run(once())


WAYS = pytest.mark.parametrize("way", ["poke", "trigger"])


@WAYS
@pytest.mark.parametrize("times", [(None, None), (OLD, OLD), (NEW, OLD), (NEW, None), (OLD, None)])
def test_what_is_too_old_is_calculated_and_nobody_opens_the_dashboard(
    posthog: Emulator, board: Board, way: str, times: tuple[str | None, str | None]
) -> None:
    board.calculate(*times)
    assert poke(board, way) is True
    assert sent(posthog) == board.calls("look", "calculation", "look")
    assert all(time is not None and time >= SINCE for time in board.calculated())
    # PostHog still says that nobody refreshed the dashboard in the UI.
    assert board.state.found(board.number)[0].fields["last_refresh"] is None


@WAYS
def test_what_is_new_enough_is_not_calculated_again(posthog: Emulator, board: Board, way: str) -> None:
    board.calculate(NEW, NEW)
    assert poke(board, way) is True
    assert sent(posthog) == board.calls("look")
    assert board.calculated() == [NEW, NEW]


@WAYS
def test_a_result_that_posthog_finds_fresh_is_calculated_again_if_it_is_too_old_for_the_dag(
    board: Board, way: str
) -> None:
    now = datetime.now(UTC)
    fresh = (now - timedelta(minutes=2)).isoformat()
    board.calculate(fresh, fresh)
    assert poke(board, way, since=now - timedelta(minutes=1)) is True
    assert fresh not in board.calculated()


@WAYS
def test_only_what_has_no_result_is_calculated_if_the_others_are_new_enough(board: Board, way: str) -> None:
    fresh = datetime.now(UTC).isoformat()
    board.calculate(fresh, None)
    assert poke(board, way, since=fresh) is True
    assert board.calculated()[0] == fresh


@WAYS
def test_nothing_is_calculated_before_the_time_has_come(posthog: Emulator, board: Board, way: str) -> None:
    board.calculate(OLD, None)
    assert poke(board, way, since=datetime.now(UTC) + timedelta(hours=1)) is False
    assert sent(posthog) == board.calls("look")
    assert board.calculated() == [OLD, None]


@WAYS
@pytest.mark.parametrize("version", ["2026-07", "2026-01", "2025-08"])
def test_a_dashboard_without_insights_has_nothing_to_calculate(
    posthog: Emulator, board: Board, way: str, version: Any
) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version)
    empty = posthog.posthog.add_dashboard(name="empty")
    only = posthog.posthog.add_dashboard(name="only a text and an insight without a query")
    contents = posthog.posthog.contents
    contents.add_tile(only, text=contents.add_text("owner", "# x"))
    contents.add_tile(only, insight=contents.add_insight(1, "owner", name="no query"))
    for number in (empty, only):
        assert poke(board, way, dashboard_id=number) is True
    assert len(sent(posthog)) == 2


@WAYS
@pytest.mark.parametrize("version", ["2026-01", "2025-08"])
@pytest.mark.parametrize(("refreshed", "over"), [(None, False), (OLD, False), (NEW, True)])
def test_on_an_older_server_a_refresh_in_the_ui_counts(
    posthog: Emulator, board: Board, way: str, version: Any, refreshed: str | None, over: bool
) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version)
    board.state.change_dashboard(board.number, last_refresh=refreshed)
    assert poke(board, way) is over
    assert sent(posthog) == board.calls("look", "calculation")


@WAYS
@pytest.mark.parametrize(("refreshed", "over"), [(None, False), (OLD, False), (NEW, True)])
def test_without_compute_a_refresh_in_the_ui_counts_and_nothing_is_calculated(
    posthog: Emulator, board: Board, way: str, refreshed: str | None, over: bool
) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    board.calculate(NEW, NEW)
    board.state.change_dashboard(board.number, last_refresh=refreshed)
    assert poke(board, way, compute=False) is over
    assert sent(posthog) == board.calls("look")


@WAYS
def test_a_key_that_may_not_calculate_is_told_so_and_what_else_to_do(posthog: Emulator, board: Board, way: str) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    with pytest.raises(AuthenticationError, match=r"scope 'query:read'.* set compute=False; then somebody must open"):
        poke(board, way)


@WAYS
def test_a_dashboard_that_does_not_exist_is_an_error(posthog: Emulator, board: Board, way: str) -> None:
    for version in ("2026-07", "2026-01"):
        posthog.control.behaviour = Behaviour(posthog_version=version)
        with pytest.raises(NotFoundError):
            poke(board, way, dashboard_id=9999)


@WAYS
def test_a_calculation_whose_answer_is_lost_is_not_started_again_in_that_poll(
    posthog: Emulator, board: Board, way: str, fast_retries: None
) -> None:
    posthog.control.set_faults([Fault(kind="reset_after", path="run_insights", times=1)])
    board.calculate(OLD, OLD)
    options: dict[str, Any] = {"max_retry_seconds": 5}
    if way == "poke":
        assert poke(board, way, **options) is False
    else:
        with pytest.raises(TransportError):
            poke(board, way, **options)
    assert sent(posthog) == board.calls("look", "calculation")
    # The next poll sees what it calculated.
    assert poke(board, way, **options) is True
    assert sent(posthog) == board.calls("look")


def test_what_is_missing_is_said() -> None:
    trigger = DashboardRefreshedTrigger(
        posthog_conn_id="posthog_default",
        project_id=None,
        dashboard_id=4,
        since=SINCE,
        poke_interval=1,
        deadline=0,
        max_transient_failures=0,
        timeouts={},
    )

    def unmet(*times: str | None, **fields: Any) -> str | None:
        shown = [{"id": 1, "last_refresh": time, "insight": {"id": 1, "query": QUERY}} for time in times]
        return trigger.unmet(Dashboard.model_validate({"id": 4, "tiles": shown, **fields}))

    assert unmet(NEW) is None
    assert unmet(None, NEW) == f"of 2 insights, 1 without a result; waiting for {SINCE}"
    # The time zone counts, not the text.
    assert unmet("2026-03-01T13:00:00+02:00", OLD) == (
        f"of 2 insights, 2 too old, the oldest of 2026-03-01T13:00:00+02:00; waiting for {SINCE}"
    )
    assert unmet(None, OLD, NEW) == (
        f"of 3 insights, 1 without a result and 1 too old, the oldest of {OLD}; waiting for {SINCE}"
    )
    trigger._too_old = True
    assert unmet(NEW) == f"it was never refreshed; waiting for {SINCE}; {TOO_OLD}{BY_HAND}"


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        ({"id": 1, "insight": None, "text": {"body": "x"}}, []),
        ({"id": 1, "insight": {"id": 2, "query": None}}, []),
        ({"id": 1, "insight": {"id": 2, "query": None, "filters": {}}}, []),
        # An old insight has filters in place of a query.
        ({"id": 1, "insight": {"id": 2, "query": None, "filters": {"insight": "TRENDS"}}}, [None]),
        ({"id": 1, "insight": {"id": 2, "query": QUERY}}, [None]),
        ({"id": 1, "insight": {"id": 2}}, [None]),
        ({"id": 1, "last_refresh": OLD, "insight": {"id": 2, "last_refresh": None}}, [OLD]),
        ({"id": 1, "last_refresh": None, "insight": {"id": 2, "last_refresh": OLD}}, [OLD]),
    ],
)
def test_when_an_insight_was_calculated_is_read_from_its_tile(tile: dict[str, Any], expected: list[Any]) -> None:
    assert insights.calculated(Dashboard.model_validate({"id": 4, "tiles": [tile]})) == expected


def test_a_list_has_no_tiles() -> None:
    assert insights.calculated(Dashboard(id=4)) == []


def test_the_sensor_ends_on_the_worker(posthog: Emulator, board: Board) -> None:
    posthog.control.set_faults([Fault(kind="error_before", path="run_insights", times=1)])
    sensor(board).execute({})
    assert sent(posthog) == board.calls("look", "calculation", "look", "calculation", "look")


def test_in_reschedule_mode_each_poke_is_a_new_sensor(posthog: Emulator, board: Board) -> None:
    posthog.control.set_faults([Fault(kind="error_before", path="run_insights", times=1)])
    assert [sensor(board, mode="reschedule").poke({}) for _ in range(3)] == [False, True, True]
    assert sent(posthog) == board.calls("look", "calculation", "look", "calculation", "look", "look")


def deferred(task: PostHogDashboardRefreshedSensor) -> dict[str, Any]:
    """Run a sensor until it defers, and then its trigger as Airflow stores it; return the event."""
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})

    async def events() -> list[dict[str, Any]]:
        _, arguments = caught.value.trigger.serialize()
        again = DashboardRefreshedTrigger(**json.loads(json.dumps(arguments)))
        return [dict(event.payload) async for event in again.run()]

    [event] = asyncio.run(events())
    return event


def test_a_deferred_wait_calculates_too(posthog: Emulator, board: Board) -> None:
    # The first calculation fails, so the sensor defers.
    posthog.control.set_faults([Fault(kind="error_before", path="run_insights", times=1)])
    task = sensor(board, deferrable=True)
    event = deferred(task)
    assert event == {"status": "success", "message": f"dashboard {board.number}: the wait is over"}
    task.execute_complete({}, event)
    assert sent(posthog) == board.calls("look", "calculation", "look", "calculation", "look")


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
@pytest.mark.parametrize("deferrable", [False, True])
def test_on_an_older_server_the_wait_ends_at_its_timeout_and_says_that_somebody_must_open_the_dashboard(
    posthog: Emulator, board: Board, caplog: pytest.LogCaptureFixture, soft_fail: bool, error: Any, deferrable: bool
) -> None:
    posthog.control.behaviour = Behaviour()
    task = sensor(board, timeout=0.2, soft_fail=soft_fail, deferrable=deferrable)
    if not deferrable:
        with pytest.raises(error):
            task.execute({})
        return
    event = deferred(task)
    assert event["status"] == "timeout"
    assert event["message"].endswith(f"{TOO_OLD}{BY_HAND}")
    with pytest.raises(error, match="somebody must open the dashboard"):
        task.execute_complete({}, event)


def test_a_deferred_wait_of_a_key_that_may_not_calculate_fails_with_the_reason(posthog: Emulator, board: Board) -> None:
    # The first poll meets a rate limit, so the trigger is the first that asks for a calculation.
    posthog.control.set_faults([Fault(kind="too_many", times=1)])
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    task = sensor(board, deferrable=True)
    event = deferred(task)
    with pytest.raises(WaitError, match=r"scope 'query:read'.* set compute=False"):
        task.execute_complete({}, event)


def test_an_insight_that_posthog_refuses_to_calculate_fails_the_task(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise invalid("The query is broken.")

    monkeypatch.setattr("airflow_provider_databrain.emulator.posthog.newer.dashboard_of", refuse)
    with pytest.raises(InvalidRequestError, match=r"run insights .* The query is broken\."):
        sensor(board).execute({})


def test_templates_are_rendered_and_compute_is_a_boolean(board: Board) -> None:
    task = sensor(board, dashboard_id="{{ n }}", since="{{ since }}", compute="false")
    task.render_template_fields({"n": board.number, "since": "2026-03-01"})  # type: ignore[typeddict-unknown-key] # a small context
    assert task.compute is False
    assert task.poke({}) is False
