"""Databrain's data apps. A data app holds embeds and API keys.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import Name, Received, json_body, not_blank, reader
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader

_CODES = {"DATA_APP_ALREADY_EXISTS": AlreadyExistsError, "DATA_APP_NOT_FOUND": NotFoundError}
_LEGACY = "/api/v2/dataApp"

# Page create-data-app. The caller chooses the name. So after an ambiguous failure a second try finds the first one's
# work: the server answers that the name exists already.
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
# Page update-data-app. After an ambiguous failure, a second try finds the first one's work: the old name no longer
# exists.
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
    """An embed in the list of data apps. The times are ISO 8601."""

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


class _WithName(Received):
    name: Name


_read_with_name = reader(_WithName)
_read_data_apps = rows_reader(DataApp)


def create_data_app(name: str) -> Request[str]:
    """Create a data app. The result is its name.

    Unclear failures are tried again. So an ``AlreadyExistsError`` with ``after_ambiguous`` may mean that an earlier try
    created the data app.

    :raises ValueError: ``name`` is blank.
    :raises AlreadyExistsError: a data app of that name exists already.
    """
    return Request(CREATE_DATA_APP, _read_name, body=json_body({"name": not_blank(name, "name")}))


def list_data_apps(*, page: Page = None) -> Call[list[DataApp]]:
    """The data apps of the organization, with their embeds."""
    return pages(lambda number: Request(LIST_DATA_APPS, _read_data_apps, query=page_query(number)), page)


def update_data_app(name: str, new_name: str) -> Request[str]:
    """Rename a data app. From then on, requests for guest tokens must use the new name. The result is the new name.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    renamed the data app.

    :raises ValueError: ``name`` or ``new_name`` is blank.
    :raises NotFoundError: no data app of that name exists.
    """
    body: dict[str, Any] = {"name": not_blank(name, "name"), "updateName": not_blank(new_name, "new_name")}
    return Request(UPDATE_DATA_APP, _read_name, body=json_body(body))


def delete_data_app(name: str) -> Request[str]:
    """Delete a data app, all its embeds and all its API keys. The result is its name.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    deleted the data app.

    :raises ValueError: ``name`` is blank.
    :raises NotFoundError: no data app of that name exists.
    """
    return Request(DELETE_DATA_APP, _read_name, query={"name": not_blank(name, "name")})


def _read_name(payload: object) -> str:
    return _read_with_name(payload).name
