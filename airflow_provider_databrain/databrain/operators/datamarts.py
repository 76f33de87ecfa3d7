"""Operators of Databrain's datamarts and their semantic layers. All need the service token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import (
    ListOperator,
    NamedOperator,
    RowsOperator,
    given,
    raise_if_no_api_code,
)

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received


class _DatamartOperator(NamedOperator):
    """Base of what is done to one datamart."""

    kind = "Datamart"

    def is_there(self) -> bool:
        """Whether the list has it: no error is documented for a name that is taken, or that is not there."""
        return any(one.name == self.name for one in self.hook.list_datamarts(page="all"))


class _DatamartContentsOperator(_DatamartOperator):
    """Base of what says what a datamart holds."""

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
        """The fields that were given."""
        return given(
            table_list=self.table_list, tenancy_settings=self.tenancy_settings, relationships=self.relationships
        )


class CreateDatamartOperator(_DatamartContentsOperator):
    """Make a datamart exist; returns its name. One of that name that is there is taken as it is.

    :param name: the datamart's name (templated).
    :param datasource_name: what it reads from (templated).
    :param table_list: its tables, see ``api.databrain_datamarts.DatamartTable``; needed (templated).
    :param tenancy_settings: see ``api.databrain_datamarts.TenancySettings`` (templated).
    :param relationships: see ``api.databrain_datamarts.Relationship`` (templated).
    """

    template_fields: Sequence[str] = (*_DatamartContentsOperator.template_fields, "datasource_name")

    def __init__(self, *, datasource_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasource_name = datasource_name

    def execute(self, context: Context) -> str:
        """Find or create; returns the name."""
        from airflow_provider_databrain.client.errors import ApiError
        from airflow_provider_databrain.databrain.api.datamarts import CreateDatamart

        fields = {"name": self.name, "datasource_name": self.datasource_name, **self.contents()}
        datamart = CreateDatamart.model_validate(fields)
        if self.is_there():
            self.log.info("Datamart %r is there", self.name)
            return self.name
        try:
            return self.hook.create_datamart(datamart)
        except ApiError as error:
            if not (error.ambiguous and self.is_there()):
                raise
            return self.name


class UpdateDatamartOperator(_DatamartContentsOperator):
    """Change what a datamart holds; returns its name. Each list that is given replaces the present one as a whole.

    Parameters: see ``CreateDatamartOperator``; what is not given stays.
    """

    def execute(self, context: Context) -> str:
        """Update; returns the name."""
        from airflow_provider_databrain.databrain.api.datamarts import UpdateDatamart

        contents = self.contents()
        if not contents:
            raise ValueError("give table_list, tenancy_settings or relationships. Nothing was sent.")
        return self.hook.update_datamart(UpdateDatamart.model_validate({"datamart_name": self.name, **contents}))


class DeleteDatamartOperator(_DatamartOperator):
    """Delete a datamart with its semantic layer; one that is gone is no error.

    :param name: the datamart; case-sensitive (templated).
    """

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import ApiError
        from airflow_provider_databrain.client.models import filled

        filled(self.name, "name")
        if not self.is_there():
            self.log.info("Datamart %r is gone already", self.name)
            return
        try:
            self.hook.delete_datamart(self.name)
        except ApiError:
            if self.is_there():
                raise


class ListDatamartsOperator(ListOperator):
    """List the organization's datamarts with their tables; see ``RowsOperator``."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_datamarts(page="all")


class SetSemanticLayerOperator(NamedOperator):
    """Say what the tables of a datamart mean, whether it has a semantic layer or not; returns the datamart's name.

    :param name: the datamart (templated).
    :param tables: see ``api.databrain_semantic.SemanticTable`` (templated).
    :param feedback: see the vendor's page (templated).
    """

    kind = "Semantic layer of datamart"
    template_fields: Sequence[str] = (*NamedOperator.template_fields, "tables", "feedback")
    template_fields_renderers = {"tables": "json", "feedback": "json"}

    def __init__(
        self, *, tables: Sequence[Mapping[str, Any]] | None = None, feedback: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.feedback = feedback

    def execute(self, context: Context) -> str:
        """Update, or create where there is none; returns the datamart's name.

        :raises ValueError: neither ``tables`` nor ``feedback`` is given; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import NotFoundError
        from airflow_provider_databrain.databrain.api.semantic_layers import SemanticTable

        if not self.tables and not self.feedback:
            raise ValueError("give tables or feedback. Nothing was sent.")
        tables = [SemanticTable.model_validate(table) for table in self.tables or ()] or None
        feedback = self.feedback or None
        try:
            return self.hook.update_semantic_layer(self.name, tables=tables, feedback=feedback)
        except NotFoundError:
            return self.hook.create_semantic_layer(self.name, tables=tables, feedback=feedback)


class FetchSemanticLayerOperator(RowsOperator):
    """Fetch the semantic layer of a datamart: a row a table, as the API has it; see ``RowsOperator`` too.

    :param name: the datamart (templated).
    """

    template_fields: Sequence[str] = (*RowsOperator.template_fields, "name")

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch, then return or write the tables."""
        return self.hand_on(self.hook.get_semantic_layer(self.name).tables)


class DeleteSemanticLayerOperator(_DatamartOperator):
    """Delete the semantic layer of a datamart; one that is gone, or whose datamart is gone, is no error.

    :param name: the datamart (templated).
    """

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import InvalidRequestError, NotFoundError

        try:
            self.hook.delete_semantic_layer(self.name)
        except NotFoundError as error:
            raise_if_no_api_code(error)
            self.log.info("Datamart %r has no semantic layer", self.name)
        except InvalidRequestError:
            # No code is documented for a datamart that is not there.
            if self.is_there():
                raise
            self.log.info("Datamart %r is gone already", self.name)
