"""Public links to dashboards of the emulated PostHog."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import SERVER_ERROR, ask, at, got, invalid, make, put_insight, put_text, refusal


def sharing(emulator: Emulator, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Change the configuration if changes are given, and return it."""
    method = "PATCH" if changes else "GET"
    shown: dict[str, Any] = got(ask(emulator, method, at(made, "sharing/"), "sharer", json=changes or None))
    return shown


def refreshed(emulator: Emulator, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = got(ask(emulator, "POST", at(made, "sharing/refresh/"), "sharer"))
    return shown


def public(emulator: Emulator, path: str) -> requests.Response:
    return requests.get(f"{emulator.url}/{path}", timeout=5)


def add_password(emulator: Emulator, made: dict[str, Any], **fields: Any) -> requests.Response:
    return ask(emulator, "POST", at(made, "sharing/passwords/"), "sharer", json=fields)


def test_before_the_first_save_each_answer_has_another_token_that_does_not_work(emulator: Emulator) -> None:
    made = make(emulator)
    first, second = sharing(emulator, made), sharing(emulator, made)
    token = first.pop("access_token")
    assert token
    assert token != second.pop("access_token")
    assert first == second
    assert first == {
        "created_at": None,
        "enabled": False,
        "settings": None,
        "password_required": False,
        "share_passwords": [],
    }
    assert public(emulator, f"shared/{token}.json").status_code == 404


def test_an_enabled_link_shows_the_dashboard_to_anybody(emulator: Emulator) -> None:
    made = make(emulator, name="Sales <b>", tags=["secret"])
    put_insight(emulator, made, name="Revenue")
    put_text(emulator, made, "Hello")
    saved = sharing(emulator, made, enabled=True, settings={"noHeader": True})
    assert sharing(emulator, made) == saved
    assert saved["created_at"]
    token = saved["access_token"]
    shown = got(public(emulator, f"shared/{token}.json"))
    assert (shown["type"], shown["accessToken"], shown["noHeader"]) == ("scene", token, True)
    dashboard = shown["dashboard"]
    assert (dashboard["id"], dashboard["is_shared"], dashboard["tags"]) == (made["id"], True, [])
    assert (dashboard["user_access_level"], dashboard["effective_privilege_level"]) == (None, 21)
    assert dashboard["tiles"][0]["insight"]["query_status"]["complete"] is False
    assert got(public(emulator, f"embedded/{token}.json"))["type"] == "embed"
    page = public(emulator, f"shared/{token}")
    assert page.headers["Content-Type"].startswith("text/html")
    for text in ("Sales &lt;b&gt;", "Revenue", "Hello"):
        assert text in page.text


def test_a_link_that_does_not_work_always_answers_with_a_page(emulator: Emulator) -> None:
    made = make(emulator)
    token = sharing(emulator, made, enabled=True)["access_token"]
    sharing(emulator, made, enabled=False)
    for path in (f"shared/{token}", f"shared/{token}.json", "shared/nope", "embedded/nope.json"):
        answer = public(emulator, path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
    sharing(emulator, made, enabled=True)
    got(ask(emulator, "PATCH", at(made), json={"deleted": True}))
    assert public(emulator, f"shared/{token}").status_code == 404


def test_a_dashboard_shows_whether_it_is_shared(emulator: Emulator) -> None:
    made = make(emulator)
    sharing(emulator, made, enabled=True)
    assert got(ask(emulator, "GET", at(made)))["is_shared"] is True
    sharing(emulator, made, enabled=False)
    assert got(ask(emulator, "GET", at(made)))["is_shared"] is False


def test_settings_that_are_not_sent_stay_and_unknown_ones_are_ignored(emulator: Emulator) -> None:
    made = make(emulator)
    sharing(emulator, made, enabled=True, settings={"whitelabel": True, "unheard_of": 1})
    changed = sharing(emulator, made, password_required=True)
    assert (changed["enabled"], changed["settings"]) == (True, {"whitelabel": True})
    assert sharing(emulator, made, settings={"legend": "Yes", "detailed": 0, "noHeader": None})["settings"] == {
        "legend": True,
        "detailed": False,
    }
    assert sharing(emulator, made, settings=None)["settings"] is None


@pytest.mark.parametrize("settings", ["x", ["legend"], {"legend": "maybe"}, {"legend": 2}])
def test_settings_must_be_booleans(emulator: Emulator, settings: Any) -> None:
    made = make(emulator)
    answer = ask(emulator, "PATCH", at(made, "sharing/"), json={"settings": settings})
    assert refusal(answer) == invalid("Invalid settings format", "settings")
    answer = ask(emulator, "PATCH", at(made, "sharing/"), json={"enabled": "perhaps"})
    assert refusal(answer) == invalid("Must be a valid boolean.", "enabled")


def test_a_refresh_before_the_first_save_saves_and_does_not_enable(emulator: Emulator) -> None:
    made = make(emulator)
    first = refreshed(emulator, made)
    assert first["created_at"]
    assert first["enabled"] is False
    assert sharing(emulator, made)["access_token"] == first["access_token"]


def test_a_refresh_replaces_the_token_and_keeps_the_rest(emulator: Emulator) -> None:
    made = make(emulator)
    old = sharing(emulator, made, enabled=True, settings={"legend": True})
    new = refreshed(emulator, made)
    assert new["access_token"] != old["access_token"]
    assert (new["enabled"], new["settings"]) == (True, {"legend": True})
    for token in (old["access_token"], new["access_token"]):
        assert public(emulator, f"shared/{token}.json").status_code == 200
    emulator.posthog.shares.expire_tokens()
    assert public(emulator, f"shared/{old['access_token']}.json").status_code == 404
    assert public(emulator, f"shared/{new['access_token']}.json").status_code == 200


def test_a_refresh_copies_passwords_under_new_ids(emulator: Emulator) -> None:
    made = make(emulator)
    sharing(emulator, made, enabled=True, password_required=True)
    old = [got(add_password(emulator, made, note=note), 201)["id"] for note in "ab"]
    new = refreshed(emulator, made)
    assert new["password_required"] is True
    copies = {entry["note"]: entry["id"] for entry in new["share_passwords"]}
    assert set(copies) == {"a", "b"}
    assert not set(copies.values()) & set(old)
    gone = ask(emulator, "DELETE", at(made, f"sharing/passwords/{old[0]}/"), "sharer")
    assert refusal(gone) == (404, "invalid_request", "not_found", "Password not found", None)
    removed = ask(emulator, "DELETE", at(made, f"sharing/passwords/{copies['a']}/"), "sharer")
    assert (removed.status_code, removed.content) == (204, b"")
    assert [entry["note"] for entry in sharing(emulator, made)["share_passwords"]] == ["b"]


def test_a_password_is_shown_once(emulator: Emulator) -> None:
    made = make(emulator)
    sharing(emulator, made, password_required=True)
    given = got(add_password(emulator, made, raw_password="s3cr3t-word", note="board"), 201)
    assert (given["password"], given["note"], given["created_by_email"]) == (
        "s3cr3t-word",
        "board",
        "owner@example.com",
    )
    generated = got(add_password(emulator, made, raw_password=""), 201)
    assert len(generated["password"]) >= 8
    assert generated["note"] == ""
    listed = sharing(emulator, made)["share_passwords"]
    assert [entry["id"] for entry in listed] == [generated["id"], given["id"]]
    assert set(listed[0]) == {"id", "created_at", "note", "created_by_email", "is_active"}


def test_a_password_must_be_required_and_long_enough(emulator: Emulator) -> None:
    made = make(emulator)
    for _ in range(2):
        answer = add_password(emulator, made)
        assert answer.status_code == 400
        assert answer.json() == {"error": "Password protection must be enabled before creating passwords"}
        sharing(emulator, made, enabled=True)
    sharing(emulator, made, password_required=True)
    short = invalid("Password must be at least 8 characters long.", "raw_password")
    assert refusal(add_password(emulator, made, raw_password="short")) == short
    long = invalid("Ensure this field has no more than 100 characters.", "note", "max_length")
    assert refusal(add_password(emulator, made, note="x" * 101)) == long


def test_a_password_of_another_dashboard_is_not_found_and_its_id_must_be_a_number(emulator: Emulator) -> None:
    first, second = make(emulator), make(emulator)
    for made in (first, second):
        sharing(emulator, made, password_required=True)
    key = got(add_password(emulator, first), 201)["id"]
    assert ask(emulator, "DELETE", at(second, f"sharing/passwords/{key}/")).status_code == 404
    assert refusal(ask(emulator, "DELETE", at(first, "sharing/passwords/x/"))) == SERVER_ERROR


def test_a_link_with_a_password_shows_nothing_without_it(emulator: Emulator) -> None:
    made = make(emulator, name="Sales")
    token = sharing(emulator, made, enabled=True, password_required=True)["access_token"]
    assert got(public(emulator, f"shared/{token}.json")) == {"type": "unlock", "accessToken": token}
    assert "Sales" not in public(emulator, f"shared/{token}").text


def test_without_the_feature_there_are_no_passwords(emulator: Emulator) -> None:
    made = make(emulator)
    sharing(emulator, made, password_required=True)
    emulator.control.behaviour = Behaviour(advanced_permissions=False)
    required = ask(emulator, "PATCH", at(made, "sharing/"), json={"password_required": True})
    assert required.status_code == 403
    assert required.json() == {"error": "Sharing with password requires the Advanced Permissions feature"}
    created = add_password(emulator, made)
    assert created.status_code == 403
    assert created.json() == {"error": "Password management requires the Advanced Permissions feature"}
    assert sharing(emulator, made, enabled=True)["enabled"] is True
