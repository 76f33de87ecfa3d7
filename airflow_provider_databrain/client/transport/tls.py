"""Which certificates a transport trusts."""

from __future__ import annotations

import ssl

from airflow_provider_databrain.client.server import ConfigurationError, Server


def trust(server: Server) -> ssl.SSLContext | bool:
    """True to trust the usual certificates, False to accept any, or a context that trusts the connection's CA file.

    :raises ConfigurationError: the CA file cannot be read.
    """
    if not isinstance(server.verify_tls, str):
        return server.verify_tls
    try:
        return ssl.create_default_context(cafile=server.verify_tls)
    except OSError as error:
        raise ConfigurationError(
            f"Connection {server.conn_id!r}: 'ca_path' ({server.verify_tls}) is not a file of CA certificates: {error}"
        ) from None
