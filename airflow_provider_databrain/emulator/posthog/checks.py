"""How the emulated PostHog reads a request before it acts, and how it refuses one.

The codes and texts are those of recorded answers of a real PostHog. If neither the vendor's reference nor a recording
shows a refusal, the choice is ours: the code and the text that PostHog's framework uses by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_databrain.emulator.posthog.state import COLLABORATORS, EVERYONE, OWNER, Member
from airflow_provider_databrain.portable import Portable

Renderer = Literal["json", "sse"]
MEDIA = {"json": "application/json", "sse": "text/event-stream"}
NO_KEY_ACCESS = "This action does not support Personal API Key access"
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_TIME = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
_TRUE = ("t", "y", "yes", "true", "on", "1")
_FALSE = ("f", "n", "no", "false", "off", "0")
_TYPES = {400: "validation_error", 401: "authentication_error", 403: "authentication_error", 500: "server_error"}


class PostHogRefusalError(Portable, Exception):
    """An error response.

    :param body: the response's JSON.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def refusal(status: int, code: str, detail: str, attr: str | None = None) -> PostHogRefusalError:
    """Return an error in PostHog's usual envelope."""
    kind = "invalid_request" if code == "parse_error" else _TYPES.get(status, "invalid_request")
    return PostHogRefusalError(status, {"type": kind, "code": code, "detail": detail, "attr": attr})


def invalid(detail: str, attr: str | None = None, code: str = "invalid_input") -> PostHogRefusalError:
    """400: a field or the whole body is invalid."""
    return refusal(400, code, detail, attr)


def required(attr: str) -> PostHogRefusalError:
    """400: a required field is missing."""
    return invalid("This field is required.", attr, "required")


def forbidden(detail: str) -> PostHogRefusalError:
    """403, which PostHog calls an authentication error."""
    return refusal(403, "permission_denied", detail)


def not_found(detail: str = "Not found.") -> PostHogRefusalError:
    """404."""
    return refusal(404, "not_found", detail)


def server_error() -> PostHogRefusalError:
    """500. PostHog also answers some mistakes of the client with it."""
    return refusal(500, "error", "A server error occurred.")


@dataclass(frozen=True)
class Key:
    """A personal API key.

    :param scopes: for example ``dashboard:write``, or ``*``. None is an old key without scopes: it may do everything.
    :param member: the name of the person who owns it.
    :param project: the only project it can access; None means all.
    """

    scopes: tuple[str, ...] | None
    member: str = OWNER
    project: int | None = None

    def check(self, scope: str | None) -> None:
        """Refuse an action that the key may not do.

        :param scope: the scope that the action needs; None for an action that no scope covers.
        """
        if self.scopes is None:
            return
        if scope is None:
            raise forbidden(NO_KEY_ACCESS)
        sufficient = {"*", scope, scope.replace(":read", ":write")}
        if sufficient.isdisjoint(self.scopes):
            raise forbidden(f"API key missing required scope '{scope}'")


