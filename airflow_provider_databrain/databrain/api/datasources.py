"""Databrain's datasources: the databases that it reads from.

A datasource's credentials are secrets. No ``repr`` shows them. If the server repeats one in an error, it is replaced by
``***`` there.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import quote, quote_plus

from pydantic import Field, JsonValue, model_validator

from airflow_provider_databrain.client.call import Call, Endpoint, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader

# Page create-datasource. The caller chooses the name, and it is unique. So after an ambiguous failure a second try
# finds the first one's work: the server answers that the name exists already. If the server cannot read the database's
# schema (SCHEMA_CACHE_FAILED), the datasource may exist nevertheless.
CREATE_DATASOURCE = endpoint(
    "create datasource",
    "POST",
    "/datasource",
    SERVICE_TOKEN,
    resend=Resend.DETECTABLE,
    codes={"DATASOURCE_NAME_ERROR": AlreadyExistsError},
)
# Page update-datasource. Its errors are not documented; the code is the one of the other pages.
UPDATE_DATASOURCE = endpoint(
    "update datasource", "PUT", "/datasource", SERVICE_TOKEN, codes={"DATASOURCE_NAME_ERROR": NotFoundError}
)
# Page list-datasources.
LIST_DATASOURCES = endpoint("list datasources", "GET", "/datasource", SERVICE_TOKEN)
# Page delete-datasource.
DELETE_DATASOURCE = endpoint(
    "delete datasource",
    "DELETE",
    "/datasource",
    SERVICE_TOKEN,
    resend=Resend.DETECTABLE,
    codes={"DATASOURCE_NAME_ERROR": NotFoundError},
)
# Page sync-datasource. The answer comes when the sync is done. A second try would start a second sync beside the first.
START_DATASOURCE_SYNC = endpoint(
    "start datasource sync",
    "POST",
    "/datasource/sync",
    SERVICE_TOKEN,
    resend=Resend.IF_UNPROCESSED,
    codes={"DATASOURCE_ID_ERROR": NotFoundError},
)
# An older form of the page sync-datasource (developer-docs/helpers/embedding-apis). Only for datasources on S3.
GET_SYNC_PROGRESS = endpoint(
    "get sync progress",
    "POST",
    "/datasource/getDatasourceProgress",
    SERVICE_TOKEN,
    codes={"DATASOURCE_ID_ERROR": NotFoundError},
    resend=Resend.ALWAYS,
)


class Datasource(Extensible):
    """A database and its credentials.

    ``repr`` shows neither ``credentials`` nor ``extra``. Tenancy settings, if needed, go into ``extra``: the name of
    that field is not documented for datasources.

    :param datasource_type: a type from the page create-datasource, for example ``postgres``, ``snowflake`` or
        ``bigquery``.
    :param credentials: the fields that the type needs, by the API's names, and a ``name`` that is unique in the
        organization. For ``postgres``: name, host, port, username, password, database, schema.
    """

    datasource_type: Name
    credentials: dict[str, JsonValue] = Field(repr=False)
    extra: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        name = self.credentials.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ValueError("credentials has no 'name'; it identifies the datasource")
        return self

    @property
    def name(self) -> str:
        """The name that identifies the datasource."""
        return str(self.credentials["name"])

    def secrets(self) -> tuple[str, ...]:
        """Each value except the name, in every form in which a server may repeat it."""
        secrets = {key: value for key, value in self.credentials.items() if key != "name"}
        return tuple({form for value in _leaves([secrets, self.extra]) for form in _forms(value)})


class ListedDatasource(Received):
    """A datasource in the list. The API does not list its id."""

    name: str


class SyncProgress(Received):
    """The progress of a sync.

    :param progress: the tables that are done, of all tables; for example ``3/16``.
    :param error: why the sync failed; blank if it did not.
    """

    progress: str | None = None
    error: str | None = None

    @property
    def finished(self) -> bool:
        """Whether all tables are done, without an error."""
        done, slash, total = (self.progress or "").partition("/")
        return bool(slash) and not self.error and done.strip() == total.strip()


class _WithName(Received):
    name: Name


class _Deleted(Received):
    id: str


class _Message(Received):
    message: str | None = None


class _Synced(Received):
    data: _Message


class _Progress(Received):
    status: SyncProgress


_read_with_name = reader(_WithName)
_read_datasources = rows_reader(ListedDatasource)
_read_deleted = reader(_Deleted)
_read_synced = reader(_Synced)
_read_progress = reader(_Progress)


def create_datasource(datasource: Datasource) -> Request[str]:
    """Connect a database. The server tests the credentials first. The result is the datasource's name.

    Unclear failures are tried again. So an ``AlreadyExistsError`` with ``after_ambiguous`` may mean that an earlier try
    created the datasource.

    :raises AlreadyExistsError: a datasource of that name exists already.
    :raises InvalidRequestError: the credentials do not open the database (``CREDENTIAL_TEST_FAILED``).
    """
    return _with_credentials(CREATE_DATASOURCE, datasource)


def update_datasource(datasource: Datasource) -> Request[str]:
    """Replace all credentials of the datasource that has the same ``name``. The result is its name.

    Unclear failures are tried again: the same values twice change nothing more.

    :raises NotFoundError: no datasource of that name exists.
    """
    return _with_credentials(UPDATE_DATASOURCE, datasource)


def list_datasources(*, page: Page = None) -> Call[list[ListedDatasource]]:
    """The names of the organization's datasources."""
    return pages(lambda number: Request(LIST_DATASOURCES, _read_datasources, query=page_query(number)), page)


