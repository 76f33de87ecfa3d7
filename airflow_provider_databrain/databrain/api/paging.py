"""Databrain's lists: everything in one answer, or page by page.

A page has ten rows, and the first is number 1. No list has a total, so a page that is not full ends the list (see
``client.call.walk_pages``). Without paging, the server sends everything in one answer.

Facts: the vendor's API reference. Lists by GET take the paging fields in the query, as strings; lists by POST take them
in the body, as JSON values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from airflow_provider_databrain.client.call import Call, Request, walk_pages
from airflow_provider_databrain.client.models import ModelT, Received, json_body, not_blank, reader

Row = TypeVar("Row")
Page = int | Literal["all"] | None
"""Which rows of a list: None for everything in one answer, a number (from 1) for one page of ten, ``"all"`` for
everything page by page."""


class _Rows(Received):
    data: list[Any]


_read_rows = reader(_Rows)


def pages(request: Callable[[int | None], Request[list[Row]]], page: Page) -> Call[list[Row]]:
    """The rows of a list.

    :param request: makes the request for a page's number, or for everything (None).
    """
    return walk_pages(request) if page == "all" else request(page)


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
