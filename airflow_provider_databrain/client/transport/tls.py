"""Which certificates a transport trusts: one ``SSLContext``, made here for both transports.

The first of these counts, alone:

1. the connection's ``verify_tls: false`` (any certificate), then its ``ca_path``;
2. the environment variable ``REQUESTS_CA_BUNDLE``, then ``CURL_CA_BUNDLE``;
3. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, together;
4. the certificates of the operating system, and those of certifi.

A path is a file of CA certificates, or a directory that ``openssl rehash`` has prepared. It takes milliseconds to read
the certificates, so a context is made once for all transports of a process that trust the same.
"""

from __future__ import annotations

import os
import re
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from airflow_provider_databrain.client.server import ConfigurationError, Server

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables that name CA certificates. The first one that is set counts."""
OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables that count if none of ``BUNDLES`` is set."""
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


def trust(server: Server) -> ssl.SSLContext:
    """The context for all connections to a server, and to a proxy that is reached over TLS.

    :raises ConfigurationError: the CA certificates cannot be read; the message names the field or the variable.
    """
    if not server.verify_tls:
        return _unverified()
    if isinstance(server.verify_tls, str):
        named = {f"Connection {server.conn_id!r}: 'ca_path'": server.verify_tls}
    else:
        named = _of_environment()
    return _verified(tuple((name, path, _version(name, path)) for name, path in named.items()))


def _of_environment() -> dict[str, str]:
    """The variables that count, each with its path; empty if none is set."""
    found = {name: value for name in (*BUNDLES, *OPENSSL) if (value := os.environ.get(name, "").strip())}
    for name in BUNDLES:
        if name in found:
            return {f"The environment variable {name}": found[name]}
    return {f"The environment variable {name}": path for name, path in found.items()}


def _version(name: str, path: str) -> tuple[int, int]:
    """Numbers that change if the file or the directory changes."""
    try:
        facts = Path(path).stat()
    except (OSError, ValueError) as error:
        raise _unusable(name, path, error) from None
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@lru_cache(maxsize=16)
def _verified(named: tuple[tuple[str, str, tuple[int, int]], ...]) -> ssl.SSLContext:
    context = _context()
    for name, path, _ in named:
        _load(context, name, path)
    if not named:
        context.load_default_certs()
        context.load_verify_locations(certifi.where())
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        if not Path(path).is_dir():
            context.load_verify_locations(cafile=path)
            return
        # OpenSSL reads a directory only when it needs a certificate, and says nothing if it finds none.
        if not any(_HASHED.fullmatch(entry.name) for entry in Path(path).iterdir()):
            raise _unusable(name, path, "a directory without hashed names; run 'openssl rehash' on it, or name a file")
        context.load_verify_locations(capath=path)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise _unusable(name, path, error) from None


def _unusable(name: str, path: str, reason: object) -> ConfigurationError:
    return ConfigurationError(f"{name} ({path}) is not a file of CA certificates: {reason}")
