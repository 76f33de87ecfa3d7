"""What an Airflow connection and the environment say of the way to a server: its URL and its proxy."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.client.server import ConfigurationError


def base_url(connection: Connection, default: str | None) -> str:
    """The URL that a connection's host, port and schema mean; https unless they say otherwise.

    :raises ConfigurationError: no host and no default, or a host that is not one.
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
            f"Connection {connection.conn_id!r} has a host that is not a server address: give a name such as "
            "'api.example.com', or a URL such as 'https://api.example.com:8443', without user or query."
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def proxy_for(url: str) -> tuple[str | None, tuple[str, str] | None]:
    """The proxy that the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) names for a URL: its URL, its credentials.

    :raises ConfigurationError: it cannot be read; says so without repeating it.
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
            f"The proxy in the environment for {parts.scheme} is no URL such as 'http://user:password@host:3128'; "
            "in its user and password, write special characters percent-encoded."
        )
    name = f"[{host}]" if ":" in host else host
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return f"{proxy.scheme}://{name}{f':{port}' if port else ''}", auth
