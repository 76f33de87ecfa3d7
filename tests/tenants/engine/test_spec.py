"""A spec and a row become the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_databrain.tenants.engine.spec import InputHash, SpecError, columns, fill

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
def test_placeholders_are_filled_in_every_string(spec: Mapping[str, Any], filled: dict[str, Any]) -> None:
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
def test_a_value_is_not_filled_again(value: object, text: str) -> None:
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
def test_an_unknown_column_is_refused_and_the_columns_are_listed(template: str, asked: str) -> None:
    with pytest.raises(SpecError) as caught:
        fill({"a": {"b": template}}, ROW, "acme")
    shown = str(caught.value)
    assert f"tenant 'acme': the spec {template!r} asks for {asked!r}, which is not a column of the row" in shown
    assert "it has tenant_id, plan, seats, region, x.y, a b" in shown
    assert "Only plain column names are possible" in shown


@pytest.mark.parametrize("template", ["{plan!r}", "{plan!s}", "{plan:>3}", "{plan:{seats}}", "{plan!r:>3}"])
def test_formats_and_conversions_are_refused(template: str) -> None:
    with pytest.raises(SpecError, match="Only plain column names are possible") as caught:
        fill({"a": template}, ROW, "acme")
    assert "tenant 'acme'" in str(caught.value)
    assert repr(template) in str(caught.value)
    # The column exists; another message would mislead the reader.
    assert "'plan', which is not a column" not in str(caught.value)


def test_a_null_value_is_refused() -> None:
    with pytest.raises(SpecError, match=r"tenant 'acme': column 'region' is null.*'in-\{region\}'.*function as spec"):
        fill({"a": ["in-{region}"]}, ROW, "acme")


def test_a_null_value_that_the_spec_does_not_need_is_ignored() -> None:
    assert fill({"a": "{plan}"}, {"plan": "pro", "region": None}, "acme") == {"a": "pro"}


@pytest.mark.parametrize("template", ["{plan", "plan}", "{", "}", "{plan}}", "{plan!}"])
def test_single_braces_are_refused(template: str) -> None:
    with pytest.raises(SpecError, match=r"write \{\{ and \}\} for braces") as caught:
        fill({"a": template}, ROW, "acme")
    assert repr(template) in str(caught.value)


def test_a_function_makes_the_fields_and_is_not_filled_again() -> None:
    def spec(row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"a": f"{row['tenant_id']}-{{plan}}", "b": row["region"] or "none"}

    assert fill(spec, ROW, "acme") == {"a": "acme-{plan}", "b": "none"}


def test_the_error_of_a_spec_function_names_the_tenant() -> None:
    with pytest.raises(SpecError, match="tenant 'acme': the spec function failed: KeyError: 'nope'") as caught:
        fill(lambda row: {"a": row["nope"]}, ROW, "acme")
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(("made", "kind"), [(None, "NoneType"), ("text", "str"), ([("a", 1)], "list")])
def test_a_function_that_returns_no_mapping_is_refused(made: Any, kind: str) -> None:
    with pytest.raises(SpecError, match=f"tenant 'acme': the spec function returned {kind}, not a mapping"):
        fill(lambda _row: made, ROW, "acme")


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"a": "{b} {a}", "c": {"d": ["{x.y}", ("{b}", 1)]}, "{no}": "{{no}}"}, ("a", "b", "x.y")),
        ({"a": "{one"}, ()),
        ({}, ()),
        (dict, None),
    ],
)
def test_a_spec_names_its_columns(spec: Any, named: tuple[str, ...] | None) -> None:
    assert columns(spec) == named


def test_the_columns_of_a_row_are_shown_as_they_are() -> None:
    with pytest.raises(SpecError, match=r"it has '\\ufeffplan', a b, x\. Only"):
        fill({"a": "{region}"}, {"\ufeffplan": 1, "a b": 2, "x": 3}, "acme")


# The hash of everything that a request is made from

SPEC: dict[str, Any] = {"a": "{tenant_id}", "b": {"c": ["{plan}", {"d": "x {seats}"}]}, "e": 1}


def hashed(row: Mapping[str, Any], spec: Mapping[str, Any] = SPEC, options: str = "1") -> str:
    made = InputHash(spec, options).of_row(row)
    assert made is not None
    return made


@pytest.mark.parametrize("column", ["tenant_id", "plan", "seats"])
def test_the_hash_changes_with_each_column_that_the_spec_names(column: str) -> None:
    assert hashed(ROW) == hashed(dict(ROW))
    assert hashed(ROW) != hashed({**ROW, column: f"{ROW[column]}x"})
    assert hashed(ROW) != hashed({**ROW, column: None})


def test_the_hash_does_not_change_with_other_columns() -> None:
    unused = {"region": "EU", "x.y": "other", "a b": 5, "new": object()}
    assert hashed({**ROW, **unused}) == hashed(ROW)
    assert hashed({column: ROW[column] for column in ("seats", "plan", "tenant_id")}) == hashed(ROW)


@pytest.mark.parametrize(
    "spec",
    [
        {**SPEC, "a": "{tenant_id} "},
        {**SPEC, "a": "tenant_id"},
        {**SPEC, "a": "{plan}"},
        {**SPEC, "e": 2},
        {**SPEC, "e": "1"},
        {**SPEC, "e": True},
        {**SPEC, "e": None},
        {**SPEC, "new": ""},
        {**SPEC, "b": {"c": [{"d": "x {seats}"}, "{plan}"]}},
        {"a": SPEC["a"], "b": SPEC["b"]},
    ],
)
def test_the_hash_changes_with_the_spec(spec: Mapping[str, Any]) -> None:
    assert hashed(ROW, spec) != hashed(ROW)


def test_the_hash_does_not_change_with_the_order_of_a_specs_fields() -> None:
    assert hashed(ROW, dict(reversed(SPEC.items()))) == hashed(ROW)


def test_the_hash_changes_with_the_options() -> None:
    assert len({hashed(ROW, options=options) for options in ("1", "2", "1 analytics", "", "1\n", "\ud800")}) == 6


@pytest.mark.parametrize(
    "values",
    [
        (1, "1", 1.0, Decimal(1), Decimal("1.0"), True, None),
        ("None", None, ""),
        ("2026-01-02", date(2026, 1, 2), datetime(2026, 1, 2)),
        ("a", "A", "a ", "a\n", "ä", "a\u0308", "\ud800", "\ud801", "\0", "😀"),
    ],
)
def test_different_values_have_different_hashes(values: Sequence[object]) -> None:
    assert len({hashed({**ROW, "plan": value}) for value in values}) == len(values)


def test_a_value_that_moves_to_another_column_changes_the_hash() -> None:
    spec = {"a": "{one}{two}"}
    rows = [{"one": "ab", "two": "c"}, {"one": "a", "two": "bc"}, {"one": "", "two": "abc"}, {"one": "', '", "two": ""}]
    assert fill(spec, rows[0], "t") == fill(spec, rows[1], "t")
    assert len({hashed(row, spec) for row in rows}) == len(rows)


@pytest.mark.parametrize("spec", [{"a": "{nope}"}, {"a": ["{plan} {Plan}"]}, {"a": "{plan.x}"}, {"a": "{}"}])
def test_a_row_without_a_named_column_has_no_hash(spec: Mapping[str, Any]) -> None:
    assert InputHash(spec, "1").of_row(ROW) is None


@pytest.mark.parametrize("spec", [{"a": "{plan"}, {"a": "}"}])
def test_a_template_that_cannot_be_parsed_is_refused_by_fill(spec: Mapping[str, Any]) -> None:
    # The hash raises no error: the error of ``fill`` names the tenant and what to do.
    assert isinstance(InputHash(spec, "1"), InputHash)
    with pytest.raises(SpecError, match="for braces"):
        fill(spec, ROW, "acme")


@pytest.mark.parametrize("keys", [{1: "x", "y": "z"}, {("a", "b"): 1}, {None: 1, "": 2}])
def test_a_key_that_is_not_a_string_has_a_hash(keys: Mapping[Any, Any]) -> None:
    assert hashed(ROW, {"a": keys}) == hashed(ROW, {"a": dict(keys)})
    assert hashed(ROW, {"a": keys}) != hashed(ROW, {"a": {}})


def test_a_functions_row_has_no_hash_but_what_it_returns_has() -> None:
    def spec(row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"a": row["plan"]}

    made = InputHash(spec, "1")
    assert made.of_row(ROW) is None
    fields: dict[str, Any] = {"a": "pro", "b": [1, {"c": "\ud800 😀"}], "d": Decimal("1.10")}
    assert made.of_fields(fields) == made.of_fields(dict(reversed(fields.items())))
    others: list[dict[str, Any]] = [
        {**fields, "a": "free"},
        {**fields, "b": [1, {"c": "x"}]},
        {**fields, "d": Decimal("1.1")},
        {**fields, "d": "1.10"},
        {**fields, "e": None},
        {},
    ]
    assert len({made.of_fields(other) for other in (fields, *others)}) == len(others) + 1
    assert InputHash(spec, "2").of_fields(fields) != made.of_fields(fields)


def test_a_hash_fits_its_column_and_is_the_same_in_each_process() -> None:
    assert hashed(ROW) == "e295dc90e4d2676006dab396"
    assert len(hashed({**ROW, "plan": "x" * 10_000})) <= 64
