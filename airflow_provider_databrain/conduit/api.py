"""Conduit's HTTP API: endpoints, answer models, and one function for each operation.

Each function returns a call (see ``client.call.Call``) that a transport runs. Source: the vendor's API reference
(app.getconduit.app/discover/api-reference). It does not say which status a success has, whether lists have pages,
which limits exist, or whether an ``ext_id`` is unique. So any 2xx counts as success, and no call depends on the rest.

There are two kinds of tokens: the organization's token, and a token of each workspace, which the API sends.
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
from airflow_provider_databrain.client.models import Received, check_id, json_body, not_blank, reader

CLOUD_URL = "https://api.getconduit.app/v2"

ORGANIZATION_TOKEN = Token("organization token", "Password")


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``code`` and ``message`` of an object, or the fields and the string that may replace them."""
    if isinstance(payload, str):
        return (None, payload) if payload.strip() else None
    if not isinstance(payload, Mapping):
        return None
    code = payload.get("code")
    message = payload.get("message") or payload.get("detail") or payload.get("error") or code
    return (str(code) if code else None, str(message)) if message else None


def _is_own(payload: object) -> bool:
    """Whether it has ``code`` and ``message``, as Conduit documents for 400.

    The bodies of other statuses are not documented. An object with nothing but a ``detail`` may be Conduit's, and many
    gateways answer so too. It proves nothing.
    """
    names = ("code", "message")
    return isinstance(payload, Mapping) and all(isinstance(payload.get(name), str) and payload[name] for name in names)


# The error codes are not documented, so the status decides.
CONDUIT = ErrorDialect("Conduit", {}, _find_error, _is_own, within_success=False)

_ORGANIZATION_NEEDED = (
    "It needs the organization's token (Password in the Airflow connection), not a workspace's token."
)
_COMPANY_NAME = (
    "Workspaces also need 'Your company name' in Conduit. If nothing else is wrong, fill it in on Conduit's page 'API'."
)


def _endpoint(name: str, method: str, path: str, *, needs: str, **more: Any) -> Endpoint:
    more.setdefault("resend", Resend.ALWAYS)
    return Endpoint(name, method, path, ORGANIZATION_TOKEN, dialect=CONDUIT, needs=needs, **more)


LIST_WORKSPACES = _endpoint(
    "list workspaces",
    "GET",
    "/workspaces/",
    needs=_ORGANIZATION_NEEDED,
    precondition=_COMPANY_NAME,
    secret_answer=True,
)
# A second request would create a second workspace: the reference does not say that an ext_id is unique.
CREATE_WORKSPACE = _endpoint(
    "create workspace",
    "POST",
    "/workspaces/",
    resend=Resend.IF_UNPROCESSED,
    needs=_ORGANIZATION_NEEDED,
    precondition=_COMPANY_NAME,
    secret_answer=True,
)
DISABLE_WORKSPACE = _endpoint(
    "disable workspace",
    "DELETE",
    "/workspaces/{workspace_id}/",
    resend=Resend.DETECTABLE,
    needs=_ORGANIZATION_NEEDED,
    precondition=_COMPANY_NAME,
    empty=True,
)
LIST_DASHBOARDS = _endpoint(
    "list dashboards",
    "GET",
    "/dashboards/",
    needs="It needs the organization's token (Password in the Airflow connection) for the organization's dashboards, "
    "and a workspace's own token for the dashboards of that workspace.",
)
# A GET that may create the share. If it is sent again, the worst case is a second URL for the same dashboard.
SHARE_URL = _endpoint(
    "share dashboard",
    "GET",
    "/dashboards/{dashboard_id}/share/",
    needs="It needs the token of the workspace that the dashboard is in: name that workspace.",
    secret_answer=True,
)
CLONE_DASHBOARD = _endpoint(
    "clone dashboard",
    "POST",
    "/dashboards/{dashboard_id}/clone/",
    resend=Resend.IF_UNPROCESSED,
    needs="It needs the organization's token (Password in the Airflow connection) and one of the organization's "
    "dashboards.",
    precondition="Cloning also needs a white-label in Conduit. If nothing else is wrong, set it up there.",
    secret_answer=True,
)

Id = Annotated[int, Field(strict=True, gt=0)]


class _Received(Received):
    model_config = ConfigDict(alias_generator=None)  # The API's field names are snake_case.


class Workspace(_Received):
    """A workspace of the organization.

    :param ext_id: the caller's own id for the workspace; None if it has none.
    :param token: gives access to the workspace's dashboards. ``repr`` and ``as_row`` leave it out.
    """

    model_config = ConfigDict(extra="ignore")  # An unknown field may be a secret too.

    id: Id
    ext_id: str | None = None
    name: str
    token: str = Field(pattern="^[!-~]+$", repr=False, exclude=True)


class Dashboard(_Received):
    """A dashboard of the organization or of a workspace."""

    id: Id
    name: str


