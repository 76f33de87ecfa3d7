"""Each exception of the package can be pickled and copied, and loses nothing."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import pkgutil
import socket
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NoReturn

import pytest

import airflow_provider_databrain as package
from airflow_provider_databrain.client.answer import annotate
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    MalformedAnswerError,
    RateLimitedError,
    TransportError,
)
from airflow_provider_databrain.client.server import ConfigurationError, Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.sync import SyncTransport
from airflow_provider_databrain.conduit.api import list_workspaces
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from airflow_provider_databrain.databrain.api.endpoint import API_KEY
from airflow_provider_databrain.databrain.keys import KeyNotStoredError
from airflow_provider_databrain.emulator.posthog.checks import PostHogRefusalError
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.posthog.api.dashboards import list_page
from airflow_provider_databrain.tenants.engine.removal import RemovalGuardError
from airflow_provider_databrain.tenants.engine.report import Failure, ProvisioningError
from tests.support import embed

SECRET = "sk-very-secret-1234567890"
UNTIL = datetime(2030, 1, 2, tzinfo=UTC)
MESSAGE = "tables: 1\n- 'a' 客户"


def exceptions() -> list[type[BaseException]]:
    """Every exception class that is defined in the package."""
    found = {
        value
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not info.name.endswith(".__main__")
        for value in vars(import_module(info.name)).values()
        if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == info.name
    }
    return sorted(found - {Portable}, key=lambda found: f"{found.__module__}.{found.__qualname__}")


CLASSES = exceptions()


def api_error(error_class: type[ApiError]) -> ApiError:
    return error_class(MESSAGE, status=418, code="X", endpoint="e", tenant="t", dashboard="d", retry_after=2.5)


def failures(count: int) -> list[Failure]:
    return [Failure(tenant=f"t{number}", dashboard_id="", error="E", message="m") for number in range(count)]


MAKERS: dict[type[BaseException], Callable[[Any], BaseException]] = {
    TransportError: lambda made_class: made_class(MESSAGE, sent=False, transient=False),
    MalformedAnswerError: lambda made_class: made_class(MESSAGE, status=200, transient=False, ambiguous=False),
    KeyNotStoredError: lambda made_class: made_class(
        "service token", "OSError in x.py", datetime(2030, 1, 2, tzinfo=UTC)
    ),
    ProvisioningError: lambda made_class: made_class(failures(7), 10, failed=8, left=2, why="stopped", retry_after=9.5),
    RemovalGuardError: lambda made_class: made_class(MESSAGE, 12),
    RefusalError: lambda made_class: made_class(404, "NOT_FOUND", MESSAGE),
    PostHogRefusalError: lambda made_class: made_class(400, {"code": "x", "attr": None}),
}
"""How to make an exception whose class does not take one message. A subclass is made like its base."""


def made(error_class: type[BaseException]) -> BaseException:
    """An exception of the class with every field set, with a note and a cause."""
    for base in error_class.__mro__:
        if base in MAKERS:
            error = MAKERS[base](error_class)
            break
    else:
        error = api_error(error_class) if issubclass(error_class, ApiError) else error_class(MESSAGE)
    if isinstance(error, ApiError):
        annotate(Server("http://vendor.example", {API_KEY: SECRET}), create_dashboard_embed(embed("acme")), error)
        error.after_ambiguous = True
    error.add_note("first note")
    error.add_note("second note")
    error.__cause__ = ValueError("the cause's text")
    return error


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, **{f"pickle {number}": pickled(number) for number in PROTOCOLS}}
"""Each way in which an exception is copied."""


def assert_same(new: BaseException, old: BaseException) -> None:
    assert type(new) is type(old)
    assert (str(new), repr(new), new.args) == (str(old), repr(old), old.args)
    assert vars(new) == vars(old)
    assert new.__suppress_context__ == old.__suppress_context__


def test_the_walk_finds_the_exceptions() -> None:
    names = {error_class.__name__ for error_class in CLASSES}
    assert {"ApiError", "ConfigurationError", "LedgerError", "PostHogRefusalError", "StreamCutError"} <= names
    assert len(CLASSES) > 25


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
@pytest.mark.parametrize("error_class", CLASSES, ids=lambda error_class: error_class.__name__)
def test_an_exception_is_copied_with_all_it_has(error_class: type[BaseException], way: Callable[[Any], Any]) -> None:
    old = made(error_class)
    new = way(old)
    assert_same(new, old)
    assert new.__notes__ == ["first note", "second note"]
    assert "the cause's text" in str(new.__cause__)
    assert "ValueError" in str(new.__cause__)
    # A copy of the copy is the same again.
    again = way(new)
    assert_same(again, old)
    assert str(again.__cause__) == str(new.__cause__)


def raise_made(name: str, module: str) -> NoReturn:
    """Raise the exception of that class; runs in another process."""
    raise made(vars(import_module(module))[name])


def test_each_exception_comes_out_of_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for error_class in CLASSES:
            error = pool.submit(raise_made, error_class.__name__, error_class.__module__).exception(timeout=120)
            assert error is not None
            old = made(error_class)
            assert type(error) is error_class
            assert (str(error), vars(error)) == (str(old), vars(old))
            # The pool puts the worker's traceback in place of the cause.
            assert "ValueError: the cause's text" in str(error.__cause__)


def test_a_copys_notes_are_its_own() -> None:
    old = made(ConfigurationError)
    copy.copy(old).add_note("third note")
    assert old.__notes__ == ["first note", "second note"]


def test_a_cause_of_ours_stays_what_it_is() -> None:
    old = ConfigurationError("outer")
    old.__cause__ = made(RateLimitedError)
    new = pickle.loads(pickle.dumps(old))
    assert isinstance(new.__cause__, RateLimitedError)
    assert_same(new.__cause__, old.__cause__)
    assert "the cause's text" in str(new.__cause__.__cause__)


def test_a_chain_of_causes_is_kept_in_order() -> None:
    last, middle, first = OSError("last"), KeyError("middle"), ConfigurationError("first")
    first.__cause__, middle.__cause__ = middle, last
    middle.add_note("a note")
    text = "".join(traceback.format_exception(pickle.loads(pickle.dumps(first))))
    assert text.index("OSError: last") < text.index("KeyError: 'middle'\na note") < text.index("first")


def test_a_circle_of_causes_is_copied() -> None:
    first, second = ConfigurationError("first"), ConfigurationError("second")
    first.__cause__, second.__cause__ = second, first
    new = pickle.loads(pickle.dumps(first))
    assert str(new.__cause__) == "second"
    assert new.__cause__.__cause__ is new
    foreign = KeyError("a"), KeyError("b")
    first.__cause__, foreign[0].__cause__, foreign[1].__cause__ = *foreign[:1], foreign[1], foreign[0]
    assert "KeyError: 'a'" in str(copy.deepcopy(first).__cause__)


@pytest.mark.parametrize("hidden", [True, False])
def test_an_exception_without_a_cause_gets_none(hidden: bool) -> None:
    error = ConfigurationError("m")
    error.__suppress_context__ = hidden
    new = pickle.loads(pickle.dumps(error))
    assert new.__cause__ is None
    assert new.__suppress_context__ is hidden


class OwnError(ApiError):
    """A user's subclass with an ``__init__`` of its own."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number


