"""Operators of Databrain's datamarts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.operators.databrain import DatabrainOperator


class _OneDatamartOperator(DatabrainOperator):
    """Base of what is done to one datamart.

    :param name: the datamart; case-sensitive (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name")

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def is_there(self) -> bool:
        """Whether the list has it: no error is documented for a name that is taken, or that is not there."""
        return any(one.name == self.name for one in self.hook.list_datamarts(page="all"))


class CreateDatamartOperator(_OneDatamartOperator):
    """Make a datamart exist; returns its name. One of that name that is there is taken as it is.

    Needs the service token.

    :param name: the datamart's name (templated).
    :param datasource_name: what it reads from (templated).
    :param table_list: its tables, see ``api.databrain_datamarts.DatamartTable`` (templated).
    :param tenancy_settings: see ``api.databrain_datamarts.TenancySettings`` (templated).
    :param relationships: see ``api.databrain_datamarts.Relationship`` (templated).
    """

    template_fields: Sequence[str] = (
        *_OneDatamartOperator.template_fields,
        "datasource_name",
        "table_list",
        "tenancy_settings",
        "relationships",
    )
    template_fields_renderers = {"table_list": "json", "tenancy_settings": "json", "relationships": "json"}

    def __init__(
        self,
        *,
        datasource_name: str,
        table_list: Sequence[Mapping[str, Any]],
        tenancy_settings: Mapping[str, Any] | None = None,
        relationships: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.datasource_name = datasource_name
        self.table_list = table_list
        self.tenancy_settings = tenancy_settings
        self.relationships = relationships

    def execute(self, context: Context) -> str:
        """Find or create; returns the name."""
        from airflow_provider_databrain.api.databrain_datamarts import CreateDatamart
        from airflow_provider_databrain.api.errors import ApiError

        given = {
            "name": self.name,
            "datasource_name": self.datasource_name,
            "table_list": self.table_list,
            "tenancy_settings": self.tenancy_settings,
            "relationships": self.relationships,
        }
        datamart = CreateDatamart.model_validate({name: value for name, value in given.items() if value is not None})
        if self.is_there():
            self.log.info("Datamart %r is there", self.name)
            return self.name
        try:
            return self.hook.create_datamart(datamart)
        except ApiError as error:
            if not (error.ambiguous and self.is_there()):
                raise
            return self.name


class DeleteDatamartOperator(_OneDatamartOperator):
    """Delete a datamart with its semantic layer; one that is gone is no error. Needs the service token.

    :param name: the datamart; case-sensitive (templated).
    """

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.api.errors import ApiError

        if not self.is_there():
            self.log.info("Datamart %r is gone already", self.name)
            return
        try:
            self.hook.delete_datamart(self.name)
        except ApiError:
            if self.is_there():
                raise
