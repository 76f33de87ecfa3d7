"""The differences between two answers: status, media type, wait, error and the shape of the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_databrain.emulator.compare.recordings import Answer

FREE = frozenset(
    {"filters", "variables", "persisted_filters", "persisted_variables", "settings", "layouts", "query", "result"}
)
"""Fields with any content that a client sends. Only their kind is compared."""
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def differences(recorded: Answer, answered: Answer, *, body: bool = True) -> Iterator[str]:
    """Yield each difference as a line of text.

    :param body: False does not compare the bodies.
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
        yield from _events(recorded.events(), answered.events())
    elif recorded.status >= 400 and isinstance(recorded.body, dict) and isinstance(answered.body, dict):
        yield from _error(recorded.body, answered.body)
    elif isinstance(recorded.body, str) or isinstance(answered.body, str):
        if recorded.body != answered.body:
            yield f"body: {_short(repr(recorded.body))} recorded, {_short(repr(answered.body))} answered"
    else:
        yield from _shape(recorded.body, answered.body, "body")


def _events(recorded: list[dict[str, Any]], answered: list[dict[str, Any]]) -> Iterator[str]:
    first, second = ([event.get("type") for event in events] for events in (recorded, answered))
    if first != second:
        yield f"events: {first} recorded, {second} answered"
    for number, (one, other) in enumerate(zip(recorded, answered, strict=False)):
        yield from _shape(one, other, f"event {number}")


def _error(recorded: dict[str, Any], answered: dict[str, Any]) -> Iterator[str]:
    """Compare an error's values too, not only its keys."""
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
        yield from _keys(recorded, answered, where)


def _keys(recorded: dict[str, Any], answered: dict[str, Any], where: str) -> Iterator[str]:
    for name in sorted(recorded.keys() - answered.keys()):
        yield f"{where}.{name}: recorded, not answered"
    for name in sorted(answered.keys() - recorded.keys()):
        yield f"{where}.{name}: answered, not recorded"
    for name in sorted(recorded.keys() & answered.keys()):
        if name not in FREE:
            yield from _shape(recorded[name], answered[name], f"{where}.{name}")
        elif type(recorded[name]) is not type(answered[name]):
            yield f"{where}.{name}: {_kind(recorded[name])} recorded, {_kind(answered[name])} answered"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "an empty list" if value == [] else _KINDS[type(value)]


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."