def test_a_users_subclass_is_copied_too() -> None:
    old = OwnError(number=7)
    assert_same(pickle.loads(pickle.dumps(old)), old)
    assert_same(copy.copy(old), old)


# Secrets


class HoldingError(Exception):
    """As the errors of HTTP libraries: it holds the request, and its text does not show it."""

    def __init__(self) -> None:
        super().__init__("the connection broke")
        self.headers = {"Authorization": f"Bearer {SECRET}"}


def all_bytes(error: BaseException) -> bytes:
    return b"".join(pickle.dumps(error, protocol) for protocol in PROTOCOLS)


@pytest.mark.parametrize("error_class", CLASSES, ids=lambda error_class: error_class.__name__)
def test_what_a_cause_holds_but_does_not_show_is_not_pickled(error_class: type[BaseException]) -> None:
    error = made(error_class)
    error.__cause__ = HoldingError()
    error.__context__ = HoldingError()
    assert SECRET.encode() not in all_bytes(error)
    assert "the connection broke" in str(pickle.loads(pickle.dumps(error)).__cause__)


def test_a_token_that_the_server_repeats_is_not_pickled() -> None:
    server = Server("http://vendor.example", {API_KEY: SECRET})
    error = AuthenticationError(f"no such token: {SECRET}", status=401, code=SECRET)
    annotate(server, create_dashboard_embed(embed("acme")), error)
    assert SECRET.encode() not in all_bytes(error)


REQUESTS: list[Request[Any]] = [create_dashboard_embed(embed("acme")), list_page(), list_workspaces()]


@pytest.mark.parametrize("sent", REQUESTS, ids=["databrain", "posthog", "conduit"])
async def test_a_failed_call_is_pickled_without_what_its_library_holds(sent: Request[Any]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    server = Server(
        f"http://127.0.0.1:{port}",
        {sent.endpoint.token: SECRET},
        parameters={"project_id": "1"},
        max_retry_seconds=0,
        connect_timeout=2,
    )
    errors: list[ApiError] = []
    with pytest.raises(TransportError) as caught, SyncTransport(server) as transport:
        transport.run(sent)
    errors.append(caught.value)
    with pytest.raises(TransportError) as caught:
        async with AsyncTransport(server) as atransport:
            await atransport.run(sent)
    errors.append(caught.value)
    for error in errors:
        assert SECRET.encode() not in all_bytes(error)
        assert_same(pickle.loads(pickle.dumps(error)), error)
