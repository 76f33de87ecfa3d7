"""The URL of a server, from an Airflow connection.

No message repeats a host that cannot be read, because it may contain a password.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.client.server import ConfigurationError


def base_url(connection: Connection, default: str | None) -> str:
    """The URL of a connection's server, from its host, port and schema; https unless they say otherwise.

    If the host is a URL, or has a port, then that counts, and the other fields do not.

    :param default: the URL if the connection has no host; None if a host must be set.
    :raises ConfigurationError: the host is missing or is not a server address.
    """
    host = (connection.host or "").strip()
    if not host:
        if default is None:
            raise ConfigurationError(f"Connection {connection.conn_id!r} has no host: fill Host.")
        host = default
    if is_ipv6(host):
        host = f"[{host}]"
    if "://" not in host:
        schema = (connection.schema or "").strip().lower()
        host = f"{schema if schema in ('http', 'https') else 'https'}://{host}"
    try:
        parts = urlsplit(host)
        name = _ascii(parts.hostname or "")
        port = parts.port or connection.port
    except ValueError:
        parts, name, port = urlsplit(""), "", None
    odd = parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment
    if odd or not name or " " in parts.netloc or "%" in name:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} has a host that is not a server address: fill Host with a name such as "
            "'api.example.com', or with a URL such as 'https://api.example.com:8443' or 'http://[::1]:8443', without "
            "user, query or zone."
        )
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_ipv6(host: str) -> bool:
    """Whether a host is an IPv6 address without brackets. A connection's URI gives it in this form."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def without_api_path(url: str, api_path: str) -> str:
    """A server's URL without a path of the API at its end, which an address from the vendor's documentation has.

    :param api_path: a regular expression for the beginning of all paths of the API. What follows is taken off too.
    """
    parts = urlsplit(url)
    found = re.search(rf"(?:{api_path})(?=/|$)", parts.path)
    return url if found is None else f"{parts.scheme}://{parts.netloc}{parts.path[: found.start()].rstrip('/')}"


def _ascii(name: str) -> str:
    """A host's name as it is sent; raises ``ValueError`` if it is not a name."""
    if name.isascii():
        return name
    from yarl import URL

    return URL.build(scheme="https", host=name).raw_host or ""
