"""The two forms of a hook's methods."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

BOTH_WAYS = pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
"""What a method's name begins with, for ``do``."""


class Ask(Protocol):
    """Calls a hook's method, in its sync or its async form."""

    def __call__(self, hook: Any, method: str, /, *args: Any, **options: Any) -> Any: ...


def ask_sync(hook: Any, method: str, /, *args: Any, **options: Any) -> Any:
    """Call the sync method."""
    return getattr(hook, method)(*args, **options)


def ask_async(hook: Any, method: str, /, *args: Any, **options: Any) -> Any:
    """Call the async method, in an event loop of its own."""

    async def go() -> Any:
        async with hook:
            return await getattr(hook, f"a{method}")(*args, **options)

    return asyncio.run(go())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both forms, one after the other."""
    chosen: Ask = request.param
    return chosen


async def do(hook: Any, prefix: str, method: str, *args: Any, **options: Any) -> Any:
    """Call a method of the hook in the test's own event loop, the sync one or, with the prefix ``a``, the async one."""
    if not prefix:
        return ask_sync(hook, method, *args, **options)
    async with hook:
        return await getattr(hook, prefix + method)(*args, **options)
