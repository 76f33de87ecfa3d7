"""Models of what is sent and of what comes back, and how a sent model becomes JSON.

What always holds:

- ``Sent`` refuses unknown fields, so a misspelled one is never sent. ``Received`` keeps them, so a new field of the API
  is not lost.
- Fields have Python names; JSON has the API's names.
- Only fields with a value are sent: None means "not set".
- No error shows a value, because a value may be a secret.

The functions at the end check single arguments before a request is built.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from airflow_provider_databrain.client.errors import MalformedAnswerError

ModelT = TypeVar("ModelT", bound=BaseModel)

Name = Annotated[str, Field(min_length=1, pattern=r"\S")]
"""A string that is not blank."""


class Sent(BaseModel):
    """Base of what we send. Unknown fields are refused, and no error shows a value.

    A field may be passed by its Python name or by the API's name.
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


class Extensible(Sent):
    """A model that takes more fields than the known ones.

    :param extra: fields that are sent as they are; none may have the name of a known field.
    """

    extra: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_unknown(self) -> Self:
        if self.extra and (repeated := sorted({alias for _, alias in _aliases(type(self))} & set(self.extra))):
            raise ValueError(f"extra repeats known fields: {', '.join(repeated)}; pass each as a field of its own")
        return self


def wire(model: BaseModel) -> dict[str, Any]:
    """The JSON object that is sent for a model: the API's names, only fields with a value, ``extra`` merged in."""
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


@cache
def _aliases(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """The fields of a model, each with its name in the API; without ``extra``."""
    return tuple((name, info.alias or name) for name, info in model.model_fields.items() if name != "extra")


def json_body(fields: Mapping[str, Any]) -> bytes:
    """Encode fields as the body of a request."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class Received(BaseModel):
    """Base of what the API sends back. Unknown fields are kept, and a number is accepted as a string."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    def as_row(self) -> dict[str, JsonValue]:
        """The fields that came, under the API's names."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def reader(model: type[ModelT]) -> Callable[[object], ModelT]:
    """Make a function that reads a decoded answer as ``model`` or raises ``MalformedAnswerError``."""

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
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}" for problem in invalid.errors()
    ]


def not_blank(value: str, name: str) -> str:
    """Return a string that is not blank.

    :param name: the argument's name, for the message.
    :raises ValueError: ``value`` is empty or blank.
    """
    if not value or not value.strip():
        raise ValueError(f"{name} is empty")
    return value


def check_id(value: int, name: str) -> int:
    """Return a numeric id.

    :param name: the argument's name, for the message.
    :raises ValueError: ``value`` is not a whole number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a whole number above 0")
    return value
