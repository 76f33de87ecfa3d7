"""The emulated Conduit on a server of its own, faults included, and connections to it."""

from __future__ import annotations

import json
import socket
import threading
from types import TracebackType
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from airflow_provider_databrain.api.conduit import ORGANIZATION_TOKEN
from airflow_provider_databrain.api.core import Server
from airflow_provider_databrain.emulator.checks import RefusalError
from airflow_provider_databrain.emulator.conduit import ConduitApi, ConduitState
from airflow_provider_databrain.emulator.faults import Control, FaultMiddleware
from airflow_provider_databrain.emulator.server import _protocol

TOKEN = "organization-token-0123456789"


class Conduit:
    """A running emulator of Conduit alone. Use it as a context manager.

    :param path: SQLite file of its state.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.state = ConduitState(path)
        self.control = Control()
        app = FastAPI()
        app.include_router(ConduitApi(self.state, self.control, TOKEN).router)
        app.add_middleware(FaultMiddleware, control=self.control)

        @app.exception_handler(RefusalError)
        async def refuse(_request: Request, refusal: RefusalError) -> JSONResponse:
            return refusal.response()

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v2"
        config = uvicorn.Config(
            app, http=_protocol(self.control), lifespan="off", log_level="critical", access_log=False
        )
        self._server = uvicorn.Server(config)

    @property
    def calls(self) -> list[str]:
        """The calls so far, each as method and path, with the number of times that it came."""
        found = [(method, path.removeprefix("/v2"), n) for (method, path), n in self.control.arrived.items()]
        return [f"{n} {method} {path}" for method, path, n in found]

    def server(self, **changes: Any) -> Server:
        """A server value with the organization's token."""
        return Server(self.url, {ORGANIZATION_TOKEN: TOKEN}, conn_id="my_conn", **changes)

    def __enter__(self) -> Conduit:
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="conduit", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
        self.state.close()


def set_conduit_connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Describe ``conduit_default``; ``fields`` replace those of a connection with a token."""
    connection = {"conn_type": "conduit", "password": TOKEN, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_CONDUIT_DEFAULT", json.dumps(connection))
