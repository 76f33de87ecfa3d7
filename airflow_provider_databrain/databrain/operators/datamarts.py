"""Operators of Databrain's datamarts. All need the service token.

The vendor documents no error code for a datamart name that is taken or unknown. So the operators look the name up in
the list of datamarts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import ListOperator, NamedOperator, without_blanks

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.hook import DatabrainHook


class _DatamartContentsOperator(NamedOperator):
    """Base of the operators that set what a datamart contains."""

    template_fields: Sequence[str] = (
        *NamedOperator.template_fields,
        "table_list",
        "tenancy_settings",
        "relationships",
    )
    template_fields_renderers = {"table_list": "json", "tenancy_settings": "json", "relationships": "json"}

    def __init__(
        self,
        *,
        table_list: Sequence[Mapping[str, Any]] | None = None,
        tenancy_settings: Mapping[str, Any] | None = None,
        relationships: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table_list = table_list
        self.tenancy_settings = tenancy_settings
        self.relationships = relationships

    def contents(self) -> dict[str, Any]:
        """The fields that are set."""
        return without_blanks(
            table_list=self.table_list, tenancy_settings=self.tenancy_settings, relationships=self.relationships
        )


class CreateDatamartOperator(_DatamartContentsOperator):
    """Create a datamart if none has this name; returns its name. An existing one is left unchanged.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    :param datasource_name: the datasource that it reads from (templated).
    :param table_list: its tables, at least one; see ``databrain.api.datamarts.DatamartTable`` (templated).
    :param tenancy_settings: see ``databrain.api.datamarts.TenancySettings`` (templated).
    :param relationships: see ``databrain.api.datamarts.Relationship`` (templated).
    """

    template_fields: Sequence[str] = (*_DatamartContentsOperator.template_fields, "datasource_name")

    def __init__(self, *, datasource_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasource_name = datasource_name

    def execute(self, context: Context) -> str:
        """Find or create the datamart; returns its name.

        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        :raises NotFoundError: the datasource does not exist.
        """
        from airflow_provider_databrain.client.errors import ApiError
        from airflow_provider_databrain.databrain.api.datamarts import CreateDatamart

        fields = {"name": self.name, "datasource_name": self.datasource_name, **self.contents()}
        datamart = CreateDatamart.model_validate(fields)
        if datamart_exists(self.hook, self.name):
            self.log.info("Datamart %r exists already", self.name)
            return self.name
        try:
            return self.hook.create_datamart(datamart)
        except ApiError as error:
            if not (error.ambiguous and datamart_exists(self.hook, self.name)):
                raise
            return self.name


class UpdateDatamartOperator(_DatamartContentsOperator):
    """Change what a datamart contains; returns its name.

    Each list that you set replaces the present list as a whole. A field that you do not set stays as it is.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    :param table_list: its tables; see ``databrain.api.datamarts.DatamartTable`` (templated).
    :param tenancy_settings: see ``databrain.api.datamarts.TenancySettings`` (templated).
    :param relationships: see ``databrain.api.datamarts.Relationship`` (templated).
    """

    def execute(self, context: Context) -> str:
        """Update the datamart; returns its name.

        :raises ValueError: no field is set, or a field has a wrong value; nothing was sent.
        """
        from airflow_provider_databrain.databrain.api.datamarts import UpdateDatamart

        contents = self.contents()
        if not contents:
            raise ValueError("set table_list, tenancy_settings or relationships. Nothing was sent.")
        return self.hook.update_datamart(UpdateDatamart.model_validate({"datamart_name": self.name, **contents}))


class DeleteDatamartOperator(NamedOperator):
    """Delete a datamart with its semantic layer; returns nothing. Succeeds if the datamart is already gone.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    """

    def execute(self, context: Context) -> None:
        """Delete the datamart.

        :raises ValueError: ``name`` is blank; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import ApiError
        from airflow_provider_databrain.client.models import not_blank

        not_blank(self.name, "name")
        if not datamart_exists(self.hook, self.name):
            self.log.info("Datamart %r is already gone", self.name)
            return
        try:
            self.hook.delete_datamart(self.name)
        except ApiError:
            if datamart_exists(self.hook, self.name):
                raise


class ListDatamartsOperator(ListOperator):
    """List the organization's datamarts with their tables; returns rows with ``name``.

    Parameters: see ``RowsOperator``.
    """

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_datamarts(page="all")


def datamart_exists(hook: DatabrainHook, name: str) -> bool:
    """Whether the organization's list contains a datamart of this name."""
    return any(datamart.name == name for datamart in hook.list_datamarts(page="all"))
