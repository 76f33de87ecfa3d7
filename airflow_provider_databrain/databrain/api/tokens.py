"""Databrain's tokens: guest tokens, the API tokens of data apps, and the rotation of API keys and service tokens.

Every token here is a secret. ``repr`` and ``as_row`` leave it out, and no error quotes an answer that holds one.

Units: the API takes the lifetime of a guest token in milliseconds, and the lifetime of a rotated key in seconds. Here,
both are a ``timedelta``.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, complete, page_query, pages, rows_reader

_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)

# Page token. A second try does no harm: nobody has the first token. DASHBOARD_PARAM_ERROR means that a dashboard in
# ``params`` does not exist.
CREATE_GUEST_TOKEN = endpoint(
    "create guest token",
    "POST",
    "/guest-token/create",
    API_KEY,
    codes={"DASHBOARD_PARAM_ERROR": NotFoundError, "DATA_APP_NOT_FOUND": NotFoundError},
    secret_answer=True,
    resend=Resend.ALWAYS,
)
# Page create-api-token. A second try could create a key that nobody has and that no call can delete.
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
# Page rotate-api-key. It documents no older form of the path. A second rotation would create one more key.
ROTATE_API_KEY = endpoint(
    "rotate API key",
    "POST",
    "/data-app/rotate-api",
    API_KEY,
    resend=Resend.IF_UNPROCESSED,
    needs="It takes the key that is to be rotated (Password in the Airflow connection), while that key still works.",
    secret_answer=True,
)
# Page rotate-service-token.
ROTATE_SERVICE_TOKEN = endpoint(
    "rotate service token",
    "POST",
    "/service-token/rotate",
    SERVICE_TOKEN,
    resend=Resend.IF_UNPROCESSED,
    needs="It takes the token that is to be rotated (extra 'service_token' in the Airflow connection), while that "
    "token still works.",
    secret_answer=True,
)

Secret = Annotated[str, Field(pattern="^[!-~]+$", repr=False, exclude=True)]


class DashboardFilter(Extensible):
    """Values for a dashboard's filters.

    :param dashboard_id: the dashboard's id, not the embed's.
    :param values: filter to value. A value is a string or number, a list of them,
        ``{"startDate": ..., "endDate": ...}``, or an object with ``sql``.
    :param is_show_on_url: show the values in the page's URL.
    """

    dashboard_id: Name
    values: dict[str, JsonValue]
    is_show_on_url: bool | None = None


class MetricFilter(Extensible):
    """Values for one metric: for its filters, or for row-level security."""

    metric_id: Name
    values: dict[str, JsonValue]


class GuestTokenParams(Extensible):
    """What a guest token fixes for its user.

    :param rls_settings: row-level security by metric.
    :param hide_dashboard_filters: names of the filters to hide.
    :param user_identifier: one of the client's users, for private metrics.
    :param timezone: for example ``Europe/Berlin``.
    :param allowed_embeds: ids of the embeds that the token opens. The vendor's demo warns that some servers refuse
        this field.
    """

    dashboard_app_filters: list[DashboardFilter] | None = None
    app_filters: list[MetricFilter] | None = None
    rls_settings: list[MetricFilter] | None = None
    hide_dashboard_filters: list[Name] | None = None
    user_identifier: Name | None = None
    timezone: Name | None = None
    allowed_embeds: list[Name] | None = None


class GuestTokenPermissions(Extensible):
    """What the user of a guest token may do and see. The server decides what is left out.

    There is also a permission to archive metrics. It goes into ``extra``: its name is not known.
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
    """A new guest token. With it, a browser shows one client's embeds.

    :param client_id: the client whose data it shows; the string ``"None"`` if there are no tenants.
    :param data_app_name: the data app that the API key belongs to.
    :param expiry_time: how long the token works. A part of a millisecond is cut off. Without it, the token never
        expires.
    :param datasource_name: the datasource, if the embed has several.
    """

    client_id: Name
    data_app_name: Name
    # Strict: pydantic would read a plain number as seconds, the API as milliseconds.
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
    """An answer that holds a secret. ``repr`` and ``as_row`` leave the secret out."""

    model_config = ConfigDict(extra="ignore")  # An unknown field may hold a secret too.

    @property
    @abstractmethod
    def secret(self) -> str:
        """The value that must never be shown."""


class GuestToken(Credential):
    """A guest token."""

    token: Secret

    @property
    def secret(self) -> str:
        """The token."""
        return self.token


class NewKey(Credential):
    """A new key."""

    key: Secret

    @property
    def secret(self) -> str:
        """The key."""
        return self.key


class ApiToken(NewKey):
    """An API token of a data app: its key, its name, and when it was created (ISO 8601)."""

    name: str | None = None
    description: str | None = None
    created_at: str | None = None


_read_guest_token = reader(GuestToken)
_read_key = reader(NewKey)
_read_api_tokens = rows_reader(ApiToken)


