"""What was asked of a dashboard is what is there, over HTTP with both transports."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from airflow_provider_databrain.client.errors import InvalidRequestError, MalformedAnswerError, ServerError
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import fields, marks
from airflow_provider_databrain.posthog.api.models import Dashboard
from tests.client.conftest import Run
from tests.posthog.support import posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")
VERSIONS = get_args(Behaviour.model_fields["posthog_version"].annotation)
VARIABLES = {"v": {"code_name": "tenant", "value": "acme"}}
OTHERS = {"v": {"code_name": "tenant", "value": "globex"}}
ASKED: dict[str, Any] = {
    "name": " Acme ",
    "description": "What counts",
    "tags": ["KPI", " acme"],
    "filters": {"date_from": "-7d", "properties": None},
    "variables": VARIABLES,
    "pinned": True,
    "restriction_level": 37,
    "breakdown_colors": [{"color": 1}],
    "data_color_theme_id": 2,
}


@pytest.fixture
def source(posthog: Emulator) -> int:
    """A dashboard that shows another tenant's data."""
    return posthog.posthog.add_dashboard(
        name="source",
        filters={"date_from": "-1d", "properties": [{"key": "tenant", "value": "globex"}]},
        variables=OTHERS,
        breakdown_colors=[{"color": 9}],
        data_color_theme_id=1,
        tags=["globex"],
    )


def check(emulator: Emulator, made: Dashboard, asked: dict[str, Any] = ASKED, **others: Any) -> None:
    """Check the dashboard as it is at the server, and what the call returned."""
    found = emulator.posthog.found(made.id)[0].fields
    expected = {**asked, **others}
    shown = {name: found[name] for name in expected}
    assert {**shown, "tags": set(found["tags"])} == {**expected, "tags": set(expected.get("tags", found["tags"]))}
    assert made.filters == found["filters"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("origin", ["blank", "DEFAULT_APP", "Product analytics", "copy", "deep copy"])
def test_a_new_dashboard_is_as_asked(posthog: Emulator, run: Run, source: int, version: Any, origin: str) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version)
    origins: dict[str, dict[str, Any]] = {
        "blank": {},
        "copy": {"use_dashboard": source},
        "deep copy": {"use_dashboard": source, "duplicate_tiles": True},
    }
    new = {**ASKED, **origins.get(origin, {"use_template": origin})}
    made = run(posthog_server(posthog), fields.create_as_asked(new))
    check(posthog, made, name="Acme", tags=["kpi", "acme"])
    assert sent(posthog) == ["POST dashboards/", f"PATCH dashboards/{made.id}/"]


def test_a_create_whose_answer_is_as_asked_takes_one_call(posthog: Emulator, run: Run) -> None:
    new = {"name": "Acme", "filters": {"date_from": "-7d"}, "pinned": True}
    check(posthog, run(posthog_server(posthog), fields.create_as_asked(new)), new)
    assert sent(posthog) == ["POST dashboards/"]


def test_tags_are_ignored_without_the_feature_and_cost_one_update(posthog: Emulator, run: Run) -> None:
    posthog.control.behaviour = Behaviour(tagging=False)
    made = run(posthog_server(posthog), fields.create_as_asked({"name": "Acme", "tags": ["kpi"]}))
    assert (made.name, made.tags) == ("Acme", [])
    assert sent(posthog) == ["POST dashboards/", f"PATCH dashboards/{made.id}/"]


def test_empty_filters_clear_the_filters(posthog: Emulator, run: Run, source: int) -> None:
    answer = run(posthog_server(posthog), marks.update_as_asked(source, {"filters": {}}))
    assert answer.filters == {"date_from": None, "properties": None}
    assert sent(posthog) == [f"PATCH dashboards/{source}/"] * 2
    run(posthog_server(posthog), marks.update_as_asked(source, {"filters": {}}))
    assert sent(posthog) == [f"PATCH dashboards/{source}/"]


@pytest.mark.parametrize("create", [True, False])
def test_variables_that_cannot_be_cleared_are_an_error(posthog: Emulator, run: Run, source: int, create: bool) -> None:
    call = (
        fields.create_as_asked({"use_dashboard": source, "variables": {}})
        if create
        else marks.update_as_asked(source, {"name": "x", "variables": {}})
    )
    with pytest.raises(InvalidRequestError, match="did not keep variables; an empty object does not clear variables"):
        run(posthog_server(posthog), call)


def test_empty_objects_are_fine_where_nothing_is_to_be_cleared(posthog: Emulator, run: Run) -> None:
    new = {"name": "Acme", "filters": {}, "variables": {}, "tags": [], "breakdown_colors": []}
    check(posthog, run(posthog_server(posthog), fields.create_as_asked(new)), new)
    assert sent(posthog) == ["POST dashboards/"]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut", "html", "wrong"])
def test_an_update_is_compared_after_an_ambiguous_failure_too(posthog: Emulator, run: Run, kind: Any) -> None:
    posthog.control.set_faults([Fault(kind=kind, method="PATCH", times=1)])
    check(posthog, run(posthog_server(posthog), fields.create_as_asked(ASKED)), name="Acme", tags=["kpi", "acme"])


def updated(asked: dict[str, Any], *answers: dict[str, Any]) -> tuple[Dashboard, int]:
    """The result of an update with these answers, and the number of its requests."""
    call = fields.set_fields(4, asked)
    next(call)
    for number, answer in enumerate(answers, 1):
        try:
            call.send(Dashboard.model_validate({"id": 4, **answer}))
        except StopIteration as end:
            return end.value, number
    raise AssertionError("it sends more requests")


