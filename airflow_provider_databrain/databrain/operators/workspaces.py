"""Operators of Databrain's workspaces, and of the metrics and dashboards in them. All need the service token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import (
    DeleteNamedOperator,
    ListOperator,
    NamedOperator,
    without_blanks,
)

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.api.paging import Page
    from airflow_provider_databrain.databrain.api.workspaces import WorkspaceConnection


class _SourceOperator(NamedOperator):
    """Base of the operators that set what a workspace reads from."""

    kind = "Workspace"
    template_fields: Sequence[str] = (
        *NamedOperator.template_fields,
        "connection_type",
        "datasource_name",
        "datamart_name",
        "extra",
    )

    def __init__(
        self,
        *,
        connection_type: str,
        datasource_name: str | None = None,
        datamart_name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_type = connection_type
        self.datasource_name = datasource_name
        self.datamart_name = datamart_name
        self.extra = extra

    def source(self) -> WorkspaceConnection:
        """The workspace and its source, as the API takes them.

        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        """
        from airflow_provider_databrain.databrain.api.workspaces import WorkspaceConnection

        fields = without_blanks(
            name=self.name,
            connection_type=self.connection_type,
            datasource_name=self.datasource_name,
            datamart_name=self.datamart_name,
        )
        return WorkspaceConnection.model_validate({**fields, "extra": dict(self.extra or {})})


class CreateWorkspaceOperator(_SourceOperator):
    """Create a workspace if none has this name; returns its name. An existing one is left unchanged.

    Further parameters: see ``DatabrainOperator``.

    :param name: the workspace's name; case-sensitive, unique in the organization (templated).
    :param connection_type: ``DATASOURCE``, ``DATAMART``, ``MULTI_DATASOURCE`` or ``MULTI_DATAMART`` (templated).
    :param datasource_name: the datasource; set it for the type ``DATASOURCE`` only (templated).
    :param datamart_name: the datamart; set it for the type ``DATAMART`` only (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    """

    def execute(self, context: Context) -> str:
        """Create the workspace; returns its name.

        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        :raises NotFoundError: the datasource or the datamart does not exist.
        """
        source = self.source()
        return self.create_unless_exists(lambda: self.hook.create_workspace(source))


class UpdateWorkspaceOperator(_SourceOperator):
    """Change what a workspace and all its metrics read from; returns the workspace's name.

    A change to a ``MULTI_`` type removes the workspace's link to its single datasource or datamart.

    Further parameters: see ``DatabrainOperator``.

    :param name: the workspace's name; case-sensitive (templated).
    :param connection_type: ``DATASOURCE``, ``DATAMART``, ``MULTI_DATASOURCE`` or ``MULTI_DATAMART`` (templated).
    :param datasource_name: the datasource; set it for the type ``DATASOURCE`` only (templated).
    :param datamart_name: the datamart; set it for the type ``DATAMART`` only (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    """

    def execute(self, context: Context) -> str:
        """Update the workspace; returns its name.

        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        :raises NotFoundError: the workspace, the datasource or the datamart does not exist.
        """
        return self.hook.update_workspace(self.source())


class DeleteWorkspaceOperator(DeleteNamedOperator):
    """Delete a workspace; returns nothing. Succeeds if the workspace is already gone.

    Further parameters: see ``DatabrainOperator``.

    :param name: the workspace's name; case-sensitive (templated).
    """

    kind = "Workspace"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_workspace(self.name)


class ListWorkspacesOperator(ListOperator):
    """List the organization's workspaces; returns rows with ``name``.

    Parameters: see ``RowsOperator``.
    """

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_workspaces(page="all")


class FetchWorkspaceRowsOperator(ListOperator):
    """Base of the operators that fetch a list of one workspace.

    Further parameters: see ``RowsOperator``.

    :param workspace_name: the workspace; the connection's default if not set (templated).
    :param page: None fetches all rows in one answer. A number (from 1) fetches one page of ten rows. ``"all"`` fetches
        all rows page by page (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "workspace_name", "page")

    def __init__(self, *, workspace_name: str | None = None, page: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_name = workspace_name
        self.page = page

    @abstractmethod
    def fetch_from(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Fetch the rows of one workspace from the API."""

    def fetch(self) -> Sequence[Received]:
        """Fetch the rows.

        :raises ConfigurationError: neither ``workspace_name`` nor the connection names a workspace.
        :raises ValueError: ``page`` is wrong; nothing was sent.
        """
        return self.fetch_from(self.hook.workspace(self.workspace_name), _page(self.page))


class FetchWorkspaceMetricsOperator(FetchWorkspaceRowsOperator):
    """Fetch the metrics of a workspace; returns rows with ``metricId`` and ``name``. Needs the service token.

    Further parameters: see ``RowsOperator``.

    :param workspace_name: the workspace; the connection's default if not set (templated).
    :param page: None fetches all rows in one answer. A number (from 1) fetches one page of ten rows. ``"all"`` fetches
        all rows page by page (templated).
    """

    def fetch_from(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Fetch the metrics of one workspace from the API."""
        return self.hook.fetch_workspace_metrics(workspace_name, page=page)


class FetchWorkspaceDashboardsOperator(FetchWorkspaceRowsOperator):
    """Fetch the dashboards of a workspace; returns rows with ``externalDashboardId`` and ``name``.

    Needs the service token.

    Further parameters: see ``RowsOperator``.

    :param workspace_name: the workspace; the connection's default if not set (templated).
    :param page: None fetches all rows in one answer. A number (from 1) fetches one page of ten rows. ``"all"`` fetches
        all rows page by page (templated).
    """

    def fetch_from(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Fetch the dashboards of one workspace from the API."""
        return self.hook.fetch_workspace_dashboards(workspace_name, page=page)


def _page(value: int | str | None) -> Page:
    """Read ``page`` after templating, which may turn a number into a string.

    :raises ValueError: it is not a page.
    """
    if value in (None, "", "None"):
        return None
    if value == "all":
        return "all"
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"page is {value!r}; it must be a whole number from 1, 'all', or None for all in one answer")
    return number
