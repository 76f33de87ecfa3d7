"""How an Airflow connection becomes an SQLAlchemy engine.

What always holds:

- A connection to the database is made by the hook's own ``get_conn``, so each option of the Airflow connection arrives:
  TLS, certificates, time-outs, tokens. An engine that is made from the URL alone loses options that are not in it.
- If the hook has an engine of its own (Snowflake, BigQuery, Redshift, ODBC), that engine is used.
- If ``get_conn`` uses another driver than SQLAlchemy's dialect, the dialect connects itself. If this would lose an
  option of the Airflow connection, the connection is refused.
- Airflow's connection is read here, once, in the thread that calls ``sql_engine``. Other threads can then connect:
  Airflow's channel to its supervisor must be used by one thread at a time.
- Engines that share an ``OneConnection`` have at most one open connection between them. It is closed after each use, so
  a task holds none while it waits for something else.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from airflow_provider_databrain.airflow_compat import BaseHook

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect, Engine

    from airflow_provider_databrain.airflow_compat import Connection

NO_OPTIONS = frozenset(
    {
        *("client", "cursor", "dialect", "placeholder", "sqlalchemy_scheme", "sqlalchemy_query"),
        *("insert_statement_format", "replace_statement_format", "escape_word_format", "escape_column_names"),
    }
)
"""Extras that are for Airflow or its hook, not for the database."""

MYSQL_OPTIONS = frozenset(
    {
        *("auth_plugin", "charset", "client_flag", "collation", "compress", "connect_timeout", "init_command"),
        *("local_infile", "named_pipe", "read_default_file", "read_default_group", "read_timeout", "sql_mode", "ssl"),
        *("ssl_mode", "unix_socket", "use_unicode", "write_timeout"),
    }
)
"""Options of mysqlclient that an extra can give. Airflow's hook reads some of them; SQLAlchemy knows all of them."""
MYSQL_CONFIGS = {
    "mysqldb": "_get_conn_config_mysql_client",
    "mysqlconnector": "_get_conn_config_mysql_connector_python",
}
"""Drivers of MySQL, and the method of Airflow's hook that makes the options. No public method takes more options."""

AUTOCOMMIT_ATTRIBUTE = ("psycopg", "psycopg2", "mysqlconnector", "oracledb", "pyodbc")
AUTOCOMMIT_METHOD = ("mysqldb", "pymysql")
"""Drivers that can commit each statement by itself, and how that is turned off."""


