"""Operators of Databrain's workspaces. All need the service token."""

from __future__ import annotations

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
    from airflow_provider_databrain.databrain.api.workspaces import WorkspaceConnection
from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.api.paging import Page


class FetchWorkspaceRowsOperator(ListOperator):
    """Base of the operators that fetch a workspace's list; returns its rows under the API's own field names.

    Further parameters: see ``RowsOperator``.

    :param workspace_name: the workspace; the connection's default where it is not given (templated).
    :param page: None for everything in one answer, a number (from 1) for one page of ten, ``"all"`` for
        everything page by page (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "workspace_name", "page")

    def __init__(self, *, workspace_name: str | None = None, page: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_name = workspace_name
        self.page = page

    @abstractmethod
    def fetch_of(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Call the endpoint."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.fetch_of(self.hook.workspace(self.workspace_name), _page(self.page))


class FetchWorkspaceMetricsOperator(FetchWorkspaceRowsOperator):
    """Fetch the metrics of a workspace: rows with ``metricId`` and ``name``. Needs the service token.

    Parameters: see ``FetchWorkspaceRowsOperator``.
    """

    def fetch_of(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.fetch_workspace_metrics(workspace_name, page=page)


class FetchWorkspaceDashboardsOperator(FetchWorkspaceRowsOperator):
    """Fetch the dashboards of a workspace: rows with ``externalDashboardId`` and ``name``. Needs the service token.

    Parameters: see ``FetchWorkspaceRowsOperator``.
    """

    def fetch_of(self, workspace_name: str, page: Page) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.fetch_workspace_dashboards(workspace_name, page=page)


def _page(value: int | str | None) -> Page:
    """Read ``page`` after templating, where a number may have become text."""
    if value in (None, "", "None"):
        return None
    if value == "all":
        return "all"
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"page is {value!r}; it is a number from 1, 'all', or None for everything at once")
    return number


class _SourceOperator(NamedOperator):
    """Base of what says where a workspace reads from."""

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
        """The request's fields, checked."""
        from airflow_provider_databrain.databrain.api.workspaces import WorkspaceConnection

        fields = without_blanks(
            name=self.name,
            connection_type=self.connection_type,
            datasource_name=self.datasource_name,
            datamart_name=self.datamart_name,
        )
        return WorkspaceConnection.model_validate({**fields, "extra": dict(self.extra or {})})


class CreateWorkspaceOperator(_SourceOperator):
    """Make a workspace exist; returns its name. One of that name that is there is taken as it is.

    Further parameters: see ``DatabrainOperator``.

    :param name: unique in the organization (templated).
    :param connection_type: ``DATASOURCE``, ``DATAMART``, ``MULTI_DATASOURCE`` or ``MULTI_DATAMART`` (templated).
    :param datasource_name: for the type ``DATASOURCE`` (templated).
    :param datamart_name: for the type ``DATAMART`` (templated).
    :param extra: further fields of the API (templated).
    """

    def execute(self, context: Context) -> str:
        """Create; returns the name."""
        source = self.source()
        return self.create_unless_exists(lambda: self.hook.create_workspace(source))


class UpdateWorkspaceOperator(_SourceOperator):
    """Give a workspace another source, which all its metrics then read from; returns its name.

    Parameters: see ``CreateWorkspaceOperator``. A change to a ``MULTI_`` type undoes the single link that was there.
    """

    def execute(self, context: Context) -> str:
        """Update; returns the name."""
        return self.hook.update_workspace(self.source())


class DeleteWorkspaceOperator(DeleteNamedOperator):
    """Delete a workspace; one that is gone is no error.

    :param name: case-sensitive (templated).
    """

    kind = "Workspace"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_workspace(self.name)


class ListWorkspacesOperator(ListOperator):
    """List the organization's workspaces: rows with ``name``. See ``RowsOperator`` too."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_workspaces(page="all")
