"""The base of every vendor's hook: it reads an Airflow connection and runs calls, sync or async.

What always holds:

- Creating a hook reads nothing and opens nothing. The connection is read once, before the first call.
- Every secret of the connection is masked in Airflow's logs as soon as it has been read.
- A sync method opens its transport itself. An async method must be called inside ``async with hook:``.
- A method and its async form (``list_embeds``, ``alist_embeds``) take the same arguments, run the same call, and return
  the same result; ``both`` makes the pair.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, wraps
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_databrain.airflow_compat import BaseHook, Connection, aget_connection, amask_secret, mask_secret
from airflow_provider_databrain.base.connection import base_url, without_api_path
from airflow_provider_databrain.base.proxies import proxy_for
from airflow_provider_databrain.client.call import Call, Token
from airflow_provider_databrain.client.models import explain
from airflow_provider_databrain.client.server import ConfigurationError, Server

if TYPE_CHECKING:
    from typing import Self

    from airflow_provider_databrain.client.transport.aio import AsyncTransport, Watch
    from airflow_provider_databrain.client.transport.pace import Pace
    from airflow_provider_databrain.client.transport.sync import SyncTransport

P = ParamSpec("P")
T = TypeVar("T")
ExtrasT = TypeVar("ExtrasT", bound="ConnectionExtras")
DISTRIBUTION = "airflow-provider-databrain"
CALL_SECONDS = 600.0
"""Seconds that one try may take as a whole, if nobody says so."""


@cache
def user_agent() -> str:
    """The ``User-Agent`` of all calls. ``version`` reads a file that takes milliseconds to parse."""
    return f"{DISTRIBUTION}/{version(DISTRIBUTION)}"


class ConnectionExtras(BaseModel):
    """The extras that every connection type takes. An unknown extra is refused.

    :param connect_timeout: seconds to establish a connection.
    :param read_timeout: maximum seconds without a byte from the server.
    :param max_retry_seconds: seconds from a call's first try after which no other try starts.
    :param max_call_seconds: seconds that one try may take as a whole, however often the server sends a byte;
        None for ``CALL_SECONDS``, or for more if ``read_timeout`` needs more.
    :param max_answer_mib: size of the largest answer that is read, in MiB.
    :param verify_tls: whether the server's certificate is checked.
    :param ca_path: file of CA certificates to trust, and no others.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True, allow_inf_nan=False)

    connect_timeout: float = Field(default=10, gt=0)
    read_timeout: float = Field(default=60, gt=0)
    max_retry_seconds: float = Field(default=300, ge=0)
    max_call_seconds: float | None = Field(default=None, gt=0)
    max_answer_mib: float = Field(default=64, gt=0)
    verify_tls: bool = True
    ca_path: str | None = None

    @property
    def call_seconds(self) -> float:
        """``max_call_seconds``, or its default. A ``read_timeout`` that is longer than the default stays possible."""
        return self.max_call_seconds or max(CALL_SECONDS, self.connect_timeout + self.read_timeout)


