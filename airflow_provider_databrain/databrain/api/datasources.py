"""Databrain's datasources: the databases that it reads from.

What opens a database is a secret: it is in no ``repr``, and blacked out of whatever the server says in an error.
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
from airflow_provider_databrain.client.models import Extensible, Name, Received, filled, json_body, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader

# Page create-datasource. The name is ours and unique, so "already exists" after an unclear failure is detectable. A
# failure to read the database's schema (SCHEMA_CACHE_FAILED) may leave the datasource behind.
CREATE_DATASOURCE = endpoint(
    "create datasource",
    "POST",
    "/datasource",
    SERVICE_TOKEN,
    resend=Resend.DETECTABLE,
    codes={"DATASOURCE_NAME_ERROR": AlreadyExistsError},
)
# Page update-datasource. Its errors are not documented; the code is that of the other pages.
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
# Page sync-datasource. The answer comes when the sync is done; a second try would start another beside the first.
START_DATASOURCE_SYNC = endpoint(
    "start datasource sync",
    "POST",
    "/datasource/sync",
    SERVICE_TOKEN,
    resend=Resend.IF_UNPROCESSED,
    codes={"DATASOURCE_ID_ERROR": NotFoundError},
)
# Page sync-datasource in its older form. For datasources on S3 only.
GET_SYNC_PROGRESS = endpoint(
    "get sync progress",
    "POST",
    "/datasource/getDatasourceProgress",
    SERVICE_TOKEN,
    codes={"DATASOURCE_ID_ERROR": NotFoundError},
)


class Datasource(Extensible):
    """A database, and what opens it.

    Neither credentials nor ``extra`` are shown by ``repr``. Tenancy settings go into ``extra``, where they are needed:
    their name is not documented for datasources.

    :param datasource_type: such as ``postgres``, ``snowflake`` or ``bigquery``, as the vendor's page lists them.
    :param credentials: what the type needs, by the API's names, with a ``name`` that is unique in the organization.
        For ``postgres``: name, host, port, username, password, database, schema.
    """

    datasource_type: Name
    credentials: dict[str, JsonValue] = Field(repr=False)
    extra: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        name = self.credentials.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ValueError("credentials has no 'name', by which the datasource is known")
        return self

    @property
    def name(self) -> str:
        """By which the datasource is known."""
        return str(self.credentials["name"])

    def secrets(self) -> tuple[str, ...]:
        """Each value but the name, in all forms in which a server may repeat it."""
        hidden = {key: value for key, value in self.credentials.items() if key != "name"}
        return tuple({form for value in _leaves([hidden, self.extra]) for form in _forms(value)})


class ListedDatasource(Received):
    """A datasource as the list has it: the API tells no id."""

    name: str


class SyncProgress(Received):
    """How far a sync is.

    :param progress: tables done of all, such as ``3/16``.
    :param error: why the sync has failed; blank where it has not.
    """

    progress: str | None = None
    error: str | None = None

    @property
    def finished(self) -> bool:
        """Whether all is done, without an error."""
        done, slash, total = (self.progress or "").partition("/")
        return bool(slash) and not self.error and done.strip() == total.strip()


class _Named(Received):
    name: Name


class _Deleted(Received):
    id: str


class _Message(Received):
    message: str | None = None


class _Synced(Received):
    data: _Message


class _Progress(Received):
    status: SyncProgress


_read_named = reader(_Named)
_read_list = rows_reader(ListedDatasource)
_read_deleted = reader(_Deleted)
_read_synced = reader(_Synced)
_read_progress = reader(_Progress)


def create_datasource(datasource: Datasource) -> Request[str]:
    """Connect a database; the server tries the credentials first. The result is the datasource's name.

    Unclear failures are tried again, so that an ``AlreadyExistsError`` with ``after_ambiguous`` may stand for an
    earlier try that did create it.

    :raises AlreadyExistsError: there is a datasource of that name.
    :raises InvalidRequestError: the credentials do not open the database (``CREDENTIAL_TEST_FAILED``).
    """
    return _with_credentials(CREATE_DATASOURCE, datasource)


def update_datasource(datasource: Datasource) -> Request[str]:
    """Replace the credentials of the datasource with the same ``name``, all of them. The result is its name.

    Unclear failures are tried again: the same values twice change nothing more.

    :raises NotFoundError: there is no datasource of that name.
    """
    return _with_credentials(UPDATE_DATASOURCE, datasource)


def list_datasources(*, page: Page = None) -> Call[list[ListedDatasource]]:
    """The datasources of the organization, by name."""
    return pages(lambda number: Request(LIST_DATASOURCES, _read_list, query=page_query(number)), page)


def delete_datasource(name: str) -> Request[str]:
    """Delete a datasource. The result is the id that it had.

    Unclear failures are tried again, so that a ``NotFoundError`` with ``after_ambiguous`` may stand for an earlier
    try that did delete it.

    :raises ValueError: ``name`` is blank.
    :raises NotFoundError: there is no datasource of that name.
    :raises InvalidRequestError: something reads from it (``DATASOURCE_IN_USE``).
    """
    query = {"datasourceName": filled(name, "name")}
    return Request(DELETE_DATASOURCE, lambda payload: _read_deleted(payload).id, query=query)


def start_datasource_sync(datasource_id: str) -> Request[str | None]:
    """Read a database's schema anew, and wait for it: mind the connection's ``read_timeout``. The result is a message.

    An unclear failure is not tried again, because the sync may be running.

    :param datasource_id: a UUID, from the address of the datasource's page in Databrain; no call of the API tells it.
    :raises ValueError: ``datasource_id`` is blank.
    :raises NotFoundError: there is no such datasource.
    """
    return Request(START_DATASOURCE_SYNC, lambda payload: _read_synced(payload).data.message, body=_by_id(datasource_id))


def get_sync_progress(datasource_id: str) -> Request[SyncProgress]:
    """How far the sync of a datasource on S3 is. That a sync has failed is part of the result, and no error.

    :param datasource_id: as for ``start_datasource_sync``.
    :raises ValueError: ``datasource_id`` is blank.
    """
    return Request(GET_SYNC_PROGRESS, lambda payload: _read_progress(payload).status, body=_by_id(datasource_id))


def _with_credentials(endpoint: Endpoint, datasource: Datasource) -> Request[str]:
    return Request(
        endpoint,
        lambda payload: _read_named(payload).name,
        body=json_body(wire(datasource)),
        secrets=datasource.secrets(),
    )


def _by_id(datasource_id: str) -> bytes:
    return json_body({"input": {"datasourceId": filled(datasource_id, "datasource_id")}})


def _leaves(value: Any) -> Iterator[str]:
    """All texts and numbers in a value, as texts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _forms(secret: str) -> Iterator[str]:
    """A text as it is, as a part of JSON, HTML or a URL, on one line, and each of its lines."""
    for text in (secret, " ".join(secret.split()), *secret.splitlines()):
        stripped = text.strip()
        for form in (text, stripped, quote(stripped, safe=""), quote_plus(stripped), html.escape(stripped)):
            if form.strip():
                yield form
        for ascii_only in (True, False):
            if escaped := json.dumps(stripped, ensure_ascii=ascii_only)[1:-1]:
                yield escaped
