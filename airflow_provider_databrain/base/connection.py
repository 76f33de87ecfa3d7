"""How to reach a server: its URL from an Airflow connection, and its proxy from the environment.

No message repeats a host or a proxy that cannot be read, because it may contain a password.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.client.server import ConfigurationError


def base_url(connection: Connection, default: str | None) -> str:
    """The URL of a connection's server, from its host, port and schema; https unless they say otherwise.

    :param default: the URL if the connection has no host; None if a host must be set.
    :raises ConfigurationError: the host is missing or is not a server address.
    """
    host = (connection.host or "").strip()
    if not host:
        if default is None:
            raise ConfigurationError(f"Connection {connection.conn_id!r} has no host: fill Host.")
        host = default
    if "://" not in host:
        scheme = connection.schema if connection.schema in ("http", "https") else "https"
        host = f"{scheme}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port or connection.port
    except ValueError:
        parts, port = urlsplit(""), None
    odd = parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment
    if odd or not parts.hostname or " " in parts.netloc:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} has a host that is not a server address: fill Host with a name such as "
            "'api.example.com', or with a URL such as 'https://api.example.com:8443', without user or query."
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def proxy_for(url: str) -> tuple[str | None, tuple[str, str] | None]:
    """The URL and the credentials of the proxy for a URL, from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

    :raises ConfigurationError: the proxy's URL cannot be read.
    """
    parts = urlsplit(url)
    named = None if proxy_bypass_environment(parts.netloc) else getproxies_environment().get(parts.scheme)
    if not named:
        return None, None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host = port = None
    if not host or proxy.path.strip("/") or proxy.query or proxy.fragment:
        raise ConfigurationError(
            f"The proxy that the environment names for {parts.scheme} is not a URL such as "
            "'http://user:password@host:3128'. Special characters in its user and password must be percent-encoded."
        )
    name = f"[{host}]" if ":" in host else host
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return f"{proxy.scheme}://{name}{f':{port}' if port else ''}", auth
