"""Conduit's HTTP API: endpoints, answer models, and one function per operation.

Each function returns a call (see ``core.Call``) that a transport runs. Facts are from the vendor's API reference
(app.getconduit.app/discover/api-reference). It is silent about statuses of success, pages, limits and whether an
``ext_id`` is unique: any 2xx counts as success here, and no call relies on either answer.

There are two kinds of tokens: the organization's, and one of each workspace, which the API itself gives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field, RootModel

from airflow_provider_databrain.client.call import Call, Endpoint, Request, Resend, Token
from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import Received, check_id, filled, json_body, reader

CLOUD_URL = "https://api.getconduit.app/v2"

ORGANIZATION_TOKEN = Token("organization token", "Password")


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``code`` and ``message`` of an object, or whatever else may stand in their place."""
    if isinstance(payload, str):
        return (None, payload) if payload.strip() else None
    if not isinstance(payload, Mapping):
        return None
    code = payload.get("code")
    words = payload.get("message") or payload.get("detail") or payload.get("error") or code
    return (str(code) if code else None, str(words)) if words else None


# Which codes there are is not documented: the status decides.
CONDUIT = ErrorDialect("Conduit", {}, _find_error, within_success=False)

_OF_ORGANIZATION = "It takes the organization's token (Password in the Airflow connection), not a workspace's."
_COMPANY_NAME = (
    "Workspaces also need 'Your company name' in Conduit: if nothing else is wrong, fill it there, on the page 'API'."
)


def _endpoint(name: str, method: str, path: str, *, needs: str, **more: Any) -> Endpoint:
    more.setdefault("resend", Resend.ALWAYS)
    return Endpoint(name, method, path, ORGANIZATION_TOKEN, dialect=CONDUIT, needs=needs, **more)


LIST_WORKSPACES = _endpoint(
    "list workspaces",
    "GET",
    "/workspaces/",
    needs=_OF_ORGANIZATION,
    precondition=_COMPANY_NAME,
    secret_answer=True,
)
# A second one would make a second workspace: nothing says that an ext_id is unique.
CREATE_WORKSPACE = _endpoint(
    "create workspace",
    "POST",
    "/workspaces/",
    resend=Resend.IF_UNPROCESSED,
    needs=_OF_ORGANIZATION,
    precondition=_COMPANY_NAME,
    secret_answer=True,
)
DISABLE_WORKSPACE = _endpoint(
    "disable workspace",
    "DELETE",
    "/workspaces/{workspace_id}/",
    resend=Resend.DETECTABLE,
    needs=_OF_ORGANIZATION,
    precondition=_COMPANY_NAME,
    empty=True,
)
LIST_DASHBOARDS = _endpoint(
    "list dashboards",
    "GET",
    "/dashboards/",
    needs="It takes the organization's token for the organization's dashboards (Password in the Airflow connection), "
    "and a workspace's own token for that workspace's.",
)
# A GET, though it may make the share that it answers. Asked again, at worst there is one more URL to the same thing.
SHARE_URL = _endpoint(
    "share dashboard",
    "GET",
    "/dashboards/{dashboard_id}/share/",
    needs="It takes the token of the workspace that the dashboard is in: name that workspace.",
    secret_answer=True,
)
CLONE_DASHBOARD = _endpoint(
    "clone dashboard",
    "POST",
    "/dashboards/{dashboard_id}/clone/",
    resend=Resend.IF_UNPROCESSED,
    needs="It takes the organization's token (Password in the Airflow connection) and one of the organization's "
    "dashboards.",
    precondition="Cloning also needs a white-label in Conduit: if nothing else is wrong, set it up there.",
    secret_answer=True,
)

Id = Annotated[int, Field(strict=True, gt=0)]


class _Received(Received):
    model_config = ConfigDict(alias_generator=None)  # The API's own names are snake_case.


class Workspace(_Received):
    """A workspace of the organization.

    :param ext_id: the caller's own id for it, None where it has none.
    :param token: opens the workspace's dashboards. Left out of ``repr`` and ``as_row``.
    """

    model_config = ConfigDict(extra="ignore")  # Whatever else there is may be a secret too.

    id: Id
    ext_id: str | None = None
    name: str
    token: str = Field(pattern="^[!-~]+$", repr=False, exclude=True)


class Dashboard(_Received):
    """A dashboard of the organization or of a workspace."""

    id: Id
    name: str


class ClonedDashboard(_Received):
    """A clone. ``id`` is the new dashboard's, in the workspace.

    :param url: where it is seen. Left out of ``repr``, for it may open without a login.
    """

    id: Id
    name: str | None = None
    url: str | None = Field(default=None, repr=False)


class _Shared(_Received):
    url: str = Field(min_length=1, repr=False)


_read_workspace = reader(Workspace)
_read_workspaces = reader(RootModel[list[Workspace]])
_read_dashboards = reader(RootModel[list[Dashboard]])
_read_cloned = reader(ClonedDashboard)
_read_shared = reader(_Shared)


def list_workspaces() -> Request[list[Workspace]]:
    """The organization's workspaces, with their tokens."""
    return Request(LIST_WORKSPACES, lambda payload: _read_workspaces(payload).root)


