"""What came as an argument is checked for what it is: a number, a boolean, a text, a mapping, a list.

Arguments come from a Dag file, from templates, from XCom and from mapping, and each of these can change a value's type:
``True`` becomes ``"True"``, a list becomes its text, an id ``"1001"`` becomes a number. So each base of operators and
sensors has ``ReadsArguments``. What an argument must be is read from the annotation of its parameter, so a new
parameter is checked too.

An argument that is not templated is checked when it is set: while the Dag file is parsed or, for a mapped task, before
the task runs. A templated one is checked after rendering, before anything is read or sent.
"""

from __future__ import annotations

import inspect
import math
import numbers
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow_provider_databrain.airflow_compat import Context

if TYPE_CHECKING:
    from airflow_provider_databrain.airflow_compat import BaseOperator

    _Base = BaseOperator
else:
    _Base = object

PACKAGE = __name__.partition(".")[0]
ATTRIBUTES = {"dry_run": "dry_run_flag"}
"""Parameters whose attribute has another name, because Airflow's operators have a method of that name."""
UNCHECKED = frozenset(
    {
        # ``base.templating.positive_int``, the page and ``at_least`` say more about these.
        "int | str",
        # ``TenantTask.is_dry_run`` reads it; it knows more words.
        "bool | str",
        # The operators of tokens say more about these.
        "Store | str",
        "timedelta",
        "Any",
        # Each operator names the choices.
        "Literal",
    }
)
"""Annotations that are not checked here."""
LATER = frozenset({("batch", "Mapping[str, Any] | None"), ("columns", "Sequence[str] | None")})
"""Parameters, with their annotation, whose values the operator itself checks.

Here only that a template or an XCom gave something."""
_NOTHING = (None, "", "None")
_SECRET = ("password",)
_TIMEOUTS = ("connect_timeout", "read_timeout", "max_retry_seconds")
"""The hook checks their range."""
_SHOWN = 60


class ArgumentKind(NamedTuple):
    """What the values of a parameter must be.

    :param what: the words for a message.
    :param read: makes the value from what came; raises ``ValueError`` or ``TypeError`` if that is something else.
    """

    what: str
    read: Callable[[Any], Any]


class Parameter(NamedTuple):
    """One parameter of an operator or a sensor.

    :param attribute: where the operator keeps it.
    :param optional: whether None is possible.
    :param required: whether the Dag must give it.
    """

    name: str
    attribute: str
    kind: ArgumentKind
    optional: bool
    required: bool


def read_flag(value: Any) -> bool:
    """A boolean; also from its text, in any case, and from 0 and 1."""
    if isinstance(value, bool):
        return value
    return bool(_adapter(bool).validate_python(value.strip() if isinstance(value, str) else value))


def read_whole(value: Any) -> int:
    """A whole number; also from its text, and from a float without a fraction. A boolean is not a number."""
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, numbers.Integral):
        return int(value)
    return int(_adapter(int).validate_python(value))