def delete_datasource(name: str) -> Request[str]:
    """Delete a datasource. The result is its id.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    deleted the datasource.

    :raises ValueError: ``name`` is blank.
    :raises NotFoundError: no datasource of that name exists.
    :raises InvalidRequestError: something still reads from it (``DATASOURCE_IN_USE``).
    """
    query = {"datasourceName": not_blank(name, "name")}
    return Request(DELETE_DATASOURCE, lambda payload: _read_deleted(payload).id, query=query)


def start_datasource_sync(datasource_id: str) -> Request[str | None]:
    """Start a sync: Databrain reads the database's schema again. The result is the server's message.

    The server answers when the sync is done, so the connection's ``read_timeout`` must be long enough. An unclear
    failure is not tried again, because the sync may be running.

    :param datasource_id: a UUID, from the URL of the datasource's page in Databrain. No API call returns it.
    :raises ValueError: ``datasource_id`` is blank.
    :raises NotFoundError: the datasource does not exist.
    """
    return Request(
        START_DATASOURCE_SYNC, lambda payload: _read_synced(payload).data.message, body=_by_id(datasource_id)
    )


def get_sync_progress(datasource_id: str) -> Request[SyncProgress]:
    """The progress of a sync of a datasource on S3. If the sync failed, the result says so; that is not an error here.

    :param datasource_id: as for ``start_datasource_sync``.
    :raises ValueError: ``datasource_id`` is blank.
    """
    return Request(GET_SYNC_PROGRESS, lambda payload: _read_progress(payload).status, body=_by_id(datasource_id))


def _with_credentials(endpoint: Endpoint, datasource: Datasource) -> Request[str]:
    return Request(
        endpoint,
        lambda payload: _read_with_name(payload).name,
        body=json_body(wire(datasource)),
        secrets=datasource.secrets(),
    )


def _by_id(datasource_id: str) -> bytes:
    return json_body({"input": {"datasourceId": not_blank(datasource_id, "datasource_id")}})


def _leaves(value: Any) -> Iterator[str]:
    """All strings and numbers in a value, as strings."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, on one line, line by line, and as JSON, HTML or a URL writes it."""
    for text in (secret, " ".join(secret.split()), *secret.splitlines()):
        stripped = text.strip()
        for form in (text, stripped, quote(stripped, safe=""), quote_plus(stripped), html.escape(stripped)):
            if form.strip():
                yield form
        for ascii_only in (True, False):
            if escaped := json.dumps(stripped, ensure_ascii=ascii_only)[1:-1]:
                yield escaped
