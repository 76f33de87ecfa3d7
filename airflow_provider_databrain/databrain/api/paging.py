"""Databrain's lists: everything in one answer, or page by page.

A page has ten rows, and the first is number 1. No list has a total, so a page that is not full ends the list (see
``client.call.walk_pages``). Without paging, the server sends everything in one answer.

No page says that the one answer without paging is never cut, or that pages have an order that stays the same. Where a
missing row would do harm, ``complete`` checks both.

Facts: the vendor's API reference. Lists by GET take the paging fields in the query, as strings; lists by POST take them
in the body, as JSON values.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any, Literal, TypeVar

from airflow_provider_databrain.client.call import Call, Request, walk_pages
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.models import ModelT, Received, json_body, not_blank, reader

Row = TypeVar("Row")
Page = int | Literal["all"] | None
"""Which rows of a list: None for everything in one answer, a number (from 1) for one page of ten, ``"all"`` for
everything page by page."""

_PAGE_SIZE = 10
_MAX_PAGES = 10_000
_READS = 10
"""How often the pages of a list are read until no row is missing."""


class _Rows(Received):
    data: list[Any]


_read_rows = reader(_Rows)


def pages(request: Callable[[int | None], Request[list[Row]]], page: Page) -> Call[list[Row]]:
    """The rows of a list.

    :param request: makes the request for a page's number, or for everything (None).
    """
    return walk_pages(request) if page == "all" else request(page)


def complete(
    request: Callable[[int | None], Request[list[Row]]], identity: Callable[[Row], str]
) -> Generator[Request[list[Row]], list[Row], list[Row]]:
    """All rows of a list, each once.

    The first request asks for everything. If its answer may have been cut, a second one asks for the page that holds
    what comes after the last row. If there is more, the pages are read too, again and again while rows are missing: the
    server may give each answer another order. A server that cuts its answer and has no pages is not noticed.

    :param identity: the row's id.
    :raises MalformedAnswerError: the pages have more rows than were read.
    """
    rows: dict[str, Row] = {}

    def add(page: list[Row]) -> list[Row]:
        rows.update((identity(row), row) for row in page)
        return page

    add((yield request(None)))
    count = len(rows)
    if count < _PAGE_SIZE:
        return list(rows.values())
    number = count // _PAGE_SIZE + 1
    page = add((yield request(number)))
    # A server that ignores paging sends everything again: more rows than a page has, or the same ten.
    nothing_new = len(rows) == count
    if len(page) > _PAGE_SIZE or (nothing_new and (len(page) == count or len(page) <= count % _PAGE_SIZE)):
        return list(rows.values())
    least = sys.maxsize
    for _ in range(_READS):
        while len(page) == _PAGE_SIZE:
            if number >= _MAX_PAGES:
                raise MalformedAnswerError(
                    f"the list did not end after {number} pages", transient=False, ambiguous=False
                )
            following = add((yield request(number + 1)))
            if following == page:
                break
            number, page = number + 1, following
        least = min(least, (number - 1) * _PAGE_SIZE + len(page))
        if len(rows) >= least:
            return list(rows.values())
        number, page = 1, add((yield request(1)))
    raise MalformedAnswerError(
        f"the list has {least} rows, but {_READS} reads of its pages showed only {len(rows)} of them", ambiguous=False
    )


def page_query(number: int | None) -> dict[str, str]:
    """The query that asks for one page; empty for everything (None)."""
    return {} if number is None else {"isPagination": "true", "pageNumber": str(number)}


def workspace_page(workspace_name: str, number: int | None, **more: str) -> bytes:
    """The body that asks for one page of a workspace's list, or for everything (None).

    :raises ValueError: ``workspace_name`` is blank.
    """
    paging = {} if number is None else {"isPagination": True, "pageNumber": number}
    return json_body({"workspaceName": not_blank(workspace_name, "workspace_name"), **more} | paging)


def rows_reader(model: type[ModelT]) -> Callable[[object], list[ModelT]]:
    """A function that reads the ``data`` of a list, each row as ``model``.

    The function raises ``MalformedAnswerError`` if the answer has another shape.
    """
    read = reader(model)
    return lambda payload: [read(row) for row in _read_rows(payload).data]
