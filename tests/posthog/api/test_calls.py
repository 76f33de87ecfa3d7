"""What takes more than one call to PostHog, over HTTP on both transports: find or create, build, move."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import calls
from airflow_provider_databrain.posthog.api import endpoints as api
from airflow_provider_databrain.posthog.api.models import Dashboard, NewDashboard
from tests.client.conftest import Run
from tests.posthog.support import TEMPLATE, add_legacy_key, contents, names, posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")
MARK = calls.mark_of("acme")
UNTAGGED = Behaviour(tagging=False)


def find_or_create(run: Run, emulator: Emulator, key: str = "acme", **fields: Any) -> tuple[Dashboard, bool]:
    return run(posthog_server(emulator), calls.find_or_create_dashboard(NewDashboard(**fields), key))


def test_keys_that_are_nearly_the_same_have_marks_of_their_own() -> None:
    keys = ["acme", "ACME", " acme", "acme ", "acme\n", "äcme", "a\u0308cme", "", "\udc80"]
    marks = {calls.mark_of(key) for key in keys}
    assert len(marks) == len(keys)
    # PostHog may write tags in lower case and without blanks.
    assert all(mark == mark.lower().strip() for mark in marks)
    assert calls.mark_of("acme") == "airflow-8c3723ac2be0a966c541"


@pytest.mark.parametrize(
    ("description", "marked"),
    [(None, f"[{MARK}]"), ("", f"[{MARK}]"), ("KPIs", f"KPIs\n[{MARK}]"), ("a [b]", f"a [b]\n[{MARK}]")],
)
def test_a_description_ends_with_its_mark(description: str | None, marked: str) -> None:
    assert calls.with_mark(description, MARK) == marked
    assert MARK in calls.mark_on(Dashboard(id=1, description=marked))
    assert MARK in calls.mark_on(Dashboard(id=1, description=f"{marked}\n "))


@pytest.mark.parametrize("description", [None, "", MARK, f"[{MARK}", f"[{MARK}] and more", f"[{MARK}-unfinished]"])
def test_what_only_looks_like_a_mark_is_none(description: str | None) -> None:
    tags = [f"{MARK}-unfinished", MARK.upper()]
    assert calls.with_that_mark([Dashboard(id=1, description=description, tags=tags)], MARK) == []


@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize("fields", [{}, {"description": "KPIs", "tags": ["mine"]}])
def test_what_was_created_is_found_again(posthog: Emulator, run: Run, tagging: bool, fields: dict[str, Any]) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    made, created = find_or_create(run, posthog, name="Acme", **fields)
    again, created_again = find_or_create(run, posthog, name="Another", **fields)
    other, other_created = find_or_create(run, posthog, "ACME", name="Other")
    assert (created, created_again, other_created) == (True, False, True)
    assert made.id == again.id != other.id
    assert names(posthog) == ["Acme", "Other"]
    assert set(made.tags or ()) == ({*fields.get("tags", ()), MARK} if tagging else set())


def test_of_several_the_oldest_is_taken(posthog: Emulator, run: Run) -> None:
    first = posthog.posthog.add_dashboard(name="z", tags=[MARK])
    posthog.posthog.add_dashboard(name="a", pinned=True, description=f"[{MARK}]")
    assert find_or_create(run, posthog)[0].id == first


@pytest.mark.parametrize("template", ["Product analytics", "DEFAULT_APP"])
@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize("description", [None, "Ours"])
def test_a_template_takes_neither_mark_nor_description_away(
    posthog: Emulator, run: Run, template: str, tagging: bool, description: str | None
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    made, _ = find_or_create(run, posthog, name="Acme", use_template=template, description=description)
    again, created = find_or_create(run, posthog, name="Acme", use_template=template, description=description)
    assert (again.id, created) == (made.id, False)
    [row] = posthog.posthog.found(made.id)
    if description:
        assert row.fields["description"] == f"Ours\n[{MARK}]"
    elif template == "Product analytics":
        assert row.fields["description"].startswith("An overview of your product.")
    assert len(contents(posthog, made.id)) == 6


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut", "html", "wrong", "reset_midway"])
def test_a_create_whose_answer_was_lost_is_found(posthog: Emulator, run: Run, kind: Any) -> None:
    posthog.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    made, created = find_or_create(run, posthog, name="Acme")
    assert (made.name, created) == ("Acme", True)
    assert names(posthog) == ["Acme"]
    assert sent(posthog) == ["GET dashboards/", "POST dashboards/", "GET dashboards/"]


@pytest.mark.parametrize(("kind", "error"), [("error_before", ServerError), ("reset_before", TransportError)])
def test_a_create_that_left_nothing_behind_ends_in_its_error(
    posthog: Emulator, run: Run, kind: Any, error: type[ApiError]
) -> None:
    posthog.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    with pytest.raises(error, match="create dashboard failed"):
        find_or_create(run, posthog, name="Acme")
    assert names(posthog) == []


ORIGINS = pytest.mark.parametrize(
    ("origin", "shown"),
    [
        ({"use_template": "NOPE"}, "use_template: Invalid template"),
        ({"use_dashboard": 99999}, "use_dashboard: Invalid"),
    ],
)


@ORIGINS
@pytest.mark.parametrize("tagging", [True, False])
def test_the_ghost_of_a_refused_origin_is_deleted(
    posthog: Emulator, run: Run, origin: dict[str, Any], shown: str, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.posthog.add_dashboard(name="other", tags=[calls.mark_of("other")])
    with pytest.raises(InvalidRequestError, match=shown):
        find_or_create(run, posthog, name="Acme", **origin)
    assert names(posthog) == ["other"]


@ORIGINS
def test_a_ghost_that_cannot_be_deleted_does_not_hide_the_refusal(
    posthog: Emulator, run: Run, origin: dict[str, Any], shown: str
) -> None:
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH")])
    call = calls.find_or_create_dashboard(NewDashboard(**origin), "acme")
    with pytest.raises(InvalidRequestError, match=rf"{shown}.* left behind half made could not be deleted: delete"):
        run(posthog_server(posthog, max_retry_seconds=0), call)


def test_another_refusal_deletes_nothing(posthog: Emulator, run: Run) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    with pytest.raises(AuthenticationError, match="'dashboard:write'"):
        find_or_create(run, posthog)
    assert sent(posthog) == ["GET dashboards/", "POST dashboards/"]


def in_full(emulator: Emulator, dashboard: Dashboard) -> list[Any]:
    """All that a person sees of a dashboard."""
    [row] = emulator.posthog.found(dashboard.id)
    fields = {name: row.fields[name] for name in ("name", "description", "filters", "tags", "creation_mode")}
    return [fields, contents(emulator, dashboard.id)]


def test_building_makes_what_the_refused_action_makes(posthog: Emulator, run: Run) -> None:
    with pytest.raises(AuthenticationError, match="build_dashboard"):
        run(posthog_server(posthog), api.create_from_template_json(TEMPLATE))
    made = run(posthog_server(posthog, add_legacy_key(posthog)), api.create_from_template_json(TEMPLATE))
    built = run(posthog_server(posthog), calls.build_dashboard(TEMPLATE))
    assert built.id != made.id
    assert in_full(posthog, built) == in_full(posthog, made)
    assert [tile.text is None for tile in built.tiles or ()] == [True, False, True]


@pytest.mark.parametrize(
    "tiles", [[{"type": "BUTTON"}], [{"body": "x"}], [{"type": "TEXT"}, {"type": "insight"}]], ids=str
)
def test_a_template_that_cannot_be_built_is_refused_before_sending(posthog: Emulator, run: Run, tiles: Any) -> None:
    with pytest.raises(ValueError, match="'INSIGHT' or 'TEXT'"):
        run(posthog_server(posthog), calls.build_dashboard({**TEMPLATE, "tiles": tiles}))
    assert sent(posthog) == []


STEPS = [
    Fault(kind="error_before", method="POST", path="insights", every=1),
    Fault(kind="error_after", method="POST", path="insights", every=2),
    Fault(kind="reset_after", method="POST", path="insights", every=2),
    Fault(kind="error_before", method="GET", path=r"dashboards/\d+"),
    Fault(kind="error_after", method="PATCH", path=r"dashboards/\d+", times=1),
]


@pytest.mark.parametrize("fault", STEPS, ids=lambda fault: f"{fault.kind} {fault.method} {fault.every}")
def test_a_dashboard_that_is_half_built_is_removed(posthog: Emulator, run: Run, fault: Fault) -> None:
    posthog.control.set_faults([fault])
    with pytest.raises((ServerError, TransportError)):
        run(posthog_server(posthog, max_retry_seconds=0), calls.build_dashboard(TEMPLATE))
    assert names(posthog) == []
    insights = [posthog.posthog.contents.insight(number) for number in range(1, 200)]
    assert all(insight.deleted for insight in insights if insight is not None)


@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset_after", method="POST", path="dashboards/$", times=1),
        # The last step fails, and so does the removal.
        Fault(kind="error_before", method="PATCH", path=r"dashboards/\d+", times=2),
    ],
    ids=["the answer is lost", "not removed"],
)
def test_what_is_unfinished_does_not_carry_the_mark_and_goes_with_the_next_build(
    posthog: Emulator, run: Run, fault: Fault, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.control.set_faults([fault])
    server = posthog_server(posthog, max_retry_seconds=0)
    with pytest.raises((ServerError, TransportError)):
        run(server, calls.build_dashboard(TEMPLATE, mark=MARK))
    assert names(posthog) == ["KPIs"]
    assert calls.with_that_mark(run(server, api.list_dashboards()), MARK) == []
    built = run(server, calls.build_dashboard(TEMPLATE, mark=MARK))
    assert [found.id for found in calls.with_that_mark(run(server, api.list_dashboards()), MARK)] == [built.id]
    assert names(posthog) == ["KPIs"]
    assert len(contents(posthog, built.id)) == 3
    assert built.description == f"What counts\n[{MARK}]"
    assert set(built.tags or ()) == ({"kpi", MARK} if tagging else set())


class Board:
    """A dashboard with an insight, a text and one more insight, an empty one beside it, and a third."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        state = emulator.posthog
        self.source, self.target, self.third = (state.add_dashboard(name=name) for name in ("from", "to", "third"))
        look: dict[str, Any] = {"layouts": {"sm": {"x": 1, "y": 2, "w": 3, "h": 4}}, "color": "blue"}
        self.insight = state.contents.add_insight(1, "owner", name="Signups")
        self.plain = state.contents.add_insight(1, "owner", name="Plain")
        self.tiles = {
            "insight": state.contents.add_tile(self.source, insight=self.insight, **look),
            "text": state.contents.add_tile(self.source, text=state.contents.add_text("owner", "# x"), **look),
            "plain": state.contents.add_tile(self.source, insight=self.plain),
        }
        state.contents.add_tile(self.third, insight=self.insight)

    def show(self) -> list[Any]:
        return [contents(self.emulator, number) for number in (self.source, self.target, self.third)]


