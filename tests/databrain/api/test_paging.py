"""Lists that must be complete: what is asked for, and when a list counts as incomplete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.databrain.api.embeds import LIST_EMBEDS
from airflow_provider_databrain.databrain.api.paging import complete, page_query

Answer = Callable[[int | None], list[str]]
"""A server's list: page number, or None for everything, to rows."""


@dataclass
class Read:
    """The rows of a list that was read, and the pages that were asked for."""

    rows: list[str]
    asked: list[int | None]


def read(answer: Answer) -> Read:
    def request(number: int | None) -> Request[list[str]]:
        return Request(LIST_EMBEDS, lambda payload: [], query=page_query(number))

    asked: list[int | None] = []
    call = complete(request, lambda row: row)
    step = next(call)
    try:
        while True:
            number = int(str(step.query["pageNumber"])) if step.query else None
            asked.append(number)
            step = call.send(answer(number))
    except StopIteration as end:
        return Read(end.value, asked)


def names(count: int) -> list[str]:
    return [f"r{number:03}" for number in range(count)]


def paged(rows: list[str], number: int) -> list[str]:
    return rows[number * 10 - 10 : number * 10]


@pytest.mark.parametrize(
    ("count", "asked"), [(0, [None]), (9, [None]), (10, [None, 2]), (11, [None, 2]), (25, [None, 3]), (30, [None, 4])]
)
def test_a_complete_answer_costs_at_most_one_more_request(count: int, asked: list[int | None]) -> None:
    rows = names(count)
    found = read(lambda number: rows if number is None else paged(rows, number))
    assert (found.rows, found.asked) == (rows, asked)


@pytest.mark.parametrize("count", [9, 10, 11, 25, 30])
def test_a_server_may_ignore_paging(count: int) -> None:
    assert read(lambda number: names(count)).rows == names(count)


@pytest.mark.parametrize("limit", [10, 15, 20, 50])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_cut_answer_is_completed(limit: int, backwards: bool) -> None:
    rows = names(73)
    order = rows[::-1] if backwards else rows
    found = read(lambda number: order[:limit] if number is None else paged(rows, number))
    assert sorted(found.rows) == rows


@pytest.mark.parametrize("count", [20, 23])
def test_a_server_may_repeat_its_last_page(count: int) -> None:
    rows = names(count)
    last = -(-count // 10)
    found = read(lambda number: rows if number is None else paged(rows, min(number, last)))
    assert found.rows == rows


def test_pages_without_an_order_are_read_until_no_row_is_missing() -> None:
    chance = Random(1)

    def shuffled(number: int | None) -> list[str]:
        rows = chance.sample(names(45), 45)
        return rows[:12] if number is None else paged(rows, number)

    assert sorted(read(shuffled).rows) == names(45)


def test_a_list_that_grows_meanwhile_is_read_to_its_end() -> None:
    rows = names(18)

    def growing(number: int | None) -> list[str]:
        answer = rows[:] if number is None else paged(rows, number)
        rows.append(f"r{len(rows):03}")
        return answer

    found = read(growing)
    assert set(found.rows) >= set(names(18))


def test_a_row_that_is_listed_twice_counts_once() -> None:
    assert read(lambda number: names(5) + names(5)).rows == names(5)


def test_rows_that_are_never_shown_are_an_error() -> None:
    # The server counts 30 rows for its pages, and shows only 12 of them.
    shown = names(12)

    def hiding(number: int | None) -> list[str]:
        return shown if number is None else {1: shown[:10], 2: shown[2:], 3: shown[1:9]}[number]

    with pytest.raises(MalformedAnswerError, match="the list has 28 rows, but 10 reads of its pages showed only 12"):
        read(hiding)


def test_pages_without_an_end_are_an_error() -> None:
    with pytest.raises(MalformedAnswerError, match="the list did not end after 10000 pages"):
        read(lambda number: names(10) if number is None else [f"{number % 3}-{row}" for row in range(10)])
