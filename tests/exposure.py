"""Collect everything that a person can see of a run, and search it for secrets."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from airflow_provider_databrain.emulator.faults import Kind
from airflow_provider_databrain.emulator.server import Emulator

FAULTS: list[Kind] = [
    "error_before",
    "error_after",
    "reset_before",
    "reset_midway",
    "reset_after",
    "html",
    "cut",
    "wrong",
    "too_many",
]
"""The faults that any answer can have, without ``slow``. The others need an event stream."""


@dataclass
class Exposed:
    """Everything that a person can see.

    :param texts: results, errors, XComs, rendered fields, links.
    :param secrets: the texts and the log records must contain none of these.
    :param records: all log records.
    """

    texts: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)

    def show(self, *values: Any) -> None:
        """Note values. For an error, note its causes too, even those that its traceback does not show."""
        for value in values:
            self.texts += [str(value), repr(value)]
            if isinstance(value, BaseException):
                self.texts.append("".join(traceback.format_exception(value)))
                self.show(value.args, getattr(value, "__dict__", None), value.__cause__, value.__context__)

    def tries(self, act: Callable[[], Any]) -> BaseException | None:
        """Call ``act`` and note its result, its error or its trigger. Return the error."""
        # Imported here, because some tests that import this module need no Airflow.
        from tests.airflow_names import TaskDeferred

        try:
            result = act()
        except (Exception, TaskDeferred) as error:
            self.show(error)
            if isinstance(error, TaskDeferred):
                self.show(error.trigger.serialize(), error.kwargs)
            return error
        self.show(result)
        for row in result if isinstance(result, list) else [result]:
            self.show(row)
            if hasattr(row, "as_row"):
                self.show(row.as_row(), row.model_dump(), row.model_dump_json())
        return None

    def fails(self, act: Callable[[], Any]) -> None:
        """Call ``act``, which must fail, and note its error with all causes."""
        assert self.tries(act) is not None

    def task(self, operator: Any, instance: Any) -> BaseException | None:
        """Execute an operator and note what Airflow stores of it. Return the error."""
        # Airflow stores the fields before it executes the operator, and the links afterwards.
        self.kept(operator)
        error = self.tries(lambda: operator.execute({"ti": instance}))
        self.kept(operator)
        self.show(instance.pushed)
        return error

    def kept(self, operator: Any) -> None:
        """Note the rendered fields and the links."""
        from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

        from tests.airflow_names import redact

        links = [link.get_link(operator, ti_key=None) for link in operator.operator_extra_links]
        fields = _serialize_rendered_fields(operator)
        # Before Airflow 3.3 the server redacts them by name, before it stores them.
        self.show(operator, {name: redact(value, name) for name, value in fields.items()}, links)

    def leaks(self) -> list[str]:
        """Return the texts and the log records that contain a secret."""
        texts = [*self.texts, *(repr((record.getMessage(), record.args)) for record in self.records)]
        texts += ["".join(traceback.format_exception(*record.exc_info)) for record in self.records if record.exc_info]
        return [text for text in texts if any(secret in text for secret in self.secrets)]


@contextmanager
def listening() -> Iterator[Exposed]:
    """Note every record, of any level, that reaches the root logger or structlog.

    The ``log`` of operators, hooks and triggers belongs to one or the other, depending on the version of Airflow.
    """
    exposed = Exposed()

    def keep(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = sys.exc_info() if event.get("exc_info") else None
        exposed.records.append(logging.makeLogRecord({"msg": repr(event), "exc_info": error}))
        return event

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            exposed.records.append(record)

    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    # Changed in place, because loggers that exist already have this list.
    processors = structlog.get_config()["processors"]
    processors.insert(0, keep)
    try:
        yield exposed
    finally:
        processors.remove(keep)
        root.removeHandler(handler)
        root.setLevel(level)


def pieces(*secrets: str) -> list[str]:
    """Return the first and the last 12 characters of each secret: a part of a secret must not be shown either."""
    assert all(len(secret) >= 16 for secret in secrets)
    return [piece for secret in secrets for piece in (secret[:12], secret[-12:])]


def given_by(emulator: Emulator) -> list[str]:
    """Return all keys, service tokens and guest tokens of an emulated Databrain, expired ones too."""
    statement = "SELECT key FROM databrain_keys UNION SELECT token FROM databrain_guest_tokens"
    return [secret for (secret,) in emulator.account.store.rows(statement)]