class ClonedDashboard(_Received):
    """A clone. ``id`` is the id of the new dashboard in the workspace.

    :param url: the URL that shows the clone. ``repr`` leaves it out, because it may work without a login.
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
    """Create a workspace, even if one with that ``ext_id`` already exists.

    :param ext_id: the caller's own id for the workspace.
    :raises ValueError: ``name`` or ``ext_id`` is blank.
    :raises MalformedAnswerError: the new workspace has another ``ext_id`` than requested, so it cannot be found again.
    """
    fields = {"name": not_blank(name, "name")}
    if ext_id is not None:
        fields["ext_id"] = not_blank(ext_id, "ext_id")
    read = _read_workspace if ext_id is None else _reader_for(ext_id)
    return Request(CREATE_WORKSPACE, read, body=json_body(fields), tenant=ext_id)


def find_or_create_workspace(ext_id: str, name: str) -> Call[Workspace]:
    """The workspace with that ``ext_id``. If none exists, create it.

    If several have the ``ext_id``, the one with the lowest id counts, so that every caller gets the same one. After an
    ambiguous failure the create is not sent again; the list shows whether the workspace exists. Two callers at the same
    time may still create two workspaces. After that, both get the one with the lower id.

    :param name: name of a new workspace.
    :raises ValueError: ``ext_id`` or ``name`` is blank.
    :raises MalformedAnswerError: see ``create_workspace`` and ``check_new``.
    """
    not_blank(ext_id, "ext_id")  # Checked before the name, because a caller may use the ext_id as the name.
    return _find_or_create(ext_id, replace(list_workspaces(), tenant=ext_id), create_workspace(name, ext_id))


def _find_or_create(
    ext_id: str, listing: Request[list[Workspace]], create: Request[Workspace]
) -> Generator[Request[Any], Any, Workspace]:
    listed: list[Workspace] = yield listing
    workspace = workspace_with(ext_id, listed)
    if workspace is not None:
        return workspace
    try:
        created: Workspace = yield create
    except ApiError as error:
        if not may_exist(error):
            raise
        workspace = workspace_with(ext_id, (yield listing))
        if workspace is None:
            add_hint(error)
            raise
        return workspace
    check_new(created, listed)
    return created


def check_new(created: Workspace, listed: Iterable[Workspace]) -> None:
    """Check that a create did not answer with another tenant's workspace.

    :param listed: the workspaces that existed before.
    :raises MalformedAnswerError: one of them is the same workspace, with another ``ext_id``.
    """
    for workspace in listed:
        if workspace.id == created.id and workspace.ext_id != created.ext_id:
            error = MalformedAnswerError(
                f"the answer has workspace {created.id}, which already existed with the ext_id {workspace.ext_id!r}; "
                "it is not used, because it may be another tenant's. Look at it in Conduit, and give each tenant a"
                " workspace name of its own",
                transient=False,
                ambiguous=False,
            )
            error.endpoint, error.tenant = CREATE_WORKSPACE.name, created.ext_id
            raise error


def add_hint(error: ApiError) -> None:
    """Add what may be wrong if a create was refused and the list does not have the workspace."""
    if isinstance(error, AlreadyExistsError | InvalidRequestError):
        error.hint = (
            f"{error.hint} The list has no workspace with this ext_id. If a disabled workspace still has it, the "
            "tenant needs another ext_id."
        ).strip()


def may_exist(error: ApiError) -> bool:
    """Whether the workspace may exist after this error of a create. After a refusal, another caller may have made it.

    A refusal is an ``AlreadyExistsError`` or an ``InvalidRequestError``.
    """
    return error.ambiguous or isinstance(error, AlreadyExistsError | InvalidRequestError)


def workspace_with(ext_id: str, workspaces: Iterable[Workspace]) -> Workspace | None:
    """The workspace with that ``ext_id``, or None. If several have it, the one with the lowest id."""
    return min((each for each in workspaces if each.ext_id == ext_id), key=lambda each: each.id, default=None)


def disable_workspace(workspace_id: int) -> Call[None]:
    """Disable a workspace. What happens to its dashboards and its ``ext_id`` is not documented.

    It is sent again after an ambiguous failure. If the workspace no longer exists then, the earlier try disabled it.
    How Conduit words a 404 is not documented. So after a 404 without ``code`` and ``message`` the list of workspaces
    shows whether the workspace exists.

    :raises ValueError: ``workspace_id`` is not a whole number above 0.
    :raises NotFoundError: the workspace does not exist. If ``from_api`` is False, the list has it.
    """
    path = {"workspace_id": str(check_id(workspace_id, "workspace_id"))}
    request = Request(DISABLE_WORKSPACE, _read_nothing, path=path, tenant=path["workspace_id"])
    return _disable(request, workspace_id, list_workspaces())


def _disable(
    request: Request[None], workspace_id: int, listing: Request[list[Workspace]]
) -> Generator[Request[Any], Any, None]:
    try:
        yield request
    except NotFoundError as error:
        if not error.from_api:
            listed: list[Workspace] = yield listing
            error.from_api = all(workspace.id != workspace_id for workspace in listed)
        if not (error.from_api and error.after_ambiguous):
            raise


def list_dashboards(workspace_token: str | None = None) -> Request[list[Dashboard]]:
    """The dashboards of a workspace, or the organization's own dashboards.

    :param workspace_token: the workspace's token; None means the organization.
    :raises ValueError: ``workspace_token`` cannot be a token.
    """
    return Request(LIST_DASHBOARDS, lambda payload: _read_dashboards(payload).root, bearer=_token(workspace_token))


def share_url(dashboard_id: int, workspace_token: str | None = None) -> Request[str]:
    """A URL that shows a dashboard or embeds it. How long the URL is valid is not documented.

    :param workspace_token: the token of the workspace that the dashboard is in; None means the organization.
    :raises ValueError: ``dashboard_id`` is not a whole number above 0, or ``workspace_token`` cannot be a token.
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
    """Copy one of the organization's dashboards into a workspace. Each call makes another copy.

    If the answer has the id of the copied dashboard, it is not known which one is the copy: see ``find_clone``.

    :param name: name of the copy; if None, Conduit chooses it.
    :raises ValueError: ``dashboard_id`` or ``workspace_id`` is not a whole number above 0, or ``name`` is blank.
    :raises MalformedAnswerError: the copy has another name than requested, so it cannot be found again.
    """
    path = {"dashboard_id": str(check_id(dashboard_id, "dashboard_id"))}
    tenant = str(check_id(workspace_id, "workspace_id"))
    fields: dict[str, Any] = {"workspace": workspace_id}
    if name is not None:
        fields["name"] = not_blank(name, "name")
    return Request(
        CLONE_DASHBOARD,
        _clone_reader(name),
        body=json_body(fields),
        path=path,
        tenant=tenant,
        dashboard=path["dashboard_id"],
    )


