"""Databrain's datamarts: which part of a datasource tenants see, and how one tenant's data is kept from another's.

What the tables mean is in ``databrain.api.semantic_layers``.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint, read_id
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader

PATH, LEGACY_PATH = "/data-app/datamarts", "/api/v2/dataApp/datamarts"
_CODES = {"DATASOURCE_NAME_ERROR": NotFoundError}

# Page create-datamart. How the server answers a second create of the same name is not documented. So there is no second
# try.
CREATE_DATAMART = endpoint(
    "create datamart",
    "POST",
    PATH,
    SERVICE_TOKEN,
    legacy_path=LEGACY_PATH,
    resend=Resend.IF_UNPROCESSED,
    codes=_CODES,
)
# Page update-datamart.
UPDATE_DATAMART = endpoint("update datamart", "PUT", PATH, SERVICE_TOKEN, legacy_path=LEGACY_PATH, codes=_CODES)
# Page list-datamarts.
LIST_DATAMARTS = endpoint("list datamarts", "GET", PATH, SERVICE_TOKEN, legacy_path=LEGACY_PATH)
# Page delete-datamart. The path is singular.
DELETE_DATAMART = endpoint("delete datamart", "DELETE", "/data-app/datamart", SERVICE_TOKEN, resend=Resend.DETECTABLE)


class DatamartColumn(Extensible):
    """A column of a datamart's table.

    Whether it is an aggregate goes into ``extra``: the name of that field is not known.

    :param alias: the name that queries use.
    :param label: the name that is shown.
    :param sql: the expression of a custom column; required for one.
    """

    name: Name
    alias: Name | None = None
    label: Name | None = None
    is_hide: bool | None = None
    is_custom_column: bool | None = None
    sql: Name | None = None

    @model_validator(mode="after")
    def _check_sql(self) -> Self:
        if self.is_custom_column and self.sql is None:
            raise ValueError("a custom column needs sql")
        return self


class DatamartTable(Extensible):
    """A table of a datamart.

    :param client_column: the column that holds the client id.
    """

    name: Name
    columns: list[DatamartColumn] = Field(min_length=1)
    schema_name: Name | None = None
    label: Name | None = None
    client_column: Name | None = None
    is_hide: bool | None = None


class TenancySettings(Extensible):
    """How a datamart separates one client's data from another's.

    :param tenancy_level: ``DATABASE``: each client has a database. ``TABLE``: one table lists the clients, and all
        other fields are required to describe it.
    """

    tenancy_level: Literal["TABLE", "DATABASE"]
    client_column_type: Literal["NUMBER", "STRING"] | None = None
    schema_name: Name | None = None
    table_name: Name | None = None
    table_client_name_column: Name | None = None
    table_primary_key_column: Name | None = None

    @model_validator(mode="after")
    def _check_table(self) -> Self:
        missing = [name for name in TenancySettings.model_fields if getattr(self, name) is None]
        if missing and self.tenancy_level == "TABLE":
            raise ValueError(f"tenancy by table needs {', '.join(missing)}")
        return self


class Relationship(Extensible):
    """How two tables of a datamart are joined. The field names are those of the list of datamarts.

    :param join: for example ``LEFT JOIN``.
    """

    parent_table_name: Name
    parent_column_name: Name
    child_table_name: Name
    child_column_name: Name
    relationship_name: Name | None = None
    cardinality: Literal["ManyToMany", "ManyToOne", "OneToMany", "OneToOne"] | None = None
    join: Name | None = None


class _DatamartContents(Extensible):
    tenancy_settings: TenancySettings | None = None
    relationships: list[Relationship] | None = None


class CreateDatamart(_DatamartContents):
    """A new datamart."""

    name: Name
    datasource_name: Name
    table_list: list[DatamartTable] = Field(min_length=1)


class UpdateDatamart(_DatamartContents):
    """A change of a datamart. A list in it replaces the present list as a whole."""

    datamart_name: Name
    table_list: Annotated[list[DatamartTable], Field(min_length=1)] | None = None


class DatamartSource(Received):
    """The datasource of a datamart."""

    name: str | None = None


class Datamart(Received):
    """A datamart in the list.

    The vendor's sample does not show whether ``datamartRelationships`` are part of a datamart or stand beside the list.
    They are read as part of a datamart.

    :param datamart_organization: the tenancy settings.
    """

    name: str
    datamart_organization: dict[str, JsonValue] | None = None
    company_integration: DatamartSource | None = None
    datamart_tables: list[dict[str, JsonValue]] = Field(default_factory=list)
    datamart_relationships: list[dict[str, JsonValue]] | None = None

    @property
    def datasource_name(self) -> str | None:
        """The name of the datasource that it reads from."""
        return self.company_integration.name if self.company_integration else None


_read_datamarts = rows_reader(Datamart)


def create_datamart(datamart: CreateDatamart) -> Request[str]:
    """Create a datamart. The result is its name.

    An ambiguous failure is not tried again. ``list_datamarts`` shows whether the datamart was created.

    :raises NotFoundError: the datasource does not exist.
    :raises InvalidRequestError: the tenancy (``INVALID_TENANCY``) or another part of the request is invalid.
    """
    return Request(CREATE_DATAMART, read_id, body=json_body(wire(datamart)))


def update_datamart(datamart: UpdateDatamart) -> Request[str]:
    """Change a datamart. The result is its name.

    Unclear failures are tried again: the same values twice change nothing more.
    """
    return Request(UPDATE_DATAMART, read_id, body=json_body(wire(datamart)))


def list_datamarts(*, page: Page = None) -> Call[list[Datamart]]:
    """The datamarts of the organization."""
    return pages(lambda number: Request(LIST_DATAMARTS, _read_datamarts, query=page_query(number)), page)


def delete_datamart(datamart_name: str) -> Request[str]:
    """Delete a datamart. The result is its name.

    Unclear failures are tried again. So an error with ``after_ambiguous`` may mean that an earlier try deleted the
    datamart. The code for a datamart that does not exist is not documented.

    :raises ValueError: ``datamart_name`` is blank.
    """
    return Request(DELETE_DATAMART, read_id, query=by_name(datamart_name))


def by_name(datamart_name: str) -> dict[str, str]:
    """The field that names a datamart.

    :raises ValueError: ``datamart_name`` is blank.
    """
    return {"datamartName": not_blank(datamart_name, "datamart_name")}
