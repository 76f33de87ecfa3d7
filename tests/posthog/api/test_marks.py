"""A dashboard is found again by its mark, over HTTP with both transports."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import marks
from airflow_provider_databrain.posthog.api.models import Dashboard, NewDashboard
from tests.client.conftest import Run
from tests.posthog.support import contents, names, posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")
MARK = marks.mark_of("acme")
UNTAGGED = Behaviour(tagging=False)


def find_or_create(run: Run, emulator: Emulator, key: str = "acme", **fields: Any) -> tuple[Dashboard, bool]:
    return run(posthog_server(emulator), marks.find_or_create_dashboard(NewDashboard(**fields), key))


def test_similar_keys_have_different_marks() -> None:
    keys = ["acme", "ACME", " acme", "acme ", "acme\n", "äcme", "a\u0308cme", "", "\udc80"]
    found = {marks.mark_of(key) for key in keys}
    assert len(found) == len(keys)
    # PostHog may change tags to lower case and remove blanks.
    assert all(mark == mark.lower().strip() for mark in found)
    assert marks.mark_of("acme") == "airflow-8c3723ac2be0a966c541"


@pytest.mark.parametrize(
    ("description", "marked"),
    [(None, f"[{MARK}]"), ("", f"[{MARK}]"), ("KPIs", f"KPIs\n[{MARK}]"), ("a [b]", f"a [b]\n[{MARK}]")],
)
def test_a_description_ends_with_its_mark(description: str | None, marked: str) -> None:
    assert marks.marked_description(description, MARK) == marked
    assert MARK in marks.possible_marks(Dashboard(id=1, description=marked))
    assert MARK in marks.possible_marks(Dashboard(id=1, description=f"{marked}\n "))


@pytest.mark.parametrize("description", [None, "", MARK, f"[{MARK}", f"[{MARK}] and more", f"[{MARK}-unfinished]"])
def test_a_string_that_only_looks_like_a_mark_is_not_a_mark(description: str | None) -> None:
    tags = [f"{MARK}-unfinished", MARK.upper()]
    assert marks.find_marked([Dashboard(id=1, name=description, description=description, tags=tags)], MARK) == []


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        (None, f"[{MARK}]"),
        (" ", f"[{MARK}]"),
        ("Acme", f"Acme [{MARK}]"),
        ("x" * 400, f"{'x' * 369} [{MARK}]"),
        ("a [b]", f"a [b] [{MARK}]"),
    ],
)
def test_a_name_that_ends_with_its_mark_says_that_the_dashboard_is_not_finished(name: str | None, marked: str) -> None:
    assert marks.marked_name(name, MARK) == marked
    assert len(marked) <= 400
    assert marks.is_unfinished(Dashboard(id=1, name=marked), MARK)
    assert not marks.is_unfinished(Dashboard(id=1, name=name, description=marked), MARK)
    assert marks.find_marked([Dashboard(id=1, name=marked)], MARK)


@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize("fields", [{}, {"description": "KPIs", "tags": ["mine"]}])
def test_a_created_dashboard_is_found_again(posthog: Emulator, run: Run, tagging: bool, fields: dict[str, Any]) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    made, created = find_or_create(run, posthog, name="Acme", **fields)
    again, created_again = find_or_create(run, posthog, name="Another", **fields)
    other, other_created = find_or_create(run, posthog, "ACME", name="Other")
    assert (created, created_again, other_created) == (True, False, True)
    assert made.id == again.id != other.id
    assert names(posthog) == ["Acme", "Other"]
    assert set(made.tags or ()) == (set(fields.get("tags", ())) if tagging else set())


def test_the_oldest_of_several_dashboards_is_used(posthog: Emulator, run: Run) -> None:
    first = posthog.posthog.add_dashboard(name="z", tags=[MARK])
    posthog.posthog.add_dashboard(name="a", pinned=True, description=f"[{MARK}]")
    assert find_or_create(run, posthog)[0].id == first


@pytest.mark.parametrize("template", ["Product analytics", "DEFAULT_APP"])
@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize("description", [None, "Ours"])
def test_a_template_removes_neither_mark_nor_description(
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
def test_a_created_dashboard_is_found_if_the_answer_was_lost(posthog: Emulator, run: Run, kind: Any) -> None:
    posthog.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    made, created = find_or_create(run, posthog, name="Acme")
    assert (made.name, created) == ("Acme", True)
    assert names(posthog) == ["Acme"]
    # The first list is empty, and may be the answer of a search that found nothing; so all are listed. At the end, what
    # the lost answer would have shown is set.
    look = ["GET dashboards/"]
    assert sent(posthog) == [*look, *look, "POST dashboards/", *look, f"PATCH dashboards/{made.id}/"]


@pytest.mark.parametrize(("kind", "error"), [("error_before", ServerError), ("reset_before", TransportError)])
def test_a_create_that_made_nothing_raises_its_error(
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
def test_a_half_made_dashboard_of_a_refused_template_or_source_is_deleted(
    posthog: Emulator, run: Run, origin: dict[str, Any], shown: str, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.posthog.add_dashboard(name="other", tags=[marks.mark_of("other")])
    with pytest.raises(InvalidRequestError, match=shown):
        find_or_create(run, posthog, name="Acme", **origin)
    assert names(posthog) == ["other"]


@ORIGINS
def test_a_half_made_dashboard_that_cannot_be_deleted_does_not_hide_the_refusal(
    posthog: Emulator, run: Run, origin: dict[str, Any], shown: str
) -> None:
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH")])
    call = marks.find_or_create_dashboard(NewDashboard(**origin), "acme")
    with pytest.raises(
        InvalidRequestError,
        match=rf"{shown}.*; PostHog left a half-made dashboard behind, which could not be deleted: delete",
    ):
        run(posthog_server(posthog, max_retry_seconds=0), call)


def test_another_refusal_deletes_no_dashboard(posthog: Emulator, run: Run) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    with pytest.raises(AuthenticationError, match="'dashboard:write'"):
        find_or_create(run, posthog)
    assert sent(posthog) == ["GET dashboards/", "GET dashboards/", "POST dashboards/"]


@pytest.mark.parametrize(
    ("fields", "unfinished"),
    [
        ({"description": "KPIs", "filters": {"date_from": "-7d"}, "pinned": True}, False),
        ({"use_dashboard": 4}, False),
        ({"use_template": "DEFAULT_APP"}, True),
        ({"tags": ["a"]}, True),
        ({"variables": {}}, True),
        ({"use_dashboard": 4, "filters": {"date_from": "-7d"}}, True),
        ({"use_dashboard": 4, "breakdown_colors": []}, True),
        ({"use_dashboard": 4, "data_color_theme_id": 1}, True),
    ],
)
def test_what_an_update_must_set_shows_in_the_name_until_then(fields: dict[str, Any], unfinished: bool) -> None:
    sent = marks.creation(NewDashboard(name="Acme", **fields), MARK)
    assert sent.name == (f"Acme [{MARK}]" if unfinished else "Acme")
    assert (sent.description or "").endswith(f"[{MARK}]")
    assert sent.tags is None


@pytest.mark.parametrize(
    ("before", "after"),
    [(f"KPIs\n[{MARK}]", f"Ours\n[{MARK}]"), ("KPIs [new]", "Ours"), ("", "Ours")],
    ids=["a mark", "other brackets", "nothing"],
)
def test_a_new_description_keeps_the_mark(posthog: Emulator, run: Run, before: str, after: str) -> None:
    number = posthog.posthog.add_dashboard(name="Acme", description=before)
    changed = run(posthog_server(posthog), marks.update_as_asked(number, {"description": "Ours"}))
    assert changed.description == after
    sent(posthog)
    run(posthog_server(posthog), marks.update_as_asked(number, {"name": "Globex"}))
    assert sent(posthog) == [f"PATCH dashboards/{number}/"]