def find_clone(name: str, dashboards: Iterable[Dashboard], organization: Iterable[Dashboard]) -> int | None:
    """The id of the oldest dashboard with that name in a workspace's list; None if the list has none.

    The reference does not say whether a workspace's list has only the workspace's own dashboards. So a dashboard that
    the organization's list has too, with the same id and name, does not count as a clone.

    :param dashboards: the workspace's list.
    :param organization: the organization's list.
    :raises AlreadyExistsError: the only dashboards with that name are in both lists.
    :raises MalformedAnswerError: the organization's list is empty, so it proves nothing: a clone has a source.
    """
    organization = list(organization)
    named = {dashboard.id for dashboard in dashboards if dashboard.name == name}
    if named and not organization:
        error = MalformedAnswerError(
            "the organization's list of dashboards is empty, so nothing shows whether a dashboard of a workspace is a "
            "clone; nothing was cloned. The organization needs at least one dashboard",
            transient=False,
            ambiguous=False,
        )
        error.endpoint = LIST_DASHBOARDS.name
        raise error
    clones = named - {dashboard.id for dashboard in organization if dashboard.name == name}
    if named and not clones:
        raise AlreadyExistsError(
            "the workspace's list and the organization's list both have this dashboard, so nothing shows whether it is "
            f"a clone. It is not used, and nothing was cloned. Give the clone a name that no dashboard of the "
            f"organization has, instead of {name!r}",
            endpoint=LIST_DASHBOARDS.name,
            dashboard=str(min(named)),
        )
    return min(clones, default=None)


def _clone_reader(name: str | None) -> Callable[[object], ClonedDashboard]:
    def read(payload: object) -> ClonedDashboard:
        cloned = _read_cloned(payload)
        if name is not None and cloned.name not in (name, None):
            raise MalformedAnswerError(
                f"the new dashboard {cloned.id} has the name {cloned.name!r}, not the one that was sent, so it cannot "
                "be found again; delete this dashboard in Conduit, and send a name that Conduit does not change",
                transient=False,
                ambiguous=False,
            )
        return cloned

    return read


def _reader_for(ext_id: str) -> Callable[[object], Workspace]:
    def read(payload: object) -> Workspace:
        workspace = _read_workspace(payload)
        if workspace.ext_id != ext_id:
            raise MalformedAnswerError(
                f"the new workspace {workspace.id} has the ext_id {workspace.ext_id!r}, not the one that was sent; "
                "disable this workspace, but only if it is new and not another tenant's, and send an ext_id that "
                "Conduit does not change",
                transient=False,
                ambiguous=False,
            )
        return workspace

    return read


def _read_nothing(_payload: object) -> None:
    """Ignore the answer: it may be empty."""


def _token(value: str | None) -> str | None:
    if value is not None and (not value or not value.isascii() or not value.isprintable() or " " in value):
        raise ValueError(
            "workspace_token must not be empty and must not have blanks, line breaks or characters outside ASCII"
        )
    return value
