"""The methods that only the newest emulated PostHog has: tiles are copied, written, removed, arranged, calculated."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.newer import FRESH
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import (
    DASHBOARDS,
    NOT_FOUND,
    PROJECT_PATH,
    ask,
    at,
    forbidden,
    got,
    invalid,
    make,
    put_insight,
    put_text,
    refusal,
)

NEWEST = Behaviour(posthog_version="2026-07")
QUERY = {"kind": "InsightVizNode"}
METHODS = {
    "copy_tile": "POST",
    "create_text_tile": "POST",
    "update_text_tile": "POST",
    "delete_tile": "POST",
    "reorder_tiles": "POST",
    "run_insights": "GET",
}


@pytest.fixture
def newest(emulator: Emulator) -> Emulator:
    """The emulator as PostHog of 2026-07."""
    emulator.control.behaviour = NEWEST
    return emulator


def post(emulator: Emulator, dashboard: dict[str, Any], method: str, body: Any, key: str = "all") -> Any:
    return ask(emulator, "POST", at(dashboard, f"{method}/"), key, json=body)


def shown(emulator: Emulator, dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    tiles: list[dict[str, Any]] = got(ask(emulator, "GET", at(dashboard)))["tiles"]
    return tiles


@pytest.mark.parametrize("version", ["2025-08", "2026-01"])
@pytest.mark.parametrize("key", ["all", "legacy", "reader"])
def test_an_older_server_has_none_of_these_paths(emulator: Emulator, version: Any, key: str) -> None:
    emulator.control.behaviour = Behaviour(posthog_version=version)
    made = make(emulator)
    missing = (404, "invalid_request", "not_found", "Endpoint not found.", None)
    for method, verb in METHODS.items():
        assert refusal(ask(emulator, verb, at(made, f"{method}/"), key, json={})) == missing
        assert refusal(ask(emulator, verb, f"{DASHBOARDS}9999/{method}/", key, json={})) == missing


@pytest.mark.parametrize("method", METHODS)
def test_each_method_needs_its_scope_and_a_dashboard(newest: Emulator, method: str) -> None:
    made, verb = make(newest), METHODS[method]
    scope = "query:read" if method == "run_insights" else "dashboard:write"
    refused = ask(newest, verb, at(made, f"{method}/"), "reader", json={})
    assert refusal(refused) == forbidden(f"API key missing required scope '{scope}'")
    assert refusal(ask(newest, verb, f"{DASHBOARDS}9999/{method}/", json={})) == NOT_FOUND
    assert got(ask(newest, "PATCH", at(made), json={"deleted": True}))
    assert refusal(ask(newest, verb, at(made, f"{method}/"), json={})) == NOT_FOUND


@pytest.mark.parametrize("method", [name for name in METHODS if name != "run_insights"])
def test_only_who_may_edit_a_dashboard_may_change_its_tiles(newest: Emulator, method: str) -> None:
    made = make(newest, restriction_level=37)
    refused = post(newest, made, method, {}, "member")
    assert refusal(refused) == forbidden("You don't have edit permissions for this dashboard.")


@pytest.mark.parametrize("kind", ["insight", "text card"])
def test_a_copy_shows_the_same_insight_or_text_and_a_second_copy_is_refused(newest: Emulator, kind: str) -> None:
    source, target = make(newest), make(newest)
    if kind == "insight":
        put_insight(newest, source, name="Signups")
    else:
        put_text(newest, source, "# x")
    [tile] = shown(newest, source)
    look = {"layouts": {"sm": {"x": 1, "y": 2}}, "color": "blue"}
    got(ask(newest, "PATCH", at(source), json={"tiles": [{"id": tile["id"], **look}]}))
    body = {"fromDashboardId": source["id"], "tileId": tile["id"]}
    answer = got(post(newest, target, "copy_tile", body))
    assert answer["id"] == target["id"]
    [copy] = answer["tiles"]
    what = "insight" if kind == "insight" else "text"
    assert copy[what]["id"] == tile[what]["id"]
    assert {name: copy[name] for name in look} == look
    again = post(newest, target, "copy_tile", body)
    assert refusal(again) == invalid(f"This {kind} is already on the destination dashboard.")
    assert len(shown(newest, source)) == len(shown(newest, target)) == 1
    # A copy that was removed comes back as the same tile.
    assert post(newest, target, "delete_tile", {"tile_id": copy["id"]}).status_code == 204
    assert [one["id"] for one in got(post(newest, target, "copy_tile", body))["tiles"]] == [copy["id"]]


def test_a_copy_names_its_source(newest: Emulator) -> None:
    source, target, other = make(newest), make(newest), make(newest)
    tile = put_text(newest, source, "# x")
    body = {"fromDashboardId": source["id"], "tileId": tile["id"]}
    for name in body:
        sent = {key: value for key, value in body.items() if key != name}
        assert refusal(post(newest, target, "copy_tile", sent)) == invalid("This field is required.", name, "required")
        wrong = post(newest, target, "copy_tile", {**body, name: "x"})
        assert refusal(wrong) == invalid("A valid integer is required.", name)
        null = post(newest, target, "copy_tile", {**body, name: None})
        assert refusal(null) == invalid("This field may not be null.", name, "null")
        assert refusal(post(newest, target, "copy_tile", {**body, name: 9999})) == NOT_FOUND
    assert refusal(post(newest, target, "copy_tile", {**body, "fromDashboardId": other["id"]})) == NOT_FOUND
    same = post(newest, source, "copy_tile", body)
    assert refusal(same) == invalid("Destination must be a different dashboard than the source.")


def test_a_tile_of_another_project_is_not_copied(newest: Emulator) -> None:
    newest.posthog.add_project(2, "Other")
    other = newest.posthog.add_dashboard(project=2, name="other")
    tile = newest.posthog.contents.add_tile(other, text=newest.posthog.contents.add_text("owner", "secret"))
    body = {"fromDashboardId": other, "tileId": tile}
    assert refusal(post(newest, make(newest), "copy_tile", body)) == NOT_FOUND


def test_texts_are_written_changed_and_removed(newest: Emulator) -> None:
    made = make(newest)
    place = {"sm": {"x": 0, "y": 0, "w": 12, "h": 1}}
    sent = {"body": " # x ", "layouts": {**place, "lg": {"x": 1}}, "color": "blue"}
    tile = got(post(newest, made, "create_text_tile", sent, "writer"), 201)
    assert (tile["text"]["body"], tile["layouts"], tile["color"], tile["order"]) == ("# x", place, "blue", None)
    changed = got(post(newest, made, "update_text_tile", {"tile_id": tile["id"], "body": "# y"}))
    assert (changed["id"], changed["text"]["id"]) == (tile["id"], tile["text"]["id"])
    assert (changed["text"]["body"], changed["layouts"], changed["color"]) == ("# y", place, "blue")
    bare = got(post(newest, made, "update_text_tile", {"tile_id": tile["id"], "color": "", "layouts": {}}))
    assert (bare["text"]["body"], bare["layouts"], bare["color"]) == ("# y", {}, None)
    gone = post(newest, made, "delete_tile", {"tile_id": tile["id"]})
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("delete_tile", "update_text_tile"):
        assert refusal(post(newest, made, method, {"tile_id": tile["id"]})) == NOT_FOUND
    assert shown(newest, made) == []


def test_each_text_is_another_tile(newest: Emulator) -> None:
    made = make(newest)
    first, second = (got(post(newest, made, "create_text_tile", {"body": "x"}), 201) for _ in range(2))
    assert first["id"] != second["id"]
    assert len(shown(newest, made)) == 2


BLANK = invalid("This field may not be blank.", "body", "blank")
LONG = invalid("Text body cannot exceed 4000 characters", "body", "max_length")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"body": ""}, BLANK),
        ({"body": "  "}, BLANK),
        ({"body": None}, invalid("This field may not be null.", "body", "null")),
        ({"body": ["x"]}, invalid("Not a valid string.", "body")),
        ({"body": "x" * 4001}, LONG),
        ({"body": "x", "color": "x" * 401}, invalid("Color cannot exceed 400 characters", "color", "max_length")),
        (
            {"body": "x", "layouts": []},
            invalid("Invalid data. Expected a dictionary, but got list.", "layouts"),
        ),
        ({"body": "x", "layouts": {"sm": {"x": "a"}}}, invalid("A valid integer is required.", "layouts__sm__x")),
    ],
)
def test_an_invalid_text_is_refused(newest: Emulator, fields: dict[str, Any], expected: Any) -> None:
    made = make(newest)
    tile = put_text(newest, made, "first")
    assert refusal(post(newest, made, "create_text_tile", fields)) == expected
    assert refusal(post(newest, made, "update_text_tile", {"tile_id": tile["id"], **fields})) == expected
    assert [one["text"]["body"] for one in shown(newest, made)] == ["first"]


def test_a_text_needs_a_body_and_a_change_needs_the_tile_of_a_text(newest: Emulator) -> None:
    made, other = make(newest), make(newest)
    put_insight(newest, made)
    [tile] = shown(newest, made)
    missing = invalid("This field is required.", "body", "required")
    assert refusal(post(newest, made, "create_text_tile", {})) == missing
    assert refusal(post(newest, made, "update_text_tile", {"tile_id": tile["id"]})) == invalid(
        "Tile is not a text tile."
    )
    for method in ("update_text_tile", "delete_tile"):
        unnamed = post(newest, made, method, {})
        assert refusal(unnamed) == invalid("This field is required.", "tile_id", "required")
        assert refusal(post(newest, other, method, {"tile_id": tile["id"]})) == NOT_FOUND
    assert len(shown(newest, made)) == 1


def test_a_removed_insight_stays_on_other_dashboards(newest: Emulator) -> None:
    one, other = make(newest), make(newest)
    put_insight(newest, one, other)
    [tile] = shown(newest, one)
    assert post(newest, one, "delete_tile", {"tile_id": tile["id"]}).status_code == 204
    assert (len(shown(newest, one)), len(shown(newest, other))) == (0, 1)


def box(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


@pytest.mark.parametrize(
    ("layout", "wide", "narrow"),
    [
        ("two_column", [box(0, 0, 6, 5), box(6, 0, 6, 5), box(0, 5, 6, 5)], [0, 5, 10]),
        ("full_width", [box(0, 0, 12, 5), box(0, 5, 12, 5), box(0, 10, 12, 5)], [0, 5, 10]),
        # The sizes: 4 x 2, none, 12 x 1 (before: 20 x 1).
        ("preserve", [box(0, 0, 4, 2), box(4, 0, 6, 5), box(0, 5, 12, 1)], [0, 2, 7]),
        (None, [box(0, 0, 4, 2), box(4, 0, 6, 5), box(0, 5, 12, 1)], [0, 2, 7]),
    ],
)
def test_tiles_are_arranged_in_a_new_order(newest: Emulator, layout: Any, wide: Any, narrow: list[int]) -> None:
    made = make(newest)
    sizes: list[dict[str, Any]] = [{"sm": box(0, 9, 20, 1)}, {}, {"sm": box(3, 3, 4, 2)}]
    keys = [put_text(newest, made, str(index), layouts=size)["id"] for index, size in enumerate(sizes)]
    sent = {"tile_order": keys[::-1], "layout": layout} if layout else {"tile_order": keys[::-1]}
    tiles = got(post(newest, made, "reorder_tiles", sent))["tiles"]
    assert [tile["id"] for tile in tiles] == keys[::-1]
    assert [tile["layouts"]["sm"] for tile in tiles] == wide
    assert [tile["layouts"]["xs"]["y"] for tile in tiles] == narrow


def test_an_invalid_order_is_refused_and_two_refusals_have_no_envelope(newest: Emulator) -> None:
    made = make(newest)
    key = put_text(newest, made, "x")["id"]
    twice = post(newest, made, "reorder_tiles", {"tile_order": [key, key]})
    assert (twice.status_code, twice.json()) == (400, {"detail": "tile_order must contain unique tile IDs"})
    unknown = post(newest, made, "reorder_tiles", {"tile_order": [9998, key, 9997]})
    detail = "Tile IDs not found on this dashboard: [9997, 9998]"
    assert (unknown.status_code, unknown.json()) == (404, {"detail": detail})
    for body, expected in (
        ({}, invalid("This field is required.", "tile_order", "required")),
        ({"tile_order": []}, invalid("Ensure this field has at least 1 elements.", "tile_order", "min_length")),
        ({"tile_order": "x"}, invalid('Expected a list of items but got type "str".', "tile_order", "not_a_list")),
        ({"tile_order": ["x"]}, invalid("A valid integer is required.", "tile_order")),
        ({"tile_order": [key], "layout": "x"}, invalid('"x" is not a valid choice.', "layout", "invalid_choice")),
    ):
        assert refusal(post(newest, made, "reorder_tiles", body)) == expected
    assert shown(newest, made)[0]["layouts"] == {}


def run(emulator: Emulator, dashboard: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    emulator.posthog_keys["phx_runner"] = Key(("query:read",))
    answer = ask(emulator, "GET", at(dashboard, "run_insights/"), None, params=query, headers=RUNNER)
    results: list[dict[str, Any]] = got(answer)["results"]
    return results


RUNNER = {"Authorization": "Bearer phx_runner"}


def calculated(emulator: Emulator, dashboard: dict[str, Any]) -> list[str | None]:
    """When each tile was calculated. The tile and its insight say the same."""
    tiles = shown(emulator, dashboard)
    assert [tile["last_refresh"] for tile in tiles] == [
        tile["insight"] and tile["insight"]["last_refresh"] for tile in tiles
    ]
    return [tile["last_refresh"] for tile in tiles]


def test_insights_are_calculated_only_if_it_is_asked_for(newest: Emulator) -> None:
    made = make(newest)
    insight = put_insight(newest, made, name="Signups", query=QUERY)
    put_text(newest, made, "# x")
    put_insight(newest, made, name="without a query")
    for query in ({}, {"refresh": "force_cache"}):
        [tile] = run(newest, made, output_format="json", **query)
        assert set(tile) == {"id", "insight", "order", "last_refresh", "is_cached"}
        # The answer does not say when it was calculated.
        assert tile["last_refresh"] is None
        named = {"id": insight["id"], "short_id": insight["short_id"], "name": "Signups", "derived_name": None}
        assert tile["insight"] == {**named, "result": None}
    assert calculated(newest, made) == [None, None, None]
    [tile] = run(newest, made, output_format="json", refresh="blocking")
    assert (tile["insight"]["result"], tile["last_refresh"]) == ([], None)
    [first, text, without] = calculated(newest, made)
    assert (first is not None, text, without) == (True, None, None)
    # It is fresh, so only ``force_blocking`` calculates it again.
    run(newest, made, refresh="blocking")
    assert calculated(newest, made)[0] == first
    run(newest, made, refresh="force_blocking")
    second = calculated(newest, made)[0]
    assert second is not None
    assert first is not None
    assert second > first
    row = newest.posthog.contents.insight(insight["id"])
    assert row is not None
    stale = (datetime.fromisoformat(second) - FRESH - timedelta(seconds=1)).isoformat()
    newest.posthog.contents.change_insight(row, last_refresh=stale)
    run(newest, made, refresh="blocking")
    assert calculated(newest, made)[0] not in (None, stale)


def test_without_a_format_a_result_is_in_words_and_a_refresh_of_the_dashboard_is_not_noted(newest: Emulator) -> None:
    made = make(newest)
    put_insight(newest, made, query=QUERY)
    [tile] = run(newest, made, refresh="force_blocking")
    assert tile["insight"]["result"] == "No data"
    assert got(ask(newest, "GET", at(made)))["last_refresh"] is None


def listed(emulator: Emulator, **query: Any) -> list[tuple[str, str | None]]:
    rows = got(ask(emulator, "GET", DASHBOARDS, params=query))["results"]
    return [(row["name"], row.get("search_match_type")) for row in rows]


def test_a_list_is_searched_by_name_description_and_tag(newest: Emulator) -> None:
    for name, description, tags in (
        ("Signups of Acme", "", []),
        ("Plain", "the ACME numbers", []),
        ("Tagged", "", ["acme-eu"]),
        ("Akme signup", "", []),
        ("Churn", "", []),
    ):
        newest.posthog.add_dashboard(name=name, description=description, tags=tags, pinned=name == "Tagged")
    exact = [("Tagged", "exact"), ("Plain", "exact"), ("Signups of Acme", "exact")]
    # Similar ones come after exact ones.
    assert listed(newest, search="acme") == [*exact, ("Akme signup", "similar")]
    assert listed(newest, search="signups") == [("Signups of Acme", "exact"), ("Akme signup", "similar")]
    assert listed(newest, search=" SIGNUPS of\0 ") == [("Signups of Acme", "exact"), ("Akme signup", "similar")]
    assert listed(newest, search="nothing at all") == []
    assert listed(newest, search="acme", tags="acme-eu") == [("Tagged", "exact")]
    everything = ["Tagged", "Akme signup", "Churn", "Plain", "Signups of Acme"]
    assert [name for name, _ in listed(newest, search="")] == everything
    assert [name for name, _ in listed(newest, search="\0")] == everything


def test_a_searched_list_has_pages(newest: Emulator) -> None:
    for index in range(5):
        newest.posthog.add_dashboard(name=f"acme {index}")
    newest.posthog.add_dashboard(name="other")
    page = got(ask(newest, "GET", DASHBOARDS, params={"search": "acme", "limit": 2, "offset": 2}))
    assert (page["count"], [row["name"] for row in page["results"]]) == (5, ["acme 2", "acme 3"])
    assert page["next"] == f"{newest.url}{DASHBOARDS}?limit=2&offset=4&search=acme"
    assert page["previous"] == f"{newest.url}{DASHBOARDS}?limit=2&search=acme"
    last = got(ask(newest, "GET", page["next"].removeprefix(newest.url)))
    assert (last["next"], [row["name"] for row in last["results"]]) == (None, ["acme 4"])


def test_a_long_search_is_refused(newest: Emulator) -> None:
    assert listed(newest, search="x" * 200) == []
    long = ask(newest, "GET", DASHBOARDS, params={"search": "x" * 201})
    assert refusal(long) == invalid("Search query must be 200 characters or fewer.", "search")


def test_generated_dashboards_are_left_out(newest: Emulator) -> None:
    for name in ("Generated Dashboard: flag", "generated dashboard", None):
        newest.posthog.add_dashboard(name=name)
    assert len(listed(newest)) == len(listed(newest, exclude_generated="false")) == 3
    assert [name for name, _ in listed(newest, exclude_generated="true")] == ["generated dashboard", None]
    found = listed(newest, exclude_generated="true", search="generated")
    assert found == [("generated dashboard", "exact")]


@pytest.mark.parametrize("version", ["2025-08", "2026-01"])
def test_an_older_server_ignores_a_search(emulator: Emulator, version: Any) -> None:
    emulator.control.behaviour = Behaviour(posthog_version=version)
    emulator.posthog.add_dashboard(name="Generated Dashboard: flag")
    assert len(listed(emulator, search="nothing at all", exclude_generated="true")) == 1
    assert len(listed(emulator, search="x" * 201)) == 1


def test_these_paths_are_only_below_a_dashboard(newest: Emulator) -> None:
    nowhere = ask(newest, "POST", f"{PROJECT_PATH}/copy_tile/", json={})
    assert refusal(nowhere) == (404, "invalid_request", "not_found", "Endpoint not found.", None)
