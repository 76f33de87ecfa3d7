"""Dashboards of the emulated PostHog, and the members who may edit them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.posthog.state import MEMBER, OWNER
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import (
    DASHBOARDS,
    NOT_FOUND,
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

NO_EDIT = forbidden("You don't have edit permissions for this dashboard.")


def names(emulator: Emulator, **params: Any) -> list[str | None]:
    return [dashboard["name"] for dashboard in got(ask(emulator, "GET", DASHBOARDS, params=params))["results"]]


def test_a_dashboard_created_without_fields_has_every_field(emulator: Emulator) -> None:
    made = make(emulator)
    assert made["name"] is None
    assert (made["description"], made["tiles"], made["tags"], made["filters"]) == ("", [], [], {})
    assert (made["restriction_level"], made["effective_privilege_level"]) == (21, 37)
    assert (made["user_access_level"], made["access_control_version"]) == ("manager", "v2")
    assert made["created_by"]["email"] == "owner@example.com"
    assert (made["persisted_filters"], made["last_accessed_at"], made["creation_mode"]) == (None, None, "default")


def test_a_dashboard_has_the_fields_that_were_sent_and_unknown_fields_are_ignored(emulator: Emulator) -> None:
    sent: dict[str, Any] = {
        "name": " Sales ",
        "description": "weekly",
        "pinned": True,
        "tags": ["a", "b"],
        "filters": {"date_from": "-7d"},
        "restriction_level": 37,
        "breakdown_colors": [{"x": 1}],
        "data_color_theme_id": 4,
    }
    made = make(emulator, **sent, nope=1, _create_in_folder="x")
    expected = {**sent, "name": "Sales"}
    assert {name: made[name] for name in expected} == expected
    assert made["persisted_filters"] == sent["filters"]
    assert made["access_control_version"] == "v1"
    shown = got(ask(emulator, "GET", at(made)))
    assert {name: shown[name] for name in expected} == expected


def test_ids_are_unique_and_names_are_not(emulator: Emulator) -> None:
    assert make(emulator, name="x")["id"] != make(emulator, name="x")["id"]
    assert emulator.posthog.count_dashboards() == 2


@pytest.mark.parametrize(
    ("field", "value", "detail", "attr", "code"),
    [
        ("name", "x" * 401, "Ensure this field has no more than 400 characters.", "name", "max_length"),
        ("name", ["x"], "Not a valid string.", "name", "invalid_input"),
        ("description", None, "This field may not be null.", "description", "null"),
        ("pinned", "perhaps", "Must be a valid boolean.", "pinned", "invalid_input"),
        ("tags", "a", 'Expected a list of items but got type "str".', "tags", "not_a_list"),
        ("restriction_level", 5, '"5" is not a valid choice.', "restriction_level", "invalid_choice"),
        ("data_color_theme_id", "x", "A valid integer is required.", "data_color_theme_id", "invalid_input"),
        ("filters", ["a"], "Filters must be a dictionary", None, "invalid_input"),
        ("use_template", None, "This field may not be null.", "use_template", "null"),
        ("use_dashboard", "x", "A valid integer is required.", "use_dashboard", "invalid_input"),
        ("use_dashboard", True, "A valid integer is required.", "use_dashboard", "invalid_input"),
    ],
)
def test_the_refusal_of_an_invalid_field_names_it(
    emulator: Emulator, field: str, value: Any, detail: str, attr: str | None, code: str
) -> None:
    made = make(emulator, name="kept")
    changed = ask(emulator, "PATCH", at(made), json={field: value})
    assert refusal(changed) == invalid(detail, attr, code)
    assert refusal(ask(emulator, "POST", DASHBOARDS, json={field: value})) == invalid(detail, attr, code)
    assert names(emulator) == ["kept"]


def test_without_the_feature_tags_are_silently_ignored(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(tagging=False)
    made = make(emulator, tags=["a"])
    assert made["tags"] == []
    assert got(ask(emulator, "PATCH", at(made), json={"tags": ["b"]}))["tags"] == []


def test_the_list_has_pinned_dashboards_first_then_sorts_by_bytes_of_the_name_and_ends_with_nameless_ones(
    emulator: Emulator,
) -> None:
    for name, pinned in [("b", False), ("C", False), (None, False), ("a", False), ("z", True)]:
        make(emulator, name=name, pinned=pinned)
    assert names(emulator) == ["z", "C", "a", "b", None]


def test_a_page_has_the_urls_of_the_next_and_the_previous_page(emulator: Emulator) -> None:
    for name in "abcde":
        make(emulator, name=name)
    base = f"{emulator.url}{DASHBOARDS}"
    page = got(ask(emulator, "GET", DASHBOARDS, params={"limit": 2, "offset": 1}))
    assert [dashboard["name"] for dashboard in page["results"]] == ["b", "c"]
    assert (page["count"], page["next"], page["previous"]) == (5, f"{base}?limit=2&offset=3", f"{base}?limit=2")
    last = got(ask(emulator, "GET", DASHBOARDS, params={"limit": 2, "offset": 3}))
    assert (last["next"], last["previous"]) == (None, f"{base}?limit=2&offset=1")
    beyond = got(ask(emulator, "GET", DASHBOARDS, params={"limit": 2, "offset": 1000}))
    assert (beyond["results"], beyond["next"], beyond["count"]) == ([], None, 5)


def test_a_page_has_a_hundred_dashboards_by_default(emulator: Emulator) -> None:
    for number in range(101):
        emulator.posthog.add_dashboard(name=f"{number:03}")
    for params in ({}, {"limit": 0}, {"limit": "x"}):
        page = got(ask(emulator, "GET", DASHBOARDS, params=params))
        assert (len(page["results"]), page["count"]) == (100, 101)
        assert page["next"].endswith("?limit=100&offset=100")
    assert "tiles" not in page["results"][0]


def test_the_list_is_filtered_by_tag_and_mode_and_so_is_the_next_page(emulator: Emulator) -> None:
    make(emulator, name="a", tags=["x"])
    make(emulator, name="b", tags=["x", "y"])
    make(emulator, name="c", use_template="DEFAULT_APP")
    assert names(emulator, tags="x") == ["a", "b"]
    assert names(emulator, tags=["y", "z"]) == ["b"]
    assert names(emulator, creation_mode="template") == ["c"]
    page = got(ask(emulator, "GET", DASHBOARDS, params={"tags": "x", "limit": 1}))
    assert page["next"].endswith("?limit=1&offset=1&tags=x")
    assert page["count"] == 2


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_update_changes_the_sent_fields_and_replaces_tags(emulator: Emulator, method: str) -> None:
    made = make(emulator, name="a", description="d", tags=["x", "y"])
    changed = got(ask(emulator, method, at(made), "writer", json={"name": "b", "tags": ["z"]}))
    assert (changed["name"], changed["description"], changed["tags"]) == ("b", "d", ["z"])
    assert got(ask(emulator, method, at(made), json={"variables": {"v": 1}}))["persisted_variables"] == {"v": 1}


def test_showing_a_dashboard_sets_its_time_of_access(emulator: Emulator) -> None:
    made = make(emulator)
    assert got(ask(emulator, "GET", at(made), "reader"))["last_accessed_at"] is not None


def test_a_template_adds_tiles(emulator: Emulator) -> None:
    made = make(emulator, name="mine", use_template="DEFAULT_APP")
    assert (made["name"], made["creation_mode"], len(made["tiles"])) == ("mine", "template", 6)
    assert [tile["order"] for tile in made["tiles"]] == list(range(6))
    assert made["tiles"][0]["insight"]["is_sample"] is True
    assert make(emulator, use_template="Product analytics")["description"] != ""


def test_an_unknown_template_is_refused_but_the_dashboard_stays(emulator: Emulator) -> None:
    answer = ask(emulator, "POST", DASHBOARDS, json={"name": "ghost", "use_template": "NOPE"})
    assert refusal(answer) == invalid("Invalid template provided: NOPE", "use_template")
    assert names(emulator) == ["ghost"]


@pytest.mark.parametrize("source", [987654, "987654"])
def test_an_unknown_source_is_refused_but_the_dashboard_stays(emulator: Emulator, source: Any) -> None:
    answer = ask(emulator, "POST", DASHBOARDS, json={"name": "ghost", "use_dashboard": source})
    assert refusal(answer) == invalid("Invalid value provided", "use_dashboard")
    assert names(emulator) == ["ghost"]


def test_a_template_and_a_source_cannot_be_used_together(emulator: Emulator) -> None:
    answer = ask(emulator, "POST", DASHBOARDS, json={"use_template": "DEFAULT_APP", "use_dashboard": 1})
    assert refusal(answer) == invalid("`use_dashboard` and `use_template` cannot be used together")
    assert emulator.posthog.count_dashboards() == 0


@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_shares_insights_unless_it_duplicates_tiles(emulator: Emulator, deep: bool) -> None:
    source = make(emulator, name="source")
    insight = put_insight(emulator, source, name="i", query={"kind": "Q"})
    put_text(emulator, source, "hello", layouts={"sm": {"x": 0, "y": 0}}, color="blue")
    copy = make(emulator, name="copy", use_dashboard=source["id"], duplicate_tiles=deep)
    assert copy["creation_mode"] == "duplicate"
    text, other = copy["tiles"]
    assert (text["text"]["body"], text["color"]) == ("hello", "blue")
    assert (other["insight"]["id"] == insight["id"]) is not deep
    assert (other["insight"]["name"], other["insight"]["query"]) == ("i (Copy)" if deep else "i", {"kind": "Q"})


def test_delete_is_refused_without_a_body_even_for_an_unknown_dashboard(emulator: Emulator) -> None:
    made = make(emulator)
    for path in (at(made), f"{DASHBOARDS}999999/"):
        answer = ask(emulator, "DELETE", path)
        assert (answer.status_code, answer.content) == (405, b"")
        assert "DELETE" in answer.headers["Allow"]
        assert "Content-Type" not in answer.headers
    assert emulator.posthog.count_dashboards() == 1


def test_a_deleted_dashboard_is_not_found_anywhere(emulator: Emulator) -> None:
    made = make(emulator, name="x")
    put_text(emulator, made, "hello")
    deleted = got(ask(emulator, "PATCH", at(made), json={"deleted": True}))
    assert (deleted["deleted"], deleted["tiles"]) == (True, [])
    assert names(emulator) == []
    assert refusal(ask(emulator, "GET", at(made))) == NOT_FOUND
    assert refusal(ask(emulator, "PATCH", at(made), json={"deleted": True})) == NOT_FOUND
    assert refusal(ask(emulator, "PATCH", at(made), json={"name": "y"})) == NOT_FOUND
    assert ask(emulator, "GET", at(made, "collaborators/")).status_code == 404


def test_a_deleted_dashboard_is_restored_by_an_update_with_nothing_else(emulator: Emulator) -> None:
    made = make(emulator, name="x")
    put_text(emulator, made, "hello")
    got(ask(emulator, "PATCH", at(made), json={"deleted": True}))
    assert refusal(ask(emulator, "PATCH", at(made), json={"deleted": False, "name": "y"})) == NOT_FOUND
    restored = got(ask(emulator, "PATCH", at(made), json={"deleted": False}))
    assert (restored["deleted"], restored["name"], len(restored["tiles"])) == (False, "x", 1)


def test_insights_are_deleted_with_their_only_dashboard_if_requested(emulator: Emulator) -> None:
    first, second = make(emulator, name="a"), make(emulator, name="b")
    alone, shared = put_insight(emulator, first), put_insight(emulator, first, second)
    got(ask(emulator, "PATCH", at(first), json={"deleted": True, "delete_insights": True}))
    rows = [emulator.posthog.contents.insight(insight["id"]) for insight in (alone, shared)]
    assert [row is not None and row.deleted for row in rows] == [True, False]


def collaborate(emulator: Emulator, made: dict[str, Any], name: str = MEMBER, key: str = "all", **changes: Any) -> Any:
    body = {"level": 37, "user_uuid": emulator.posthog.member(name).uuid, **changes}
    body = {field: value for field, value in body.items() if value is not ...}
    return ask(emulator, "POST", at(made, "collaborators/"), key, json=body)


def test_collaborators_are_added_listed_and_removed(emulator: Emulator) -> None:
    made = make(emulator, restriction_level=37)
    assert got(ask(emulator, "GET", at(made, "collaborators/"), "reader")) == []
    added = got(collaborate(emulator, made, key="writer"), 201)
    assert (added["dashboard_id"], added["level"], added["user"]["first_name"]) == (made["id"], 37, "Member")
    assert got(ask(emulator, "GET", at(made, "collaborators/"))) == [added]
    path = at(made, f"collaborators/{added['user']['uuid']}/")
    removed = ask(emulator, "DELETE", path, "writer")
    assert (removed.status_code, removed.content) == (204, b"")
    assert refusal(ask(emulator, "DELETE", path)) == NOT_FOUND
    assert refusal(ask(emulator, "DELETE", at(made, "collaborators/x/"))) == NOT_FOUND


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"level": 21}, invalid("Only edit access can be explicitly specified currently.")),
        ({"level": 5}, invalid('"5" is not a valid choice.', "level", "invalid_choice")),
        ({"level": ...}, invalid("This field is required.", "level", "required")),
        ({"user_uuid": ...}, invalid("This field is required.", "user_uuid", "required")),
        ({"user_uuid": "x"}, invalid("Must be a valid UUID.", "user_uuid")),
        ({"user_uuid": "00000000-0000-0000-0000-000000000000"}, invalid("User does not exist.")),
    ],
)
def test_the_level_and_the_user_of_a_collaborator_must_be_valid(
    emulator: Emulator, changes: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    made = make(emulator, restriction_level=37)
    assert refusal(collaborate(emulator, made, **changes)) == expected


def test_only_a_member_with_access_but_without_the_right_to_edit_can_be_added(emulator: Emulator) -> None:
    made = make(emulator, restriction_level=37)
    emulator.posthog.add_member("outsider", access=False)
    assert refusal(collaborate(emulator, made, OWNER))[3].startswith(
        "Cannot add collaborators that already have inherent access"
    )
    no_access = "Cannot add collaborators that have no access to the project."
    assert refusal(collaborate(emulator, made, "outsider")) == invalid(no_access)
    got(collaborate(emulator, made), 201)
    assert refusal(collaborate(emulator, made)) == invalid("User already is a collaborator.")


@pytest.mark.parametrize(("level", "feature"), [(21, True), (37, False)])
def test_a_dashboard_that_everyone_may_edit_accepts_no_collaborators(
    emulator: Emulator, level: int, feature: bool
) -> None:
    made = make(emulator, restriction_level=level)
    emulator.control.behaviour = Behaviour(advanced_permissions=feature)
    expected = invalid("Cannot add collaborators to a dashboard on the lowest restriction level.")
    assert refusal(collaborate(emulator, made)) == expected


def test_only_collaborators_may_edit_a_restricted_dashboard(emulator: Emulator) -> None:
    made = make(emulator, restriction_level=37)
    seen = got(ask(emulator, "GET", at(made), "member"))
    assert (seen["effective_privilege_level"], seen["user_access_level"]) == (21, "editor")
    assert refusal(ask(emulator, "PATCH", at(made), "member", json={"name": "x"})) == NO_EDIT
    assert refusal(collaborate(emulator, made, key="member")) == NO_EDIT
    assert refusal(ask(emulator, "PATCH", at(made, "sharing/"), "member", json={"enabled": True})) == NO_EDIT
    got(collaborate(emulator, made), 201)
    assert got(ask(emulator, "PATCH", at(made), "member", json={"name": "x"}))["effective_privilege_level"] == 37


def test_only_the_owner_and_admins_may_restrict_a_dashboard(emulator: Emulator) -> None:
    made, own = make(emulator), make(emulator, "member")
    answer = ask(emulator, "PATCH", at(made), "member", json={"restriction_level": 37})
    assert refusal(answer)[3].startswith("Only the dashboard owner and project admins have the restriction rights")
    restricted = got(ask(emulator, "PATCH", at(own), "member", json={"restriction_level": 37}))
    assert restricted["effective_restriction_level"] == 37
    got(ask(emulator, "PATCH", at(own), json={"name": "the organization's owner may too"}))


def test_without_the_feature_a_restriction_is_stored_but_has_no_effect(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(advanced_permissions=False)
    made = make(emulator, restriction_level=37)
    assert (made["restriction_level"], made["effective_restriction_level"]) == (37, 21)
    got(ask(emulator, "PATCH", at(made), "member", json={"name": "x"}))
