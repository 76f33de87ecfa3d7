"""The proxy for a URL, as the environment names it.

What always holds:

- The variables are read as requests and curl read them: HTTPS_PROXY or HTTP_PROXY, then ALL_PROXY, unless NO_PROXY has
  the host. Of two spellings, the one in small letters counts.
- No message repeats a proxy that cannot be read, because it may contain a password.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from airflow_provider_databrain.client.server import ConfigurationError

DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str) -> tuple[str | None, tuple[str, str] | None]:
    """The URL and the credentials of the proxy for a URL, from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

    :raises ConfigurationError: the proxy's URL cannot be read, or it is no HTTP proxy.
    """
    scheme = urlsplit(url).scheme
    variables: dict[str, str] = getproxies_environment()
    named = (variables.get(scheme) or variables.get("all") or "").strip()
    if not named or is_excluded(url, variables.get("no", "")):
        return None, None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host = port = None
    if not host or proxy.path.strip("/") or proxy.query or proxy.fragment:
        raise ConfigurationError(
            f"The proxy that the environment names for {scheme} is not a URL such as "
            "'http://user:password@host:3128'. Special characters in its user and password must be percent-encoded."
        )
    if proxy.scheme not in DEFAULT_PORTS:
        raise ConfigurationError(
            f"The environment names a proxy of the kind {proxy.scheme[:10]!r} for {scheme}: only HTTP proxies (http:// "
            f"or https://) can be used. Set {scheme.upper()}_PROXY to one, or add the server's host to NO_PROXY."
        )
    name = f"[{host}]" if ":" in host else host
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return f"{proxy.scheme}://{name}{f':{port}' if port else ''}", auth


def is_excluded(url: str, no_proxy: str) -> bool:
    """Whether NO_PROXY has the host of a URL.

    An entry is ``*``, a name (with all names below it, with or without a dot before it), an IP address or a network
    such as ``10.0.0.0/8``. A name or an address may have a port. No name is looked up.

    :param no_proxy: entries, divided by commas or blanks.
    """
    parts = urlsplit(url)
    host = _plain(parts.hostname or "")
    port = str(parts.port or DEFAULT_PORTS.get(parts.scheme) or "")
    return any(_matches(host, port, entry) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _matches(host: str, port: str, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    name, only_port = _divided(entry)
    name = _plain(name)
    if not name or (only_port and only_port != port):
        return False
    if (address := _address(name)) is not None:
        return address == _address(host)
    return host == name or (_address(host) is None and host.endswith(f".{name}"))


def _divided(entry: str) -> tuple[str, str]:
    """The host and the port of an entry. An IPv6 address with a port has brackets."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", entry)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    name, colon, port = entry.rpartition(":")
    return (name, port) if colon and ":" not in name and port.isdigit() else (entry, "")


def _is_within(host: str, network: str) -> bool:
    address = _address(host)
    if address is None:
        return False
    try:
        return address in ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def _address(name: str) -> object:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _plain(name: str) -> str:
    """A name as it is compared: in small letters, without dots at its ends, in ASCII."""
    name = name.strip().strip(".").lower()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name