@dataclass(frozen=True)
class Call:
    """A request that has passed the checks of key, project and scope.

    :param path: the ids in the path, as strings.
    :param sent: the body's bytes, or the fields of a form.
    """

    request: Request
    member: Member
    project: int
    path: Mapping[str, str]
    sent: bytes | dict[str, Any]

    def key(self, name: str = "key") -> int:
        """Return an id in the path. If it is not a number, that is a server error."""
        try:
            return int(self.path[name])
        except ValueError:
            raise server_error() from None

    def data(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        body = parsed(self.sent) if isinstance(self.sent, bytes) else self.sent
        if body is None:
            raise invalid("This field may not be null.", code="null")
        if not isinstance(body, dict):
            raise invalid(f"Invalid data. Expected a dictionary, but got {type(body).__name__}.")
        return body


def parsed(raw: bytes) -> Any:
    """Return the value of a JSON body. An empty body is an empty object."""
    try:
        return json.loads(raw) if raw else {}
    except ValueError as error:
        raise refusal(400, "parse_error", f"JSON parse error - {error}") from None


async def sent(request: Request, *, json_only: bool) -> bytes | dict[str, Any]:
    """Return a request's body: the fields of a form, or bytes that should be JSON."""
    raw = await request.body()
    kind = request.headers.get("content-type", MEDIA["json"]).split(";")[0].strip()
    if not raw or kind == MEDIA["json"]:
        return raw
    if json_only or kind not in (_FORM, _MULTIPART):
        raise refusal(415, "unsupported_media_type", f'Unsupported media type "{kind}" in request.')
    if kind == _FORM:
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def negotiated(request: Request, offered: tuple[Renderer, ...]) -> Renderer:
    """Return the renderer for ``Accept`` and ``format``. Of the offered types, the most specific match decides."""
    wanted = request.query_params.get("format")
    if wanted:
        names: dict[str, Renderer] = {"json": "json", "txt": "sse"}
        offered = tuple(name for name in offered if names.get(wanted) == name)
        if not offered:
            raise not_found()
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")]
    for stars in (0, 1, 2):
        ranges = [part for part in accepted if part.count("*") == stars]
        for renderer in offered:
            if any(_matches(MEDIA[renderer], part) for part in ranges):
                return renderer
    raise refusal(406, "not_acceptable", "Could not satisfy the request Accept header.")


def _matches(media: str, wanted: str) -> bool:
    return wanted in (media, f"{media.split('/')[0]}/*", "*/*")


def rendered(body: Any, status: int, renderer: Renderer) -> Response:
    """Return a response. PostHog's renderer for event streams writes only the keys of an object; so does this one."""
    if renderer == "json":
        return JSONResponse(body, status)
    kind = {"content-type": "text/event-stream; charset=utf-8"}
    return Response("".join(str(part) for part in body), status, kind)


def text(limit: int | None = None, *, null: bool = False) -> Callable[[str, Any], Any]:
    """Return a check of a string.

    :param limit: maximum number of characters; None means no limit.
    :param null: null is accepted too.
    """

    def check(name: str, value: Any) -> Any:
        if value is None:
            return _null(name, null)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise invalid("Not a valid string.", name)
        stripped = str(value).strip()
        _check_characters(name, stripped)
        if limit is not None and len(stripped) > limit:
            raise invalid(f"Ensure this field has no more than {limit} characters.", name, "max_length")
        return stripped

    return check


def _check_characters(name: str, value: str) -> None:
    """Refuse the characters that PostHog's framework does not accept in a field."""
    if "\0" in value:
        raise invalid("Null characters are not allowed.", name, "null_characters_not_allowed")
    for character in filter(_SURROGATE.match, value):
        detail = f"Surrogate characters are not allowed: U+{ord(character):X}."
        raise invalid(detail, name, "surrogate_characters_not_allowed")


def is_storable(value: Any) -> bool:
    """Whether the database can store a JSON value: its strings must be valid and must not have a NUL."""
    if isinstance(value, dict):
        return all(is_storable(part) for part in (*value, *value.values()))
    if isinstance(value, list):
        return all(is_storable(part) for part in value)
    return not isinstance(value, str) or not ("\0" in value or _SURROGATE.search(value))


def moment(name: str, value: Any) -> str | None:
    """Check a date and time, or null."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError):
        raise invalid(_NO_TIME, name) from None


def boolean(name: str, value: Any) -> bool:
    """Check a boolean. ``true``, ``1`` and the like are accepted too."""
    if value is None:
        _null(name, allowed=False)
    for result, words in ((True, _TRUE), (False, _FALSE)):
        if isinstance(value, bool | str | int) and str(value).strip().lower() in words:
            return result
    raise invalid("Must be a valid boolean.", name)


def number(name: str, value: Any) -> Any:
    """Check an integer or null."""
    if value is None:
        return None
    try:
        return int(re.sub(r"\.0*\s*$", "", str(value)))
    except ValueError:
        raise invalid("A valid integer is required.", name) from None


def level(name: str, value: Any) -> int:
    """Check a restriction level."""
    if value is None:
        _null(name, allowed=False)
    for choice in (EVERYONE, COLLABORATORS):
        if str(value) == str(choice):
            return choice
    raise invalid(f'"{value}" is not a valid choice.', name, "invalid_choice")


def items(name: str, value: Any) -> list[Any]:
    """Check a list. Its items are not checked."""
    if value is None:
        _null(name, allowed=False)
    if not isinstance(value, list):
        raise invalid(f'Expected a list of items but got type "{type(value).__name__}".', name, "not_a_list")
    return value


def _null(name: str, allowed: bool) -> None:
    if not allowed:
        raise invalid("This field may not be null.", name, "null")


def _anything(_name: str, value: Any) -> Any:
    return value


def _some_json(name: str, value: Any) -> Any:
    if value is None:
        _null(name, allowed=False)
    return value


DASHBOARD_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "name": text(400, null=True),
    "description": text(),
    "pinned": boolean,
    "deleted": boolean,
    "tags": items,
    "restriction_level": level,
    "breakdown_colors": _some_json,
    "data_color_theme_id": number,
    "use_template": text(),
    "use_dashboard": number,
    "delete_insights": boolean,
    "_create_in_folder": text(),
    "last_refresh": moment,
    "last_accessed_at": moment,
}
INSIGHT_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "name": text(400, null=True),
    "description": text(400, null=True),
    "query": _anything,
    "filters": _anything,
    "tags": items,
    "favorited": boolean,
    "saved": boolean,
    "deleted": boolean,
}


def checked(data: Mapping[str, Any], fields: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """Return the checked known fields. Unknown fields are ignored."""
    return {name: check(name, data[name]) for name, check in fields.items() if name in data}
