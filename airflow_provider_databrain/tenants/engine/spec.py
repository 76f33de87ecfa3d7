"""A tenant's row and a spec become what its dashboard shall be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from string import Formatter
from typing import Any
from uuid import UUID

Row = Mapping[str, Any]
Spec = Mapping[str, Any] | Callable[[Row], Mapping[str, Any]]
"""The fields of a request, in which ``{column}`` in any string stands for the row's value; or a function
that makes them of a row."""

PLAIN = (str, int, float, Decimal, UUID, date, time)
"""Types (and their subclasses, such as bool and datetime) whose text is the same each time."""
_FORMATTER = Formatter()
_ONLY = "Only plain column names are possible; use a function as spec for more."


class SpecError(ValueError):
    """A spec that does not fit the tenant table; the message names tenant and column."""


def fill(spec: Spec, row: Row, tenant: str) -> dict[str, Any]:
    """The request's fields for one tenant.

    Placeholders are plain column names; the value's text takes their place. ``{{`` and ``}}`` stand for braces
    (not in an operator's argument, where Jinja takes them first: use a function there).

    :raises SpecError: a column is missing or null, a placeholder is more than a column name, or the
        function failed.
    """
    if not callable(spec):
        return {key: _filled(value, row, tenant) for key, value in spec.items()}
    try:
        fields = spec(row)
    except Exception as error:
        raise SpecError(f"tenant {tenant!r}: the spec function failed: {type(error).__name__}: {error}") from error
    if not isinstance(fields, Mapping):
        raise SpecError(f"tenant {tenant!r}: the spec function returned {type(fields).__name__}, not a mapping")
    return dict(fields)


class InputHash:
    """A hash of all that a tenant's request is made of, quicker to make than the request itself.

    For a mapping as spec: the mapping, and the row's values that it names. For a function: what it returned.

    :param options: whatever else the request depends on, as text.
    """

    def __init__(self, spec: Spec, options: str) -> None:
        self._columns = None if callable(spec) else tuple(sorted(_columns(spec)))
        template = "" if callable(spec) else _written(spec)
        self._start = hashlib.blake2b(f"{options}\n{template}\n".encode("utf-8", "surrogatepass"), digest_size=12)

    def of_row(self, row: Row) -> str | None:
        """The hash, where the row alone tells it."""
        if self._columns is None:
            return None
        try:
            return self._hash(repr([row[column] for column in self._columns]))
        except KeyError:
            return None

    def of_fields(self, fields: Mapping[str, Any]) -> str:
        """The hash of what a function returned."""
        return self._hash(_written(fields))

    def _hash(self, text: str) -> str:
        digest = self._start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _written(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except TypeError:
        # Keys that no JSON can have. The request's own check refuses them, and names the tenant.
        return repr(value)


def _columns(value: object) -> set[str]:
    """The columns that a spec names; a template that cannot be read names none here, and fails when it is filled."""
    if isinstance(value, str):
        try:
            return {column for _, column, _, _ in _FORMATTER.parse(value) if column is not None}
        except ValueError:
            return set()
    if isinstance(value, Mapping):
        return set().union(*map(_columns, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_columns, value))
    return set()


def _filled(value: Any, row: Row, tenant: str) -> Any:
    if isinstance(value, str):
        return _text(value, row, tenant)
    if isinstance(value, Mapping):
        return {key: _filled(item, row, tenant) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, row, tenant) for item in value]
    return value


def _text(template: str, row: Row, tenant: str) -> str:
    if "{" not in template and "}" not in template:
        return template
    parts: list[str] = []
    try:
        for literal, column, format_spec, conversion in _FORMATTER.parse(template):
            parts.append(literal)
            if column is None:
                continue
            if format_spec or conversion:
                raise SpecError(f"tenant {tenant!r}: the spec {template!r} has a format or a conversion. {_ONLY}")
            if column not in row:
                raise SpecError(
                    f"tenant {tenant!r}: the spec {template!r} asks for {column!r}, which is no column of the row; "
                    f"it has {', '.join(map(str, row))}. {_ONLY}"
                )
            value = row[column]
            if value is None:
                raise SpecError(
                    f"tenant {tenant!r}: column {column!r} is null, and the spec needs it in {template!r}. "
                    "Fill it, or use a function as spec."
                )
            if not isinstance(value, PLAIN):
                raise SpecError(
                    f"tenant {tenant!r}: column {column!r} holds a {type(value).__name__}, which has no plain text for "
                    f"the spec {template!r}. Cast it in a query, or use a function as spec."
                )
            parts.append(str(value))
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"spec {template!r}: {error}; write {{{{ and }}}} for braces") from None
    return "".join(parts)
