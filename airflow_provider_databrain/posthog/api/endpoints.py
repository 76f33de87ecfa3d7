"""PostHog's HTTP API of dashboards: endpoints, and one function for each operation.

Each function returns a call (see ``core.Call``) that a transport runs. Source: the vendor's API reference
(posthog.com/docs/api/dashboards); where a real PostHog answers otherwise than its reference says, the answer counts.
``posthog_calls`` has the calls that take more than one request.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from airflow_provider_databrain.client.call import Endpoint, Request, Resend, Token
from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NotAllowedError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.models import check_id, json_body, reader, wire
from airflow_provider_databrain.posthog.api.models import (
    Collaborator,
    Dashboard,
    DashboardChange,
    DashboardPage,
    Insight,
    NewDashboard,
    SharePassword,
    Sharing,
    SharingSettings,
)

US_URL = "https://us.posthog.com"
EU_URL = "https://eu.posthog.com"
API_KEY = Token("personal API key", "Password")
PAGE_SIZE = 500
"""Dashboards that are asked for at a time; a server that grants fewer says where to go on."""

_CODES: dict[str, type[ApiError]] = {
    "NOT_AUTHENTICATED": AuthenticationError,
    "AUTHENTICATION_FAILED": AuthenticationError,
    "KEY_NOT_ALLOWED": AuthenticationError,  # ours, see _find_error
    "PERMISSION_DENIED": NotAllowedError,
    "PLAN_LACKS_FEATURE": NotAllowedError,  # ours
    "ALREADY_COLLABORATOR": AlreadyExistsError,  # ours
    "NOT_FOUND": NotFoundError,
    "REQUIRED": InvalidRequestError,
    "INVALID_INPUT": InvalidRequestError,
    "INVALID_CHOICE": InvalidRequestError,
    "MAX_LENGTH": InvalidRequestError,
    "PARSE_ERROR": InvalidRequestError,
    "NOT_ACCEPTABLE": InvalidRequestError,
    "ERROR": ServerError,
}
_KEY_WORDS = re.compile(r"required scope|personal api key access|access to the requested project", re.IGNORECASE)
_PLAN_WORDS = re.compile(r"requires the .+ feature", re.IGNORECASE)


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``type``, ``code``, ``detail`` and ``attr``, or an object with nothing but ``error`` or ``detail``.

    A 403 is told apart by its words alone: is it the key that is not allowed this, or the person, or the plan?
    """
    if not isinstance(payload, Mapping):
        return None
    if set(payload) in ({"error"}, {"detail"}):
        text = str(next(iter(payload.values())))
        return "PLAN_LACKS_FEATURE" if _PLAN_WORDS.search(text) else None, text
    if not {"type", "code", "detail"} <= set(payload):
        return None
    code, detail = str(payload["code"]), " ".join(str(payload["detail"]).split())
    if code == "permission_denied" and _KEY_WORDS.search(detail):
        code = "KEY_NOT_ALLOWED"
    elif "already is a collaborator" in detail:
        code = "ALREADY_COLLABORATOR"
    attr = payload.get("attr")
    return code, f"{attr}: {detail}" if attr else detail


POSTHOG = ErrorDialect("PostHog", _CODES, _find_error)

DASHBOARDS = "/api/projects/{project_id}/dashboards/"
DASHBOARD = f"{DASHBOARDS}{{dashboard_id}}/"
SHARING = f"{DASHBOARD}sharing/"
INSIGHTS = "/api/projects/{project_id}/insights/"


def _endpoint(name: str, method: str, path: str, scope: str, resend: Resend = Resend.ALWAYS, **more: Any) -> Endpoint:
    needs = f"This call needs a personal API key with the scope '{scope}', for this project."
    return Endpoint(name, method, path, API_KEY, resend, POSTHOG, needs=needs, **more)


def _unsupported(name: str, method: str, path: str, instead: str, resend: Resend) -> Endpoint:
    """An action for which PostHog declares no scope, so that it refuses every key that has scopes, ``*`` included."""
    needs = (
        f"PostHog refuses this action to every personal API key that has scopes, '*' included; use {instead} instead."
    )
    return Endpoint(name, method, path, API_KEY, resend, POSTHOG, needs=needs)


