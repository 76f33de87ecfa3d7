"""What all PostHog endpoints share: hosts, API key, paths, error codes.

An error code that PostHog does not send itself is marked as ours; ``_find_error`` derives it from the message.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any, TypeAlias, TypeVar

from airflow_provider_databrain.client.call import Endpoint, Request, Resend, Token
from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    EndpointMissingError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.models import check_id

T = TypeVar("T")
Steps: TypeAlias = "Generator[Request[Any], Any, T]"
"""A call that takes more than one request and returns T."""
US_URL = "https://us.posthog.com"
EU_URL = "https://eu.posthog.com"
API_KEY = Token("personal API key", "Password")
_CODES: dict[str, type[ApiError]] = {
    "NOT_AUTHENTICATED": AuthenticationError,
    "AUTHENTICATION_FAILED": AuthenticationError,
    "KEY_NOT_ALLOWED": AuthenticationError,  # ours
    "PERMISSION_DENIED": NotAllowedError,
    "PLAN_LACKS_FEATURE": NotAllowedError,  # ours
    "ALREADY_COLLABORATOR": AlreadyExistsError,  # ours
    "ALREADY_ON_DASHBOARD": AlreadyExistsError,  # ours
    "NOT_FOUND": NotFoundError,
    "TILE_NOT_FOUND": NotFoundError,  # ours
    "PROJECT_NOT_FOUND": NotFoundError,  # ours
    "ENDPOINT_NOT_FOUND": EndpointMissingError,  # ours
    "REQUIRED": InvalidRequestError,
    "INVALID_INPUT": InvalidRequestError,
    "INVALID_CHOICE": InvalidRequestError,
    "MAX_LENGTH": InvalidRequestError,
    "PARSE_ERROR": InvalidRequestError,
    "NOT_ACCEPTABLE": InvalidRequestError,
    "ERROR": ServerError,
}
_TYPES = ("authentication_error", "invalid_request", "server_error", "throttled_error", "validation_error")
_KEY_WORDS = re.compile(r"required scope|personal api key access|access to the requested project", re.IGNORECASE)
_NO_ENDPOINT = "Endpoint not found"
"""How PostHog answers a path that it does not have, with 404. A dashboard that does not exist is "Not found."."""
_NO_PROJECT = "Project not found"
_NO_TILES = "Tile IDs not found on this dashboard"
_ON_DASHBOARD = "is already on the destination dashboard."
_PLAN_WORDS = ("requires the ", " feature")
"""What the message says about a feature that the plan lacks: the feature's name is between the two."""


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``type``, ``code``, ``detail`` and ``attr``, or an object that has only ``error`` or ``detail``.

    Only the message of a 403 says why access was refused: because of the key, the person or the plan.
    """
    if not isinstance(payload, Mapping):
        return None
    if set(payload) in ({"error"}, {"detail"}):
        text = str(next(iter(payload.values())))
        if text.startswith(_NO_TILES):
            return "TILE_NOT_FOUND", text
        return "PLAN_LACKS_FEATURE" if _plan_lacks(text) else None, text
    if not {"type", "code", "detail"} <= set(payload):
        return None
    code, detail = str(payload["code"]), " ".join(str(payload["detail"]).split())
    if code == "permission_denied" and _KEY_WORDS.search(detail):
        code = "KEY_NOT_ALLOWED"
    elif "already is a collaborator" in detail:
        code = "ALREADY_COLLABORATOR"
    elif detail.endswith(_ON_DASHBOARD):
        code = "ALREADY_ON_DASHBOARD"
    elif code == "not_found" and detail.startswith(_NO_ENDPOINT):
        code = "ENDPOINT_NOT_FOUND"
    elif code == "not_found" and detail.startswith(_NO_PROJECT):
        code = "PROJECT_NOT_FOUND"
    attr = payload.get("attr")
    return code, f"{attr}: {detail}" if attr else detail


def _plan_lacks(text: str) -> bool:
    # A regular expression would look at the rest of the text again for each of the first words.
    first, last = _PLAN_WORDS
    for line in text.lower().split("\n"):
        start = line.find(first)
        if start >= 0 and line.rfind(last) > start + len(first):
            return True
    return False


def _is_own(payload: object) -> bool:
    """Whether it is PostHog's envelope, the refusal of a feature that the plan lacks, or a list of missing tiles.

    Other objects with only ``error`` or ``detail`` may be PostHog's too, but many gateways word their errors so.
    """
    if not isinstance(payload, Mapping):
        return False
    if {"type", "code", "detail"} <= set(payload):
        return payload["type"] in _TYPES and all(isinstance(payload[name], str) for name in ("code", "detail"))
    found = _find_error(payload)
    return found is not None and found[0] is not None


POSTHOG = ErrorDialect("PostHog", _CODES, _find_error, _is_own)
DASHBOARDS = "/api/projects/{project_id}/dashboards/"
DASHBOARD = f"{DASHBOARDS}{{dashboard_id}}/"


def endpoint(name: str, method: str, path: str, scope: str, resend: Resend = Resend.ALWAYS, **more: Any) -> Endpoint:
    """An endpoint for which PostHog requires one scope."""
    needs = f"This call needs a personal API key with the scope '{scope}', for this project."
    return Endpoint(name, method, path, API_KEY, resend, POSTHOG, needs=needs, **more)


def scopeless_endpoint(name: str, method: str, path: str, instead: str, resend: Resend) -> Endpoint:
    """An endpoint for which PostHog declares no scope. PostHog refuses it to every key with scopes, even ``*``.

    :param instead: the hook's method that does the same with a key that has scopes.
    """
    needs = (
        f"PostHog refuses this action to every personal API key that has scopes, '*' included; use {instead} instead."
    )
    missing = f"Use {instead} instead."
    return Endpoint(name, method, path, API_KEY, resend, POSTHOG, needs=needs, if_missing=missing)


def for_dashboard(dashboard_id: int, **more: str) -> dict[str, Any]:
    """The arguments of a ``Request`` about one dashboard; ``more`` are other values in its path."""
    identifier = str(check_id(dashboard_id, "dashboard_id"))
    return {"path": {"dashboard_id": identifier, **more}, "dashboard": identifier}


def is_gone(error: NotFoundError) -> bool:
    """Whether PostHog itself says that a dashboard, or something on it, does not exist.

    A wrong project says nothing about it: the dashboard may exist in another one.
    """
    return error.from_api and error.code != "PROJECT_NOT_FOUND"


def read_nothing(_payload: object) -> None:
    """Read an empty answer."""
