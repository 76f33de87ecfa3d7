"""Collaborators: the members who may edit a restricted dashboard (``restriction_level`` 37)."""

from __future__ import annotations

from uuid import UUID

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.models import json_body, reader
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, endpoint, for_dashboard, read_nothing
from airflow_provider_databrain.posthog.api.models import Collaborator

LIST_COLLABORATORS = endpoint("list collaborators", "GET", f"{DASHBOARD}collaborators/", "dashboard:read")
ADD_COLLABORATOR = endpoint(
    "add collaborator", "POST", f"{DASHBOARD}collaborators/", "dashboard:write", Resend.DETECTABLE
)
REMOVE_COLLABORATOR = endpoint(
    "remove collaborator",
    "DELETE",
    f"{DASHBOARD}collaborators/{{user_uuid}}/",
    "dashboard:write",
    Resend.DETECTABLE,
    empty=True,
)
_read_collaborator = reader(Collaborator)


def list_collaborators(dashboard_id: int) -> Request[list[Collaborator]]:
    """The collaborators of a dashboard. Its owner and the project's admins may edit it too and are not listed."""
    return Request(LIST_COLLABORATORS, _read_collaborators, **for_dashboard(dashboard_id))


def add_collaborator(dashboard_id: int, user_uuid: str) -> Request[Collaborator]:
    """Let a member edit a restricted dashboard.

    :param user_uuid: UUID of the member.
    :raises ValueError: ``user_uuid`` is not a UUID.
    :raises AlreadyExistsError: the member is already a collaborator. If ``after_ambiguous`` is set, an earlier try of
        this call may have added the member.
    """
    body = {"level": 37, "user_uuid": _uuid(user_uuid)}
    return Request(ADD_COLLABORATOR, _read_collaborator, body=json_body(body), **for_dashboard(dashboard_id))


def remove_collaborator(dashboard_id: int, user_uuid: str) -> Request[None]:
    """Undo ``add_collaborator``.

    :raises ValueError: ``user_uuid`` is not a UUID.
    :raises NotFoundError: the member is not a collaborator.
    """
    return Request(REMOVE_COLLABORATOR, read_nothing, **for_dashboard(dashboard_id, user_uuid=_uuid(user_uuid)))


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"user_uuid is {value!r}; it must be the UUID of a member") from None


def _read_collaborators(payload: object) -> list[Collaborator]:
    if not isinstance(payload, list):
        raise MalformedAnswerError("unexpected answer: not a list")
    return [_read_collaborator(item) for item in payload]