LIST = _endpoint("list dashboards", "GET", DASHBOARDS, "dashboard:read")
CREATE = _endpoint("create dashboard", "POST", DASHBOARDS, "dashboard:write", Resend.IF_UNPROCESSED)
RETRIEVE = _endpoint("retrieve dashboard", "GET", DASHBOARD, "dashboard:read")
UPDATE = _endpoint("update dashboard", "PATCH", DASHBOARD, "dashboard:write")
# DELETE is answered 405; a dashboard is deleted by a PATCH, and can be restored by one.
DELETE = _endpoint("delete dashboard", "PATCH", DASHBOARD, "dashboard:write", Resend.DETECTABLE)
RESTORE = _endpoint("restore dashboard", "PATCH", DASHBOARD, "dashboard:write")
LIST_COLLABORATORS = _endpoint("list collaborators", "GET", f"{DASHBOARD}collaborators/", "dashboard:read")
ADD_COLLABORATOR = _endpoint(
    "add collaborator", "POST", f"{DASHBOARD}collaborators/", "dashboard:write", Resend.DETECTABLE
)
REMOVE_COLLABORATOR = _endpoint(
    "remove collaborator",
    "DELETE",
    f"{DASHBOARD}collaborators/{{user_uuid}}/",
    "dashboard:write",
    Resend.DETECTABLE,
    empty=True,
)
GET_SHARING = _endpoint("get sharing", "GET", SHARING, "sharing_configuration:read", secret_answer=True)
# The vendor's page lacks this one.
UPDATE_SHARING = _endpoint("update sharing", "PATCH", SHARING, "sharing_configuration:write", secret_answer=True)
REFRESH_SHARING = _endpoint(
    "refresh sharing",
    "POST",
    f"{SHARING}refresh/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
CREATE_SHARE_PASSWORD = _endpoint(
    "create share password",
    "POST",
    f"{SHARING}passwords/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
DELETE_SHARE_PASSWORD = _endpoint(
    "delete share password",
    "DELETE",
    f"{SHARING}passwords/{{password_id}}/",
    "sharing_configuration:write",
    Resend.DETECTABLE,
    empty=True,
)
# Of 2026 on, it has the scope dashboard:write.
MOVE_TILE = _unsupported("move tile", "PATCH", f"{DASHBOARD}move_tile/", "transfer_tile", Resend.IF_UNPROCESSED)
STREAM_TILES = _unsupported("stream tiles", "GET", f"{DASHBOARD}stream_tiles/", "retrieve_dashboard", Resend.ALWAYS)
CREATE_FROM_TEMPLATE = _unsupported(
    "create dashboard from template JSON",
    "POST",
    f"{DASHBOARDS}create_from_template_json/",
    "build_dashboard",
    Resend.IF_UNPROCESSED,
)
CREATE_INSIGHT = _endpoint("create insight", "POST", INSIGHTS, "insight:write", Resend.IF_UNPROCESSED)
UPDATE_INSIGHT = _endpoint("update insight", "PATCH", f"{INSIGHTS}{{insight_id}}/", "insight:write")

_read_page = reader(DashboardPage)
_read_dashboard = reader(Dashboard)
_read_sharing = reader(Sharing)
_read_password = reader(SharePassword)
_read_collaborator = reader(Collaborator)
_read_insight = reader(Insight)


def list_page(*, limit: int = PAGE_SIZE, offset: int = 0) -> Request[DashboardPage]:
    """One page of the project's dashboards, pinned ones first, then by name; deleted ones are not among them."""
    return Request(LIST, _read_page, query={"limit": str(limit), "offset": str(offset)})


def list_dashboards() -> Generator[Request[DashboardPage], DashboardPage, list[Dashboard]]:
    """All of the project's dashboards.

    Of the address of the next page only its offset is used: the calls stay on the connection's host.

    :raises MalformedAnswerError: the pages do not go forward.
    """
    found: dict[int, Dashboard] = {}
    offset = 0
    while True:
        page = yield list_page(offset=offset)
        # One that was created or renamed meanwhile moves the others, so that one may come twice.
        found.update((dashboard.id, dashboard) for dashboard in page.results)
        if not page.next or not page.results:
            return list(found.values())
        following = _offset(page.next)
        if following is None or following <= offset:
            raise MalformedAnswerError(f"the page after offset {offset} is told to be at {following}", transient=False)
        offset = following


def create_dashboard(dashboard: NewDashboard | Mapping[str, Any]) -> Request[Dashboard]:
    """Create a dashboard: blank, from a template, or as a copy of another one.

    It is not sent again after an unclear failure: names are not unique, and each create makes one more.

    :raises ValueError: a field is unknown or has a wrong value, or two origins are named.
    """
    new = dashboard if isinstance(dashboard, NewDashboard) else NewDashboard.model_validate(dashboard)
    if new.use_template and new.use_dashboard:
        raise ValueError("use_template and use_dashboard cannot be used together")
    return Request(CREATE, _read_dashboard, body=json_body(wire(new)))


def retrieve_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """One dashboard with its tiles; PostHog notes that it was looked at."""
    return Request(RETRIEVE, _read_dashboard, **_about(dashboard_id))


def update_dashboard(dashboard_id: int, change: DashboardChange | Mapping[str, Any]) -> Request[Dashboard]:
    """Change some of a dashboard's fields.

    Unclear failures are tried again, because the same values twice change nothing more; but not where a tile is added.

    :raises ValueError: a field is unknown or has a wrong value.
    """
    fields = change if isinstance(change, DashboardChange) else DashboardChange.model_validate(change)
    adds = any("id" not in tile for tile in fields.tiles or ())
    endpoint = replace(UPDATE, resend=Resend.IF_UNPROCESSED) if adds else UPDATE
    return Request(endpoint, _read_dashboard, body=json_body(wire(fields)), **_about(dashboard_id))


def delete_dashboard(dashboard_id: int, *, delete_insights: bool = False) -> Request[Dashboard]:
    """Delete a dashboard; ``restore_dashboard`` brings it back.

    One that is deleted already is a ``NotFoundError``, as is one that an earlier, unclear try of this call deleted
    (``after_ambiguous``).

    :param delete_insights: delete those of its insights too that are on no other dashboard.
    """
    body = {"deleted": True} | ({"delete_insights": True} if delete_insights else {})
    return Request(DELETE, _read_dashboard, body=json_body(body), **_about(dashboard_id))


def restore_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """Undo ``delete_dashboard``."""
    # Older servers restore only where this is the only key.
    return Request(RESTORE, _read_dashboard, body=json_body({"deleted": False}), **_about(dashboard_id))


def list_collaborators(dashboard_id: int) -> Request[list[Collaborator]]:
    """Who may edit a restricted dashboard beside its owner and the project's admins."""
    return Request(LIST_COLLABORATORS, _read_collaborators, **_about(dashboard_id))


def add_collaborator(dashboard_id: int, user_uuid: str) -> Request[Collaborator]:
    """Let a member edit a restricted dashboard (``restriction_level`` 37).

    :raises AlreadyExistsError: is one already; with ``after_ambiguous`` by an earlier try of this call.
    """
    body = {"level": 37, "user_uuid": _uuid(user_uuid)}
    return Request(ADD_COLLABORATOR, _read_collaborator, body=json_body(body), **_about(dashboard_id))


def remove_collaborator(dashboard_id: int, user_uuid: str) -> Request[None]:
    """Undo ``add_collaborator``; a ``NotFoundError`` where the member is none."""
    return Request(REMOVE_COLLABORATOR, _nothing, **_about(dashboard_id, user_uuid=_uuid(user_uuid)))


def get_sharing(dashboard_id: int) -> Request[Sharing]:
    """How a dashboard is shared."""
    return Request(GET_SHARING, _read_sharing, **_about(dashboard_id))


def update_sharing(
    dashboard_id: int,
    *,
    enabled: bool | None = None,
    settings: SharingSettings | Mapping[str, Any] | None = None,
    password_required: bool | None = None,
) -> Request[Sharing]:
    """Switch public sharing of a dashboard on or off, or change how it looks; what is left out stays as it is.

    :param password_required: needs an organization with advanced permissions.
    """
    body: dict[str, Any] = {"enabled": enabled, "password_required": password_required}
    if settings is not None:
        chosen = settings if isinstance(settings, SharingSettings) else SharingSettings.model_validate(settings)
        body["settings"] = wire(chosen)
    sent = {name: value for name, value in body.items() if value is not None}
    return Request(UPDATE_SHARING, _read_sharing, body=json_body(sent), **_about(dashboard_id))


def refresh_sharing(dashboard_id: int) -> Request[Sharing]:
    """Replace the public address; the old one opens for five more minutes, passwords go on under new ids.

    It is not sent again after an unclear failure, because each call makes a new address.
    """
    return Request(REFRESH_SHARING, _read_sharing, body=b"{}", **_about(dashboard_id))


def create_share_password(
    dashboard_id: int, *, raw_password: str | None = None, note: str | None = None
) -> Request[SharePassword]:
    """Add a password to a shared dashboard that asks for one (``password_required``).

    It is not sent again after an unclear failure: PostHog shows a password once.

    :param raw_password: 8 characters or more; PostHog makes one up where there is none.
    :param note: at most 100 characters.
    """
    if raw_password is not None and len(raw_password) < 8:
        raise ValueError("raw_password has fewer than 8 characters")
    if note is not None and len(note) > 100:
        raise ValueError("note has more than 100 characters")
    body = {name: value for name, value in (("raw_password", raw_password), ("note", note)) if value is not None}
    return Request(CREATE_SHARE_PASSWORD, _read_password, body=json_body(body), **_about(dashboard_id))


def delete_share_password(dashboard_id: int, password_id: int) -> Request[None]:
    """Remove a password; a ``NotFoundError`` where there is none, as after a refresh, which gives new ids."""
    return Request(
        DELETE_SHARE_PASSWORD, _nothing, **_about(dashboard_id, password_id=str(check_id(password_id, "password_id")))
    )


def move_tile(dashboard_id: int, tile_id: int, to_dashboard: int) -> Request[Dashboard]:
    """Move a tile to another dashboard; the result is the dashboard that it was on.

    Servers before 2026 refuse it to keys with scopes: ``posthog_calls.transfer_tile`` does the same otherwise.
    """
    destination = check_id(to_dashboard, "to_dashboard")
    # The key has changed its name; each version of the server takes the one it knows.
    body = {
        "tile": {"id": check_id(tile_id, "tile_id")},
        "toDashboard": destination,
        "to_dashboard": destination,
    }
    return Request(MOVE_TILE, _read_dashboard, body=json_body(body), **_about(dashboard_id))


def stream_tiles(dashboard_id: int, *, layout_size: str = "sm") -> Request[None]:
    """A dashboard's tiles as a stream; see ``posthog_stream.TileStream`` for what comes.

    :param layout_size: ``sm`` or ``xs``.
    """
    if layout_size not in ("sm", "xs"):
        raise ValueError(f"layout_size is {layout_size!r}; it is 'sm' or 'xs'")
    # In this order, because PostHog garbles its errors where only the stream's type is asked for.
    accept = "application/json, text/event-stream"
    return Request(STREAM_TILES, _nothing, query={"layoutSize": layout_size}, accept=accept, **_about(dashboard_id))


def create_from_template_json(
    template: Mapping[str, Any], *, creation_context: str | None = None
) -> Request[Dashboard]:
    """Create a dashboard from a template as JSON.

    PostHog refuses it to keys with scopes: ``posthog_calls.build_dashboard`` does the same otherwise.

    :param template: with ``template_name``, ``dashboard_description``, ``dashboard_filters`` and ``tiles``.
    :raises ValueError: the template lacks one of these.
    """
    body: dict[str, Any] = {"template": dict(check_template(template))}
    if creation_context is not None:
        body["creation_context"] = creation_context
    return Request(CREATE_FROM_TEMPLATE, _read_dashboard, body=json_body(body))


def create_insight(fields: Mapping[str, Any]) -> Request[Insight]:
    """Create an insight: ``name``, ``description``, ``query``, and ``dashboards``, the ids of those that show it."""
    return Request(CREATE_INSIGHT, _read_insight, body=json_body(fields))


def update_insight(insight_id: int, fields: Mapping[str, Any]) -> Request[Insight]:
    """Change some fields of an insight; ``dashboards`` replaces the set of those that show it."""
    path = {"insight_id": str(check_id(insight_id, "insight_id"))}
    return Request(UPDATE_INSIGHT, _read_insight, body=json_body(fields), path=path)


def check_template(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """A template with all that PostHog asks for, which answers 500 where something lacks.

    :raises ValueError: it lacks something.
    """
    kinds = {"template_name": str, "dashboard_description": str, "dashboard_filters": Mapping, "tiles": list}
    if not isinstance(template, Mapping):
        raise ValueError("template is no object")
    wrong = [name for name, kind in kinds.items() if not isinstance(template.get(name), kind)]
    if wrong:
        raise ValueError(f"template: {', '.join(wrong)} missing or of a wrong type")
    if not template["tiles"] or not all(isinstance(tile, Mapping) for tile in template["tiles"]):
        raise ValueError("template: tiles is a list of one or more objects")
    return template


def public_url(base_url: str, sharing: Sharing, *, embedded: bool = False) -> str | None:
    """The address under which anybody sees a shared dashboard; None while it is not shared.

    It is a secret like the token in it.

    :param embedded: the form for an iframe.
    """
    return f"{base_url}/{'embedded' if embedded else 'shared'}/{sharing.token}" if sharing.token else None


def _about(dashboard_id: int, **more: str) -> dict[str, Any]:
    identifier = str(check_id(dashboard_id, "dashboard_id"))
    return {"path": {"dashboard_id": identifier, **more}, "dashboard": identifier}


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"user_uuid is {value!r}; it is the UUID of a member") from None


def _offset(address: str) -> int | None:
    try:
        [offset] = parse_qs(urlsplit(address).query)["offset"]
        return int(offset)
    except (KeyError, ValueError):
        return None


def _read_collaborators(payload: object) -> list[Collaborator]:
    if not isinstance(payload, list):
        raise MalformedAnswerError("unexpected answer: not a list")
    return [_read_collaborator(item) for item in payload]


def _nothing(_payload: object) -> None:
    """What an empty answer is read as."""
