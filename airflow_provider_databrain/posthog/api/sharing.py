"""Sharing: the public page of a dashboard, its URL and its passwords.

An access token, a public URL and a password are secrets. Every endpoint whose answer holds one is marked
``secret_answer``, so that no error quotes the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.models import check_id, json_body, reader, wire
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, endpoint, for_dashboard, read_nothing
from airflow_provider_databrain.posthog.api.models import SharePassword, Sharing, SharingSettings

SHARING = f"{DASHBOARD}sharing/"
GET_SHARING = endpoint("get sharing", "GET", SHARING, "sharing_configuration:read", secret_answer=True)
# Missing in the vendor's reference.
UPDATE_SHARING = endpoint("update sharing", "PATCH", SHARING, "sharing_configuration:write", secret_answer=True)
REFRESH_SHARING = endpoint(
    "refresh sharing",
    "POST",
    f"{SHARING}refresh/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
CREATE_SHARE_PASSWORD = endpoint(
    "create share password",
    "POST",
    f"{SHARING}passwords/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
DELETE_SHARE_PASSWORD = endpoint(
    "delete share password",
    "DELETE",
    f"{SHARING}passwords/{{password_id}}/",
    "sharing_configuration:write",
    Resend.DETECTABLE,
    empty=True,
)
_read_sharing = reader(Sharing)
_read_password = reader(SharePassword)


def get_sharing(dashboard_id: int) -> Request[Sharing]:
    """The sharing configuration of a dashboard."""
    return Request(GET_SHARING, _read_sharing, **for_dashboard(dashboard_id))


def update_sharing(
    dashboard_id: int,
    *,
    enabled: bool | None = None,
    settings: SharingSettings | Mapping[str, Any] | None = None,
    password_required: bool | None = None,
) -> Request[Sharing]:
    """Switch public sharing of a dashboard on or off, or change how the page looks. None leaves a setting unchanged.

    :param settings: how the public page looks.
    :param password_required: ask visitors for a password; needs an organization with advanced permissions.
    :raises ValueError: a setting is unknown or has a wrong value.
    """
    body: dict[str, Any] = {"enabled": enabled, "password_required": password_required}
    if settings is not None:
        chosen = settings if isinstance(settings, SharingSettings) else SharingSettings.model_validate(settings)
        body["settings"] = wire(chosen)
    sent = {name: value for name, value in body.items() if value is not None}
    return Request(UPDATE_SHARING, _read_sharing, body=json_body(sent), **for_dashboard(dashboard_id))


def refresh_sharing(dashboard_id: int) -> Request[Sharing]:
    """Replace the public URL. The old URL works for five more minutes. Passwords stay valid but get new ids.

    It is not sent again after an ambiguous failure, because each call makes a new URL.
    """
    return Request(REFRESH_SHARING, _read_sharing, body=b"{}", **for_dashboard(dashboard_id))


def create_share_password(
    dashboard_id: int, *, raw_password: str | None = None, note: str | None = None
) -> Request[SharePassword]:
    """Add a password to a shared dashboard that has ``password_required``.

    It is not sent again after an ambiguous failure, because PostHog shows a password only once.

    :param raw_password: at least 8 characters; if None, PostHog generates the password.
    :param note: at most 100 characters.
    :raises ValueError: ``raw_password`` is too short or ``note`` is too long.
    """
    if raw_password is not None and len(raw_password) < 8:
        raise ValueError("raw_password has fewer than 8 characters")
    if note is not None and len(note) > 100:
        raise ValueError("note has more than 100 characters")
    body = {name: value for name, value in (("raw_password", raw_password), ("note", note)) if value is not None}
    return Request(CREATE_SHARE_PASSWORD, _read_password, body=json_body(body), **for_dashboard(dashboard_id))


def delete_share_password(dashboard_id: int, password_id: int) -> Request[None]:
    """Remove a password.

    :raises NotFoundError: no password has this id. ``refresh_sharing`` changes the ids.
    """
    return Request(
        DELETE_SHARE_PASSWORD,
        read_nothing,
        **for_dashboard(dashboard_id, password_id=str(check_id(password_id, "password_id"))),
    )


def public_url(base_url: str, sharing: Sharing, *, embedded: bool = False) -> str | None:
    """The URL that shows a shared dashboard to anyone; None if it is not shared.

    It is a secret, because it contains the access token.

    :param embedded: return the URL for an iframe.
    """
    return f"{base_url}/{'embedded' if embedded else 'shared'}/{sharing.token}" if sharing.token else None
