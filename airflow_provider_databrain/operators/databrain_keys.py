"""The rotation of Databrain's keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.operators.databrain import DatabrainOperator


class RotateApiKeyOperator(DatabrainOperator):
    """Rotate the data app API key of a connection; returns until when the old one lives (UTC, ISO 8601).

    The new key goes to ``store`` and nowhere else: not into XCom, and masked in logs. The order, and what a ``store``
    that fails means: see ``DatabrainHook.rotate_api_key_into``. A retry of the task rotates anew, with the key that the
    connection then has.

    :param store: called once with the new key; writes it to where Airflow finds the connection, such as a secrets
        backend. A function that takes the key, or its dotted path as text (not templated).
    :param expire_after: how long the old key still lives; above 0, and long enough for all tasks that have read it.
    """

    def __init__(self, *, store: Callable[[str], object] | str, expire_after: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.expire_after = expire_after

    def execute(self, context: Context) -> str:
        """Rotate and store; returns until when the old key lives.

        :raises ValueError: there is no such ``store``, or ``expire_after`` is no timedelta above 0; nothing was sent.
        :raises KeyNotStoredError: the key was rotated, but ``store`` has failed.
        """
        until = self.hook.rotate_api_key_into(_found(self.store), self.expire_after)
        self.log.info("The API key of connection %r was rotated and stored", self.databrain_conn_id)
        return until.isoformat()


def _found(store: Callable[[str], object] | str) -> Callable[[str], object]:
    """The function, or that of a dotted path."""
    found: Any = store
    if isinstance(store, str):
        module, _, name = store.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"store is {store!r}, which cannot be imported: {error}. Nothing was rotated.") from error
    if not callable(found):
        raise ValueError(f"store is {store!r}, and no function. Nothing was rotated.")
    result: Callable[[str], object] = found
    return result
