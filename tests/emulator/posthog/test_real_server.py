"""What the emulated PostHog does that a client does not expect, as the real server does."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.posthog.order import unsteady
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import (
    DASHBOARDS,
    FROM_JSON,
    SERVER_ERROR,
    ask,
    at,
    got,
    invalid,
    make,
    put_text,
    refusal,
)

VERSIONS = ["2025-08", "2026-01", "2026-07"]


def version(emulator: Emulator, name: str, **others: Any) -> None:
    emulator.control.behaviour = Behaviour.model_validate({"posthog_version": name, **others})


def count(emulator: Emulator) -> int:
    return emulator.posthog.count_dashboards()


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize(
    ("template", "description", "filters"),
    [
        ("DEFAULT_APP", "", {}),
        ("WEBSITE_TRAFFIC", "mine", {"date_from": "-30d"}),
        ("Product analytics", "An overview of your product.", {}),
        ("Flagged Feature Usage", "How a feature flag is used.", {}),
    ],
)
def test_a_template_replaces_description_and_filters(
    emulator: Emulator, name: str, template: str, description: str, filters: dict[str, Any]
) -> None:
    version(emulator, name)
    sent: dict[str, Any] = {
        "name": "n",
        "description": "mine",
        "filters": {"date_from": "-9d"},
        "tags": ["mine"],
    }
    made = make(emulator, **sent, use_template=template)
    assert (made["name"], made["description"], made["filters"], made["tags"]) == ("n", description, filters, ["mine"])
    assert made["tiles"]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("DEFAULT_APP", "Product analytics"),
        ("WEBSITE_TRAFFIC", None),
        ("Product analytics", "Product analytics"),
        ("Flagged Feature Usage", "Flagged Feature Usage"),
    ],
)
def test_a_template_names_a_dashboard_without_a_name(emulator: Emulator, template: str, name: str | None) -> None:
    assert make(emulator, use_template=template)["name"] == name
    assert make(emulator, name=" ", use_template=template)["name"] == (name or None)


def test_a_template_may_add_tags_and_sent_tags_replace_them(emulator: Emulator) -> None:
    assert make(emulator, use_template="WEBSITE_TRAFFIC")["tags"] == ["marketing"]
    assert make(emulator, use_template="WEBSITE_TRAFFIC", tags=["a"])["tags"] == ["a"]
    emulator.control.behaviour = Behaviour(tagging=False)
    assert make(emulator, use_template="WEBSITE_TRAFFIC")["tags"] == []
    template = {
        "template_name": "n",
        "dashboard_description": "",
        "dashboard_filters": {},
        "tiles": [{}],
        "tags": ["A"],
    }
    assert got(ask(emulator, "POST", FROM_JSON, "legacy", json={"template": template}))["tags"] == []


@pytest.mark.parametrize("value", [{"v": {"code_name": "v"}}, [1], "x", None, 5])
def test_variables_are_ignored_when_a_dashboard_is_created(emulator: Emulator, value: Any) -> None:
    assert make(emulator, variables=value)["variables"] == {}


@pytest.mark.parametrize("value", [None, "", 0, [], {}, False])
def test_empty_filters_and_variables_are_accepted_and_change_nothing(emulator: Emulator, value: Any) -> None:
    assert make(emulator, filters=value)["filters"] == {}
    made = make(emulator, filters={"date_from": "-7d"})
    got(ask(emulator, "PATCH", at(made), json={"variables": {"v": {"value": 1}}}))
    changed = got(ask(emulator, "PATCH", at(made), json={"filters": value, "variables": value}))
    assert (changed["filters"], changed["variables"]) == ({"date_from": "-7d"}, {"v": {"value": 1}})


def test_both_filters_and_variables_of_another_type_are_called_filters(emulator: Emulator) -> None:
    made = make(emulator)
    for field in ("filters", "variables"):
        answer = ask(emulator, "PATCH", at(made), json={field: [1]})
        assert refusal(answer) == invalid("Filters must be a dictionary")


def test_only_variables_that_the_project_has_are_shown(emulator: Emulator) -> None:
    made = make(emulator)
    sent = {"1": {"code_name": "a", "value": 1}, "2": {"code_name": "b", "value": 2}}
    emulator.control.behaviour = Behaviour(insight_variables=["b"])
    changed = got(ask(emulator, "PATCH", at(made), json={"variables": sent}))
    assert (changed["variables"], changed["persisted_variables"]) == ({"2": sent["2"]}, sent)
    assert refusal(ask(emulator, "PATCH", at(made), json={"variables": {"1": "x"}})) == SERVER_ERROR


def source(emulator: Emulator) -> dict[str, Any]:
    made = make(
        emulator,
        name="source",
        description="theirs",
        filters={"date_from": "-7d"},
        breakdown_colors=[{"a": 1}],
        data_color_theme_id=1,
        tags=["theirs"],
    )
    put_text(emulator, made, "hello")
    return dict(got(ask(emulator, "PATCH", at(made), json={"variables": {"v": {"value": "theirs"}}})))


@pytest.mark.parametrize(("name", "filters"), [("2025-08", {}), ("2026-01", {}), ("2026-07", {"date_from": "-7d"})])
def test_a_copy_has_the_sources_variables_colors_and_theme(
    emulator: Emulator, name: str, filters: dict[str, Any]
) -> None:
    version(emulator, name)
    original = source(emulator)
    copy = make(emulator, use_dashboard=original["id"], variables={"v": "mine"}, data_color_theme_id=2)
    assert copy["variables"] == {"v": {"value": "theirs"}}
    assert (copy["breakdown_colors"], copy["data_color_theme_id"]) == ([{"a": 1}], 1)
    assert (copy["name"], copy["description"], copy["tags"], copy["filters"]) == (None, "", [], filters)
    mine = make(emulator, use_dashboard=original["id"], filters={"date_from": "-1d"})
    assert mine["filters"] == {"date_from": "-1d"}


def test_a_copy_keeps_what_was_sent_where_the_source_has_nothing(emulator: Emulator) -> None:
    copy = make(emulator, use_dashboard=make(emulator)["id"], breakdown_colors=[1], data_color_theme_id=2)
    assert (copy["breakdown_colors"], copy["data_color_theme_id"]) == ([1], 2)


@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_shares_texts_unless_it_duplicates_tiles(emulator: Emulator, deep: bool) -> None:
    original = source(emulator)
    copy = make(emulator, use_dashboard=original["id"], duplicate_tiles=deep)
    first, second = original["tiles"][0]["text"], copy["tiles"][0]["text"]
    assert first["body"] == second["body"]
    assert (first["id"] == second["id"]) is not deep


@pytest.mark.parametrize(("name", "left"), [("2025-08", 1), ("2026-01", 1), ("2026-07", 0)])
def test_a_source_that_does_not_exist_leaves_a_dashboard_before_2026_07(
    emulator: Emulator, name: str, left: int
) -> None:
    version(emulator, name)
    answer = ask(emulator, "POST", DASHBOARDS, json={"use_dashboard": 987654, "name": "x"})
    assert refusal(answer) == invalid("Invalid value provided", "use_dashboard")
    assert count(emulator) == left


@pytest.mark.parametrize(
    "body",
    [
        {"data_color_theme_id": 99999},
        {"filters": {"a": "b\0c"}},
        {"filters": {"a\0": 1}},
        {"filters": {"a": ["\ud800"]}},
        {"breakdown_colors": ["a\0b"]},
    ],
)
def test_what_the_database_cannot_store_is_a_server_error_and_nothing_is_saved(
    emulator: Emulator, body: dict[str, Any]
) -> None:
    assert refusal(ask(emulator, "POST", DASHBOARDS, json={"name": "x", **body})) == SERVER_ERROR
    assert count(emulator) == 0
    made = make(emulator, name="old")
    assert refusal(ask(emulator, "PATCH", at(made), json={"name": "new", **body})) == SERVER_ERROR
    assert got(ask(emulator, "GET", at(made)))["name"] == "old"


@pytest.mark.parametrize("field", ["name", "description", "use_template", "_create_in_folder"])
def test_characters_that_a_field_must_not_have_are_refused(emulator: Emulator, field: str) -> None:
    nul = ask(emulator, "POST", DASHBOARDS, json={field: "a\0b"})
    assert refusal(nul) == invalid("Null characters are not allowed.", field, "null_characters_not_allowed")
    surrogate = ask(emulator, "POST", DASHBOARDS, json={field: "a\ud800b"})
    detail = "Surrogate characters are not allowed: U+D800."
    assert refusal(surrogate) == invalid(detail, field, "surrogate_characters_not_allowed")
    assert count(emulator) == 0


def test_a_text_that_looks_like_an_escape_is_stored(emulator: Emulator) -> None:
    assert make(emulator, filters={"a": "\\u0000"})["filters"] == {"a": "\\u0000"}


@pytest.mark.parametrize(
    "field",
    [
        "tags",
        "pinned",
        "deleted",
        "description",
        "breakdown_colors",
        "restriction_level",
        "use_template",
        "delete_insights",
        "_create_in_folder",
    ],
)
def test_a_field_that_must_not_be_null(emulator: Emulator, field: str) -> None:
    expected = invalid("This field may not be null.", field, "null")
    assert refusal(ask(emulator, "POST", DASHBOARDS, json={field: None})) == expected
    assert refusal(ask(emulator, "PATCH", at(make(emulator)), json={field: None})) == expected


@pytest.mark.parametrize(
    "field", ["name", "data_color_theme_id", "use_dashboard", "last_refresh", "last_accessed_at", "nope"]
)
def test_a_field_that_may_be_null(emulator: Emulator, field: str) -> None:
    nothing: dict[str, Any] = {field: None}
    make(emulator, **nothing)
    got(ask(emulator, "PATCH", at(make(emulator)), json=nothing))


def test_the_body_must_be_an_object(emulator: Emulator) -> None:
    for body, detail, code in (
        ("[1]", "Invalid data. Expected a dictionary, but got list.", "invalid_input"),
        ("null", "This field may not be null.", "null"),
    ):
        answer = ask(emulator, "POST", DASHBOARDS, data=body, headers={"content-type": "application/json"})
        assert refusal(answer) == invalid(detail, code=code)


def test_a_time_must_be_a_time(emulator: Emulator) -> None:
    assert make(emulator, last_refresh="2026-01-02T03:04:05Z")["last_refresh"] == "2026-01-02T03:04:05Z"
    for value in ("soon", 5, ""):
        answer = refusal(ask(emulator, "POST", DASHBOARDS, json={"last_refresh": value}))
        assert answer[2:3] == ("invalid_input",)
        assert answer[3].startswith("Datetime has wrong format.")


@pytest.mark.parametrize("value", ["Yes", "on", "T", "1", 1, " true "])
def test_words_and_numbers_are_booleans_too(emulator: Emulator, value: Any) -> None:
    assert make(emulator, pinned=value)["pinned"] is True


@pytest.mark.parametrize(("name", "error"), [("2025-08", True), ("2026-01", True), ("2026-07", False)])
def test_an_unknown_tile_is_a_server_error_and_is_skipped_since_2026_07(
    emulator: Emulator, name: str, error: bool
) -> None:
    version(emulator, name)
    made = make(emulator)
    tiles = [{"text": {"body": "before"}}, {"id": 999999, "color": "red"}, {"text": {"body": "after"}}]
    answer = ask(emulator, "PATCH", at(made), json={"name": "saved", "tiles": tiles})
    assert answer.status_code == (500 if error else 200)
    shown = got(ask(emulator, "GET", at(made)))
    assert shown["name"] == "saved"
    assert [tile["text"]["body"] for tile in shown["tiles"]] == (["before"] if error else ["before", "after"])


@pytest.mark.parametrize(
    "tiles", [None, "x", ["x"], {"a": 1}, [{"text": "x"}], [{"text": {"body": [1]}}], [{"id": "x", "color": ""}]]
)
def test_tiles_of_another_shape_are_a_server_error(emulator: Emulator, tiles: Any) -> None:
    made = make(emulator)
    assert refusal(ask(emulator, "PATCH", at(made), json={"name": "saved", "tiles": tiles})) == SERVER_ERROR
    assert got(ask(emulator, "GET", at(made)))["name"] == "saved"


def test_since_2026_07_a_text_is_checked(emulator: Emulator) -> None:
    version(emulator, "2026-07")
    made = make(emulator)
    for body, detail, code in (
        ("x" * 4001, "Text body cannot exceed 4000 characters", "max_length"),
        ("a\0b", "Null characters are not allowed.", "null_characters_not_allowed"),
        ([1], "Not a valid string.", "invalid_input"),
    ):
        answer = ask(emulator, "PATCH", at(made), json={"tiles": [{"text": {"body": body}}]})
        assert refusal(answer) == invalid(detail, "text__body", code)


@pytest.mark.parametrize("seed", range(20))
def test_pages_of_equal_names_miss_a_few(seed: int) -> None:
    emulated = Behaviour(seed=seed)
    from random import Random

    random = Random(emulated.seed)
    rows: list[tuple[int, bool, str | None]] = [(key, False, "same") for key in range(1200)]
    seen = {key for offset in (0, 500, 1000) for key in unsteady(rows, random)[offset : offset + 500]}
    assert 1 <= 1200 - len(seen) <= 7


def test_only_equal_names_change_places(emulator: Emulator) -> None:
    for number in range(30):
        make(emulator, name="ab"[number % 2], pinned=number < 10)
    orders = set()
    for _ in range(5):
        page = got(ask(emulator, "GET", DASHBOARDS, params={"limit": 5000}))
        assert (page["count"], len({row["id"] for row in page["results"]})) == (30, 30)
        sorted_by = [(not row["pinned"], row["name"]) for row in page["results"]]
        assert sorted_by == sorted(sorted_by)
        orders.add(tuple(row["id"] for row in page["results"]))
    assert len(orders) > 1


def test_the_same_seed_has_the_same_order(emulator: Emulator) -> None:
    for _ in range(30):
        make(emulator, name="same")

    def orders() -> list[list[int]]:
        pages = [got(ask(emulator, "GET", DASHBOARDS))["results"] for _ in range(3)]
        return [[row["id"] for row in page] for page in pages]

    emulator.control.behaviour = Behaviour(seed=1)
    first = orders()
    emulator.control.randoms.clear()
    assert orders() == first != orders()


def test_the_oldest_version_has_no_passwords_and_ignores_that_one_is_required(emulator: Emulator) -> None:
    version(emulator, "2025-08")
    made = make(emulator)
    assert got(ask(emulator, "GET", at(made, "sharing/"))).keys() == {
        "created_at",
        "enabled",
        "access_token",
        "settings",
    }
    for value in (True, None, "perhaps"):
        body = {"enabled": True, "password_required": value}
        shared = got(ask(emulator, "PATCH", at(made, "sharing/"), json=body))
        assert shared.keys() == {"created_at", "enabled", "access_token", "settings"}
        assert shared["enabled"] is True
    page = requests.get(f"{emulator.url}/shared/{shared['access_token']}.json", timeout=5).json()
    assert page["dashboard"]["id"] == made["id"]
    for method, path in (("POST", "sharing/passwords/"), ("DELETE", "sharing/passwords/1/"), ("GET", "stream_tiles/")):
        answer = ask(emulator, method, at(made, path), "legacy")
        assert refusal(answer) == (404, "invalid_request", "not_found", "Endpoint not found.", None)


def test_the_oldest_version_shows_fewer_fields_and_ignores_a_lists_filters(emulator: Emulator) -> None:
    version(emulator, "2025-08")
    made = make(emulator, last_accessed_at="nonsense")
    newer = {"last_accessed_at", "last_viewed_at", "team_id", "persisted_filters", "persisted_variables"}
    assert not newer & made.keys()
    for params in ({"tags": "x"}, {"creation_mode": "template"}, {"search": "x"}):
        page = got(ask(emulator, "GET", DASHBOARDS, params=params))
        assert page["count"] == 1
        assert page["results"][0].keys() & newer == {"last_accessed_at"}


def test_after_a_refresh_the_old_address_opens_although_sharing_was_switched_off(emulator: Emulator) -> None:
    made = make(emulator)
    old = got(ask(emulator, "PATCH", at(made, "sharing/"), json={"enabled": True}))["access_token"]
    new = got(ask(emulator, "POST", at(made, "sharing/refresh/")))["access_token"]
    got(ask(emulator, "PATCH", at(made, "sharing/"), json={"enabled": False}))
    assert requests.get(f"{emulator.url}/shared/{new}.json", timeout=5).status_code == 404
    assert requests.get(f"{emulator.url}/shared/{old}.json", timeout=5).status_code == 200
    assert got(ask(emulator, "GET", at(made)))["is_shared"] is True
    emulator.posthog.shares.expire_tokens()
    assert requests.get(f"{emulator.url}/shared/{old}.json", timeout=5).status_code == 404
    assert got(ask(emulator, "GET", at(made)))["is_shared"] is False


def test_filters_of_the_request_are_shown_and_not_stored(emulator: Emulator) -> None:
    made = make(emulator, filters={"date_from": "-7d", "date_to": "-1d"})
    shown = got(ask(emulator, "GET", at(made), params={"filters_override": '{"date_from":"-1d"}'}))
    assert (shown["filters"], shown["persisted_filters"]) == ({"date_from": "-1d", "date_to": "-1d"}, made["filters"])
    for field in ("filters_override", "variables_override"):
        broken = ask(emulator, "GET", at(made), params={field: "{"})
        assert refusal(broken) == invalid(f"Invalid JSON passed in {field} parameter", field)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("2025-08", {"deleted": False}, 200),
        ("2025-08", {"deleted": None}, 400),
        ("2025-08", {"deleted": False, "name": "x"}, 404),
        ("2026-07", {"deleted": False, "name": "x"}, 200),
        ("2026-07", {"deleted": "false"}, 200),
        ("2026-07", {"deleted": None}, 404),
        ("2026-07", {"deleted": True}, 404),
    ],
)
def test_what_restores_a_deleted_dashboard(emulator: Emulator, name: str, body: dict[str, Any], status: int) -> None:
    version(emulator, name)
    made = make(emulator)
    got(ask(emulator, "PATCH", at(made), json={"deleted": True}))
    assert ask(emulator, "PATCH", at(made), json=body).status_code == status


def test_the_oldest_move_checks_nothing(emulator: Emulator) -> None:
    version(emulator, "2025-08")
    source, target = make(emulator), make(emulator, restriction_level=37)
    tile = put_text(emulator, source, "hello")
    for key, body in (
        (source["id"], {"tile": {"id": tile["id"]}, "toDashboard": 987654}),
        (source["id"], {"tile": {"id": 987654}, "toDashboard": target["id"]}),
        (987654, {"tile": {"id": tile["id"]}, "toDashboard": target["id"]}),
    ):
        answer = ask(emulator, "PATCH", f"{DASHBOARDS}{key}/move_tile/", "legacy", json=body)
        assert refusal(answer) == SERVER_ERROR
    body = {"tile": {"id": tile["id"]}, "toDashboard": target["id"]}
    moved = got(ask(emulator, "PATCH", at(source, "move_tile/"), "legacy", json=body))
    assert (moved["id"], moved["tiles"]) == (source["id"], [])
    assert got(ask(emulator, "GET", at(target)))["tiles"][0]["id"] == tile["id"]
