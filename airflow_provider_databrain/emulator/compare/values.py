"""The differences between two answers: status, media type, wait, error, and the body's shape and values.

A value is compared if the requests determine it. ``UNDETERMINED`` names those that only the recorded server could give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_databrain.emulator.compare.ids import INSIDE, WORDS, Ids
from airflow_provider_databrain.emulator.compare.recordings import Answer
from airflow_provider_databrain.emulator.posthog.templates import TEMPLATES

UNDETERMINED = {
    "a time": (
        "created_at updated_at added_at last_modified_at last_accessed_at last_viewed_at last_refresh start_time"
        " expiration_time"
    ),
    "a secret that the server invents": "password",
    "the person and the project that recorded": (
        "distinct_id first_name last_name email is_email_verified hedgehog_config role_at_organization"
        " created_by_email team team_id"
    ),
    "the server's own": "themes query_status filters_hash",
}
"""Fields of which only the kind is compared, by reason."""
VENDOR_TEXTS = frozenset({"name", "description", "query", "filters"})
"""Fields of an insight that a template of the vendor made. The texts are the vendor's, so the emulator has others."""
SHAPE_ONLY = {
    "/api/users/@me/": "the account of the person who recorded",
    "/api/projects/": "the account of the person who recorded",
}
"""Paths of which only the shape is compared, and the reason."""
FREE = frozenset(
    {"filters", "variables", "persisted_filters", "persisted_variables", "settings", "layouts", "query", "result"}
)
"""Fields with any content that a client sends. They are compared as a whole."""
_TEXTS = {template.fields["description"] for template in TEMPLATES.values() if template.fields.get("description")}
"""The emulator's own descriptions of dashboards from a template. The vendor's are whole sentences of theirs."""
_UNDETERMINED = frozenset(name for names in UNDETERMINED.values() for name in names.split())
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class Comparison:
    """Compares answers whose ids differ.

    :param ids: the pairs of ids, which has learned from the answers.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def differences(
        self, recorded: Answer, answered: Answer, kind: str, *, body: bool = True, values: bool = True
    ) -> Iterator[str]:
        """Yield each difference as a line of text.

        :param kind: the kind of ``id`` that the answers show.
        :param body: False does not compare the bodies.
        :param values: False compares only the shape of a successful answer's body.
        """
        for what, first, second in (
            ("status", recorded.status, answered.status),
            ("media type", recorded.media, answered.media),
            ("Retry-After", recorded.headers.get("retry-after"), answered.headers.get("retry-after")),
        ):
            if first != second:
                yield f"{what}: {first!r} recorded, {second!r} answered"
        if not body:
            return
        if recorded.streams and answered.streams:
            yield from self._events(recorded.events(), answered.events())
        elif recorded.status >= 400 and isinstance(recorded.body, dict) and isinstance(answered.body, dict):
            yield from _error(recorded.body, answered.body)
        elif isinstance(recorded.body, str) or isinstance(answered.body, str):
            if recorded.body != answered.body:
                yield f"body: {_short(repr(recorded.body))} recorded, {_short(repr(answered.body))} answered"
        elif values:
            yield from self._compare(recorded.body, answered.body, "body", kind)
        else:
            yield from _shape(recorded.body, answered.body, "body")

    def _events(self, recorded: list[dict[str, Any]], answered: list[dict[str, Any]]) -> Iterator[str]:
        first, second = ([event.get("type") for event in events] for events in (recorded, answered))
        if first != second:
            yield f"events: {first} recorded, {second} answered"
        made_by_vendor = bool(recorded) and _is_vendors(recorded[0].get("dashboard"))
        for number, (one, other) in enumerate(zip(recorded, answered, strict=False)):
            yield from self._compare(one, other, f"event {number}", "dashboard", vendors=made_by_vendor)

    def _compare(self, one: Any, other: Any, where: str, kind: str, *, vendors: bool = False) -> Iterator[str]:
        """Compare two values.

        :param vendors: they belong to a dashboard that one of the vendor's templates made.
        """
        if _kind(one) != _kind(other):
            yield f"{where}: {_kind(one)} recorded, {_kind(other)} answered"
        elif isinstance(one, list):
            if len(one) != len(other):
                yield f"{where}: {len(one)} items recorded, {len(other)} answered"
            for number, pair in enumerate(zip(one, other, strict=False)):
                yield from self._compare(*pair, f"{where}[{number}]", kind, vendors=vendors)
        elif isinstance(one, dict):
            yield from _missing(one, other, where)
            for name in sorted(one.keys() & other.keys()):
                inside = vendors or _is_vendors(one)
                yield from self._field(name, one, other, f"{where}.{name}", kind, vendors=inside)
        elif one != other:
            yield _unequal(where, one, other)

    def _field(
        self, name: str, recorded: dict[str, Any], answered: dict[str, Any], where: str, kind: str, *, vendors: bool
    ) -> Iterator[str]:
        one, other = recorded[name], answered[name]
        kinds = {"id": "word" if isinstance(one, str) else kind, "dashboard_id": "dashboard"}
        if name in _UNDETERMINED or (vendors and recorded.get("is_sample") and name in VENDOR_TEXTS):
            yield from _shape(one, other, where)
        elif _kind(one) != _kind(other):
            yield f"{where}: {_kind(one)} recorded, {_kind(other)} answered"
        elif name in kinds or name in WORDS:
            yield from self._id(one, other, where, kinds.get(name, "word"))
        elif name in (*_EQUAL, "dashboards"):
            known = [self._ids.of("dashboard", key) for key in one] if name == "dashboards" else one
            equal: Callable[[Any, Any], bool] = _EQUAL.get(name, _same_items)
            if one is not None and not equal(known, other):
                yield _unequal(where, one, other)
        elif name != "description" or not (_is_vendors(recorded) and one and other in _TEXTS):
            yield from self._compare(one, other, where, INSIDE.get(name, kind), vendors=vendors)

    def _id(self, one: Any, other: Any, where: str, kind: str) -> Iterator[str]:
        """Compare ids: what is the same thing in the recording must be the same thing here."""
        expected = self._ids.of(kind, one)
        if other != expected:
            yield f"{where}: {one!r} recorded, which is {expected!r} here, {other!r} answered"


def _holds(recorded: Any, sent: Any) -> bool:
    """Whether a query holds another one. The server adds defaults to a query, which no request determines."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        return all(name in recorded and _holds(recorded[name], value) for name, value in sent.items())
    if isinstance(recorded, list) and isinstance(sent, list):
        return len(recorded) == len(sent) and all(map(_holds, recorded, sent))
    return bool(recorded == sent)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _same_items(one: list[Any], other: list[Any]) -> bool:
    return sorted(one) == sorted(other)


