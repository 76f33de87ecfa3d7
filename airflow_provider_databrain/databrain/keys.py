"""The methods of Databrain's hook that return or store tokens and keys.

What always holds:

- A secret is masked in logs before anyone receives it: before a method returns it, and before ``store`` is called.
- No error holds a secret. If ``store`` fails, its own error may quote the key. So ``KeyNotStoredError`` names only the
  type and the place of that error. It has no cause and no context.
- What must end the task, such as Airflow's timeout, passes through unchanged. The log then says that the key was not
  stored, without a traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

from airflow_provider_databrain.airflow_compat import amask_secret, mask_secret
from airflow_provider_databrain.base.hook import ApiHook, ExtrasT
from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.databrain.api import tokens as api
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable

P = ParamSpec("P")
ResultT = TypeVar("ResultT", bound="api.Credential | Sequence[api.Credential] | tuple[api.Credential, bool]")
Store: TypeAlias = Callable[[str], object]
"""The caller's function that stores a key. Its result is ignored. If it raises, the key is not stored."""
AsyncStore: TypeAlias = Callable[[str], Awaitable[object]]
"""As ``Store``, and awaited."""


class KeyNotStoredError(Portable, Exception):
    """A key exists, but ``store`` failed to store it.

    The error of ``store`` is neither shown nor chained, because it may hold the key.

    :param kind: what the key is, for example ``service token``.
    :param reason: type and place of the error.
    :param old_key_until: after a rotation, until when the old key works at least (UTC). The new key is lost then. None
        for an API token, which Databrain still lists.
    """

    def __init__(self, kind: str, reason: str, old_key_until: datetime | None) -> None:
        super().__init__(kind, reason, old_key_until)
        self.kind = kind
        self.reason = reason
        self.old_key_until = old_key_until

    def __str__(self) -> str:
        if self.old_key_until is None:
            return (
                f"The {self.kind} exists, but was not stored: {printable(self.reason)}. "
                "Fix `store` and run the task again; it receives the same key."
            )
        return (
            f"The {self.kind} was rotated, but the new one was not stored: {printable(self.reason)}. "
            f"The old one works until {self.old_key_until:%Y-%m-%d %H:%M:%S} UTC. "
            "Fix `store` and rotate again before then."
        )