LATER = {"key of today": {"code_name": "tenant", "value": "acme", "variableId": "v2", "isNull": None}}


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"name": " Acme"}, {"name": "Acme"}),
        ({"name": " "}, {"name": None}),
        ({"tags": ["A", "a ", "b"]}, {"tags": ["b", "a"]}),
        ({"filters": {"date_from": "-7d"}}, {"filters": {"date_from": "-7d", "date_to": None}}),
        ({"filters": {"properties": [{"a": 1, "b": None}]}}, {"filters": {"properties": [{"a": 1, "b": None}]}}),
        ({"filters": {}}, {"filters": None}),
        ({"variables": VARIABLES}, {"variables": LATER}),
        ({"variables": {"v": 1}}, {"variables": {"v": 1}}),
        ({"variables": {}}, {"variables": None}),
        # The project lacks the variable. So no insight uses it, and PostHog does not show it.
        ({"variables": VARIABLES}, {"variables": {}, "persisted_variables": VARIABLES}),
        # An older or newer server that does not show a field.
        (ASKED, {}),
    ],
)
def test_these_answers_show_what_was_asked(asked: dict[str, Any], shown: dict[str, Any]) -> None:
    assert updated(asked, shown)[1] == 1


@pytest.mark.parametrize(
    ("asked", "shown", "message"),
    [
        ({"name": "Acme"}, {"name": "acme"}, "name"),
        ({"description": "a"}, {"description": ""}, "description"),
        ({"tags": ["a", "b"]}, {"tags": ["a"]}, "tags"),
        ({"filters": {"date_from": "-7d"}}, {"filters": {"date_from": "-1d"}}, "filters"),
        ({"filters": {"date_from": "-7d"}}, {"filters": {"date_from": "-7d", "properties": [1]}}, "filters"),
        ({"variables": VARIABLES}, {"variables": OTHERS}, "variables; check that the project has these variables"),
        ({"variables": VARIABLES}, {"variables": {}}, "variables; check that the project has these variables"),
        ({"variables": VARIABLES}, {"variables": {**VARIABLES, "w": {"value": 1}}}, "variables; check"),
        ({"variables": {"v": 1}}, {"variables": ["v"]}, "variables; check"),
        ({"variables": VARIABLES}, {"variables": OTHERS, "persisted_variables": VARIABLES}, "variables; check"),
        ({"variables": VARIABLES}, {"variables": {}, "persisted_variables": OTHERS}, "variables; check"),
        ({"restriction_level": 37, "pinned": True}, {"restriction_level": 21, "pinned": False}, "pinned, restriction_"),
        ({"breakdown_colors": []}, {"breakdown_colors": [1]}, "breakdown_colors"),
    ],
)
def test_what_posthog_does_not_keep_is_sent_again_and_then_an_error(
    asked: dict[str, Any], shown: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=rf"\(dashboard '4'\) failed: .* did not keep {message}"):
        updated(asked, shown, shown)
    assert updated(asked, shown, asked)[1] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tags": ["x" * 256]}, "String should have at most 255"),
        ({"name": "a\0"}, "name: PostHog cannot store the NUL character"),
        ({"filters": {"a": [{"b\0": 1}]}, "description": "\0"}, "description, filters: PostHog cannot store"),
        ({"variables": {"v": {"value": "\0"}}}, "variables: PostHog cannot store"),
        ({"extra": {"x": "\0"}}, "extra: PostHog cannot store"),
        ({"tiles": [{"text": {"body": "x" * 4001}}]}, "a text has 4001 characters; PostHog stores at most 4000"),
        ({"data_color_theme_id": 2**31}, "data_color_theme_id"),
    ],
)
def test_what_posthog_would_answer_with_500_is_not_sent(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        next(marks.update_as_asked(4, change))


@pytest.mark.parametrize("create", [True, False])
def test_a_500_about_an_unknown_color_theme_says_what_may_be_wrong(
    posthog: Emulator, run: Run, source: int, create: bool
) -> None:
    change = {"name": "x", "data_color_theme_id": 99_999}
    call = fields.create_as_asked(change) if create else marks.update_as_asked(source, change)
    with pytest.raises(ServerError, match=r"A server error occurred\. PostHog answers so too if the project"):
        run(posthog_server(posthog), call)


def test_an_answer_about_another_dashboard_is_not_used() -> None:
    call = fields.set_fields(4, {"name": "Acme"})
    next(call)
    with pytest.raises(
        MalformedAnswerError, match=r"\(dashboard '4'\) failed: the answer is about another dashboard, 5"
    ):
        call.send(Dashboard(id=5, name="Acme"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("known", [["tenant"], []])
def test_variables_that_the_project_lacks(posthog: Emulator, run: Run, version: Any, known: list[str]) -> None:
    posthog.control.behaviour = Behaviour(posthog_version=version, insight_variables=known)
    call = fields.create_as_asked({"name": "Acme", "variables": VARIABLES})
    # The oldest server does not say what it has stored, so nothing shows whether it has ignored them.
    if known or version != "2025-08":
        made = run(posthog_server(posthog), call)
        assert posthog.posthog.found(made.id)[0].fields["variables"] == VARIABLES
    else:
        with pytest.raises(InvalidRequestError, match="did not keep variables; check that the project has these"):
            run(posthog_server(posthog), call)


def test_a_500_about_a_variable_that_is_no_object_says_what_may_be_wrong(posthog: Emulator, run: Run) -> None:
    posthog.control.behaviour = Behaviour(insight_variables=["tenant"])
    with pytest.raises(ServerError, match="PostHog answers so too if a variable is not an object with code_name"):
        run(posthog_server(posthog), fields.create_as_asked({"name": "Acme", "variables": {"tenant": 7}}))