def create_workspace(name: str, ext_id: str | None = None) -> Request[Workspace]:
    """Create a workspace, whether or not there is one with that ``ext_id``.

    :param ext_id: the caller's own id for it.
    :raises ValueError: ``name`` or ``ext_id`` is blank.
    :raises MalformedAnswerError: the new workspace was given another ``ext_id``; by the one asked for, it would never
        be found again.
    """
    fields = {"name": filled(name, "name")}
    if ext_id is not None:
        fields["ext_id"] = filled(ext_id, "ext_id")
    read = _read_workspace if ext_id is None else _made_with(ext_id)
    return Request(CREATE_WORKSPACE, read, body=json_body(fields), tenant=ext_id)


def find_or_create_workspace(ext_id: str, name: str) -> Call[Workspace]:
    """The workspace with that ``ext_id``, made where there is none; ``name`` is that of a new one.

    Of several it is the one with the lowest id, so that all who ask get the same one. A create that may have been
    acted on is not sent again; the list tells whether it was. Two callers at once may still make two workspaces; from
    then on both get the lower one.

    :raises ValueError: ``ext_id`` or ``name`` is blank.
    :raises MalformedAnswerError: as ``create_workspace`` does.
    """
    filled(ext_id, "ext_id")  # Before the name, which callers may make of it.
    return _find_or_create(ext_id, replace(list_workspaces(), tenant=ext_id), create_workspace(name, ext_id))


def _find_or_create(
    ext_id: str, listing: Request[list[Workspace]], create: Request[Workspace]
) -> Generator[Request[Any], Any, Workspace]:
    found = workspace_with(ext_id, (yield listing))
    if found is not None:
        return found
    try:
        created: Workspace = yield create
    except ApiError as error:
        if not may_be_there(error):
            raise
        found = workspace_with(ext_id, (yield listing))
        if found is None:
            raise
        return found
    return created


def may_be_there(error: ApiError) -> bool:
    """Whether, after this error of a create, a look may show the workspace. A refusal: somebody else made it."""
    return error.ambiguous or isinstance(error, AlreadyExistsError | InvalidRequestError)


def workspace_with(ext_id: str, workspaces: Iterable[Workspace]) -> Workspace | None:
    """The workspace with that ``ext_id``; of several the one with the lowest id, None for none."""
    return min((each for each in workspaces if each.ext_id == ext_id), key=lambda each: each.id, default=None)


def disable_workspace(workspace_id: int) -> Call[None]:
    """Disable a workspace. What becomes of its dashboards, and of its ``ext_id``, is not documented.

    Unclear failures are tried again; where such a try finds no workspace any more, an earlier one has done it.

    :raises ValueError: ``workspace_id`` is no id.
    :raises NotFoundError: there is no such workspace.
    """
    path = {"workspace_id": str(check_id(workspace_id, "workspace_id"))}
    return _disable(Request(DISABLE_WORKSPACE, _read_nothing, path=path, tenant=path["workspace_id"]))


def _disable(request: Request[None]) -> Generator[Request[None], None, None]:
    try:
        yield request
    except NotFoundError as error:
        if not error.after_ambiguous:
            raise


def list_dashboards(workspace_token: str | None = None) -> Request[list[Dashboard]]:
    """The dashboards of a workspace, or the organization's own.

    :param workspace_token: the workspace's token; None for the organization.
    :raises ValueError: ``workspace_token`` cannot be one.
    """
    return Request(LIST_DASHBOARDS, lambda payload: _read_dashboards(payload).root, bearer=_token(workspace_token))


def share_url(dashboard_id: int, workspace_token: str | None = None) -> Request[str]:
    """A URL under which a dashboard can be embedded or seen. How long it is good for is not documented.

    :param workspace_token: the token of the workspace that the dashboard is in; None for the organization.
    :raises ValueError: ``dashboard_id`` is no id, or ``workspace_token`` cannot be one.
    """
    path = {"dashboard_id": str(check_id(dashboard_id, "dashboard_id"))}
    return Request(
        SHARE_URL,
        lambda payload: _read_shared(payload).url,
        path=path,
        bearer=_token(workspace_token),
        dashboard=path["dashboard_id"],
    )


def clone_dashboard(dashboard_id: int, workspace_id: int, name: str | None = None) -> Request[ClonedDashboard]:
    """Copy one of the organization's dashboards into a workspace; each call makes one more copy.

    :param name: the copy's name; the vendor's choice where it is None.
    :raises ValueError: ``dashboard_id`` or ``workspace_id`` is no id, or ``name`` is blank.
    """
    path = {"dashboard_id": str(check_id(dashboard_id, "dashboard_id"))}
    tenant = str(check_id(workspace_id, "workspace_id"))
    fields: dict[str, Any] = {"workspace": workspace_id}
    if name is not None:
        fields["name"] = filled(name, "name")
    return Request(
        CLONE_DASHBOARD, _read_cloned, body=json_body(fields), path=path, tenant=tenant, dashboard=path["dashboard_id"]
    )


def _made_with(ext_id: str) -> Callable[[object], Workspace]:
    def read(payload: object) -> Workspace:
        workspace = _read_workspace(payload)
        if workspace.ext_id != ext_id:
            raise MalformedAnswerError(
                f"the new workspace {workspace.id} has the ext_id {workspace.ext_id!r}, not the one asked for; "
                "disable it, and ask for an ext_id that Conduit keeps as it is",
                transient=False,
                ambiguous=False,
            )
        return workspace

    return read


def _read_nothing(_payload: object) -> None:
    """Read no answer: there may be none."""


def _token(value: str | None) -> str | None:
    if value is not None and (not value or not value.isascii() or not value.isprintable() or " " in value):
        raise ValueError("workspace_token is empty or has blanks, line breaks or characters beyond ASCII")
    return value
