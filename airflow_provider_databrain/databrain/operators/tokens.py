"""Operators that create, list and rotate Databrain's keys: API tokens of data apps, and the service token.

No key goes into XCom, a log or a rendered field. A new key goes to the function ``store`` and nowhere else.
All need the service token, except ``RotateApiKeyOperator``, which needs the data app API key that it rotates.
"""

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
"""A user's function that takes a key and stores it."""


class _StoringOperator(DatabrainOperator):
    """Base of the operators that pass a key to ``store``."""

    def __init__(self, *, store: Store | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def store_function(self) -> Store:
        """``store`` itself, or the function at its dotted path.

        :raises ValueError: ``store`` cannot be imported, or is not a function; nothing was sent.
        """
        function: Any = self.store
        if isinstance(function, str):
            module, _, name = function.rpartition(".")
            try:
                function = getattr(import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"store is {self.store!r}, which cannot be imported: {error}. Nothing was sent."
                ) from error
        if not callable(function):
            raise ValueError(f"store is {self.store!r}, which is not a function. Nothing was sent.")
        store: Store = function
        return store


class CreateApiTokenOperator(_StoringOperator):
    """Create an API token of a data app if none has this name, and pass its key to ``store``; returns the token's name.

    An existing token's key is passed to ``store`` in the same way. So a retry creates no second token, and a key is not
    lost if ``store`` fails: fix ``store`` and run the task again. Needs the service token.

    Further parameters: see ``DatabrainOperator``.

    :param name: the token's name (templated).
    :param data_app_name: the data app; the connection's if not set (templated).
    :param store: called in each run with the key. It must write the key to where it is needed, such as a secrets
        backend. A function that takes the key, or the dotted path of one as a string (not templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name", "data_app_name")

    def __init__(self, *, name: str, data_app_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.data_app_name = data_app_name

    def execute(self, context: Context) -> str:
        """Find or create the token, then store its key; returns the token's name.

        :raises ValueError: ``store`` is not a function or its path, or a name is blank; nothing was sent.
        :raises NotFoundError: the data app does not exist.
        :raises KeyNotStoredError: ``store`` failed.
        """
        store = self.store_function()
        app = self.hook.data_app(self.data_app_name)
        created = self.hook.create_api_token_into(store, app, self.name)
        self.log.info("API token %r of data app %r: %s", self.name, app, "created" if created else "exists already")
        return self.name


class ListApiTokensOperator(ListOperator):
    """List the API tokens of a data app, without their keys; returns rows with ``name``. Needs the service token.

    Further parameters: see ``RowsOperator``.

    :param data_app_name: the data app; the connection's if not set (templated).
    """

    template_fields: Sequence[str] = (*ListOperator.template_fields, "data_app_name")

    def __init__(self, *, data_app_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_app_name = data_app_name

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_api_tokens(self.hook.data_app(self.data_app_name), page="all")


class _RotateOperator(_StoringOperator):
    """Base of the operators that rotate a key of the connection."""

    def __init__(self, *, expire_after: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.expire_after = expire_after

    @abstractmethod
    def rotate(self, store: Store) -> datetime:
        """Rotate the key; returns when the old key expires."""

    def execute(self, context: Context) -> str:
        """Rotate the key and store the new one; returns when the old key expires.

        :raises ValueError: ``store`` is not a function or its path, or ``expire_after`` is not a timedelta above 0;
            nothing was sent.
        :raises KeyNotStoredError: the key was rotated, but ``store`` failed.
        """
        until = self.rotate(self.store_function())
        self.log.info("A key of connection %r was rotated and stored", self.databrain_conn_id)
        return until.isoformat()


class RotateApiKeyOperator(_RotateOperator):
    """Rotate the data app API key of a connection; returns when the old key expires (UTC, ISO 8601).

    The new key goes to ``store`` and nowhere else: it is not in XCom, and logs mask it. For the order of the steps, and
    for what happens if ``store`` fails, see ``DatabrainHook.rotate_api_key_into``. A retry of the task rotates again,
    with the key that the connection has then. Needs the data app API key.

    Further parameters: see ``DatabrainOperator``.

    :param store: called once with the new key. It must write the key to where Airflow finds the connection, such as a
        secrets backend. A function that takes the key, or the dotted path of one as a string (not templated).
    :param expire_after: how long the old key stays valid. It must be above 0, and long enough for all tasks that have
        already read the old key.
    """

    def rotate(self, store: Store) -> datetime:
        """Rotate the API key; returns when the old key expires."""
        return self.hook.rotate_api_key_into(store, self.expire_after)


class RotateServiceTokenOperator(_RotateOperator):
    """Rotate the service token of a connection; returns when the old token expires (UTC, ISO 8601).

    The new token goes to ``store`` and nowhere else: it is not in XCom, and logs mask it. For the order of the steps,
    and for what happens if ``store`` fails, see ``DatabrainHook.rotate_api_key_into``. A retry of the task rotates
    again, with the token that the connection has then. Needs the service token.

    Further parameters: see ``DatabrainOperator``.

    :param store: called once with the new token. It must write the token to where Airflow finds the connection, such as
        a secrets backend. A function that takes the token, or the dotted path of one as a string (not templated).
    :param expire_after: how long the old token stays valid. It must be above 0, and long enough for all tasks that have
        already read the old token.
    """

    def rotate(self, store: Store) -> datetime:
        """Rotate the service token; returns when the old token expires."""
        return self.hook.rotate_service_token_into(store, self.expire_after)
