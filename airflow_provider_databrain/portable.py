"""The base of each exception of this package: it can be pickled and copied, and loses nothing.

Process pools, Celery and Airflow carry exceptions from one process to another. Python alone calls the class again with
``args``, which fails if ``__init__`` takes anything else, and it drops the cause.

What always holds for a copy, by ``pickle``, ``copy.copy`` or ``copy.deepcopy``:

- It has the same class, ``args``, fields, text and notes. ``__init__`` is not called again.
- A cause of this package is copied in the same way. Of any other cause only the text is kept, which a traceback shows:
  such an exception may hold what its text does not show, for example a request with its token. For the same reason the
  context is not kept.
"""

from __future__ import annotations

import traceback
from typing import Any

from airflow_provider_databrain.printable import printable


class Portable(BaseException):
    """Base of an exception that can be pickled and copied. Name it first: ``class MyError(Portable, ValueError)``."""

    def __str__(self) -> str:
        """The text, with an escape for each character that could forge a line of a log."""
        return printable(super().__str__(), keep_lines=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """The class, ``args`` and everything else, as ``pickle`` and ``copy`` take it."""
        state = {
            **vars(self),
            "__cause__": _portable(self.__cause__, ()),
            "__suppress_context__": self.__suppress_context__,
        }
        if "__notes__" in state:
            state["__notes__"] = list(state["__notes__"])
        # The cause is in the state, not in the arguments: so a circle of causes has an end.
        return _new, (type(self), *self.args), state


def _new(error_class: type[Portable], *args: object) -> Portable:
    """An exception with these ``args``; its ``__init__`` is not called."""
    return error_class.__new__(error_class, *args)


class _CauseError(Portable, Exception):
    """Stands for a cause that is not ours. Its text is the type, text and notes of that cause."""


def _portable(cause: BaseException | None, before: tuple[BaseException, ...]) -> BaseException | None:
    """The cause as a copy has it.

    :param before: the exceptions that it is a cause of.
    """
    if cause is None or isinstance(cause, Portable):
        return cause
    if any(cause is error for error in before):
        return None
    stand_in = _CauseError("".join(traceback.format_exception_only(cause)).rstrip())
    stand_in.__cause__ = _portable(cause.__cause__, (*before, cause))
    return stand_in
