"""A spec and a row become the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_databrain.provisioning.spec import SpecError, fill

ROW: dict[str, Any] = {"tenant_id": "acme", "plan": "pro", "seats": 12, "region": None, "x.y": "dotted", "a b": "blank"}


@pytest.mark.parametrize(
    ("spec", "filled"),
    [
        ({"a": "{tenant_id}"}, {"a": "acme"}),
        ({"a": "x-{plan}-{tenant_id}-{plan}"}, {"a": "x-pro-acme-pro"}),
        ({"a": {"b": [{"c": "{plan}"}, "{seats} seats"]}}, {"a": {"b": [{"c": "pro"}, "12 seats"]}}),
        ({"a": ("{plan}", 1)}, {"a": ["pro", 1]}),
        ({"a": True, "b": None, "c": 1.5, "d": [0, False]}, {"a": True, "b": None, "c": 1.5, "d": [0, False]}),
        ({"a": "{{tenant_id}} {{}} {{{plan}}}"}, {"a": "{tenant_id} {} {pro}"}),
        ({"a": "{x.y}", "b": "{a b}"}, {"a": "dotted", "b": "blank"}),
        ({"a": "no braces", "b": ""}, {"a": "no braces", "b": ""}),
        ({"{plan}": "{plan}"}, {"{plan}": "pro"}),
    ],
)
def test_placeholders_are_filled_wherever_there_is_text(spec: Mapping[str, Any], filled: dict[str, Any]) -> None:
    assert fill(spec, ROW, "acme") == filled


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{plan}", "{plan}"),
        ("{{x}}", "{{x}}"),
        ("}{", "}{"),
        ("%s", "%s"),
        (0, "0"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 2), "2026-01-02"),
        ("", ""),
    ],
)
def test_a_value_is_taken_as_it_is(value: object, text: str) -> None:
    assert fill({"a": "<{tenant_id}>"}, {"tenant_id": value, "plan": "pro"}, "t") == {"a": f"<{text}>"}


def test_neither_spec_nor_row_is_changed() -> None:
    spec = {"a": {"b": ["{plan}"]}}
    row = dict(ROW)
    fill(spec, row, "acme")
    assert spec == {"a": {"b": ["{plan}"]}}
    assert row == ROW


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{nope}", "nope"),
        ("{Plan}", "Plan"),
        ("{plan.x}", "plan.x"),
        ("{plan[0]}", "plan[0]"),
        ("{}", ""),
        ("{0}", "0"),
    ],
)
def test_what_is_no_column_is_refused_and_the_columns_listed(template: str, asked: str) -> None:
    with pytest.raises(SpecError) as caught:
        fill({"a": {"b": template}}, ROW, "acme")
    told = str(caught.value)
    assert f"tenant 'acme': the spec {template!r} asks for {asked!r}, which is no column of the row" in told
    assert "it has tenant_id, plan, seats, region, x.y, a b" in told
    assert "Only plain column names are possible" in told


@pytest.mark.parametrize("template", ["{plan!r}", "{plan!s}", "{plan:>3}", "{plan:{seats}}", "{plan!r:>3}"])
def test_formats_and_conversions_are_refused_in_words_that_fit(template: str) -> None:
    with pytest.raises(SpecError, match="Only plain column names are possible") as caught:
        fill({"a": template}, ROW, "acme")
    assert "tenant 'acme'" in str(caught.value)
    assert repr(template) in str(caught.value)
    # The column is there; saying otherwise would send the reader to the wrong place.
    assert "'plan', which is no column" not in str(caught.value)


def test_a_null_value_is_refused() -> None:
    with pytest.raises(SpecError, match=r"tenant 'acme': column 'region' is null.*'in-\{region\}'.*function as spec"):
        fill({"a": ["in-{region}"]}, ROW, "acme")


def test_a_null_value_that_the_spec_does_not_need_is_no_matter() -> None:
    assert fill({"a": "{plan}"}, {"plan": "pro", "region": None}, "acme") == {"a": "pro"}


@pytest.mark.parametrize("template", ["{plan", "plan}", "{", "}", "{plan}}", "{plan!}"])
def test_braces_that_do_not_pair_are_refused(template: str) -> None:
    with pytest.raises(SpecError, match=r"write \{\{ and \}\} for braces") as caught:
        fill({"a": template}, ROW, "acme")
    assert repr(template) in str(caught.value)


def test_a_function_makes_the_fields_and_is_not_filled_again() -> None:
    def spec(row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"a": f"{row['tenant_id']}-{{plan}}", "b": row["region"] or "none"}

    assert fill(spec, ROW, "acme") == {"a": "acme-{plan}", "b": "none"}


def test_a_function_that_raises_is_told_with_the_tenant() -> None:
    with pytest.raises(SpecError, match="tenant 'acme': the spec function failed: KeyError: 'nope'") as caught:
        fill(lambda row: {"a": row["nope"]}, ROW, "acme")
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(("made", "kind"), [(None, "NoneType"), ("text", "str"), ([("a", 1)], "list")])
def test_a_function_that_returns_no_mapping_is_refused(made: Any, kind: str) -> None:
    with pytest.raises(SpecError, match=f"tenant 'acme': the spec function returned {kind}, not a mapping"):
        fill(lambda _row: made, ROW, "acme")