@pytest.mark.parametrize("kind", ["insight", "text", "plain"])
def test_transferring_a_tile_does_what_the_refused_action_does(posthog: Emulator, run: Run, kind: str) -> None:
    by_legacy, by_steps = Board(posthog), Board(posthog)
    with pytest.raises(AuthenticationError, match="transfer_tile"):
        run(posthog_server(posthog), api.move_tile(by_legacy.source, by_legacy.tiles[kind], by_legacy.target))
    moved = run(
        posthog_server(posthog, add_legacy_key(posthog)),
        api.move_tile(by_legacy.source, by_legacy.tiles[kind], by_legacy.target),
    )
    transferred = run(
        posthog_server(posthog), calls.transfer_tile(by_steps.source, by_steps.tiles[kind], by_steps.target)
    )
    assert by_steps.show() == by_legacy.show()
    assert [len(part) for part in by_steps.show()] == [2, 1, 1]
    assert len(transferred.tiles or ()) == len(moved.tiles or ()) == 2


def test_an_insight_that_is_there_already_is_only_taken_away(posthog: Emulator, run: Run) -> None:
    board = Board(posthog)
    before = board.show()[2]
    run(posthog_server(posthog), calls.transfer_tile(board.source, board.tiles["insight"], board.third))
    assert [len(part) for part in board.show()] == [2, 0, 1]
    assert board.show()[2] == before


