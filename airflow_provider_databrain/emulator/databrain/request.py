"""What all routes of the emulated Databrain share: the check of the key, and the page of a list."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState, KeyRow, TokenKind
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid

PAGE_SIZE = 10
_ALPHABET = string.ascii_letters + string.digits
UNKNOWN_KEY = (401, "INVALID_DATA_APP_API_KEY")
"""Status and code for a key that is unknown, expired or of the wrong kind, if the reference says nothing else."""


def bearer(request: Request) -> str:
    """Return the token of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise RefusalError(400, "AUTHENTICATION_ERROR", "API key is missing or malformed")
    return token


def holder(request: Request, account: AccountState, kind: TokenKind, refused: tuple[int, str] = UNKNOWN_KEY) -> KeyRow:
    """Return the key that a request is sent with.

    :param refused: status and code for a key that is unknown, expired or of the wrong kind.
    """
    key = account.key(bearer(request))
    if key is None or key.kind != kind:
        raise RefusalError(*refused, "API key is invalid or expired")
    return key


def data_app_of(request: Request, account: AccountState) -> str:
    """Return the data app whose API key a request is sent with."""
    return str(holder(request, account, "api_key").data_app)


def service_token(request: Request, account: AccountState, refused: tuple[int, str] = UNKNOWN_KEY) -> None:
    """Refuse a request without a valid service token."""
    holder(request, account, "service_token", refused)


def page(rows: list[dict[str, Any]], fields: Mapping[str, Any], control: Control) -> dict[str, Any]:
    """Return the requested page of a list.

    :param fields: the body, or the query, whose values are strings.
    """
    if fields.get("isPagination") in (True, "true") and not control.behaviour.ignores_paging:
        limit, offset = window(fields.get("pageNumber", 1))
        rows = rows[offset : offset + limit]
    return {"data": rows}


def window(number: object) -> tuple[int, int]:
    """Return limit and offset of a page."""
    try:
        wanted = int(str(number))
    except ValueError:
        raise invalid('"pageNumber" must be a number') from None
    return PAGE_SIZE, max(0, wanted - 1) * PAGE_SIZE


def new_embed_id(dashboard_id: str) -> str:
    """Make up the id of an embed, in the form that was observed."""
    return f"{dashboard_id}__{''.join(secrets.choice(_ALPHABET) for _ in range(8))}"
