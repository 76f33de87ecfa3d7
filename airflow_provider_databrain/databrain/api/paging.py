"""Databrain's lists, at once or page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from airflow_provider_databrain.client.call import Call, Request, walk_pages
from airflow_provider_databrain.client.models import ModelT, Received, filled, json_body, reader


class _Rows(Received):
    data: list[Any]


_read_rows = reader(_Rows)


def rows_reader(model: type[ModelT]) -> Callable[[object], list[ModelT]]:
    """A function that reads the ``data`` of a list, each row as ``model``, or raises ``MalformedAnswerError``."""
    read = reader(model)
    return lambda payload: [read(row) for row in _read_rows(payload).data]


Row = TypeVar("Row")
Page = int | Literal["all"] | None
"""Which rows of a list: None for everything in one answer, a number (from 1) for one page of ten,
``"all"`` for everything page by page."""


def pages(request: Callable[[int | None], Request[list[Row]]], page: Page) -> Call[list[Row]]:
    """The rows of a list, by the request for one page, or for everything (None)."""
    return walk_pages(request) if page == "all" else request(page)


def page_query(number: int | None) -> dict[str, str]:
    """A page's number as a GET takes it: as texts, and nothing where everything is asked for."""
    return {} if number is None else {"isPagination": "true", "pageNumber": str(number)}


def workspace_page(workspace_name: str, number: int | None, **more: str) -> bytes:
    """The body that asks for one page of what is in a workspace, or for everything (None)."""
    paging = {} if number is None else {"isPagination": True, "pageNumber": number}
    return json_body({"workspaceName": filled(workspace_name, "workspace_name"), **more} | paging)