def read_number(value: Any) -> float:
    """A finite number; also from its text. A boolean is not a number."""
    if isinstance(value, bool):
        raise TypeError
    number: float = value if isinstance(value, int | float) else _adapter(float).validate_python(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def read_text(value: Any) -> str:
    """A text. A whole number becomes its decimal digits: it may be an id that XCom or a template made a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError
    return str(int(value))


def read_time(value: Any) -> Any:
    """A text, or an object with a date (a ``datetime``, or the one that Airflow's context has)."""
    if isinstance(value, str) or callable(getattr(value, "isoformat", None)):
        return value
    raise TypeError


def read_function(value: Any) -> Any:
    """A function."""
    if not callable(value):
        raise TypeError
    return value


def read_mapping(value: Any) -> Mapping[Any, Any]:
    """A mapping; also from its text."""
    value = from_text(value)
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def read_list(value: Any) -> Sequence[Any]:
    """A list; also from its text, or from the results of several tasks."""
    value = from_text(value)
    if not isinstance(value, Sequence):
        raise TypeError
    return value if isinstance(value, list | tuple) else list(value)


def read_anything(value: Any) -> Any:
    """Anything, as it is."""
    return value


def read_texts(value: Any) -> Sequence[str]:
    """A list of texts; also from its text. A text that is no list is one element."""
    if isinstance(value, str) and not (value.strip().startswith("[") and value.strip().endswith("]")):
        return [value] if value else []
    elements = read_list(value)
    return elements if all(isinstance(each, str) for each in elements) else [read_text(each) for each in elements]


def from_text(value: Any) -> Any:
    """What a text means as JSON or, as Airflow renders a list or a mapping, as a Python literal.

    :raises ValueError: the text is neither.
    """
    if not isinstance(value, str):
        return value
    import ast
    import json

    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value.strip())
    except (SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise ValueError from error


_ANYTHING = ArgumentKind("anything", read_anything)
_TEXT = ArgumentKind("a text", read_text)
_MAPPING = ArgumentKind("a mapping", read_mapping)
_LIST = ArgumentKind("a list", read_list)
KINDS: Mapping[str, ArgumentKind] = {
    "bool": ArgumentKind("true or false", read_flag),
    "int": ArgumentKind("a whole number", read_whole),
    "float": ArgumentKind("a number", read_number),
    "str": _TEXT,
    "str | int": _TEXT,
    "datetime | str": ArgumentKind("a time in ISO 8601", read_time),
    "Callable": ArgumentKind("a function", read_function),
    "Sequence[str]": ArgumentKind("a list of texts", read_texts),
    "Sequence": _LIST,
    "Mapping": _MAPPING,
}
"""What a parameter must be, by its annotation without ``| None``; for a generic type, by its name if need be."""
_MAY_HOLD_SECRETS = (read_mapping, read_list)
"""A value that came for one of these is not shown."""


def parameters_of(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """The parameters of an ``__init__``, without ``self`` and ``kwargs``."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter


def kind_of(annotation: str) -> ArgumentKind | None:
    """What values of this annotation must be; None if they are not checked here.

    :raises LookupError: the annotation is in no table.
    """
    plain = annotation.removesuffix(" | None")
    generic = plain.partition("[")[0]
    for key in (plain, generic):
        if key in KINDS:
            return KINDS[key]
        if key in UNCHECKED:
            return None
    raise LookupError(f"{annotation} is in no table of {__name__}")


@cache
def checked_parameters(cls: type) -> Mapping[str, Parameter]:
    """The checked parameters of an operator or a sensor, of this package's classes only; by attribute."""
    found: dict[str, Parameter] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] != PACKAGE or "__init__" not in vars(base):
            continue
        for parameter in parameters_of(vars(base)["__init__"]):
            annotation = str(parameter.annotation)
            kind = _ANYTHING if (parameter.name, annotation) in LATER else kind_of(annotation)
            if kind is not None:
                attribute = ATTRIBUTES.get(parameter.name, parameter.name)
                found[attribute] = Parameter(
                    parameter.name,
                    attribute,
                    kind,
                    optional=annotation.endswith("| None"),
                    required=parameter.default is parameter.empty,
                )
    return found


class ReadsArguments(_Base):
    """Checks the arguments of an operator or a sensor; see the module."""

    must_not_vanish: ClassVar[Collection[str]] = ()
    """Optional arguments whose absence means much. A template or an XCom that gives nothing for one is an error."""
    _vanished: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        execute = vars(cls).get("execute")
        if execute is not None:
            cls.execute = _checked(execute)  # type: ignore[method-assign] # each class has its own

    def __setattr__(self, key: str, value: Any) -> None:
        parameter = checked_parameters(type(self)).get(key)
        if parameter is not None:
            if key in self.template_fields:
                before = vars(self).get(key)
                if value is not before:
                    nothing = isinstance(value, str | None) and value in _NOTHING
                    gone = {key} if nothing and _comes_later(before) else set()
                    vars(self)["_vanished"] = (self._vanished - {key}) | gone
            else:
                value = self._read(parameter, value)
        super().__setattr__(key, value)

    def render_template(self, content: Any, context: Context, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render as Airflow does, but with native rendering a text stays that text.

        Airflow reads a rendered text as a Python literal then: the id ``"1_000"`` becomes 1000, ``"1e5"`` becomes
        100000.0, and the placeholder ``"{1}"`` a set. Here an expression that stands alone gives its object, and
        everything else gives its text.
        """
        if isinstance(content, str) and not content.endswith(tuple(self.template_ext)):
            jinja_env = jinja_env or self.get_template_env()
            # Only native rendering makes something else than a text from nothing.
            if jinja_env.concat([]) is None:
                return _natively(jinja_env.from_string(content), context)
        return super().render_template(content, context, jinja_env, seen_oids)

    def read_arguments(self) -> None:
        """Check what came; raises ``ValueError``. An attribute gets what its parameter must be, such as 8 from "8"."""
        for parameter in checked_parameters(type(self)).values():
            if parameter.attribute not in vars(self):
                continue
            value = vars(self)[parameter.attribute]
            given = self._without(parameter, value) if parameter.attribute in self._vanished else value
            read = self._read(parameter, given)
            if isinstance(read, int | float) and read < 0 and parameter.name not in _TIMEOUTS:
                raise ValueError(f"{parameter.name} is {read}; it must be 0 or more. Nothing was sent.")
            if read is not value:
                vars(self)[parameter.attribute] = read

    def _without(self, parameter: Parameter, value: Any) -> Any:
        """A template gave nothing: None if that means that the argument is not given."""
        needed = parameter.required or (parameter.kind is _TEXT and not parameter.optional)
        # With the text "None", another workspace or project would be meant than without it.
        unclear = parameter.kind is _TEXT and value == "None"
        if needed or unclear or parameter.attribute in self.must_not_vanish:
            advice = "" if parameter.required else "; if nothing is meant, leave the argument out"
            if not needed and parameter.attribute not in self.must_not_vanish:
                advice += ", or write {{ ... or '' }}"
            raise ValueError(
                f"{parameter.name} is {value!r}: its template or XCom gave nothing. "
                f"Look at what it refers to{advice}. Nothing was sent."
            )
        return None if parameter.optional else value

    def _read(self, parameter: Parameter, value: Any) -> Any:
        if value is None and parameter.optional:
            return None
        templated = parameter.attribute in self.template_fields
        if templated and value == "" and (parameter.optional or parameter.kind is _TEXT):
            # A blank text is the operator's to judge.
            return value
        try:
            return parameter.kind.read(value)
        except (ValueError, TypeError, OverflowError):
            what = f"{parameter.kind.what}{' or None' if parameter.optional else ''}"
            secret = parameter.name in _SECRET or parameter.kind.read in _MAY_HOLD_SECRETS
            raise ValueError(
                f"{parameter.name} is {shown(value, secret=secret)}; it must be {what}. "
                f"{_advice(parameter, value, templated=templated)}Nothing was sent."
            ) from None


def shown(value: Any, *, secret: bool = False) -> str:
    """A value of a wrong type, for a message: its type, and the begin of a short value."""
    name = type(value).__name__
    if value is None:
        return "None"
    if secret and isinstance(value, str):
        return f"a {name} of {len(value)} characters"
    if secret and isinstance(value, int | float):
        return f"of type {name}"
    if isinstance(value, str | bool | int | float):
        text = repr(value)
        return f"{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'} ({name})"
    try:
        return f"a {name} of {len(value)} elements"
    except TypeError:
        return f"of type {name}"


def _advice(parameter: Parameter, value: Any, *, templated: bool) -> str:
    if not templated and _comes_later(value):
        return "It is not templated, and takes no result of another task: give the value, or map over it. "
    if parameter.kind is _TEXT and not isinstance(value, str):
        return (
            "What it was as a text is not known any more: return it as a text from the task or the params, "
            "or write {{ ... | string }} in the template. "
        )
    if parameter.kind.read in (read_mapping, read_list) and isinstance(value, str):
        return (
            "Give the object itself: the task's output, or a template with render_template_as_native_obj=True; "
            "or JSON (in a template: | tojson). "
        )
    return ""


def _comes_later(value: Any) -> bool:
    """Whether a value is a template or refers to another task."""
    if isinstance(value, str):
        return bool(re.search(r"\{\{|\{%", value))
    return callable(getattr(value, "resolve", None)) and not hasattr(value, "__fspath__")


def _natively(template: Any, context: Context) -> Any:
    values: dict[str, Any] = dict(context)
    try:
        nodes = list(template.root_render_func(template.new_context(values)))
    except Exception:
        template.environment.handle_exception()
        raise
    if len(nodes) == 1 and not type(nodes[0]).__module__.startswith("jinja2"):
        return nodes[0]
    return "".join(map(str, nodes))


def _checked(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def checked(self: ReadsArguments, *args: Any, **kwargs: Any) -> Any:
        self.read_arguments()
        return execute(self, *args, **kwargs)

    return checked


@cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
