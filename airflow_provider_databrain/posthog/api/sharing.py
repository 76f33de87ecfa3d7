"""How a dashboard is shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.models import check_id, json_body, reader, wire
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, endpoint, for_dashboard, read_nothing
from airflow_provider_databrain.posthog.api.models import SharePassword, Sharing, SharingSettings

SHARING = f"{DASHBOARD}sharing/"
GET_SHARING = endpoint("get sharing", "GET", SHARING, "sharing_configuration:read", secret_answer=True)
# The vendor's page lacks this one.
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
    """How a dashboard is shared."""
    return Request(GET_SHARING, _read_sharing, **for_dashboard(dashboard_id))


def update_sharing(
    dashboard_id: int,
    *,
    enabled: bool | None = None,
    settings: SharingSettings | Mapping[str, Any] | None = None,
    password_required: bool | None = None,
) -> Request[Sharing]:
    """Switch public sharing of a dashboard on or off, or change how it looks; what is left out stays as it is.

    :param password_required: needs an organization with advanced permissions.
    """
    body: dict[str, Any] = {"enabled": enabled, "password_required": password_required}
    if settings is not None:
        chosen = settings if isinstance(settings, SharingSettings) else SharingSettings.model_validate(settings)
        body["settings"] = wire(chosen)
    sent = {name: value for name, value in body.items() if value is not None}
    return Request(UPDATE_SHARING, _read_sharing, body=json_body(sent), **for_dashboard(dashboard_id))


def refresh_sharing(dashboard_id: int) -> Request[Sharing]:
    """Replace the public address; the old one opens for five more minutes, passwords go on under new ids.

    It is not sent again after an unclear failure, because each call makes a new address.
    """
    return Request(REFRESH_SHARING, _read_sharing, body=b"{}", **for_dashboard(dashboard_id))


def create_share_password(
    dashboard_id: int, *, raw_password: str | None = None, note: str | None = None
) -> Request[SharePassword]:
    """Add a password to a shared dashboard that asks for one (``password_required``).

    It is not sent again after an unclear failure: PostHog shows a password once.

    :param raw_password: 8 characters or more; PostHog makes one up where there is none.
    :param note: at most 100 characters.
    """
    if raw_password is not None and len(raw_password) < 8:
        raise ValueError("raw_password has fewer than 8 characters")
    if note is not None and len(note) > 100:
        raise ValueError("note has more than 100 characters")
    body = {name: value for name, value in (("raw_password", raw_password), ("note", note)) if value is not None}
    return Request(CREATE_SHARE_PASSWORD, _read_password, body=json_body(body), **for_dashboard(dashboard_id))


def delete_share_password(dashboard_id: int, password_id: int) -> Request[None]:
    """Remove a password; a ``NotFoundError`` where there is none, as after a refresh, which gives new ids."""
    return Request(
        DELETE_SHARE_PASSWORD,
        read_nothing,
        **for_dashboard(dashboard_id, password_id=str(check_id(password_id, "password_id"))),
    )


def public_url(base_url: str, sharing: Sharing, *, embedded: bool = False) -> str | None:
    """The address under which anybody sees a shared dashboard; None while it is not shared.

    It is a secret like the token in it.

    :param embedded: the form for an iframe.
    """
    return f"{base_url}/{'embedded' if embedded else 'shared'}/{sharing.token}" if sharing.token else None
