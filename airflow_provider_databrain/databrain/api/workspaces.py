"""Changes of Databrain's workspaces; their list is in ``databrain``.

There is no way to rename a workspace: the vendor says to make a new one and to move what is in the old one.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, filled, json_body, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader, workspace_page

# The vendor's page prints no full path for this one; it is inferred from its sibling below.
FETCH_WORKSPACE_METRICS = endpoint("fetch workspace metrics", "POST", "/workspace/metrics", SERVICE_TOKEN)
# Page cloud-databrain-endpoint.
FETCH_WORKSPACE_DASHBOARDS = endpoint("fetch workspace dashboards", "POST", "/workspace/dashboards", SERVICE_TOKEN)
# Page list-workspaces.
LIST_WORKSPACES = endpoint("list workspaces", "GET", "/workspace", SERVICE_TOKEN)


class Metric(Received):
    """A metric of a workspace."""

    metric_id: str
    name: str | None = None


class WorkspaceDashboard(Received):
    """A dashboard of a workspace."""

    external_dashboard_id: str
    name: str | None = None


class Workspace(Received):
    """A workspace of the organization."""

    name: str


read_metrics = rows_reader(Metric)
_read_dashboards = rows_reader(WorkspaceDashboard)
_read_workspaces = rows_reader(Workspace)


def fetch_workspace_metrics(workspace_name: str, *, page: Page = None) -> Call[list[Metric]]:
    """The metrics of a workspace."""
    return pages(
        lambda number: Request(FETCH_WORKSPACE_METRICS, read_metrics, body=workspace_page(workspace_name, number)),
        page,
    )


def fetch_workspace_dashboards(workspace_name: str, *, page: Page = None) -> Call[list[WorkspaceDashboard]]:
    """The dashboards of a workspace."""
    return pages(
        lambda number: Request(
            FETCH_WORKSPACE_DASHBOARDS, _read_dashboards, body=workspace_page(workspace_name, number)
        ),
        page,
    )


def list_workspaces(*, page: Page = None) -> Call[list[Workspace]]:
    """The workspaces of the organization."""

    def request(number: int | None) -> Request[list[Workspace]]:
        return Request(LIST_WORKSPACES, _read_workspaces, query=page_query(number))

    return pages(request, page)


_SOURCES = {"INVALID_DATASOURCE_NAME": NotFoundError, "INVALID_DATAMART_NAME": NotFoundError}

# Page create-workspace. The name is ours and unique, so "already exists" after an unclear failure is detectable.
CREATE_WORKSPACE = endpoint(
    "create workspace",
    "POST",
    "/workspace",
    SERVICE_TOKEN,
    resend=Resend.DETECTABLE,
    codes={**_SOURCES, "WORKSPACE_NAME_ALREADY_EXISTS": AlreadyExistsError},
)
# Page update-workspace.
UPDATE_WORKSPACE = endpoint("update workspace", "PUT", "/workspace", SERVICE_TOKEN, codes=_SOURCES)
# Page delete-workspace.
DELETE_WORKSPACE = endpoint("delete workspace", "DELETE", "/workspace", SERVICE_TOKEN, resend=Resend.DETECTABLE)


class WorkspaceConnection(Extensible):
    """A workspace, and where its data come from.

    Which models answer questions in it, and whether it suggests metrics, goes into ``extra``: the names of these fields
    are not known.

    :param name: unique in the organization, and case-sensitive.
    :param connection_type: the ``MULTI_`` types name no single source. The newest servers alone have
        ``MULTI_DATAMART``.
    :param datasource_name: needed with ``DATASOURCE``, and refused with the others.
    :param datamart_name: needed with ``DATAMART``, and refused with the others.
    """

    name: Name
    connection_type: Literal["DATASOURCE", "DATAMART", "MULTI_DATASOURCE", "MULTI_DATAMART"]
    datasource_name: Name | None = None
    datamart_name: Name | None = None

    @model_validator(mode="after")
    def _names_its_source(self) -> Self:
        for kind, field, given in (
            ("DATASOURCE", "datasource_name", self.datasource_name),
            ("DATAMART", "datamart_name", self.datamart_name),
        ):
            if (self.connection_type == kind) is not (given is not None):
                raise ValueError(f"{field} is for the connection type {kind}, and needed there")
        return self


class _NamedWorkspace(Received):
    name: Name


class _ChangedWorkspace(Received):
    data: _NamedWorkspace


class _WorkspaceId(Received):
    id: Name


class _DeletedWorkspace(Received):
    data: _WorkspaceId


_read_changed = reader(_ChangedWorkspace)
_read_deleted = reader(_DeletedWorkspace)


def create_workspace(workspace: WorkspaceConnection) -> Request[str]:
    """Create a workspace. The result is its name.

    Unclear failures are tried again, so that an ``AlreadyExistsError`` with ``after_ambiguous`` may stand for an
    earlier try that did create it.

    :raises AlreadyExistsError: there is a workspace of that name.
    :raises NotFoundError: there is no such datasource or datamart.
    """
    return Request(CREATE_WORKSPACE, _read_name, body=json_body(wire(workspace)))


def update_workspace(workspace: WorkspaceConnection) -> Request[str]:
    """Give the workspace of that name another source; all its metrics then read from there. The result is its name.

    A change to a ``MULTI_`` type undoes the single link that was there. Unclear failures are tried again: the same
    source twice changes nothing more.

    :raises NotFoundError: there is no such workspace, datasource or datamart.
    """
    return Request(UPDATE_WORKSPACE, _read_name, body=json_body(wire(workspace)))


def delete_workspace(name: str) -> Request[str]:
    """Delete a workspace. The result is its name.

    Unclear failures are tried again, so that a ``NotFoundError`` with ``after_ambiguous`` may stand for an earlier try
    that did delete it. The code for a workspace that is not there is not documented; with one that is not known from
    elsewhere, the error is an ``InvalidRequestError``.

    :param name: case-sensitive.
    :raises ValueError: ``name`` is blank.
    """
    return Request(
        DELETE_WORKSPACE, lambda payload: _read_deleted(payload).data.id, query={"name": filled(name, "name")}
    )


def _read_name(payload: object) -> str:
    return _read_changed(payload).data.name