def create_guest_token(token: CreateGuestToken) -> Request[GuestToken]:
    """Create a token for one client's browser.

    Unclear failures are tried again: if an answer was lost, nobody has its token.

    :raises NotFoundError: the data app, or a dashboard in ``params``, does not exist. The code for the data app is not
        documented.
    :raises InvalidRequestError: the client is unknown, or a filter or rule in ``params`` is wrong.
    """
    fields = wire(token)
    if token.expiry_time is not None:
        fields["expiryTime"] = token.expiry_time // _MILLISECOND
    return Request(CREATE_GUEST_TOKEN, _read_guest_token, body=json_body(fields), tenant=token.client_id)


def create_api_token(data_app_name: str, name: str, *, extra: Mapping[str, JsonValue] | None = None) -> Request[NewKey]:
    """Create an API token for a data app. No API call deletes one.

    An ambiguous failure is not tried again. ``list_api_tokens`` shows whether the token was created, and its key.

    :param name: the token's name. Whether it must be unique is not documented.
    :param extra: more fields, sent as they are. The list has a ``description``; whether this call accepts one is not
        documented.
    :raises ValueError: ``data_app_name`` or ``name`` is blank, or ``extra`` repeats one of them.
    :raises NotFoundError: the data app does not exist.
    """
    fields = _ApiTokenRequest(
        data_app_name=not_blank(data_app_name, "data_app_name"), name=not_blank(name, "name"), extra=dict(extra or {})
    )
    return Request(CREATE_API_TOKEN, _read_key, body=json_body(wire(fields)))


def list_api_tokens(data_app_name: str, *, page: Page = None) -> Call[list[ApiToken]]:
    """The API tokens of a data app, with their keys.

    :raises ValueError: ``data_app_name`` is blank.
    :raises NotFoundError: the data app does not exist.
    """
    return pages(_list_request(data_app_name), page)


def find_or_create_api_token(data_app_name: str, name: str) -> Generator[Request[Any], Any, tuple[NewKey, bool]]:
    """Find a data app's API token by name; if there is none, create one.

    If several have the name, the result is the newest: after a rotation, the old one may be listed until it expires.
    After an ambiguous failure, the list shows whether the token was created. Two tasks that do this at the same moment
    may create one each.

    :return: the token, and whether it was created.
    :raises ValueError: ``data_app_name`` or ``name`` is blank.
    :raises NotFoundError: the data app does not exist.
    """
    creation = create_api_token(data_app_name, name)
    token = yield from _find_api_token(data_app_name, name)
    if token is not None:
        return token, False
    try:
        return (yield creation), True
    except ApiError as error:
        if not error.ambiguous:
            raise
        token = yield from _find_api_token(data_app_name, name)
        if token is None:
            raise
        return token, True


def rotate_api_key(expire_after: timedelta, *, extra: Mapping[str, JsonValue] | None = None) -> Call[NewKey]:
    """Create a new API key that replaces the connection's key. The old key works until it expires.

    The connection still has the old key afterwards. An ambiguous failure is not tried again.

    :param expire_after: how long the old key still works; rounded up to whole seconds. With 0 it expires at once: if
        the answer is lost then, nobody has a working key.
    :param extra: more fields, for older self-hosted servers.
    :raises ValueError: ``expire_after`` is not a timedelta, or is negative.
    """
    return _rotate(Request(ROTATE_API_KEY, _read_key, body=_rotation(expire_after, extra)))


def rotate_service_token(expire_after: timedelta, *, extra: Mapping[str, JsonValue] | None = None) -> Call[NewKey]:
    """Create a new service token that replaces the connection's; otherwise as ``rotate_api_key``."""
    return _rotate(Request(ROTATE_SERVICE_TOKEN, _read_key, body=_rotation(expire_after, extra)))


def _rotate(request: Request[NewKey]) -> Generator[Request[NewKey], NewKey, NewKey]:
    try:
        return (yield request)
    except ApiError as error:
        if error.ambiguous:
            error.hint = (
                "The rotation may have happened. If it did, the old key expires as asked, and nobody has the new one."
            )
        raise


def _list_request(data_app_name: str) -> Callable[[int | None], Request[list[ApiToken]]]:
    app = {"dataAppName": not_blank(data_app_name, "data_app_name")}
    return lambda number: Request(LIST_API_TOKENS, _read_api_tokens, query=app | page_query(number))


def _find_api_token(data_app_name: str, name: str) -> Generator[Request[Any], Any, ApiToken | None]:
    tokens = yield from complete(_list_request(data_app_name), lambda token: token.key)
    named = [token for token in reversed(tokens) if token.name == name]
    # If several tokens have the same time, ``max`` takes the first one here, which is the last one in the API's list.
    return max(named, key=lambda token: token.created_at or "", default=None)


def _rotation(expire_after: timedelta, extra: Mapping[str, JsonValue] | None) -> bytes:
    if not isinstance(expire_after, timedelta) or expire_after < timedelta(0):
        raise ValueError("expire_after must be a non-negative timedelta")
    fields: dict[str, Any] = wire(_Rotation(expire_at=-(-expire_after // _SECOND), extra=dict(extra or {})))
    return json_body(fields)
