"""Shared by many tests: a valid request, a connection to Databrain, a warehouse, a raw HTTP server."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed
from airflow_provider_databrain.emulator.server import Emulator

WORKSPACE = "analytics"
METRICS = ["active-users", "churn-rate", "mrr", "new-signups", "revenue"]
TEMPLATES = ["template-basic", "template-pro"]

ACCESS: dict[str, Any] = {
    "datamart_name": "customer-analytics",
    "is_allow_email_reports": False,
    "is_allow_manage_metrics": True,
    "is_allow_metric_creation": True,
    "is_allow_metric_deletion": False,
    "is_allow_metric_layout_change": True,
    "is_allow_metric_update": True,
    "is_allow_underlying_data": False,
    "is_allow_create_dashboard_view": True,
    "metric_creation_mode": "DRAG_DROP",
}
SPEC: dict[str, Any] = {
    "dashboard_id": "client-{tenant_id}",
    "client_id": "{tenant_id}",
    "workspace_name": WORKSPACE,
    "access_settings": ACCESS,
}
ODD_IDS = ["a/b", "o'neill", 'say "hi"', "100%", "50%25", "two words", "émile", "日本", "😀", "a&b=c?d#e", "{x}", "-"]
"""Tenant ids that break a URL, a query or a document in which they are not quoted."""


def embed(tenant: str = "acme", **changes: Any) -> CreateDashboardEmbed:
    """Return a valid request for one tenant. ``changes`` replace fields."""
    fields = {
        "dashboard_id": f"client-{tenant}",
        "client_id": tenant,
        "workspace_name": WORKSPACE,
        "access_settings": ACCESS,
    }
    return CreateDashboardEmbed.model_validate({**fields, **changes})


def set_connection(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, **changes: Any) -> None:
    """Point the connection ``databrain_default`` at an emulator. ``changes`` replace fields; ``extra`` is merged."""
    extra = {"service_token": emulator.service_token, "workspace_name": WORKSPACE, **changes.pop("extra", {})}
    fields = {"conn_type": "databrain", "host": emulator.url, "password": emulator.api_key, **changes}
    monkeypatch.setenv("AIRFLOW_CONN_DATABRAIN_DEFAULT", json.dumps({**fields, "extra": extra}))


def make_warehouse(
    path: Path, monkeypatch: pytest.MonkeyPatch, rows: Iterable[tuple[Any, ...]], columns: str = "tenant_id, region"
) -> Path:
    """Create an SQLite file with a table ``tenants``, and point the Airflow connection ``warehouse`` at it."""
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE tenants ({columns})")
        marks = ", ".join("?" for _ in columns.split(","))
        database.executemany(f"INSERT INTO tenants VALUES ({marks})", rows)
    database.close()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


@contextmanager
def raw_server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends the next of ``answers`` on each connection, byte for byte, and then closes the connection.

    Yields its URL and the list of the raw requests that have arrived. The last answer repeats.
    """
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    stop = threading.Event()

    def serve() -> None:
        number = 0
        while True:
            connection, _ = listener.accept()
            with connection:
                if stop.is_set():
                    return
                connection.settimeout(5)
                received.append(read_request(connection))
                connection.sendall(answers[min(number, len(answers) - 1)])
                number += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{address[1]}", received
    finally:
        stop.set()
        # The server looks at ``stop`` after each connection.
        socket.create_connection(address).close()
        thread.join()
        listener.close()


@contextmanager
def silent_server(beginning: bytes) -> Iterator[str]:
    """A server that sends the beginning of an answer and then nothing. It serves one connection; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            read_request(connection)
            connection.sendall(beginning)
            stop.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


def http_answer(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """Return an HTTP/1.1 answer. In the names of ``headers``, underscores stand for dashes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def read_request(connection: socket.socket) -> bytes:
    """Return a raw request with its body; empty if the client closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def transports(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that always has the open transports. It keeps them from the garbage collector."""
    from airflow_provider_databrain.client.transport.aio import AsyncTransport
    from airflow_provider_databrain.client.transport.sync import SyncTransport

    listed: list[object] = []
    make, close = SyncTransport.__init__, SyncTransport.close
    enter, leave = AsyncTransport.__aenter__, AsyncTransport.__aexit__

    def made(self: SyncTransport, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        listed.append(self)

    def closed(self: SyncTransport) -> None:
        close(self)
        listed[:] = [other for other in listed if other is not self]

    async def entered(self: AsyncTransport) -> Any:
        listed.append(self)
        return await enter(self)

    async def left(self: AsyncTransport, *ended: Any) -> None:
        await leave(self, *ended)
        listed[:] = [other for other in listed if other is not self]

    monkeypatch.setattr(SyncTransport, "__init__", made)
    monkeypatch.setattr(SyncTransport, "close", closed)
    monkeypatch.setattr(AsyncTransport, "__aenter__", entered)
    monkeypatch.setattr(AsyncTransport, "__aexit__", left)
    return listed


@contextmanager
def database_connections() -> Iterator[tuple[list[object], list[object]]]:
    """Two lists: all database connections that SQLAlchemy opens from now on, and those of them that are still open."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    every: list[object] = []
    still_open: list[object] = []

    def opened(connection: object, *_: object) -> None:
        every.append(connection)
        still_open.append(connection)

    def closed(connection: object, *_: object) -> None:
        still_open[:] = [other for other in still_open if other is not connection]

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    try:
        yield every, still_open
    finally:
        event.remove(Pool, "connect", opened)
        event.remove(Pool, "close", closed)