def test_a_key_of_today_may_move_tiles_on_the_newest_server(posthog: Emulator, run: Run) -> None:
    posthog.control.behaviour = Behaviour(new_move_tile=True)
    board = Board(posthog)
    run(posthog_server(posthog), api.move_tile(board.source, board.tiles["text"], board.target))
    assert [len(part) for part in board.show()] == [2, 1, 1]


def test_a_tile_that_is_not_there_is_not_found(posthog: Emulator, run: Run) -> None:
    board = Board(posthog)
    with pytest.raises(NotFoundError, match=r"move tile \(dashboard '\d+'\) failed: the dashboard has no tile 99999"):
        run(posthog_server(posthog), calls.transfer_tile(board.source, 99999, board.target))
    assert [len(part) for part in board.show()] == [3, 0, 1]


@pytest.mark.parametrize(("tile", "target"), [(0, 1), ("1", 1), (1, 0), (1, "2"), (1, 4)])
def test_a_transfer_that_makes_no_sense_is_refused_before_sending(tile: Any, target: Any) -> None:
    with pytest.raises(ValueError, match=r"it is a whole number above 0|the dashboard that the tile is on"):
        next(calls.transfer_tile(4, tile, target))


def answered(call: Generator[Any, Any, Any], *tiles: dict[str, Any]) -> Any:
    """What a transfer sends after its dashboard has come with these tiles."""
    next(call)
    return call.send(Dashboard.model_validate({"id": 4, "tiles": tiles}))


def test_of_an_insight_newer_servers_say_only_by_tiles_where_it_is() -> None:
    places = [
        {"id": 1, "dashboard_id": 4},
        {"id": 2, "dashboard_id": 7},
        {"id": 3, "dashboard_id": 8, "deleted": True},
    ]
    request = answered(calls.transfer_tile(4, 1, 5), {"id": 1, "insight": {"id": 9, "dashboard_tiles": places}})
    assert request.body == b'{"dashboards":[5,7]}'


def test_an_insight_is_not_taken_off_dashboards_that_nobody_named() -> None:
    with pytest.raises(MalformedAnswerError, match="does not say which dashboards show it"):
        answered(calls.transfer_tile(4, 1, 5), {"id": 1, "insight": {"id": 9}})


def test_a_tile_of_a_newer_kind_is_not_lost() -> None:
    with pytest.raises(InvalidRequestError, match="neither an insight nor a text; only move_tile moves it"):
        answered(calls.transfer_tile(4, 1, 5), {"id": 1, "widget": {"id": 3}})
