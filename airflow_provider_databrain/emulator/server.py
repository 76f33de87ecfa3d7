"""Serving the emulator over HTTP."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_databrain.emulator.app import create_app
from airflow_provider_databrain.emulator.conduit import ConduitApi, ConduitState
from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.client_dashboards import DatabrainApi
from airflow_provider_databrain.emulator.databrain.dashboards import TransferApi
from airflow_provider_databrain.emulator.databrain.data_apps import DataAppsApi
from airflow_provider_databrain.emulator.databrain.datamarts import DatamartsApi
from airflow_provider_databrain.emulator.databrain.datasources import DatasourcesApi
from airflow_provider_databrain.emulator.databrain.embeds import EmbedsApi
from airflow_provider_databrain.emulator.databrain.metrics import DataApi
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.databrain.tokens import TokensApi
from airflow_provider_databrain.emulator.databrain.workspaces import WorkspacesApi
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.routes import PostHogApi
from airflow_provider_databrain.emulator.posthog.state import PostHogState

POSTHOG_SCOPES = ("dashboard:write", "sharing_configuration:write", "insight:write")
"""What the emulator's own PostHog key may do: as much as provisioning takes, no more."""


def _protocol(control: Control) -> type[asyncio.Protocol]:
    """Make uvicorn's HTTP protocol keep its transports where the faults find them."""

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
    """Ends as soon as it is told to, where uvicorn looks every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Tick once a second until told to end."""
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        # uvicorn counts ten ticks for a second.
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all; where nobody is to be waited for, without uvicorn's rest of a tenth of a second."""
        if not self.force_exit:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def end(self) -> None:
        """Tell it to end; from any thread."""
        self.should_exit = True
        self.force_exit = True
        if self._loop is not None and self._told is not None:
            with suppress(RuntimeError):  # It has ended by itself.
                self._loop.call_soon_threadsafe(self._told.set)


class Emulator:
    """A running emulator, on a thread of its own. Use it as a context manager.

    :param path: SQLite file of its state.
    :param port: 0 takes a free one.
    :param api_key: an API key of the data app ``tenant-app`` that it accepts; made up where not given.
    :param service_token: a service token that it accepts; made up where not given. ``account`` has both, and all that
        are made later.
    :param posthog_key: the personal API key it accepts, with ``POSTHOG_SCOPES``; made up where not given.
        ``posthog_keys`` has it, and takes more.
    :param conduit_token: the organization token it accepts; made up where not given.
    """

    def __init__(
        self,
        path: str = ":memory:",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        service_token: str | None = None,
        posthog_key: str | None = None,
        conduit_token: str | None = None,
    ) -> None:
        self.control = Control()
        self.state = State(path)
        self.posthog = PostHogState(path)
        self.conduit = ConduitState(path)
        self.api_key = api_key or secrets.token_hex(16)
        self.service_token = service_token or secrets.token_hex(16)
        self.account = AccountState(path, {self.api_key: "api_key", self.service_token: "service_token"})
        self.catalog = CatalogState(path)
        self.posthog_key = posthog_key or f"phx_{secrets.token_hex(16)}"
        self.posthog_keys: dict[str, Key] = {self.posthog_key: Key(POSTHOG_SCOPES)}
        self.conduit_token = conduit_token or secrets.token_hex(16)
        apis = [
            DatabrainApi(self.state, self.control, self.account).router,
            WorkspacesApi(self.state, self.account, self.catalog).router,
            DataAppsApi(self.state, self.control, self.account).router,
            TokensApi(self.state, self.control, self.account).router,
            EmbedsApi(self.state, self.account, self.catalog).router,
            DataApi(self.state, self.control, self.account, self.catalog).router,
            DatasourcesApi(self.state, self.control, self.account, self.catalog).router,
            DatamartsApi(self.control, self.account, self.catalog).router,
            TransferApi(self.state, self.control, self.account).router,
            PostHogApi(self.posthog, self.control, self.posthog_keys).router,
            ConduitApi(self.conduit, self.control, self.conduit_token).router,
        ]
        self._socket = socket.create_server((host, port), backlog=1024)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(self.state, self.posthog, self.conduit, self.control, apis),
            http=_protocol(self.control),
            lifespan="off",
            log_level="critical",
            access_log=False,
            proxy_headers=False,
        )
        self.server = _Server(config)

    def serve(self) -> None:
        """Serve until stopped, in this thread."""
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
        self.state.close()
        self.account.close()
        self.catalog.close()
        self.posthog.close()
        self.conduit.close()
