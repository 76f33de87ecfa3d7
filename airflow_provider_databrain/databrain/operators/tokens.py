"""Databrain's keys: made, listed, rotated. No key goes into XCom, a log or a rendered field."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import DatabrainOperator, ListOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received

Store = Callable[[str], object]


class _StoringOperator(DatabrainOperator):
    """Base of what makes a key and hands it to a function of the user's."""

    def __init__(self, *, store: Store | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def found(self) -> Store:
        """The function, or that of a dotted path."""
        found: Any = self.store
        if isinstance(found, str):
            module, _, name = found.rpartition(".")
            try:
                found = getattr(import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"store is {self.store!r}, which cannot be imported: {error}. Nothing was sent."
                ) from error
        if not callable(found):
            raise ValueError(f"store is {self.store!r}, and no function. Nothing was sent.")
        result: Store = found
        return result


class _RotateOperator(_StoringOperator):
    """Base of the rotations.

    The new key goes to ``store`` and nowhere else. The order, and what a ``store`` that fails means: see
    ``DatabrainHook.rotate_api_key_into``. A retry of the task rotates anew, with the key that the connection then has.

    :param store: called once with the new key; writes it to where Airflow finds the connection, such as a secrets
        backend. A function that takes the key, or its dotted path as text (not templated).
    :param expire_after: how long the old key still lives; above 0, and long enough for all tasks that have read it.
    """

    def __init__(self, *, expire_after: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.expire_after = expire_after

    @abstractmethod
    def rotate(self, store: Store) -> datetime:
        """Rotate; until when the old key lives."""

    def execute(self, context: Context) -> str:
        """Rotate and store; returns until when the old key lives.

        :raises ValueError: there is no such ``store``, or ``expire_after`` is no timedelta above 0; nothing was sent.
        :raises KeyNotStoredError: the key was rotated, but ``store`` has failed.
        """
        until = self.rotate(self.found())
        self.log.info("A key of connection %r was rotated and stored", self.databrain_conn_id)
        return until.isoformat()


class RotateApiKeyOperator(_RotateOperator):
    """Rotate the data app API key of a connection; returns until when the old one lives (UTC, ISO 8601).

    The new key goes to ``store`` and nowhere else: not into XCom, and masked in logs. The order, and what a ``store``
    that fails means: see ``DatabrainHook.rotate_api_key_into``. A retry of the task rotates anew, with the key that the
    connection then has.

    :param store: called once with the new key; writes it to where Airflow finds the connection, such as a secrets
        backend. A function that takes the key, or its dotted path as text (not templated).
    :param expire_after: how long the old key still lives; above 0, and long enough for all tasks that have read it.
    """

    def rotate(self, store: Store) -> datetime:
        """Rotate; until when the old key lives."""
        return self.hook.rotate_api_key_into(store, self.expire_after)


class RotateServiceTokenOperator(_RotateOperator):
    """Rotate the service token of a connection; else as ``RotateApiKeyOperator``."""

    def rotate(self, store: Store) -> datetime:
        """Rotate; until when the old token lives."""
        return self.hook.rotate_service_token_into(store, self.expire_after)


class CreateApiTokenOperator(_StoringOperator):
    """Make an API token of a data app exist and hand its key to ``store``; returns the token's name.

    One of that name that is there is handed on as it is, so a retry makes no second one, and one whose ``store`` has
    failed is not lost. Needs the service token.

    :param name: what the token is called (templated).
    :param data_app_name: the data app; the connection's where it is not given (templated).
    :param store: see ``RotateApiKeyOperator``. Called in each run.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name", "data_app_name")

    def __init__(self, *, name: str, data_app_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.data_app_name = data_app_name

    def execute(self, context: Context) -> str:
        """Find or create, then store; returns the name.

        :raises ValueError: there is no such ``store``; nothing was sent.
        :raises KeyNotStoredError: ``store`` has failed.
        """
        store = self.found()
        app = self.hook.data_app(self.data_app_name)
        created = self.hook.create_api_token_into(store, app, self.name)
        self.log.info("API token %r of data app %r: %s", self.name, app, "created" if created else "was there")
        return self.name


class ListApiTokensOperator(ListOperator):
    """List the API tokens of a data app, without their keys: rows with ``name``; see ``RowsOperator`` too.

    Needs the service token.

    :param data_app_name: the data app; the connection's where it is not given (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "data_app_name")

    def __init__(self, *, data_app_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_app_name = data_app_name

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_api_tokens(self.hook.data_app(self.data_app_name), page="all")