def both_masking(
    function: Callable[P, Call[ResultT]],
) -> tuple[
    Callable[Concatenate[ApiHook[Any], P], ResultT],
    Callable[Concatenate[ApiHook[Any], P], Awaitable[ResultT]],
]:
    """The sync and the async hook method of an API function. They run its call and mask the secrets in the result."""

    @wraps(function)
    def method(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        result = self.run(function(*args, **kwargs))
        for secret in _secrets(result):
            mask_secret(secret)
        return result

    @wraps(function)
    async def amethod(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        result = await self.arun(function(*args, **kwargs))
        for secret in _secrets(result):
            await amask_secret(secret)
        return result

    return method, amethod


class TokenMethods(ApiHook[ExtrasT]):
    """Guest tokens, API tokens, and the rotation of API keys and service tokens."""

    create_guest_token, acreate_guest_token = both_masking(api.create_guest_token)
    create_api_token, acreate_api_token = both_masking(api.create_api_token)
    list_api_tokens, alist_api_tokens = both_masking(api.list_api_tokens)
    rotate_api_key, arotate_api_key = both_masking(api.rotate_api_key)
    rotate_service_token, arotate_service_token = both_masking(api.rotate_service_token)
    _find_or_create_api_token, _afind_or_create_api_token = both_masking(api.find_or_create_api_token)

    def rotate_api_key_into(self, store: Store, expire_after: timedelta) -> datetime:
        """Rotate the connection's API key and pass the new key to ``store``. Nobody else receives it.

        The order: Databrain creates the new key; the key is masked in logs; ``store`` is called. ``store`` must write
        the key to where Airflow finds the connection, such as a secrets backend. Until then, every task uses the old
        key. So the old key must work while ``store`` runs, and until the last task that has read it is done. Choose
        ``expire_after`` accordingly. This hook itself keeps the old key; make a new hook to use the new key.

        :param store: called once with the new key. Its result is ignored. If it raises, the key is not stored.
        :param expire_after: how long the old key still works; above 0.
        :return: until when the old key works at least (UTC).
        :raises ValueError: ``expire_after`` is not a timedelta above 0. Nothing was sent.
        :raises KeyNotStoredError: ``store`` failed. The new key is lost. The error says until when the old key works;
            rotate again before then.
        :raises ApiError: the rotation failed.
        """
        until = _old_key_until(expire_after)
        self._store(store, self.rotate_api_key(expire_after), API_KEY.name, until)
        return until

    async def arotate_api_key_into(self, store: AsyncStore, expire_after: timedelta) -> datetime:
        """As ``rotate_api_key_into``, but ``store`` is awaited."""
        until = _old_key_until(expire_after)
        await self._astore(store, await self.arotate_api_key(expire_after), API_KEY.name, until)
        return until

    def rotate_service_token_into(self, store: Store, expire_after: timedelta) -> datetime:
        """Rotate the connection's service token; otherwise as ``rotate_api_key_into``."""
        until = _old_key_until(expire_after)
        self._store(store, self.rotate_service_token(expire_after), SERVICE_TOKEN.name, until)
        return until

    async def arotate_service_token_into(self, store: AsyncStore, expire_after: timedelta) -> datetime:
        """As ``rotate_service_token_into``, but ``store`` is awaited."""
        until = _old_key_until(expire_after)
        await self._astore(store, await self.arotate_service_token(expire_after), SERVICE_TOKEN.name, until)
        return until

    def create_api_token_into(self, store: Store, data_app_name: str, name: str) -> bool:
        """Pass the key of a data app's API token to ``store``. If no token of that name exists, create one.

        :param store: called with the key each time, also if the token existed already.
        :return: whether the token was created.
        :raises KeyNotStoredError: ``store`` failed. The token exists, and the next call passes the same key.
        :raises NotFoundError: the data app does not exist.
        """
        token, created = self._find_or_create_api_token(data_app_name, name)
        self._store(store, token, "API token", None)
        return created

    async def acreate_api_token_into(self, store: AsyncStore, data_app_name: str, name: str) -> bool:
        """As ``create_api_token_into``, but ``store`` is awaited."""
        token, created = await self._afind_or_create_api_token(data_app_name, name)
        await self._astore(store, token, "API token", None)
        return created

    def _store(self, store: Store, key: api.NewKey, kind: str, old_key_until: datetime | None) -> None:
        with _Storing(self.log.error, kind, old_key_until) as storing:
            store(key.key)
        storing.check()

    async def _astore(self, store: AsyncStore, key: api.NewKey, kind: str, old_key_until: datetime | None) -> None:
        with _Storing(self.log.error, kind, old_key_until) as storing:
            await store(key.key)
        storing.check()


class _Storing:
    """A ``with`` block around a call of ``store``, sync or async. It holds back an error, which may quote the key.

    Call ``check`` after the block. An error raised within the block would have the held-back error as its context.
    """

    def __init__(self, log_error: Callable[..., object], kind: str, old_key_until: datetime | None) -> None:
        self._log_error = log_error
        self._kind = kind
        self._old_key_until = old_key_until
        self._failure: KeyNotStoredError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        self._failure = KeyNotStoredError(self._kind, _place(error), self._old_key_until)
        if isinstance(error, Exception):
            return True
        # What must end the task passes through. Its message and traceback may hold the key, so only ours is logged.
        self._log_error("%s", self._failure)
        return False

    def check(self) -> None:
        """Raise ``KeyNotStoredError`` if ``store`` failed."""
        if self._failure is not None:
            raise self._failure


def _old_key_until(expire_after: timedelta) -> datetime:
    """Until when the old key works at least, counted from before the rotation is sent."""
    if not isinstance(expire_after, timedelta) or expire_after <= timedelta(0):
        raise ValueError("expire_after must be a timedelta above 0: the old key must work until the new one is stored")
    return datetime.now(UTC) + expire_after


def _secrets(result: api.Credential | Sequence[api.Credential] | tuple[api.Credential, bool]) -> list[str]:
    parts = [result] if isinstance(result, api.Credential) else result
    return [part.secret for part in parts if isinstance(part, api.Credential)]


def _place(error: BaseException) -> str:
    """Type and place of an error, without its message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