def _same_page(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.path, first.query) == (second.path, second.query)


_EQUAL: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(FREE, _equal),
    "query": _holds,
    "tags": _same_items,
    "next": _same_page,
    "previous": _same_page,
}
"""Fields that are compared as a whole, and how."""


def _is_vendors(dashboard: Any) -> bool:
    return isinstance(dashboard, dict) and dashboard.get("creation_mode") == "template"


def _error(recorded: dict[str, Any], answered: dict[str, Any]) -> Iterator[str]:
    """Compare an error's values, and say which key is missing."""
    for name in sorted(recorded.keys() | answered.keys()):
        first, second = (repr(body[name]) if name in body else "nothing" for body in (recorded, answered))
        if first != second:
            yield f"error {name}: {_short(first)} recorded, {_short(second)} answered"


def _shape(recorded: Any, answered: Any, where: str) -> Iterator[str]:
    first, second = _kind(recorded), _kind(answered)
    if first != second:
        yield f"{where}: {first} recorded, {second} answered"
    elif isinstance(recorded, list):
        if recorded and answered:
            yield from _shape(recorded[0], answered[0], f"{where}[0]")
    elif isinstance(recorded, dict):
        if where.rpartition(".")[2] in FREE | {"query_status"}:
            return
        yield from _missing(recorded, answered, where)
        for name in sorted(recorded.keys() & answered.keys()):
            yield from _shape(recorded[name], answered[name], f"{where}.{name}")


def _missing(recorded: dict[str, Any], answered: dict[str, Any], where: str) -> Iterator[str]:
    for name in sorted(recorded.keys() - answered.keys()):
        yield f"{where}.{name}: recorded, not answered"
    for name in sorted(answered.keys() - recorded.keys()):
        yield f"{where}.{name}: answered, not recorded"


def _unequal(where: str, one: Any, other: Any) -> str:
    return f"{where}: {_short(repr(one))} recorded, {_short(repr(other))} answered"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "an empty list" if value == [] else _KINDS[type(value)]


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."
