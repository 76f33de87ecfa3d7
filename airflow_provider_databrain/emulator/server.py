"""The emulator as an HTTP server on a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_databrain.emulator.app import create_app
from airflow_provider_databrain.emulator.conduit import Conduit
from airflow_provider_databrain.emulator.databrain.system import Databrain
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.system import POSTHOG_SCOPES, PostHog
from airflow_provider_databrain.emulator.systems import SYSTEMS, TOKENS, RunningSystem

__all__ = ["POSTHOG_SCOPES", "Emulator"]
SystemT = TypeVar("SystemT")


def _protocol(control: Control) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol, which also records its transports: faults reset them."""

    class Registering(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._peer = transport.get_extra_info("peername")[:2]
            control.transports[self._peer] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            control.transports.pop(self._peer, None)
            super().connection_lost(exc)

    return Registering


class _Server(uvicorn.Server):
    """Ends at once when ``end`` is called; uvicorn's own server checks only every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Tick once a second until ``end`` is called."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        # For uvicorn, ten ticks are a second.
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections. With ``force_exit``, skip uvicorn's pause of a tenth of a second."""
        if not self.force_exit:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def end(self) -> None:
        """End the server. Any thread may call this."""
        self.should_exit = True
        self.force_exit = True
        if self._loop is not None and self._ended is not None:
            with suppress(RuntimeError):  # The loop is closed: the server has ended already.
                self._loop.call_soon_threadsafe(self._ended.set)


class Emulator:
    """An emulator that runs on its own thread. Use it as a context manager.

    It plays all systems of ``systems.SYSTEMS``. For tests, the systems' states and tokens are attributes: ``state``,
    ``account`` and ``catalog`` are Databrain's; ``posthog`` and ``posthog_keys`` are PostHog's, and a test may add keys
    while the server runs; ``conduit`` is Conduit's.

    :param path: SQLite file of the state.
    :param port: 0 takes a free port.
    :param allowed_hosts: names in a request's ``Host`` that it answers to, besides ``host`` and this machine's own.
    :param tokens: the tokens that it accepts, by the arguments in ``systems.TOKENS``: ``api_key`` (of the data app
        ``tenant-app``), ``service_token``, ``posthog_key`` (with ``POSTHOG_SCOPES``) and ``conduit_token`` (the
        organization's). It makes up each one that is missing or None.
    :raises TypeError: A token's name is unknown.
    """

    def __init__(
        self,
        path: str = ":memory:",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed_hosts: Sequence[str] = (),
        **tokens: str | None,
    ) -> None:
        if unknown := tokens.keys() - {token.argument for token in TOKENS}:
            raise TypeError(f"Emulator has no token called {', '.join(sorted(unknown))}")
        self.control = Control()
        self.tokens = {token.argument: tokens.get(token.argument) or token.make_up() for token in TOKENS}
        self.systems: list[RunningSystem] = [system.start(path, self.control, self.tokens) for system in SYSTEMS]
        databrain, posthog = self._system(Databrain), self._system(PostHog)
        self.state, self.account, self.catalog = databrain.state, databrain.account, databrain.catalog
        self.posthog, self.posthog_keys = posthog.state, posthog.keys
        self.conduit = self._system(Conduit).state
        self.api_key, self.service_token = self.tokens["api_key"], self.tokens["service_token"]
        self.posthog_key, self.conduit_token = self.tokens["posthog_key"], self.tokens["conduit_token"]
        self._socket = socket.create_server((host, port), backlog=1024)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(self.systems, self.control, [host, *allowed_hosts]),
            http=_protocol(self.control),
            lifespan="off",
            log_level="critical",
            access_log=False,
            proxy_headers=False,
        )
        self.server = _Server(config)

    def serve(self) -> None:
        """Serve in this thread until ended."""
        self.server.run(sockets=[self._socket])

    def __enter__(self) -> Emulator:
        self._thread = threading.Thread(target=self.serve, name="emulator", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.end()
        self._thread.join(timeout=10)
        self._socket.close()
        for system in self.systems:
            system.close()

    def _system(self, kind: type[SystemT]) -> SystemT:
        return next(system for system in self.systems if isinstance(system, kind))