class OneConnection:
    """Lets one connection be open at a time, over all engines that share it.

    A thread waits until the connection of another thread is closed. A second connection in the same thread is an error,
    because the thread would wait for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None

    def acquire(self) -> None:
        """Wait until no connection is open."""
        if self._thread == threading.get_ident():
            raise RuntimeError("a task must close its database connection before it opens another one")
        self._lock.acquire()
        self._thread = threading.get_ident()

    def release(self) -> None:
        """The connection is closed; from any thread."""
        self._thread = None
        self._lock.release()

    def pool(self) -> type[NullPool]:
        """A class of pools that keep no connection and take part in this."""
        return type("TaskPool", (_TaskPool,), {"one": self})


class _TaskPool(NullPool):
    one: OneConnection

    # SQLAlchemy has no public way to make a pool wait. Both methods are the same in 1.4 and 2.
    def _do_get(self) -> Any:
        self.one.acquire()
        try:
            return super()._do_get()
        except BaseException:
            self.one.release()
            raise

    def _do_return_conn(self, record: Any) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self.one.release()


def sql_engine(conn_id: str, argument: str, one: OneConnection | None = None) -> Engine:
    """Make an SQLAlchemy engine from an Airflow connection. It keeps no connection between two uses.

    :param argument: the operator's argument that names the connection, for the message.
    :param one: shared by all engines of a task.
    :raises ValueError: the connection is not an SQL connection, or SQLAlchemy has no dialect for it.
    """
    # Imported here, because it imports aiohttp with Airflow 3.0, and a Dag file must not wait for that.
    from airflow_provider_databrain.airflow_compat import DbApiHook

    hook = BaseHook.get_hook(conn_id)
    where = f"{argument}: connection {conn_id!r}"
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise ValueError(f"{where} is not an SQL connection")
    connection = hook.get_connection(conn_id)
    _remember(hook, conn_id, connection)
    try:
        engine: Engine = hook.get_sqlalchemy_engine({"poolclass": (one or OneConnection()).pool()})
    except (ArgumentError, ImportError, NoSuchModuleError, NotImplementedError) as error:
        # SQLAlchemy 1.4 shows the whole URL, with its password, in an ``ArgumentError``.
        reason = "its URL is not one of SQLAlchemy" if isinstance(error, ArgumentError) else str(error)
        if isinstance(error, NoSuchModuleError):
            reason = f"SQLAlchemy has no dialect for it ({error})"
        raise ValueError(
            f"{where} of type {connection.conn_type!r} cannot be used: {reason}. Install the driver and SQLAlchemy "
            "dialect of the database, or use another connection type."
        ) from None
    if type(hook).get_sqlalchemy_engine is DbApiHook.get_sqlalchemy_engine:
        _connect_with(hook, engine, connection, where)
    elif connection.conn_type == "redshift":
        _require_tls(engine)
    return engine


def _remember(hook: Any, conn_id: str, connection: Connection) -> None:
    """Let the hook have this connection whenever it asks for it, and from any thread."""
    extras = connection.extra_dejson
    query = extras.get("sqlalchemy_query")
    if connection.conn_type == "postgres" and isinstance(query, dict):
        # Airflow's hook puts these options into the URL only, so that ``get_conn`` would lose them.
        connection.extra = json.dumps({**query, **extras})
    read = hook.get_connection

    def get_connection(wanted: str) -> Any:
        # Some hooks change what they get, for example the password to a token.
        return copy.deepcopy(connection) if wanted == conn_id else read(wanted)

    hook.get_connection = get_connection


def _connect_with(hook: Any, engine: Engine, connection: Connection, where: str) -> None:
    """Let the hook connect, each time that the engine needs a connection."""

    @sa.event.listens_for(engine, "connect")
    def leave_autocommit(made: Any, _record: object) -> None:
        _leave_autocommit(made, engine.dialect.driver)

    # Not ``creator``: whether the driver is the same is known only when the hook has connected.
    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: object, _arguments: object, options: dict[str, Any]) -> Any:
        lost = _lost_options(engine, connection)
        try:
            # A copy, because some hooks keep a connection and would return it again after it was closed.
            connecting = copy.copy(hook)
            if dialect.driver in MYSQL_CONFIGS:
                _add_options_of_mysql(connecting, dialect.driver, options)
            made = connecting.get_conn()
        except (ImportError, NotImplementedError, RuntimeError, ValueError):
            # The hook cannot connect in this way, for example without its own driver. Let the dialect connect.
            if lost:
                raise
            return None
        try:
            if _has_driver(made, dialect):
                _prepare(made, dialect, options)
                return made
        except BaseException:
            made.close()
            raise
        made.close()
        if lost:
            raise ValueError(
                f"{where}: its options {', '.join(lost)} would be lost, because its hook connects with "
                f"{made.__class__.__module__!r} and SQLAlchemy with {_driver(dialect)!r}. Nothing was sent. Let both "
                "use the same driver (see the provider's documentation), or remove these options."
            )
        return None


def _add_options_of_mysql(hook: Any, driver: str, options: Mapping[str, Any]) -> None:
    """Let the hook connect with all options of the driver. What the hook reads by itself is as the hook says."""
    method = MYSQL_CONFIGS[driver]
    configure = getattr(hook, method, None)
    if configure is None:
        return
    names = MYSQL_OPTIONS
    if driver == "mysqlconnector":
        names = frozenset(import_module("mysql.connector.constants").DEFAULT_CONFIGURATION)
    known = {name: value for name, value in options.items() if name in names}
    if not isinstance(known.get("ssl"), Mapping):
        # An extra ``ssl`` is the text of a mapping in the URL. The hook reads it.
        known.pop("ssl", None)

    def all_options(connection: Connection) -> dict[str, Any]:
        own = configure(connection)
        tls = {**known.get("ssl", {}), **own["ssl"]} if isinstance(own.get("ssl"), Mapping) else known.get("ssl")
        return {**known, **own, **({"ssl": tls} if tls else {})}

    setattr(hook, method, all_options)


def _lost_options(engine: Engine, connection: Connection) -> list[str]:
    """The options of the Airflow connection that the engine's URL does not have."""
    given = {str(name).lower() for name in engine.url.query}
    return sorted(
        name
        for name, value in connection.extra_dejson.items()
        if value not in (None, "", {}, []) and name not in NO_OPTIONS and name.lower() not in given
    )


def _has_driver(made: Any, dialect: Dialect) -> bool:
    # Tracing libraries wrap a connection in another class; its ``__class__`` stays.
    packages = {owner.__module__.partition(".")[0] for owner in made.__class__.__mro__}
    return _driver(dialect).partition(".")[0] in packages


def _driver(dialect: Dialect) -> str:
    return str(getattr(dialect.dbapi, "__name__", dialect.driver))


def _prepare(made: Any, dialect: Dialect, options: dict[str, Any]) -> None:
    """Make a hook's connection one that SQLAlchemy can use: rows are tuples, and a transaction is a transaction."""
    driver = dialect.driver
    if driver == "psycopg":
        made.row_factory = import_module("psycopg.rows").tuple_row
        # A pooler may give the next transaction another server, which does not know the prepared statement.
        made.prepare_threshold = None
    elif driver == "psycopg2":
        made.cursor_factory = None
    elif driver == "mysqldb":
        made.cursorclass = import_module("MySQLdb.cursors").Cursor
    elif driver == "pysqlite":
        # Options that the URL of SQLAlchemy has and Airflow's hook does not read.
        if "timeout" in options:
            made.execute(f"PRAGMA busy_timeout = {int(options['timeout'] * 1000)}").close()
        if "isolation_level" in options:
            made.isolation_level = options["isolation_level"]


def _leave_autocommit(made: Any, driver: str) -> None:
    """Undo the autocommit of a hook or an option. With it, an entry of the ledger could be deleted and not inserted."""
    if driver == "pysqlite":
        # Since Python 3.12, a connection has a second switch. Its usual value -1 leaves it to ``isolation_level``.
        if getattr(made, "autocommit", -1) is True:
            made.autocommit = False
        elif made.isolation_level is None and getattr(made, "autocommit", -1) == -1:
            made.isolation_level = ""
    elif driver in AUTOCOMMIT_ATTRIBUTE:
        # To set it may send a statement.
        if made.autocommit:
            made.autocommit = False
    elif driver in AUTOCOMMIT_METHOD and made.get_autocommit():
        made.autocommit(False)


def _require_tls(engine: Engine) -> None:
    """Refuse a server without TLS, as Airflow's hook for Redshift does, unless the connection says otherwise."""

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        if dialect.driver in ("psycopg", "psycopg2"):
            options.setdefault("sslmode", "require")
