"""Run a hook method in its sync and in its async form."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

BOTH_WAYS = pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
"""The prefix of the method's name, for ``do``: the async form of ``x`` is ``ax``."""


class Ask(Protocol):
    """Calls a hook method in its sync or in its async form. ``method`` is the name of the sync form."""

    def __call__(self, hook: Any, method: str, /, *args: Any, **options: Any) -> Any: ...


def ask_sync(hook: Any, method: str, /, *args: Any, **options: Any) -> Any:
    """Call the sync form."""
    return getattr(hook, method)(*args, **options)


def ask_async(hook: Any, method: str, /, *args: Any, **options: Any) -> Any:
    """Call the async form in an event loop of its own."""

    async def go() -> Any:
        async with hook:
            return await getattr(hook, f"a{method}")(*args, **options)

    return asyncio.run(go())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """A test that uses this runs twice: once with each form."""
    chosen: Ask = request.param
    return chosen


async def do(hook: Any, prefix: str, method: str, *args: Any, **options: Any) -> Any:
    """Call a hook method in the test's own event loop: the sync form, or the async form if the prefix is ``a``."""
    if not prefix:
        return ask_sync(hook, method, *args, **options)
    async with hook:
        return await getattr(hook, prefix + method)(*args, **options)
