"""How an Airflow connection becomes an SQLAlchemy engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_databrain.airflow_compat import BaseHook

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def sql_engine(conn_id: str, argument: str) -> Engine:
    """Make an SQLAlchemy engine from an Airflow connection.

    :param argument: the operator's argument that names the connection, for the message.
    :raises ValueError: the connection is not an SQL connection.
    """
    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise ValueError(f"{argument}: connection {conn_id!r} is not an SQL connection")
    engine: Engine = hook.get_sqlalchemy_engine()
    return engine
