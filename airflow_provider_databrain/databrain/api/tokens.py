"""Databrain's tokens: guest tokens, the API tokens of data apps, and the rotation of both kinds of keys.

Every token here is a credential. ``repr`` and ``as_row`` leave it out, and no error quotes an answer that holds one.

Mind the units: the API takes a guest token's life in milliseconds and a rotated key's in seconds. Here, both are a
``timedelta``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from airflow_provider_databrain.client.call import Call, Request, Resend, in_steps
from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, filled, json_body, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages

_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)

# Page token. A second one does no harm: nobody holds the first. It is the dashboard that is not there, not the body.
CREATE_GUEST_TOKEN = endpoint(
    "create guest token",
    "POST",
    "/guest-token/create",
    API_KEY,
    codes={"DASHBOARD_PARAM_ERROR": NotFoundError, "DATA_APP_NOT_FOUND": NotFoundError},
    secret_answer=True,
)
# Page create-api-token. A second one would be a key that nobody holds and nothing can delete.
CREATE_API_TOKEN = endpoint(
    "create API token",
    "POST",
    "/data-app/api-tokens",
    SERVICE_TOKEN,
    legacy_path="/api/v2/dataApp/api-tokens",
    resend=Resend.IF_UNPROCESSED,
    codes={"DATA_APP_NOT_FOUND": NotFoundError},
    secret_answer=True,
)
# Page list-api-tokens.
LIST_API_TOKENS = endpoint(
    "list API tokens",
    "GET",
    "/data-app/api-tokens",
    SERVICE_TOKEN,
    legacy_path="/api/v2/dataApp/api-tokens",
    codes={"DATA_APP_NOT_FOUND": NotFoundError},
    secret_answer=True,
)
# Page rotate-api-key. An older form of the path is not documented. A second rotation would make one more key.
ROTATE_API_KEY = endpoint(
    "rotate API key",
    "POST",
    "/data-app/rotate-api",
    API_KEY,
    resend=Resend.IF_UNPROCESSED,
    needs="It takes the key that is to be rotated (Password in the Airflow connection), while that key still lives.",
    secret_answer=True,
)
# Page rotate-service-token.
ROTATE_SERVICE_TOKEN = endpoint(
    "rotate service token",
    "POST",
    "/service-token/rotate",
    SERVICE_TOKEN,
    resend=Resend.IF_UNPROCESSED,
    needs="It takes the token that is to be rotated (extra 'service_token' in the Airflow connection), while that one "
    "still lives.",
    secret_answer=True,
)

Secret = Annotated[str, Field(pattern="^[!-~]+$", repr=False, exclude=True)]


class DashboardFilter(Extensible):
    """Values of a dashboard's filters.

    :param dashboard_id: the dashboard's id, not the embed's.
    :param values: filter to value: a text or number, a list of them, ``{"startDate": ..., "endDate": ...}``, or an
        object with ``sql``.
    :param is_show_on_url: show the values in the page's address.
    """

    dashboard_id: Name
    values: dict[str, JsonValue]
    is_show_on_url: bool | None = None


class MetricFilter(Extensible):
    """Values for one metric: of its filters, or for row-level security."""

    metric_id: Name
    values: dict[str, JsonValue]


class GuestTokenParams(Extensible):
    """What is fixed for whoever holds a guest token.

    :param rls_settings: row-level security by metric.
    :param hide_dashboard_filters: names of filters that are not shown.
    :param user_identifier: a user of the client's, for private metrics.
    :param timezone: such as ``Europe/Berlin``.
    :param allowed_embeds: ids of the embeds that the token opens. Some servers are said to refuse it.
    """

    dashboard_app_filters: list[DashboardFilter] | None = None
    app_filters: list[MetricFilter] | None = None
    rls_settings: list[MetricFilter] | None = None
    hide_dashboard_filters: list[Name] | None = None
    user_identifier: Name | None = None
    timezone: Name | None = None
    allowed_embeds: list[Name] | None = None


class GuestTokenPermissions(Extensible):
    """What whoever holds a guest token may do and see; what is left out is the vendor's choice.

    There is one to archive metrics too, whose name is not known: it goes into ``extra``.
    """

    is_enable_manage_metrics: bool | None = None
    is_enable_create_dashboard_view: bool | None = None
    is_enable_metric_updation: bool | None = None
    is_enable_customize_layout: bool | None = None
    is_enable_underlying_data: bool | None = None
    is_enable_download_metrics: bool | None = None
    is_show_side_bar: bool | None = None
    is_show_dashboard_name: bool | None = None


class CreateGuestToken(Extensible):
    """A token with which a browser shows one client's embeds.

    :param client_id: whose data are seen; the text ``None`` where there are no tenants.
    :param data_app_name: the data app that the API key belongs to.
    :param expiry_time: how long the token lives, in whole milliseconds. Without it, it never ends.
    :param datasource_name: which datasource, where the embed has several.
    """

    client_id: Name
    data_app_name: Name
    # Strict, because a plain number would pass for seconds here and for milliseconds with the vendor.
    expiry_time: Annotated[timedelta, Field(strict=True, ge=_MILLISECOND)] | None = None
    datasource_name: Name | None = None
    permissions: GuestTokenPermissions | None = None
    params: GuestTokenParams | None = None


class _ApiTokenRequest(Extensible):
    data_app_name: str
    name: str


class _Rotation(Extensible):
    expire_at: int


class Credential(Received, ABC):
    """An answer that holds a credential. Left out of ``repr`` and ``as_row``."""

    model_config = ConfigDict(extra="ignore")  # Whatever else there is may be a secret too.

    @property
    @abstractmethod
    def secret(self) -> str:
        """What must never be shown."""


class GuestToken(Credential):
    """A guest token."""

    token: Secret

    @property
    def secret(self) -> str:
        """The token."""
        return self.token


class NewKey(Credential):
    """A key that was just made."""

    key: Secret

    @property
    def secret(self) -> str:
        """The key."""
        return self.key


class ApiToken(NewKey):
    """An API token of a data app: its key, and what it is called. ``created_at`` is ISO 8601."""

    name: str | None = None
    description: str | None = None
    created_at: str | None = None


class _ApiTokens(Received):
    data: list[ApiToken]


_read_guest_token = reader(GuestToken)
_read_key = reader(NewKey)
_read_api_tokens = reader(_ApiTokens)


def create_guest_token(token: CreateGuestToken) -> Request[GuestToken]:
    """Make a token for one client's browser.

    Unclear failures are tried again; a token whose answer was lost is held by nobody.

    :raises NotFoundError: the data app, or a dashboard in ``params``, is not there. For the data app, the code is not
        documented.
    :raises InvalidRequestError: the client is not known, or a filter or rule in ``params`` is wrong.
    """
    fields = wire(token)
    if token.expiry_time is not None:
        fields["expiryTime"] = token.expiry_time // _MILLISECOND
    return Request(CREATE_GUEST_TOKEN, _read_guest_token, body=json_body(fields), tenant=token.client_id)


def create_api_token(data_app_name: str, name: str, *, extra: Mapping[str, JsonValue] | None = None) -> Request[NewKey]:
    """Make one more API key for a data app. The API has no way to delete one.

    One that may have been made is not made again; ``list_api_tokens`` tells whether it was, and its key.

    :param name: what the key is called. Whether it must be unique is not documented.
    :param extra: further fields, sent as they are. The list has a ``description``; whether one is taken here is not
        documented.
    :raises ValueError: ``data_app_name`` or ``name`` is blank, or ``extra`` repeats one of them.
    :raises NotFoundError: there is no such data app.
    """
    fields = _ApiTokenRequest(
        data_app_name=filled(data_app_name, "data_app_name"), name=filled(name, "name"), extra=dict(extra or {})
    )
    return Request(CREATE_API_TOKEN, _read_key, body=json_body(wire(fields)))


def list_api_tokens(data_app_name: str, *, page: Page = None) -> Call[list[ApiToken]]:
    """The API tokens of a data app, with their keys.

    :raises ValueError: ``data_app_name`` is blank.
    :raises NotFoundError: there is no such data app.
    """
    app = {"dataAppName": filled(data_app_name, "data_app_name")}

    def request(number: int | None) -> Request[list[ApiToken]]:
        return Request(LIST_API_TOKENS, lambda payload: _read_api_tokens(payload).data, query=app | page_query(number))

    return pages(request, page)


def find_or_create_api_token(data_app_name: str, name: str) -> Generator[Request[Any], Any, tuple[NewKey, bool]]:
    """The API token of that name, a new one where there is none.

    Of several it is the newest: after a rotation, the old one may still be listed until it dies. After an unclear
    failure the list shows whether it was made. Two tasks that do this at the same moment may make one each.

    :return: the token, and whether it was made.
    :raises ValueError: ``data_app_name`` or ``name`` is blank.
    :raises NotFoundError: there is no such data app.
    """
    creation = create_api_token(data_app_name, name)
    found = yield from _find_api_token(data_app_name, name)
    if found is not None:
        return found, False
    try:
        return (yield creation), True
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = yield from _find_api_token(data_app_name, name)
        if found is None:
            raise
        return found, True


def _find_api_token(data_app_name: str, name: str) -> Generator[Request[Any], Any, ApiToken | None]:
    tokens = yield from in_steps(list_api_tokens(data_app_name, page="all"))
    named = [token for token in reversed(tokens) if token.name == name]
    return max(named, key=lambda token: token.created_at or "", default=None)


def rotate_api_key(expire_after: timedelta, *, extra: Mapping[str, JsonValue] | None = None) -> Call[NewKey]:
    """Make a new API key in the place of the connection's, which dies after a while.

    The connection itself still holds the old key afterwards. A rotation that may have happened is not sent again.

    :param expire_after: how long the old key still lives; a part of a second counts as a whole one. With 0 it is dead
        at once, and a new key whose answer is lost leaves nobody with a key.
    :param extra: further fields, for older self-hosted servers.
    :raises ValueError: ``expire_after`` is below 0.
    """
    return _rotate(Request(ROTATE_API_KEY, _read_key, body=_rotation(expire_after, extra)))


def rotate_service_token(expire_after: timedelta, *, extra: Mapping[str, JsonValue] | None = None) -> Call[NewKey]:
    """Make a new service token in the place of the connection's; else as ``rotate_api_key``."""
    return _rotate(Request(ROTATE_SERVICE_TOKEN, _read_key, body=_rotation(expire_after, extra)))


def _rotate(request: Request[NewKey]) -> Generator[Request[NewKey], NewKey, NewKey]:
    try:
        return (yield request)
    except ApiError as error:
        if error.ambiguous:
            error.hint = (
                "The rotation may have happened; then the old key dies in its time, and nobody holds the new one."
            )
        raise


def _rotation(expire_after: timedelta, extra: Mapping[str, JsonValue] | None) -> bytes:
    if not isinstance(expire_after, timedelta) or expire_after < timedelta(0):
        raise ValueError("expire_after is no timedelta of 0 or more")
    fields: dict[str, Any] = wire(_Rotation(expire_at=-(-expire_after // _SECOND), extra=dict(extra or {})))
    return json_body(fields)
