"""``Server`` values and small HTTP servers that the transport tests share."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import read_request

KEY = "data-app-key-0123456789"
CREATED = b'{"id": "client-acme", "name": "client-acme", "error": null}'


def server_at(url: str, **changes: Any) -> Server:
    """A ``Server`` for a URL, with tokens."""
    return Server(url, {API_KEY: KEY, SERVICE_TOKEN: "service-0123456789"}, conn_id="my_conn", **changes)


def server_of(emulator: Emulator, **changes: Any) -> Server:
    """A ``Server`` for an emulator, with its tokens."""
    tokens = {API_KEY: emulator.api_key, SERVICE_TOKEN: emulator.service_token}
    return Server(emulator.url, tokens, **changes)


def statuses(emulator: Emulator) -> list[int | None]:
    """The status of each API request so far. It is read over HTTP, so that it includes the last request."""
    log = requests.get(f"{emulator.url}/_emulator/requests", timeout=5).json()
    return [entry["status"] for entry in log]


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def make_certificate(folder: Path, common_name: str = "127.0.0.1") -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class _Creates(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(CREATED)))
        self.end_headers()
        self.wfile.write(CREATED)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def tls_server(certificate: Path, key: Path) -> Iterator[str]:
    """Run a TLS server that answers each request with a created embed; yield its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), _Creates)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def keeping_server(answers: int = 9) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """A server that keeps its connections open. It serves one connection at a time.

    Yields its URL and a list of all requests, each with the number of its connection.

    :param answers: answers on one connection. The next request is read, and the connection is closed without an answer.
    """
    received: list[tuple[int, bytes]] = []
    open_connections: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    stop = threading.Event()
    answer = f"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {len(CREATED)}\r\n\r\n".encode()

    def serve() -> None:
        number = 0
        while True:
            connection, _ = listener.accept()
            if stop.is_set():
                connection.close()
                return
            number += 1
            with connection:
                open_connections.append(connection)
                for count in range(answers + 1):
                    request = read_request(connection)
                    if not request:  # The client has closed the connection.
                        break
                    received.append((number, request))
                    if count < answers:
                        connection.sendall(answer + CREATED)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{address[1]}", received
    finally:
        stop.set()
        # requests closes a connection only when the garbage collector finds it.
        with suppress(OSError):
            open_connections[-1].shutdown(socket.SHUT_RDWR)
        socket.create_connection(address).close()
        thread.join()
        listener.close()


@contextmanager
def tunnel(headers: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that opens one tunnel; yields its URL and the requests to it.

    :param headers: in its answer.
    """
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            received.append(read_request(client))
            host, _, port = received[0].split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n" + headers + b"\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(5)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        thread.join(5)
        listener.close()
