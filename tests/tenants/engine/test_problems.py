"""Problems with rows: one error names the first ones and counts the rest."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.tenants.engine.problems import SHOWN, Problems


def collected(count: int, unnamed: int = 0) -> Problems:
    problems = Problems()
    for number in range(count):
        problems.add(f"problem {number}")
    problems.add_unnamed(unnamed)
    return problems


def test_no_problem_raises_nothing() -> None:
    collected(0).raise_if_any(ValueError, "heading")


@pytest.mark.parametrize(
    ("count", "unnamed", "rest"), [(1, 0, 0), (SHOWN, 0, 0), (SHOWN + 1, 0, 1), (40, 0, 30), (SHOWN, 7, 7), (12, 3, 5)]
)
def test_the_first_problems_are_named_and_the_rest_is_counted(count: int, unnamed: int, rest: int) -> None:
    problems = collected(count, unnamed)
    assert problems.count == count + unnamed
    with pytest.raises(LookupError) as caught:
        problems.raise_if_any(LookupError, "heading")
    named = [f"- problem {number}" for number in range(min(count, SHOWN))]
    assert str(caught.value).splitlines() == ["heading", *named, *([f"and {rest} more"] if rest else [])]
