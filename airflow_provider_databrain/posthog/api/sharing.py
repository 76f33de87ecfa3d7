"""Sharing: the public page of a dashboard, its URL and its passwords.

What always holds:

- An access token, a public URL and a password are secrets. Every endpoint whose answer holds one is marked
  ``secret_answer``, so that no error quotes the answer.
- ``share`` believes only what PostHog shows: an older PostHog answers 200 and ignores ``password_required``.
- If a page must ask for a password, it is opened only after an answer has shown that it asks for one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    EndpointMissingError,
    InvalidRequestError,
    MalformedAnswerError,
    NotAllowedError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import check_id, json_body, reader, wire
from airflow_provider_databrain.posthog.api.endpoint import (
    DASHBOARD,
    Steps,
    endpoint,
    for_dashboard,
    is_gone,
    read_nothing,
)
from airflow_provider_databrain.posthog.api.models import SharePassword, SharePasswordInfo, Sharing, SharingSettings

log = logging.getLogger(__name__)

SHARING = f"{DASHBOARD}sharing/"
GET_SHARING = endpoint("get sharing", "GET", SHARING, "sharing_configuration:read", secret_answer=True)
# Missing in the vendor's reference.
UPDATE_SHARING = endpoint("update sharing", "PATCH", SHARING, "sharing_configuration:write", secret_answer=True)
REFRESH_SHARING = endpoint(
    "refresh sharing",
    "POST",
    f"{SHARING}refresh/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
CREATE_SHARE_PASSWORD = endpoint(
    "create share password",
    "POST",
    f"{SHARING}passwords/",
    "sharing_configuration:write",
    Resend.IF_UNPROCESSED,
    secret_answer=True,
)
DELETE_SHARE_PASSWORD = endpoint(
    "delete share password",
    "DELETE",
    f"{SHARING}passwords/{{password_id}}/",
    "sharing_configuration:write",
    Resend.DETECTABLE,
    empty=True,
)
_read_sharing = reader(Sharing)
_read_password = reader(SharePassword)
LOOKS = ("legend", "theme", "whitelabel")
"""Settings that change only how the page looks, not what it shows of the data."""
SHOWS_LESS_WITHOUT = {"detailed": True, "showInspector": True, "hideExtraDetails": False, "noHeader": False}
"""Other settings, with the value without which the page shows less."""
NO_PASSWORDS = "this PostHog has no passwords for shared dashboards: update PostHog, or share without a password"


def get_sharing(dashboard_id: int) -> Request[Sharing]:
    """The sharing configuration of a dashboard."""
    return Request(GET_SHARING, _read_sharing, **for_dashboard(dashboard_id))


def update_sharing(
    dashboard_id: int,
    *,
    enabled: bool | None = None,
    settings: SharingSettings | Mapping[str, Any] | None = None,
    password_required: bool | None = None,
) -> Request[Sharing]:
    """One change of the sharing configuration, whose answer is not checked. None leaves a value unchanged.

    ``share`` checks the answer. Use it instead if the page must ask for a password.

    :raises ValueError: a setting is unknown or has a wrong value.
    """
    body: dict[str, Any] = {"enabled": enabled, "password_required": password_required}
    chosen = _chosen(settings)
    if chosen is not None:
        body["settings"] = wire(chosen)
    sent = {name: value for name, value in body.items() if value is not None}
    return Request(UPDATE_SHARING, _read_sharing, body=json_body(sent), **for_dashboard(dashboard_id))


def refresh_sharing(dashboard_id: int) -> Request[Sharing]:
    """Replace the public URL. Passwords stay valid but get new ids.

    The old URL works for five more minutes, even if sharing is switched off in that time. A password that is required
    only after the refresh is not asked for at the old URL. To close a page at once, switch sharing off and do not
    refresh.

    It is not sent again after an ambiguous failure, because each call makes a new URL.
    """
    return Request(REFRESH_SHARING, _read_sharing, body=b"{}", **for_dashboard(dashboard_id))


def create_share_password(
    dashboard_id: int, *, raw_password: str | None = None, note: str | None = None
) -> Request[SharePassword]:
    """Add a password to a shared dashboard that has ``password_required``.

    It is not sent again after an ambiguous failure, because PostHog shows a password only once.

    :param raw_password: at least 8 characters; if None, PostHog generates the password.
    :param note: at most 100 characters.
    :raises ValueError: ``raw_password`` is too short or ``note`` is too long.
    """
    if raw_password is not None and len(raw_password) < 8:
        raise ValueError("raw_password has fewer than 8 characters")
    if note is not None and len(note) > 100:
        raise ValueError("note has more than 100 characters")
    body = {name: value for name, value in (("raw_password", raw_password), ("note", note)) if value is not None}
    return Request(
        CREATE_SHARE_PASSWORD,
        _read_password,
        body=json_body(body),
        secrets=(raw_password,) if raw_password else (),
        **for_dashboard(dashboard_id),
    )


def new_share_password(
    dashboard_id: int, *, raw_password: str | None = None, note: str | None = None
) -> Steps[SharePassword]:
    """Add a password to a shared dashboard that has ``password_required``.

    It is not sent again after an ambiguous failure, because PostHog shows a password only once. The error then says
    what to do.

    :param raw_password: at least 8 characters; if None, PostHog generates the password.
    :param note: at most 100 characters.
    :raises ValueError: ``raw_password`` is too short or ``note`` is too long.
    :raises NotAllowedError: this PostHog has no passwords.
    """
    return _new_share_password(create_share_password(dashboard_id, raw_password=raw_password, note=note))


def _new_share_password(request: Request[SharePassword]) -> Steps[SharePassword]:
    try:
        made: SharePassword = yield request
    except EndpointMissingError as error:
        raise NotAllowedError(
            NO_PASSWORDS,
            status=error.status,
            code=error.code,
            endpoint=error.endpoint,
            dashboard=error.dashboard,
        ) from None
    except ApiError as error:
        if error.ambiguous:
            error.message = (
                f"{error.message.rstrip('.')}. The password may exist, and PostHog does not show it again. Look at "
                "share_passwords of get_sharing, and if the newest is new, delete it with delete_share_password"
            )
        raise
    return made


def delete_share_password(dashboard_id: int, password_id: int) -> Request[None]:
    """Remove a password.

    :raises NotFoundError: no password has this id. ``refresh_sharing`` changes the ids.
    """
    return Request(
        DELETE_SHARE_PASSWORD,
        read_nothing,
        **for_dashboard(dashboard_id, password_id=str(check_id(password_id, "password_id"))),
    )


class _Asked(NamedTuple):
    """What a change asks for. None means unchanged."""

    enabled: bool | None
    settings: SharingSettings | None = None
    password_required: bool | None = None

    def problem(self, shown: Sharing) -> ApiError | None:
        """What PostHog did not do although it answered 200, and what must not stay so; None if nothing."""
        if self.password_required and not shown.password_required:
            return NotAllowedError(f"PostHog ignored password_required; {NO_PASSWORDS}")
        if self.enabled is not None and self.enabled is not shown.enabled:
            state = "is not shared" if self.enabled else "is still shared"
            return NotAllowedError(f"PostHog answered 200, but the dashboard {state}; look at its sharing in PostHog")
        if self.password_required is False and shown.password_required:
            return NotAllowedError("PostHog answered 200, but the page still asks for a password")
        more = sorted(name for name, value in self.lost(shown).items() if _shows_more_without(name, value))
        if more:
            return InvalidRequestError(
                f"PostHog did not keep the settings {', '.join(more)}, so the page would show more than was asked; "
                "update PostHog, or leave these settings out"
            )
        return None

    def lost(self, shown: Sharing) -> dict[str, Any]:
        """The settings that PostHog did not keep. A boolean setting that it does not have is false."""
        kept = shown.settings or {}
        asked = wire(self.settings) if self.settings is not None else {}
        absent = {name: False for name, value in asked.items() if value is False}
        return {name: value for name, value in asked.items() if {**absent, **kept}.get(name) != value}

    def is_met(self, shown: Sharing) -> bool:
        """Whether PostHog shows everything that was asked."""
        return self.problem(shown) is None and not self.lost(shown)


def share(
    dashboard_id: int,
    *,
    enabled: bool | None = None,
    settings: SharingSettings | Mapping[str, Any] | None = None,
    password_required: bool | None = None,
    password: str | None = None,
    note: str | None = None,
) -> Steps[Sharing]:
    """Switch public sharing of a dashboard on or off, or change how the page looks, and check that PostHog did it.

    None leaves a value unchanged. Without a password this is one call. With ``password_required``, the page is opened
    by a second call, after the answer to the first has shown that the page asks for a password. If any step of that
    fails, the page is not open without a password, or the error says that it may be. A page that was open without a
    password is then switched off.

    If an answer is lost, PostHog is asked what it has, so the call succeeds if everything is as asked.

    If PostHog does not keep a setting of ``LOOKS``, or one without which the page shows less, a warning is logged. If
    the page would show more, or if the setting is not known here, sharing is switched off again.

    :param settings: how the public page looks. They replace all earlier settings.
    :param password_required: ask visitors for a password; needs an organization with advanced permissions.
    :param password: a password to add, at least 8 characters; it sets ``password_required``. Each call adds one.
    :param note: a note about the password, at most 100 characters.
    :raises ValueError: a setting is unknown or has a wrong value, or the password is too short, or the note too long.
    :raises NotAllowedError: PostHog ignored ``password_required``, or the plan does not include it.
    """
    asked = _Asked(enabled, _chosen(settings), True if password is not None else password_required)
    adds = None if password is None else create_share_password(dashboard_id, raw_password=password, note=note)
    check_id(dashboard_id, "dashboard_id")
    return _Sharer(dashboard_id, asked).run(adds, note or "")


class _Sharer:
    """One run of ``share``.

    :ivar shown: the configuration that PostHog showed last; None if an answer was lost after that.
    :ivar opened: whether this run has tried to open the page.
    :ivar guarded: whether the page must not stay open after a failure.
    :ivar shows_more: whether PostHog did not keep a setting, and the page shows more than was asked.
    :ivar blind: why it is not known what PostHog has.
    """

    def __init__(self, dashboard_id: int, asked: _Asked) -> None:
        self.dashboard_id = dashboard_id
        self.asked = asked
        self.shown: Sharing | None = None
        self.opened = False
        self.guarded = asked.password_required is True or asked.enabled is False
        self.shows_more = False
        self.blind: ApiError | None = None

    def run(self, adds: Request[SharePassword] | None, note: str) -> Steps[Sharing]:
        """All steps. The page is opened last."""
        added: int | None = None
        two_steps = self.asked.enabled and self.asked.password_required
        try:
            shown = yield from self.change(self.asked._replace(enabled=None) if two_steps else self.asked)
            if adds is not None:
                added = yield from self.add(adds, note, shown)
                info = SharePasswordInfo(id=added, note=note)
                shown = shown.model_copy(update={"share_passwords": [info, *(shown.share_passwords or ())]})
            if two_steps and not shown.enabled:
                first, shown = shown, (yield from self.change(self.asked))
                _check_same(first, shown, self.dashboard_id)
        except ApiError as error:
            if self.guarded and not _is_gone(error):
                yield from self.secure(error)
                if added is not None:
                    yield from self.take_back(added, error)
            raise
        for name in self.asked.lost(shown):
            log.warning("dashboard %s: PostHog did not keep the sharing setting %s", self.dashboard_id, name)
        return shown

    def change(self, asked: _Asked) -> Steps[Sharing]:
        """Send one change and check the answer. If the answer is lost, ask what PostHog has."""
        self.shown, self.blind = None, None
        self.opened = self.opened or asked.enabled is True
        try:
            self.shown = yield update_sharing(self.dashboard_id, **asked._asdict())
        except ApiError as error:
            unclear = error.ambiguous or error.after_ambiguous
            if _is_gone(error) or not (unclear or self.guarded):
                raise
            try:
                self.shown = yield get_sharing(self.dashboard_id)
            except ApiError as blind:
                self.blind = blind
                raise error from None
            if unclear and asked.is_met(self.shown):
                return self.shown
            self.note(asked.problem(self.shown) if unclear else None)
            raise
        problem = asked.problem(self.shown)
        if problem is not None:
            self.note(problem)
            problem.endpoint, problem.dashboard = UPDATE_SHARING.name, str(self.dashboard_id)
            raise problem
        return self.shown

    def note(self, problem: ApiError | None) -> None:
        """If the page shows more than was asked, it must not stay open."""
        if isinstance(problem, InvalidRequestError):
            self.shows_more = self.guarded = True

    def add(self, adds: Request[SharePassword], note: str, before: Sharing) -> Steps[int]:
        """Add the password; returns its id. If the answer is lost, a new password with the same note is this one."""
        try:
            made = yield from _new_share_password(adds)
        except ApiError as error:
            if not error.ambiguous:
                raise
            try:
                after: Sharing = yield get_sharing(self.dashboard_id)
            except ApiError:
                raise error from None
            known = {one.id for one in before.share_passwords or ()}
            new = [one.id for one in after.share_passwords or () if one.id not in known and (one.note or "") == note]
            if len(new) != 1:
                raise
            return new[0]
        return made.id

    def secure(self, error: ApiError) -> Steps[None]:
        """After a failure, switch sharing off if the page is open as nobody asked; the error says what is open."""
        blind = self.blind is not None and (self.blind.transient or isinstance(self.blind, AuthenticationError))
        if self.shown is None and blind and not self.opened:
            # The next call would fail in the same way. Nothing that was sent can have opened the page.
            error.message = f"If the dashboard was shared before, its page may be open. {error.message}"
            return
        if self.shown is None or self.must_close(self.shown):
            try:
                yield from self.change(_Asked(enabled=False))
            except ApiError as failed:
                if self.shown is None or self.shown.enabled:
                    error.message = (
                        "The page may be open: sharing could not be switched off, so switch it off in PostHog "
                        f"({failed}). {error.message}"
                    )
                    return
            error.message = f"Sharing is switched off now. {error.message}"
        elif self.shown.enabled:
            error.message = f"The dashboard is shared, and its page asks for a password. {error.message}"
        else:
            error.message = f"The dashboard is not shared. {error.message}"

    def must_close(self, shown: Sharing) -> bool:
        """Whether the page is open and must not be. A page that asks for a password and was open before may stay."""
        stays = self.asked.password_required and shown.password_required and not self.shows_more and not self.opened
        return shown.enabled and not (stays and self.asked.enabled is not False)

    def take_back(self, added: int, error: ApiError) -> Steps[None]:
        """Delete the new password, so that the next try does not add a second one."""
        try:
            yield delete_share_password(self.dashboard_id, added)
        except ApiError as kept:
            error.message = (
                f"{error.message.rstrip('.')}. Password {added} was added and could not be deleted ({kept}). The next "
                "try adds another, so delete this one with delete_share_password"
            )


def _chosen(settings: SharingSettings | Mapping[str, Any] | None) -> SharingSettings | None:
    if settings is None or isinstance(settings, SharingSettings):
        return settings
    return SharingSettings.model_validate(settings)


def _check_same(first: Sharing, second: Sharing, dashboard_id: int) -> None:
    """Raise if two answers are about two dashboards. An answer names none; its token belongs to one."""
    if first.created_at and second.created_at and first.access_token != second.access_token:
        error = MalformedAnswerError("two answers show two pages, so nothing shows which one is this dashboard's")
        error.endpoint, error.dashboard = UPDATE_SHARING.name, str(dashboard_id)
        raise error


def _is_gone(error: ApiError) -> bool:
    """Whether PostHog itself says that the dashboard does not exist."""
    return isinstance(error, NotFoundError) and is_gone(error)


def _shows_more_without(name: str, value: object) -> bool:
    """Whether the page shows more if a setting is lost. What a setting does that is not known here, nobody knows."""
    return name not in LOOKS and SHOWS_LESS_WITHOUT.get(name) is not value


def public_url(base_url: str, sharing: Sharing, *, embedded: bool = False) -> str | None:
    """The URL that shows a shared dashboard to anyone; None if it is not shared.

    It is a secret, because it contains the access token.

    :param embedded: return the URL for an iframe.
    """
    return f"{base_url}/{'embedded' if embedded else 'shared'}/{sharing.token}" if sharing.token else None
