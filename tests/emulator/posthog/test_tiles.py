"""Tiles of the emulated PostHog: texts, insights, moves, streams and templates."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault, Kind
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import (
    FROM_JSON,
    INSIGHTS,
    NOT_FOUND,
    SERVER_ERROR,
    ask,
    at,
    events,
    forbidden,
    got,
    invalid,
    make,
    put_insight,
    put_text,
    refusal,
)

TEMPLATE: dict[str, Any] = {
    "template_name": "From Airflow",
    "dashboard_description": "made by a Dag",
    "dashboard_filters": {"date_from": "-30d"},
    "tags": ["airflow"],
    "tiles": [
        {"type": "TEXT", "name": "note", "body": "hello", "layouts": {}, "color": None},
        {
            "type": "INSIGHT",
            "name": "Pageviews",
            "description": "d",
            "query": {"kind": "InsightVizNode"},
            "layouts": {"sm": {"x": 0, "y": 0, "w": 6, "h": 5}},
            "color": "blue",
        },
        {"type": "UNHEARD_OF"},
    ],
}


def texts(dashboard: dict[str, Any]) -> list[str]:
    return [tile["text"]["body"] for tile in dashboard["tiles"]]


def test_texts_are_added_changed_and_removed(emulator: Emulator) -> None:
    made = make(emulator)
    tile = put_text(emulator, made, "first", layouts={"sm": {"x": 0, "y": 5}}, color="blue")
    assert (tile["layouts"], tile["color"], tile["insight"]) == ({"sm": {"x": 0, "y": 5}}, "blue", None)
    change: dict[str, Any] = {"id": tile["id"], "color": "red", "text": {"id": tile["text"]["id"], "body": "second"}}
    [changed] = got(ask(emulator, "PATCH", at(made), json={"tiles": [change]}))["tiles"]
    assert (changed["text"]["body"], changed["color"], changed["layouts"]) == ("second", "red", tile["layouts"])
    assert (changed["text"]["last_modified_by"], changed["text"]["created_by"]["first_name"]) == (None, "Owner")
    change["text"]["created_by"] = changed["text"]["created_by"]
    [changed] = got(ask(emulator, "PATCH", at(made), json={"tiles": [change]}))["tiles"]
    assert changed["text"]["last_modified_by"]["first_name"] == "Owner"
    del change["text"]["id"]
    change["text"]["body"] = "without an id"
    [other] = got(ask(emulator, "PATCH", at(made), json={"tiles": [change]}))["tiles"]
    assert (other["id"], other["text"]["body"]) == (tile["id"], "without an id")
    assert other["text"]["id"] != tile["text"]["id"]
    removal = {"tiles": [{"id": tile["id"], "deleted": True}]}
    assert got(ask(emulator, "PATCH", at(made), json=removal))["tiles"] == []
    assert got(ask(emulator, "PATCH", at(made), json=removal))["tiles"] == []
    back = {"tiles": [{"id": tile["id"], "deleted": False}]}
    assert texts(got(ask(emulator, "PATCH", at(made), json=back))) == ["without an id"]


def test_a_text_has_a_body_of_at_most_4000_characters(emulator: Emulator) -> None:
    made = make(emulator)
    long = ask(emulator, "PATCH", at(made), json={"tiles": [{"text": {"body": "x" * 4001}}]})
    assert refusal(long) == SERVER_ERROR
    emulator.control.behaviour = Behaviour(posthog_version="2026-07")
    long = ask(emulator, "PATCH", at(made), json={"tiles": [{"text": {"body": "x" * 4001}}]})
    assert refusal(long) == invalid("Text body cannot exceed 4000 characters", "text__body", "max_length")
    assert got(ask(emulator, "PATCH", at(made), json={"tiles": [{"text": {}}]}))["tiles"] == []
    assert got(ask(emulator, "GET", at(made)))["tiles"] == []


def test_tiles_are_ordered_by_their_layout_and_those_without_one_come_last(emulator: Emulator) -> None:
    made = make(emulator)
    put_text(emulator, made, "nowhere")
    put_text(emulator, made, "right", layouts={"sm": {"x": 6, "y": 0}, "xs": {"x": 0, "y": 1}})
    put_text(emulator, made, "left", layouts={"sm": {"x": 0, "y": 0}, "xs": {"x": 0, "y": 2}})
    shown = got(ask(emulator, "GET", at(made)))
    assert texts(shown) == ["left", "right", "nowhere"]
    assert [tile["order"] for tile in shown["tiles"]] == [0, 1, 2]
    stream = ask(emulator, "GET", at(made, "stream_tiles/"), "legacy", params={"layoutSize": "xs"})
    assert texts(events(stream)[0]["dashboard"]) == ["right", "left"]


def test_an_invalid_layout_does_not_affect_other_tiles(emulator: Emulator) -> None:
    made = make(emulator)
    odd = put_text(emulator, made, "odd", layouts={"sm": {"x": "left", "y": None}})
    put_text(emulator, made, "even", layouts={"sm": {"x": 0, "y": 0}})
    put_text(emulator, made, "none", layouts=["x"])
    change = {"tiles": [{"id": odd["id"], "layouts": None, "color": "red"}]}
    changed = got(ask(emulator, "PATCH", at(made), json=change))
    assert texts(changed) == ["even", "odd", "none"]
    assert changed["tiles"][1]["layouts"] == odd["layouts"]


def test_an_update_replaces_the_dashboards_of_an_insight(emulator: Emulator) -> None:
    first, second, third = (make(emulator, name=name) for name in "abc")
    made = put_insight(emulator, first, second, name="i")
    assert made["dashboards"] == [first["id"], second["id"]]
    kept = got(ask(emulator, "GET", at(second)))["tiles"][0]["id"]
    path = f"{INSIGHTS}{made['id']}/"
    changed = got(ask(emulator, "PATCH", path, json={"dashboards": [second["id"], third["id"]]}))
    assert changed["dashboards"] == [second["id"], third["id"]]
    assert got(ask(emulator, "GET", at(first)))["tiles"] == []
    [tile] = got(ask(emulator, "GET", at(second)))["tiles"]
    assert tile["id"] == kept
    assert (tile["insight"]["name"], tile["insight"]["short_id"]) == ("i", made["short_id"])
    assert got(ask(emulator, "PATCH", path, json={"name": "j"}))["dashboards"] == changed["dashboards"]


def test_an_insight_is_refused_if_its_dashboard_is_unknown_or_the_member_may_not_edit_it(emulator: Emulator) -> None:
    answer = ask(emulator, "POST", INSIGHTS, json={"dashboards": [999999]})
    assert refusal(answer) == invalid('Invalid pk "999999" - object does not exist.', "dashboards", "does_not_exist")
    answer = ask(emulator, "POST", INSIGHTS, json={"dashboards": 4})
    assert refusal(answer)[2:] == ("not_a_list", 'Expected a list of items but got type "int".', "dashboards")
    closed = make(emulator, restriction_level=37)
    answer = ask(emulator, "POST", INSIGHTS, "member", json={"dashboards": [closed["id"]]})
    expected = forbidden(f"You don't have permission to add insights to dashboard: {closed['id']}")
    assert refusal(answer) == expected
    assert refusal(ask(emulator, "PATCH", f"{INSIGHTS}999999/", json={})) == NOT_FOUND
    assert refusal(ask(emulator, "PATCH", f"{INSIGHTS}x/", json={})) == SERVER_ERROR


def test_a_deleted_insight_is_restored_by_an_update_with_nothing_else(emulator: Emulator) -> None:
    path = f"{INSIGHTS}{put_insight(emulator)['id']}/"
    assert got(ask(emulator, "PATCH", path, json={"deleted": True}))["deleted"] is True
    assert refusal(ask(emulator, "PATCH", path, json={"name": "x"})) == NOT_FOUND
    assert got(ask(emulator, "PATCH", path, json={"deleted": False}))["deleted"] is False


def move(emulator: Emulator, source: dict[str, Any], body: Any, key: str = "legacy", method: str = "PATCH") -> Any:
    return ask(emulator, method, at(source, "move_tile/"), key, json=body)


def test_a_moved_tile_is_on_the_other_dashboard(emulator: Emulator) -> None:
    source, target = make(emulator, name="a"), make(emulator, name="b")
    tile = put_text(emulator, source, "moving")
    put_text(emulator, source, "staying")
    body = {"tile": {"id": tile["id"]}, "toDashboard": target["id"], "to_dashboard": target["id"]}
    left = got(move(emulator, source, body))
    assert (left["id"], texts(left)) == (source["id"], ["staying"])
    assert texts(got(ask(emulator, "GET", at(target)))) == ["moving"]


@pytest.mark.parametrize("body", [{}, {"tile": {"id": 1}}, {"toDashboard": 1}, {"tile": 1, "toDashboard": 1}])
def test_a_move_without_a_required_field_is_a_server_error(emulator: Emulator, body: Any) -> None:
    assert refusal(move(emulator, make(emulator), body)) == SERVER_ERROR


def test_the_older_move_does_not_know_the_newest_field_name(emulator: Emulator) -> None:
    source = make(emulator)
    tile = put_text(emulator, source, "x")
    answer = move(emulator, source, {"tile": {"id": tile["id"]}, "to_dashboard": make(emulator)["id"]})
    assert refusal(answer) == SERVER_ERROR


def test_a_move_needs_an_existing_tile_a_destination_and_the_right_to_edit_both(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(posthog_version="2026-07")
    source, closed = make(emulator, name="a"), make(emulator, name="b", restriction_level=37)
    tile = {"tile": {"id": put_text(emulator, source, "x")["id"]}}
    assert refusal(move(emulator, source, tile | {"to_dashboard": 999999}, "writer")) == NOT_FOUND
    unknown = {"tile": {"id": 999999}, "to_dashboard": closed["id"]}
    assert refusal(move(emulator, source, unknown, "writer")) == NOT_FOUND
    no_edit = forbidden("You don't have edit permissions for this dashboard.")
    to_closed = tile | {"to_dashboard": closed["id"]}
    assert refusal(move(emulator, source, to_closed, "member")) == no_edit
    assert refusal(move(emulator, closed, {"tile": {"id": 1}, "to_dashboard": source["id"]}, "member")) == no_edit


def test_an_insight_cannot_move_to_a_dashboard_that_has_it(emulator: Emulator) -> None:
    source, target = make(emulator, name="a"), make(emulator, name="b")
    put_insight(emulator, source, target)
    [tile] = got(ask(emulator, "GET", at(source)))["tiles"]
    answer = move(emulator, source, {"tile": {"id": tile["id"]}, "toDashboard": target["id"]})
    assert refusal(answer) == SERVER_ERROR


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_the_newest_move_accepts_keys_with_scopes_and_both_methods(emulator: Emulator, method: str) -> None:
    emulator.control.behaviour = Behaviour(posthog_version="2026-07")
    source, target = make(emulator, name="a"), make(emulator, name="b")
    tile = put_text(emulator, source, "moving")
    body = {"tile": {"id": tile["id"]}, "to_dashboard": target["id"]}
    assert refusal(move(emulator, source, body, "reader"))[3].endswith("'dashboard:write'")
    assert got(move(emulator, source, body, "writer", method))["tiles"] == []
    assert texts(got(ask(emulator, "GET", at(target)))) == ["moving"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, invalid("This field is required.", "tile", "required")),
        ({"tile": {"id": 1}}, invalid("This field is required.", "to_dashboard", "required")),
        ({"tile": {}, "to_dashboard": 1}, invalid("This field is required.", "tile__id", "required")),
        ({"tile": {"id": "x"}, "to_dashboard": 1}, invalid("A valid integer is required.", "tile__id")),
        ({"tile": {"id": 1}, "to_dashboard": None}, invalid("This field may not be null.", "to_dashboard", "null")),
        ({"tile": {"id": 1}, "toDashboard": 1}, invalid("This field is required.", "to_dashboard", "required")),
    ],
)
def test_the_newest_move_checks_its_body(emulator: Emulator, body: Any, expected: tuple[Any, ...]) -> None:
    emulator.control.behaviour = Behaviour(posthog_version="2026-07")
    assert refusal(move(emulator, make(emulator), body, "writer")) == expected


def streamed(emulator: Emulator, made: dict[str, Any], **options: Any) -> requests.Response:
    return ask(emulator, "GET", at(made, "stream_tiles/"), "legacy", **options)


def with_tiles(emulator: Emulator, count: int) -> dict[str, Any]:
    """Create a dashboard with ``count`` texts, each named by its position."""
    made = make(emulator)
    for number in range(count):
        put_text(emulator, made, str(number), layouts={"sm": {"x": 0, "y": number}})
    return made


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "application/json, text/event-stream"])
def test_a_stream_has_two_tiles_first_then_one_per_event_then_its_end(emulator: Emulator, accept: str) -> None:
    answer = streamed(emulator, with_tiles(emulator, 4), headers={"Accept": accept})
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    first, *tiles, last = events(answer)
    assert first["type"] == "metadata"
    assert texts(first["dashboard"]) == ["0", "1"]
    assert [(event["type"], event["order"], event["tile"]["text"]["body"]) for event in tiles] == [
        ("tile", 2, "2"),
        ("tile", 3, "3"),
    ]
    assert last == {"type": "complete"}


def test_the_stream_of_an_empty_dashboard_has_two_events(emulator: Emulator) -> None:
    first, last = events(streamed(emulator, make(emulator, name="x")))
    assert (first["dashboard"]["name"], first["dashboard"]["tiles"]) == ("x", [])
    assert first["dashboard"]["last_accessed_at"] is not None
    assert last == {"type": "complete"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("stream_cut", ["metadata"]),
        ("stream_error", ["metadata", "tile", "tile", "error"]),
        ("stream_tile_error", ["metadata", "error", "tile", "complete"]),
    ],
)
def test_a_stream_shows_the_fault(emulator: Emulator, kind: Kind, expected: list[str]) -> None:
    made = with_tiles(emulator, 4)
    emulator.control.set_faults([Fault(kind=kind, times=1)])
    failed = events(streamed(emulator, made))
    assert [event["type"] for event in failed] == expected
    [error] = [event for event in failed if event["type"] == "error"] or [{}]
    assert ("tile_id" in error) is (kind == "stream_tile_error")
    assert isinstance(error.get("error", ""), str)
    assert events(streamed(emulator, made))[-1] == {"type": "complete"}


def test_the_error_names_the_failed_tile(emulator: Emulator) -> None:
    made = with_tiles(emulator, 3)
    third = got(ask(emulator, "GET", at(made)))["tiles"][2]["id"]
    emulator.control.set_faults([Fault(kind="stream_tile_error")])
    assert events(streamed(emulator, made))[1]["tile_id"] == third


def test_a_stream_fault_does_not_affect_other_answers_and_short_streams(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="stream_tile_error")])
    made = make(emulator, name="x")
    assert got(ask(emulator, "GET", at(made)))["name"] == "x"
    assert [event["type"] for event in events(streamed(emulator, made))] == ["metadata", "complete"]


def test_a_stream_whose_connection_breaks_is_a_connection_error(emulator: Emulator) -> None:
    made = with_tiles(emulator, 3)
    emulator.control.set_faults([Fault(kind="reset_midway")])
    answer = streamed(emulator, made, stream=True)
    assert answer.status_code == 200
    received = b""

    def read() -> None:
        nonlocal received
        for part in answer.iter_content(64):
            received += part

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        read()
    assert received.startswith(b'data: {"type":"metadata"')
    assert b"complete" not in received


def test_a_template_in_the_request_becomes_a_dashboard(emulator: Emulator) -> None:
    body = {"template": TEMPLATE, "name": "ignored", "creation_context": "airflow"}
    made = got(ask(emulator, "POST", FROM_JSON, "legacy", json=body))
    assert (made["name"], made["description"], made["creation_mode"]) == ("From Airflow", "made by a Dag", "default")
    assert (made["filters"], made["tags"]) == ({"date_from": "-30d"}, ["airflow"])
    insight, text = made["tiles"]
    assert (insight["insight"]["name"], insight["color"], text["text"]["body"]) == ("Pageviews", "blue", "hello")
    assert got(ask(emulator, "GET", at(made)))["tiles"] == made["tiles"]


def test_tiles_of_an_unknown_type_are_silently_skipped(emulator: Emulator) -> None:
    body = {"template": TEMPLATE | {"tiles": [{"type": "UNHEARD_OF"}]}}
    assert got(ask(emulator, "POST", FROM_JSON, "legacy", json=body))["tiles"] == []


@pytest.mark.parametrize(
    ("changes", "first_line"),
    [
        ({"tiles": []}, "[] should be non-empty"),
        ({"tiles": ...}, "'tiles' is a required property"),
        ({"template_name": ...}, "'template_name' is a required property"),
        ({"template_name": 4}, "4 is not of type 'string'"),
        ({"dashboard_filters": []}, "[] is not of type 'object'"),
        ({"variables": [{}]}, "[{}] is not valid under any of the given schemas"),
    ],
)
def test_the_refusal_of_an_invalid_template_is_detailed(
    emulator: Emulator, changes: dict[str, Any], first_line: str
) -> None:
    template = {name: value for name, value in (TEMPLATE | changes).items() if value is not ...}
    status, kind, code, detail, attr = refusal(ask(emulator, "POST", FROM_JSON, "legacy", json={"template": template}))
    assert (status, kind, code, attr) == (400, "validation_error", "invalid_input", None)
    assert detail.splitlines()[0] == first_line
    assert "Failed validating" in detail
    assert emulator.posthog.count_dashboards() == 0


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"template": TEMPLATE | {"unheard_of": 1}}])
def test_a_missing_template_or_an_unknown_key_in_it_is_a_server_error(emulator: Emulator, body: Any) -> None:
    assert refusal(ask(emulator, "POST", FROM_JSON, "legacy", json=body)) == SERVER_ERROR
    assert emulator.posthog.count_dashboards() == 0
