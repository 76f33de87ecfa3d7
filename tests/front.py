"""A front of the tests' PostgreSQL server that speaks TCP, and TLS with certificates of its own.

The server of the wheel is built without TLS.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TLS_REQUEST, GSS_REQUEST = 80877103, 80877104
"""What a client of PostgreSQL sends before its first message."""


@dataclass
class Front:
    """A server between client and PostgreSQL.

    :param tls: None answers that there is no TLS.
    :param encrypted: for each connection that has started: whether it came through TLS.
    :param clients: the names in the client certificates.
    """

    port: int
    server: str
    tls: ssl.SSLContext | None = None
    encrypted: list[bool] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    def connection(self, **extra: Any) -> dict[str, Any]:
        """Return the fields of an Airflow connection to it."""
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port, "login": "postgres"}
        return {**fields, "schema": "postgres", "extra": extra}

    def handle(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        with suppress(OSError), client:
            client.settimeout(30)
            while (first := _read(client, 8)) and struct.unpack("!ii", first)[1] in (TLS_REQUEST, GSS_REQUEST):
                if self.tls is None or struct.unpack("!ii", first)[1] == GSS_REQUEST:
                    client.sendall(b"N")
                    continue
                client.sendall(b"S")
                client = self.tls.wrap_socket(client, server_side=True)
            if not first:
                return
            self.encrypted.append(isinstance(client, ssl.SSLSocket))
            if isinstance(client, ssl.SSLSocket) and (certificate := client.getpeercert()):
                subject: Any = certificate["subject"]
                self.clients.append(subject[0][0][1])
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(self.server)
                # TLS has read the whole record, and then the socket does not become ready for the rest.
                rest = client.recv(client.pending()) if isinstance(client, ssl.SSLSocket) and client.pending() else b""
                server.sendall(first + rest)
                _relay(client, server)


def _relay(client: socket.socket, server: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                source: Any = key.fileobj
                data = source.recv(65536)
                # TLS may have read more than one ``recv`` gives.
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(65536)
                if not data:
                    return
                key.data.sendall(data)


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := client.recv(size - len(data))):
        data += part
    return data


@contextmanager
def front(server: str, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    """Run a front.

    :param server: the path of PostgreSQL's socket.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        made = Front(address[1], server, tls)
        stopped = threading.Event()

        def serve() -> None:
            while True:
                client, _ = listener.accept()
                if stopped.is_set():
                    client.close()
                    return
                threading.Thread(target=made.handle, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            stopped.set()
            socket.create_connection(address).close()
            thread.join()


class Authority:
    """A certificate authority in a folder: ``ca.pem``, and a certificate and a key for each name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"tests in {folder.name}"[:64])])
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._sign(self._name, self._key.public_key(), authority=True))

    def issue(self, name: str) -> tuple[str, str]:
        """Return the files of a new certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate.write_bytes(self._sign(subject, key.public_key(), authority=False))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(certificate), str(private)

    def server(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        """Return what a server on 127.0.0.1 uses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("server"))
        context.load_verify_locations(self.file)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _sign(self, subject: x509.Name, key: Any, *, authority: bool) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
