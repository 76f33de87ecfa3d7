"""Operators of the semantic layers of Databrain's datamarts. All need the service token.

A semantic layer says what the tables and columns of a datamart mean. A datamart has at most one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import NamedOperator, RowsOperator
from airflow_provider_databrain.databrain.operators.datamarts import datamart_exists


class SetSemanticLayerOperator(NamedOperator):
    """Update the semantic layer of a datamart, or create it if the datamart has none; returns the datamart's name.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    :param tables: what the tables mean; see ``databrain.api.semantic_layers.SemanticTable`` (templated).
    :param feedback: feedback on the layer, any JSON value; see the vendor's page (templated).
    """

    template_fields: Sequence[str] = (*NamedOperator.template_fields, "tables", "feedback")
    template_fields_renderers = {"tables": "json", "feedback": "json"}

    def __init__(
        self, *, tables: Sequence[Mapping[str, Any]] | None = None, feedback: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.feedback = feedback

    def execute(self, context: Context) -> str:
        """Update or create the layer; returns the datamart's name.

        :raises ValueError: ``tables`` and ``feedback`` are both blank, or a field has a wrong value; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import NotFoundError
        from airflow_provider_databrain.databrain.api.semantic_layers import SemanticTable

        if not self.tables and not self.feedback:
            raise ValueError("set tables or feedback. Nothing was sent.")
        tables = [SemanticTable.model_validate(table) for table in self.tables or ()] or None
        feedback = self.feedback or None
        try:
            return self.hook.update_semantic_layer(self.name, tables=tables, feedback=feedback)
        except NotFoundError as error:
            error.raise_unless_from_api()
            return self.hook.create_semantic_layer(self.name, tables=tables, feedback=feedback)


class FetchSemanticLayerOperator(RowsOperator):
    """Fetch the semantic layer of a datamart; returns one row for each table, with the API's own field names.

    Further parameters: see ``RowsOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    """

    template_fields: Sequence[str] = (*RowsOperator.template_fields, "name")

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch the tables, then return them or write them to a file.

        :raises NotFoundError: the datamart has no semantic layer.
        """
        return self.to_xcom_or_file(self.hook.get_semantic_layer(self.name).tables)


class DeleteSemanticLayerOperator(NamedOperator):
    """Delete the semantic layer of a datamart; returns nothing. Succeeds if the layer or the datamart is already gone.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datamart's name; case-sensitive (templated).
    """

    def execute(self, context: Context) -> None:
        """Delete the layer.

        :raises ValueError: ``name`` is blank; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import InvalidRequestError, NotFoundError

        try:
            self.hook.delete_semantic_layer(self.name)
        except NotFoundError as error:
            error.raise_unless_from_api()
            self.log.info("Datamart %r has no semantic layer", self.name)
        except InvalidRequestError:
            # The vendor documents no error code for a datamart that does not exist.
            if datamart_exists(self.hook, self.name):
                raise
            self.log.info("Datamart %r is already gone", self.name)