class ApiHook(BaseHook, Generic[ExtrasT]):
    """A client of one dashboard API, made from an Airflow connection.

    Nothing is read or opened before the first call. Async methods need ``async with hook:``.

    :param conn_id: id of the Airflow connection.
    :param connect_timeout: in seconds; replaces the connection's value.
    :param read_timeout: in seconds; replaces the connection's value.
    :param max_retry_seconds: in seconds; replaces the connection's value.
    :param max_call_seconds: seconds that one try of a call may take as a whole; replaces the connection's value.
    """

    extras_model: type[ExtrasT]
    hook_name: str
    default_url: str | None = None
    api_path = ""
    """A regular expression for what the API's own paths begin with. In a connection's host it is taken off."""
    page_path = ""
    """A regular expression for what paths of the vendor's pages, or of another API, begin with. A host with one is
    refused."""

    def __init__(
        self,
        conn_id: str,
        *,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        max_retry_seconds: float | None = None,
        max_call_seconds: float | None = None,
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        overrides = {
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "max_retry_seconds": max_retry_seconds,
            "max_call_seconds": max_call_seconds,
        }
        self._overrides: dict[str, Any] = {name: float(value) for name, value in overrides.items() if value is not None}
        self._settings: tuple[Server, ExtrasT] | None = None
        self._sync: SyncTransport | None = None
        self._async: AsyncTransport | None = None

    @abstractmethod
    def tokens(self, connection: Connection, extras: ExtrasT) -> Mapping[Token, str | None]:
        """The credentials in a connection."""

    @abstractmethod
    def test_connection(self) -> tuple[bool, str]:
        """Send a small read; return whether it worked, and what to tell the person at the connection form."""

    def options(self, extras: ExtrasT) -> Mapping[str, Any]:
        """Other fields of ``Server`` that depend on this vendor's extras."""
        return {}

    def url_without_host(self, extras: ExtrasT) -> str | None:
        """The URL that calls go to if the connection names no host; None if it must name one."""
        return self.default_url

    def server_url(self, connection: Connection, extras: ExtrasT) -> str:
        """The URL that calls go to, without the API's own path.

        :raises ConfigurationError: the connection's host is missing or cannot be right.
        """
        url = base_url(connection, self.url_without_host(extras))
        if self.api_path:
            url = without_api_path(url, self.api_path)
        self.check_url(url)
        return url

    def check_url(self, url: str) -> None:
        """Refuse the address of a page.

        :raises ConfigurationError: the URL cannot be right.
        """
        parts = urlsplit(url)
        if self.page_path and without_api_path(url, self.page_path) != url:
            raise ConfigurationError(
                f"Connection {self.conn_id!r} names a page or another API in Host: its path begins like "
                f"{parts.path[:40]!r}. Fill Host with the server's address alone, such as "
                f"'{parts.scheme}://{parts.netloc}'."
            )

    @property
    def server(self) -> Server:
        """Where calls go. It is read from the connection once.

        :raises ConfigurationError: the connection cannot be used; the message names the field to correct.
        """
        return self._configured()[0]

    @property
    def extras(self) -> ExtrasT:
        """The connection's extras, checked.

        :raises ConfigurationError: as for ``server``.
        """
        return self._configured()[1]

    def _configured(self) -> tuple[Server, ExtrasT]:
        if self._settings is None:
            connection = self.get_connection(self.conn_id)
            self._settings = self._read(connection, connection.extra_dejson)
            for secret in self._settings[0].secrets():
                mask_secret(secret)
        return self._settings

    async def aconfigure(self) -> None:
        """Read the connection without blocking the event loop."""
        self._settings = self._read(*await aget_connection(self, self.conn_id))
        for secret in self._settings[0].secrets():
            await amask_secret(secret)

    def _read(self, connection: Connection, raw: Mapping[str, Any]) -> tuple[Server, ExtrasT]:
        extras = self._check_extras(raw)
        tokens = self.tokens(connection, extras)
        url = self.server_url(connection, extras)
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            self.log.warning("Connection %r sends its tokens unencrypted to %s", self.conn_id, parts.netloc)
        if not extras.verify_tls:
            self.log.warning("Connection %r accepts any certificate of %s", self.conn_id, parts.netloc)
        proxy, proxy_auth = proxy_for(url)
        server = Server(
            base_url=url,
            tokens={token: value.strip() for token, value in tokens.items() if value and value.strip()},
            conn_id=self.conn_id,
            user_agent=user_agent(),
            connect_timeout=extras.connect_timeout,
            read_timeout=extras.read_timeout,
            max_retry_seconds=extras.max_retry_seconds,
            max_call_seconds=extras.call_seconds,
            max_answer_bytes=int(extras.max_answer_mib * 1024 * 1024),
            verify_tls=(extras.ca_path or True) if extras.verify_tls else False,
            proxy=proxy,
            proxy_auth=proxy_auth,
            **self.options(extras),
        )
        return server, extras

    def _check_extras(self, raw: Mapping[str, Any]) -> ExtrasT:
        extras = {name: value for name, value in raw.items() if value is not None and value != ""} | self._overrides
        try:
            return self.extras_model.model_validate(extras)
        except ValidationError as invalid:
            known = ", ".join(sorted(self.extras_model.model_fields))
            raise ConfigurationError(
                f"Connection {self.conn_id!r} has extras that cannot be used: {'; '.join(explain(invalid))}. "
                f"Known extras: {known}."
            ) from None

    def run(self, call: Call[T]) -> T:
        """Run a call of the vendor's ``api`` and return its result."""
        return self.transport().run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run a call of the vendor's ``api`` on the event loop and return its result; needs ``async with hook:``."""
        return await self.atransport().run(call)

    def transport(self) -> SyncTransport:
        """The transport of the sync methods; it is made on first use."""
        if self._sync is None:
            from airflow_provider_databrain.client.transport.sync import SyncTransport

            self._sync = SyncTransport(self.server)
        return self._sync

    def atransport(self) -> AsyncTransport:
        """The transport of the async methods; needs ``async with hook:``."""
        if self._async is None:
            raise RuntimeError("open the hook first: async with hook: ...")
        return self._async

    def concurrent(self, limit: int, *, pace: Pace | None = None, watch: Watch | None = None) -> AsyncTransport:
        """Make another transport, for up to ``limit`` calls at a time. The caller opens and closes it.

        :param pace: decides when each try may start.
        :param watch: called after each try.
        """
        from airflow_provider_databrain.client.transport.aio import AsyncTransport

        return AsyncTransport(self.server, limit=limit, pace=pace, watch=watch)

    def close(self) -> None:
        """Close the connections of the sync methods."""
        if self._sync is not None:
            self._sync.close()
            self._sync = None

    async def __aenter__(self) -> Self:
        if self._settings is None:
            await self.aconfigure()
        self._async = await self.concurrent(limit=32).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._async is not None:
            await self._async.__aexit__(kind, error, trace)
            self._async = None


def both(
    function: Callable[P, Call[T]],
) -> tuple[
    Callable[Concatenate[ApiHook[Any], P], T],
    Callable[Concatenate[ApiHook[Any], P], Awaitable[T]],
]:
    """Make the sync and the async hook method for an API function, which returns a call.

    Use it in a hook's class: ``list_embeds, alist_embeds = both(api.list_embeds)``. Both methods take the function's
    arguments, run the call, and return its result. Both have the function's docstring.
    """

    @wraps(function)
    def method(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(function(*args, **kwargs))

    @wraps(function)
    async def amethod(self: ApiHook[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.arun(function(*args, **kwargs))

    return method, amethod
