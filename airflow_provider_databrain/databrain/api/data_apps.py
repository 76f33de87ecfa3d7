"""Databrain's data apps: what holds embeds and API keys."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import Name, Received, filled, json_body, reader
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages

_CODES = {"DATA_APP_ALREADY_EXISTS": AlreadyExistsError, "DATA_APP_NOT_FOUND": NotFoundError}
_LEGACY = "/api/v2/dataApp"
# Page create-data-app. The name is ours, so "already exists" after an unclear failure is detectable.
CREATE_DATA_APP = endpoint(
    "create data app",
    "POST",
    "/data-app",
    SERVICE_TOKEN,
    legacy_path=_LEGACY,
    resend=Resend.DETECTABLE,
    codes=_CODES,
)
# Page list-data-apps.
LIST_DATA_APPS = endpoint("list data apps", "GET", "/data-app", SERVICE_TOKEN, legacy_path=_LEGACY)
# Page update-data-app.
UPDATE_DATA_APP = endpoint(
    "update data app",
    "PUT",
    "/data-app",
    SERVICE_TOKEN,
    legacy_path=_LEGACY,
    resend=Resend.DETECTABLE,
    codes=_CODES,
)
# Page delete-data-app.
DELETE_DATA_APP = endpoint(
    "delete data app",
    "DELETE",
    "/data-app",
    SERVICE_TOKEN,
    legacy_path=_LEGACY,
    resend=Resend.DETECTABLE,
    codes=_CODES,
)


class DataAppEmbed(Received):
    """An embed, as the list of data apps has it. The times are ISO 8601."""

    embed_id: str
    name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class DataApp(Received):
    """A data app of the organization. The times are ISO 8601."""

    name: str
    type: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    embed_count: int | None = None
    embeds: list[DataAppEmbed] | None = None


class _NamedDataApp(Received):
    name: Name


class _DataApps(Received):
    data: list[DataApp]


_read_named = reader(_NamedDataApp)
_read_data_apps = reader(_DataApps)


def create_data_app(name: str) -> Request[str]:
    """Create a data app. The result is its name.

    Unclear failures are tried again, so that an ``AlreadyExistsError`` with ``after_ambiguous`` may stand for an
    earlier try that did create it.

    :raises ValueError: ``name`` is blank.
    :raises AlreadyExistsError: there is a data app of that name.
    """
    return Request(CREATE_DATA_APP, _read_name, body=json_body({"name": filled(name, "name")}))


def list_data_apps(*, page: Page = None) -> Call[list[DataApp]]:
    """The data apps of the organization, with their embeds."""

    def request(number: int | None) -> Request[list[DataApp]]:
        return Request(LIST_DATA_APPS, lambda payload: _read_data_apps(payload).data, query=page_query(number))

    return pages(request, page)


def update_data_app(name: str, new_name: str) -> Request[str]:
    """Give a data app another name; guest tokens are asked for by the new one from then on. The result is that name.

    Unclear failures are tried again, so that a ``NotFoundError`` with ``after_ambiguous`` may stand for an earlier try
    that did rename it.

    :raises ValueError: ``name`` or ``new_name`` is blank.
    :raises NotFoundError: there is no data app of that name.
    """
    body: dict[str, Any] = {"name": filled(name, "name"), "updateName": filled(new_name, "new_name")}
    return Request(UPDATE_DATA_APP, _read_name, body=json_body(body))


def delete_data_app(name: str) -> Request[str]:
    """Delete a data app, all its embeds and all its API keys. The result is its name.

    Unclear failures are tried again, so that a ``NotFoundError`` with ``after_ambiguous`` may stand for an earlier try
    that did delete it.

    :raises ValueError: ``name`` is blank.
    :raises NotFoundError: there is no data app of that name.
    """
    return Request(DELETE_DATA_APP, _read_name, query={"name": filled(name, "name")})


def _read_name(payload: object) -> str:
    return _read_named(payload).name
