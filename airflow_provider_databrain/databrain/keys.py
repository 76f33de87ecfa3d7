"""The methods of Databrain's hook that give tokens, each masked in logs before anybody gets it."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from airflow_provider_databrain.airflow_compat import amask_secret, mask_secret
from airflow_provider_databrain.base.hook import ApiHook, ExtrasT
from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.databrain.api import tokens as api
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN

P = ParamSpec("P")
Given = TypeVar("Given", bound="api.Credential | Sequence[api.Credential]")
HookT = TypeVar("HookT", bound=ApiHook[Any])


class KeyNotStoredError(Exception):
    """A key was made, but what was to store it failed.

    The failure itself is not shown and not chained, for it may hold the key: only its type and where it was raised.

    :param kind: what was made.
    :param reason: type and place of the failure.
    :param old_key_until: after a rotation, which leaves nobody with the new key: the old one lives at least until then
        (UTC). None for a new API token, which the list still has.
    """

    def __init__(self, kind: str, reason: str, old_key_until: datetime | None) -> None:
        super().__init__(kind, reason, old_key_until)
        self.kind = kind
        self.reason = reason
        self.old_key_until = old_key_until

    def __str__(self) -> str:
        if self.old_key_until is None:
            return (
                f"The {self.kind} is there, but was not stored: {self.reason}. Mend what stores, and run this again: "
                "the same one is handed on."
            )
        return (
            f"The {self.kind} was rotated, but the new one was not stored: {self.reason}. The old one lives until "
            f"{self.old_key_until:%Y-%m-%d %H:%M:%S} UTC: mend what stores, and rotate again before that."
        )


def both_masking(
    function: Callable[P, Call[Given]],
) -> tuple[
    Callable[Concatenate[ApiHook[Any], P], Given],
    Callable[Concatenate[ApiHook[Any], P], Awaitable[Given]],
]:
    """The sync and the async hook method that run an API function's call and mask the secrets in its result."""

    @wraps(function)
    def method(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> Given:
        given = self.run(function(*args, **kwargs))
        for secret in _secrets(given):
            mask_secret(secret)
        return given

    @wraps(function)
    async def amethod(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> Given:
        given = await self.arun(function(*args, **kwargs))
        for secret in _secrets(given):
            await amask_secret(secret)
        return given

    return method, amethod


class TokenMethods(ApiHook[ExtrasT]):
    """Guest tokens, API tokens, and the rotation of keys."""

    create_guest_token, acreate_guest_token = both_masking(api.create_guest_token)
    create_api_token, acreate_api_token = both_masking(api.create_api_token)
    list_api_tokens, alist_api_tokens = both_masking(api.list_api_tokens)
    rotate_api_key, arotate_api_key = both_masking(api.rotate_api_key)
    rotate_service_token, arotate_service_token = both_masking(api.rotate_service_token)

    def rotate_api_key_into(self, store: Callable[[str], object], expire_after: timedelta) -> datetime:
        """Rotate the connection's API key and hand the new one to ``store``; nobody else gets it.

        The order: the new key is made, masked in logs, and given to ``store``. Until ``store`` has written it to where
        Airflow finds the connection (a secrets backend), only the old key is known anywhere. So the old key must
        still live while ``store`` runs, and until every task that has read the connection before is done: choose
        ``expire_after`` by that. This hook itself goes on with the old key; make a new hook for the new one.

        :param store: called once with the new key. What it returns is not looked at; that it raises means that the
            key is not stored.
        :param expire_after: how long the old key still lives; above 0.
        :return: until when the old key lives at least (UTC).
        :raises ValueError: ``expire_after`` is 0 or less; nothing was sent.
        :raises KeyNotStoredError: ``store`` has failed. The new key is lost; the old one lives for the time that the
            error tells, so rotate again within it.
        :raises ApiError: the rotation itself has failed.
        """
        until = _until(expire_after)
        self._store(API_KEY.name, self.rotate_api_key(expire_after), store, until)
        return until

    async def arotate_api_key_into(
        self, store: Callable[[str], Awaitable[object]], expire_after: timedelta
    ) -> datetime:
        """As ``rotate_api_key_into``, with a ``store`` that is awaited."""
        until = _until(expire_after)
        await self._astore(API_KEY.name, await self.arotate_api_key(expire_after), store, until)
        return until

    def rotate_service_token_into(self, store: Callable[[str], object], expire_after: timedelta) -> datetime:
        """Rotate the connection's service token; else as ``rotate_api_key_into``."""
        until = _until(expire_after)
        self._store(SERVICE_TOKEN.name, self.rotate_service_token(expire_after), store, until)
        return until

    async def arotate_service_token_into(
        self, store: Callable[[str], Awaitable[object]], expire_after: timedelta
    ) -> datetime:
        """As ``rotate_service_token_into``, with a ``store`` that is awaited."""
        until = _until(expire_after)
        await self._astore(SERVICE_TOKEN.name, await self.arotate_service_token(expire_after), store, until)
        return until

    def create_api_token_into(self, store: Callable[[str], object], data_app_name: str, name: str) -> bool:
        """Hand the key of a data app's API token to ``store``; the token is made where there is none of that name.

        :param store: called with the key each time, whether it was made or found.
        :return: whether it was made.
        :raises KeyNotStoredError: ``store`` has failed; the token is there, and the next call hands it on.
        :raises NotFoundError: there is no such data app.
        """
        found, created = self.run(api.find_or_create_api_token(data_app_name, name))
        mask_secret(found.key)
        self._store("API token", found, store, None)
        return created

    async def acreate_api_token_into(
        self, store: Callable[[str], Awaitable[object]], data_app_name: str, name: str
    ) -> bool:
        """As ``create_api_token_into``, with a ``store`` that is awaited."""
        found, created = await self.arun(api.find_or_create_api_token(data_app_name, name))
        await amask_secret(found.key)
        await self._astore("API token", found, store, None)
        return created

    def _store(self, kind: str, new: api.NewKey, store: Callable[[str], object], until: datetime | None) -> None:
        failed: KeyNotStoredError | None = None
        try:
            store(new.key)
        except BaseException as error:
            failed = self._unstored(error, kind, until)
        # Out of the ``except``, so that the failure is not the error's context.
        if failed is not None:
            raise failed

    async def _astore(
        self, kind: str, new: api.NewKey, store: Callable[[str], Awaitable[object]], until: datetime | None
    ) -> None:
        failed: KeyNotStoredError | None = None
        try:
            await store(new.key)
        except BaseException as error:
            failed = self._unstored(error, kind, until)
        if failed is not None:
            raise failed

    def _unstored(self, error: BaseException, kind: str, until: datetime | None) -> KeyNotStoredError:
        """What to raise for a failure; what ends the task, such as a timeout, goes through."""
        failed = KeyNotStoredError(kind, _place(error), until)
        if isinstance(error, Exception):
            return failed
        # Without the traceback, in which the failure's words would stand.
        self.log.error("%s", failed)
        raise error


def _secrets(given: api.Credential | Iterable[api.Credential]) -> list[str]:
    return [each.secret for each in ([given] if isinstance(given, api.Credential) else given)]


def _until(expire_after: timedelta) -> datetime:
    """Until when the old key lives at least: counted from before the rotation is sent."""
    if not isinstance(expire_after, timedelta) or expire_after <= timedelta(0):
        raise ValueError("expire_after is no timedelta above 0: the old key must live while the new one is stored")
    return datetime.now(UTC) + expire_after


def _place(error: BaseException) -> str:
    """Type and place of a failure, without its words."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
