"""From a tenant's row and a spec to the fields of a request, and a hash of both.

What always holds: placeholders are plain column names, so a spec from a Dag cannot reach anything but the row. A
value's string replaces its placeholder and is not filled again. The same row and spec give the same hash in every
process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable
from airflow_provider_databrain.sql.columns import listed
from airflow_provider_databrain.tenants.engine import values

Row = Mapping[str, Any]
Spec = Mapping[str, Any] | Callable[[Row], Mapping[str, Any]]
"""The fields of a request, where ``{column}`` in any string stands for the row's value; or a function that makes the
fields from a row."""

ONLY = "Only plain column names are possible; use a function as spec for more."
_FORMATTER = Formatter()


class SpecError(Portable, ValueError):
    """A spec does not fit the tenant table; the message names the tenant and the column."""


def fill(spec: Spec, row: Row, tenant: str) -> dict[str, Any]:
    """The request's fields for one tenant.

    Placeholders are plain column names; the value's text (see ``values``) replaces them. ``{{`` and ``}}`` stand for
    braces. In an operator's argument they do not work, because Jinja renders them first: use a function there.

    :raises SpecError: a column does not exist or is null, a placeholder is more than a column name, or the function
        failed.
    """
    if not callable(spec):
        return {key: _fill_value(value, row, tenant) for key, value in spec.items()}
    try:
        fields = spec(row)
    except Exception as error:
        raise SpecError(
            f"tenant {tenant!r}: the spec function failed: {type(error).__name__}: {printable(str(error))}"
        ) from error
    if not isinstance(fields, Mapping):
        raise SpecError(f"tenant {tenant!r}: the spec function returned {type(fields).__name__}, not a mapping")
    return dict(fields)


class InputHash:
    """The hash of everything that a tenant's request is made from; faster to make than the request.

    If the spec is a mapping: of the mapping, and of the row's values that it names. If it is a function: of the fields
    that it returned.

    :param options: everything else that the request depends on, as a string.
    """

    def __init__(self, spec: Spec, options: str) -> None:
        self._columns = columns(spec)
        template = "" if callable(spec) else _serialize(spec)
        self._start = hashlib.blake2b(f"{options}\n{template}\n".encode("utf-8", "surrogatepass"), digest_size=12)

    def of_row(self, row: Row) -> str | None:
        """The hash for a row; None if the spec is a function, or a column does not exist."""
        if self._columns is None:
            return None
        try:
            return self._hash(repr([row[column] for column in self._columns]))
        except KeyError:
            return None

    def of_fields(self, fields: Mapping[str, Any]) -> str:
        """The hash for the fields that a function returned."""
        return self._hash(_serialize(fields))

    def _hash(self, text: str) -> str:
        digest = self._start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def columns(spec: Spec) -> tuple[str, ...] | None:
    """The columns that a spec names; None if it is a function, which may use any."""
    return None if callable(spec) else tuple(sorted(_columns(spec)))


def _serialize(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except TypeError:
        # Keys that are not possible in JSON. The check of the request refuses them and names the tenant.
        return repr(value)


def _columns(value: object) -> set[str]:
    """The columns that a spec names; none for a template that cannot be parsed, which ``fill`` refuses."""
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


def _fill_value(value: Any, row: Row, tenant: str) -> Any:
    if isinstance(value, str):
        return _fill_string(value, row, tenant)
    if isinstance(value, Mapping):
        return {key: _fill_value(item, row, tenant) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fill_value(item, row, tenant) for item in value]
    return value


def _fill_string(template: str, row: Row, tenant: str) -> str:
    if "{" not in template and "}" not in template:
        return template
    parts: list[str] = []
    try:
        for literal, column, format_spec, conversion in _FORMATTER.parse(template):
            parts.append(literal)
            if column is None:
                continue
            if format_spec or conversion:
                raise SpecError(f"tenant {tenant!r}: the spec {template!r} has a format or a conversion. {ONLY}")
            if column not in row:
                raise SpecError(
                    f"tenant {tenant!r}: the spec {template!r} asks for {column!r}, which is not a column of the row; "
                    f"it has {listed(list(row), column)}. {ONLY}"
                )
            value = row[column]
            if value is None:
                raise SpecError(
                    f"tenant {tenant!r}: column {column!r} is null, and the spec needs it in {template!r}. "
                    "Fill it, or use a function as spec."
                )
            try:
                parts.append(values.text(value))
            except ValueError as error:
                raise SpecError(
                    f"tenant {tenant!r}: column {column!r} holds {error} for the spec {template!r}. "
                    "Cast it in a query, or use a function as spec."
                ) from None
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"spec {template!r}: {error}; write {{{{ and }}}} for braces") from None
    return "".join(parts)
