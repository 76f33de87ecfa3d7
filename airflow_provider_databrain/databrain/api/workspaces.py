"""Databrain's workspaces: their list, what is in one, and their changes.

A workspace cannot be renamed. The vendor says to create a new one and to move the contents of the old one there.

Facts: the vendor's API reference. The comment above an endpoint names its page.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, not_blank, reader, wire
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint
from airflow_provider_databrain.databrain.api.paging import Page, page_query, pages, rows_reader, workspace_page

_SOURCE_CODES = {"INVALID_DATASOURCE_NAME": NotFoundError, "INVALID_DATAMART_NAME": NotFoundError}

# Page list-workspaces.
LIST_WORKSPACES = endpoint("list workspaces", "GET", "/workspace", SERVICE_TOKEN)
# The vendor's page does not print the full path of this one. It is inferred from FETCH_WORKSPACE_DASHBOARDS.
FETCH_WORKSPACE_METRICS = endpoint(
    "fetch workspace metrics", "POST", "/workspace/metrics", SERVICE_TOKEN, resend=Resend.ALWAYS
)
# Page cloud-databrain-endpoint.
FETCH_WORKSPACE_DASHBOARDS = endpoint(
    "fetch workspace dashboards", "POST", "/workspace/dashboards", SERVICE_TOKEN, resend=Resend.ALWAYS
)
# Page create-workspace. The caller chooses the name, and it is unique. So after an ambiguous failure a second try finds
# the first one's work: the server answers that the name exists already.
CREATE_WORKSPACE = endpoint(
    "create workspace",
    "POST",
    "/workspace",
    SERVICE_TOKEN,
    resend=Resend.DETECTABLE,
    codes={**_SOURCE_CODES, "WORKSPACE_NAME_ALREADY_EXISTS": AlreadyExistsError},
)
# Page update-workspace.
UPDATE_WORKSPACE = endpoint("update workspace", "PUT", "/workspace", SERVICE_TOKEN, codes=_SOURCE_CODES)
# Page delete-workspace.
DELETE_WORKSPACE = endpoint("delete workspace", "DELETE", "/workspace", SERVICE_TOKEN, resend=Resend.DETECTABLE)


class Workspace(Received):
    """A workspace of the organization."""

    name: str


class Metric(Received):
    """A metric of a workspace."""

    metric_id: str
    name: str | None = None


class WorkspaceDashboard(Received):
    """A dashboard of a workspace."""

    external_dashboard_id: str
    name: str | None = None


class WorkspaceConnection(Extensible):
    """A workspace, and the source of its data.

    Which language models answer questions in it, and whether it suggests metrics, goes into ``extra``: the names of
    these fields are not known.

    :param name: unique in the organization; case-sensitive.
    :param connection_type: a ``MULTI_`` type takes no single source. Only the newest servers have ``MULTI_DATAMART``.
    :param datasource_name: required with ``DATASOURCE``; not allowed with the other types.
    :param datamart_name: required with ``DATAMART``; not allowed with the other types.
    """

    name: Name
    connection_type: Literal["DATASOURCE", "DATAMART", "MULTI_DATASOURCE", "MULTI_DATAMART"]
    datasource_name: Name | None = None
    datamart_name: Name | None = None

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        for kind, field, name in (
            ("DATASOURCE", "datasource_name", self.datasource_name),
            ("DATAMART", "datamart_name", self.datamart_name),
        ):
            if (self.connection_type == kind) is not (name is not None):
                raise ValueError(f"{field} is required with connection_type {kind}, and not allowed with any other")
        return self


class _WithName(Received):
    name: Name


class _Changed(Received):
    data: _WithName


class _WithId(Received):
    id: Name


class _Deleted(Received):
    data: _WithId


read_metrics = rows_reader(Metric)
_read_dashboards = rows_reader(WorkspaceDashboard)
_read_workspaces = rows_reader(Workspace)
_read_changed = reader(_Changed)
_read_deleted = reader(_Deleted)


def list_workspaces(*, page: Page = None) -> Call[list[Workspace]]:
    """The workspaces of the organization."""
    return pages(lambda number: Request(LIST_WORKSPACES, _read_workspaces, query=page_query(number)), page)


def fetch_workspace_metrics(workspace_name: str, *, page: Page = None) -> Call[list[Metric]]:
    """The metrics of a workspace.

    :raises ValueError: ``workspace_name`` is blank.
    """
    return pages(
        lambda number: Request(FETCH_WORKSPACE_METRICS, read_metrics, body=workspace_page(workspace_name, number)),
        page,
    )


def fetch_workspace_dashboards(workspace_name: str, *, page: Page = None) -> Call[list[WorkspaceDashboard]]:
    """The dashboards of a workspace.

    :raises ValueError: ``workspace_name`` is blank.
    """
    return pages(
        lambda number: Request(
            FETCH_WORKSPACE_DASHBOARDS, _read_dashboards, body=workspace_page(workspace_name, number)
        ),
        page,
    )


def create_workspace(workspace: WorkspaceConnection) -> Request[str]:
    """Create a workspace. The result is its name.

    Unclear failures are tried again. So an ``AlreadyExistsError`` with ``after_ambiguous`` may mean that an earlier try
    created the workspace.

    :raises AlreadyExistsError: a workspace of that name exists already.
    :raises NotFoundError: the datasource or datamart does not exist.
    """
    return Request(CREATE_WORKSPACE, _read_name, body=json_body(wire(workspace)))


def update_workspace(workspace: WorkspaceConnection) -> Request[str]:
    """Change the source of the workspace of that name. All its metrics then read from it. The result is the name.

    A change to a ``MULTI_`` type removes the link to the single source. Unclear failures are tried again: the same
    source twice changes nothing more.

    :raises NotFoundError: the workspace, datasource or datamart does not exist.
    """
    return Request(UPDATE_WORKSPACE, _read_name, body=json_body(wire(workspace)))


def delete_workspace(name: str) -> Request[str]:
    """Delete a workspace. The result is its name.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    deleted the workspace. The code for a workspace that does not exist is not documented. If the server answers with a
    code that no page has, the error is an ``InvalidRequestError``.

    :param name: case-sensitive.
    :raises ValueError: ``name`` is blank.
    """
    return Request(
        DELETE_WORKSPACE, lambda payload: _read_deleted(payload).data.id, query={"name": not_blank(name, "name")}
    )


def _read_name(payload: object) -> str:
    return _read_changed(payload).data.name
