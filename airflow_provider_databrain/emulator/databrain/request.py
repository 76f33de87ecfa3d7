"""What all routes of the emulated Databrain share: who asks, and which rows of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState, KeyRow, TokenKind
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid

PAGE_SIZE = 10
UNKNOWN_KEY = (401, "INVALID_DATA_APP_API_KEY")
"""Status and code for a key that is unknown, dead or of the wrong kind, where a page says nothing else."""


def bearer(request: Request) -> str:
    """The token of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise RefusalError(400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
    return token


def holder(request: Request, account: AccountState, kind: TokenKind, refused: tuple[int, str] = UNKNOWN_KEY) -> KeyRow:
    """The key that a request comes with.

    :param refused: status and code for one that is unknown, dead or of the wrong kind.
    """
    key = account.key(bearer(request))
    if key is None or key.kind != kind:
        raise RefusalError(*refused, "API key is invalid or expired")
    return key


def data_app_of(request: Request, account: AccountState) -> str:
    """The data app whose API key a request comes with."""
    return str(holder(request, account, "api_key").data_app)


def service_token(request: Request, account: AccountState, refused: tuple[int, str] = UNKNOWN_KEY) -> None:
    """Ask for a service token."""
    holder(request, account, "service_token", refused)


def page(rows: list[dict[str, Any]], asked: Mapping[str, Any], control: Control) -> dict[str, Any]:
    """The rows that are asked for, by a body or by a query, whose values are texts."""
    if asked.get("isPagination") in (True, "true") and not control.behaviour.ignores_paging:
        limit, offset = window(asked.get("pageNumber", 1))
        rows = rows[offset : offset + limit]
    return {"data": rows}


def window(number: object) -> tuple[int, int]:
    """Limit and offset of a page."""
    try:
        wanted = int(str(number))
    except ValueError:
        raise invalid('"pageNumber" must be a number') from None
    return PAGE_SIZE, max(0, wanted - 1) * PAGE_SIZE
