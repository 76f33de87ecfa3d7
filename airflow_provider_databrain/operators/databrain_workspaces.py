"""Operators of Databrain's workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.operators.databrain import DatabrainOperator, RowsOperator


class CreateWorkspaceOperator(DatabrainOperator):
    """Make a workspace exist; returns its name. One of that name that is there is taken as it is.

    Needs the service token. Further parameters: see ``DatabrainOperator``.

    :param name: unique in the organization (templated).
    :param connection_type: ``DATASOURCE``, ``DATAMART``, ``MULTI_DATASOURCE`` or ``MULTI_DATAMART`` (templated).
    :param datasource_name: for the type ``DATASOURCE`` (templated).
    :param datamart_name: for the type ``DATAMART`` (templated).
    :param extra: further fields of the API (templated).
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "name",
        "connection_type",
        "datasource_name",
        "datamart_name",
        "extra",
    )

    def __init__(
        self,
        *,
        name: str,
        connection_type: str,
        datasource_name: str | None = None,
        datamart_name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.connection_type = connection_type
        self.datasource_name = datasource_name
        self.datamart_name = datamart_name
        self.extra = extra

    def execute(self, context: Context) -> str:
        """Create; returns the name."""
        from airflow_provider_databrain.api.databrain_workspaces import WorkspaceConnection
        from airflow_provider_databrain.api.errors import AlreadyExistsError

        fields = {
            "name": self.name,
            "connection_type": self.connection_type,
            "datasource_name": self.datasource_name or None,
            "datamart_name": self.datamart_name or None,
            "extra": dict(self.extra or {}),
        }
        workspace = WorkspaceConnection.model_validate(
            {name: value for name, value in fields.items() if value is not None}
        )
        try:
            return self.hook.create_workspace(workspace)
        except AlreadyExistsError:
            self.log.info("Workspace %r is there", self.name)
            return self.name


class DeleteWorkspaceOperator(DatabrainOperator):
    """Delete a workspace; one that is gone is no error. Needs the service token.

    :param name: case-sensitive (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name")

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.api.errors import NotFoundError

        try:
            self.hook.delete_workspace(self.name)
        except NotFoundError:
            self.log.info("Workspace %r is gone already", self.name)


class ListWorkspacesOperator(RowsOperator):
    """List the organization's workspaces: rows with ``name``. Needs the service token. See ``RowsOperator`` too."""

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """List."""
        return self.hand_on([one.as_row() for one in self.hook.list_workspaces(page="all")])
