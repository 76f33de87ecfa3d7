"""Models that are sent: what they take, and how they become JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from airflow_provider_databrain.client.errors import MalformedAnswerError

ModelT = TypeVar("ModelT", bound=BaseModel)


class Sent(BaseModel):
    """Base of what we send: unknown fields are refused, values never appear in an error.

    Fields may be given by their Python name or by the API's own.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class Received(BaseModel):
    """Base of what we are answered: unknown fields are kept, numbers pass for strings."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    def as_row(self) -> dict[str, JsonValue]:
        """The fields under the API's own names, as they came."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def reader(model: type[ModelT]) -> Callable[[object], ModelT]:
    """A function that reads a decoded answer as ``model`` or raises ``MalformedAnswerError``."""

    def read(payload: object) -> ModelT:
        try:
            return model.model_validate(payload)
        except ValidationError as invalid:
            problems = "; ".join(explain(invalid)[:3])
            raise MalformedAnswerError(f"unexpected answer: {problems}") from None

    return read


def explain(invalid: ValidationError) -> list[str]:
    """The problems of a validation error, one line each, without the values."""
    return [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in invalid.errors(include_url=False, include_input=False, include_context=False)
    ]


Name = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Extensible(Sent):
    """What takes further fields than the known ones.

    :param extra: sent along as it is; may not repeat a known field.
    """

    extra: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_unknown(self) -> Self:
        if self.extra and (repeated := sorted({alias for _, alias in _aliases(type(self))} & set(self.extra))):
            raise ValueError(f"extra repeats known fields: {', '.join(repeated)}; give them as what they are")
        return self


def wire(model: BaseModel) -> dict[str, Any]:
    """What is sent for a model: the API's names, only what was set, ``extra`` merged in."""
    fields: dict[str, Any] = {}
    for name, alias in _aliases(type(model)):
        value = getattr(model, name)
        if value is None:
            continue
        if isinstance(value, BaseModel):
            value = wire(value)
        elif isinstance(value, list):
            value = [wire(item) if isinstance(item, BaseModel) else item for item in value]
        fields[alias] = value
    return fields | dict(getattr(model, "extra", {}))


def json_body(fields: Mapping[str, Any]) -> bytes:
    """Fields as a request's body."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def filled(value: str, name: str) -> str:
    """A text with more than blanks.

    :raises ValueError: it has none.
    """
    if not value or not value.strip():
        raise ValueError(f"{name} is empty")
    return value


def check_id(value: int, name: str) -> int:
    """An id that is a number.

    :raises ValueError: ``value`` is none; ``name`` is what the message calls it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it is a whole number above 0")
    return value


@cache
def _aliases(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """The fields of a model, each with the API's name for it; ``extra`` is none of them."""
    return tuple((name, info.alias or name) for name, info in model.model_fields.items() if name != "extra")
