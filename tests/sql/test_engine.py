"""Engines from Airflow connections: each option of the connection arrives, whichever driver the hook has."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from airflow.providers.postgres.hooks import postgres
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from sqlalchemy.exc import OperationalError

from airflow_provider_databrain.airflow_compat import BaseHook, Connection
from airflow_provider_databrain.sql import engine
from airflow_provider_databrain.sql.engine import OneConnection, sql_engine
from tests.front import Authority, Front, front

Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set the Airflow connection ``warehouse``."""

    def connect(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))

    return connect


@pytest.fixture
def server(postgres_url: str) -> str:
    """The path of the socket of the PostgreSQL server."""
    return f"{parse_qs(urlsplit(postgres_url).query)['host'][0]}/.s.PGSQL.5432"


@pytest.fixture
def plain(server: str) -> Iterator[Front]:
    """PostgreSQL without TLS."""
    with front(server) as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ask(statement: str = "SELECT 1") -> list[tuple[Any, ...]]:
    """Return the rows of a statement on the connection ``warehouse``."""
    made = sql_engine("warehouse", "sql_conn_id")
    with made.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def test_a_server_without_tls_is_refused_if_the_connection_requires_it(connect: Connect, plain: Front) -> None:
    connect(**plain.connection())
    assert ask() == [(1,)]
    connect(**plain.connection(sslmode="require"))
    with pytest.raises(OperationalError, match="does not support SSL"):
        ask()
    assert plain.encrypted == [False]


def test_what_was_written_for_sqlalchemy_still_arrives(connect: Connect, plain: Front) -> None:
    connect(**plain.connection(sqlalchemy_query={"sslmode": "require"}))
    with pytest.raises(OperationalError, match="does not support SSL"):
        ask()
    assert plain.encrypted == []


def test_the_servers_certificate_is_checked(connect: Connect, server: str, authority: Authority) -> None:
    with front(server, authority.server()) as tls:
        connect(**tls.connection(sslmode="verify-full", sslrootcert=str(authority.file)))
        assert ask() == [(1,)]
        other = authority.folder / "other"
        other.mkdir()
        connect(**tls.connection(sslmode="verify-full", sslrootcert=str(Authority(other).file)))
        with pytest.raises(OperationalError, match="certificate verify failed"):
            ask()
        assert tls.encrypted == [True]


def test_a_client_certificate_arrives(connect: Connect, server: str, authority: Authority) -> None:
    with front(server, authority.server(wants_certificate=True)) as tls:
        certificate, key = authority.issue("etl")
        connect(**tls.connection(sslmode="require", sslcert=certificate, sslkey=key))
        assert ask() == [(1,)]
        assert tls.clients == ["etl"]


@pytest.mark.parametrize(
    ("extra", "statement", "answer"),
    [
        ({"options": "-c search_path=crm"}, "SHOW search_path", "crm"),
        ({"application_name": "tenants"}, "SHOW application_name", "tenants"),
        ({"client_encoding": "LATIN1"}, "SHOW client_encoding", "LATIN1"),
    ],
    ids=["options", "application_name", "client_encoding"],
)
def test_an_option_of_postgresql_arrives(
    connect: Connect, plain: Front, extra: dict[str, Any], statement: str, answer: str
) -> None:
    connect(**plain.connection(**extra))
    assert ask(statement) == [(answer,)]


@pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor", "realdictcursor"])
def test_the_hooks_cursor_does_not_change_the_rows(connect: Connect, plain: Front, cursor: str) -> None:
    connect(**plain.connection(cursor=cursor))
    assert ask("SELECT 1 AS a, 2 AS b") == [(1, 2)]


def test_nothing_is_prepared_and_nothing_is_committed_by_itself(connect: Connect, plain: Front) -> None:
    connect(**plain.connection())
    made = sql_engine("warehouse", "sql_conn_id")
    with made.connect() as connection, connection.begin() as transaction:
        for _ in range(10):
            connection.execute(sa.text("SELECT 1"))
        assert connection.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar() == 0
        connection.execute(sa.text("CREATE TABLE left_behind (a INTEGER)"))
        transaction.rollback()
    assert ask("SELECT to_regclass('left_behind')") == [(None,)]


def test_a_hooks_autocommit_does_not_end_transactions(
    connect: Connect, plain: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = postgres.PostgresHook.get_conn

    def get_conn(hook: Any) -> Any:
        made: Any = original(hook)
        made.autocommit = True
        return made

    monkeypatch.setattr(postgres.PostgresHook, "get_conn", get_conn)
    connect(**plain.connection())
    made = sql_engine("warehouse", "sql_conn_id")
    with made.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.text("CREATE TABLE left_behind (a INTEGER)"))
        transaction.rollback()
    assert ask("SELECT to_regclass('left_behind')") == [(None,)]


def test_the_autocommit_of_sqlites_hook_does_not_end_transactions(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SqliteHook.get_conn

    def get_conn(hook: Any) -> Any:
        made = original(hook)
        made.isolation_level = None
        return made

    monkeypatch.setattr(SqliteHook, "get_conn", get_conn)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    made = sql_engine("warehouse", "sql_conn_id")
    with made.begin() as connection:
        connection.execute(sa.text("CREATE TABLE a (b INTEGER)"))
    with made.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.text("INSERT INTO a VALUES (1)"))
        transaction.rollback()
    assert ask("SELECT count(*) FROM a") == [(0,)]


@pytest.mark.parametrize("driver", ["pysqlite", *engine.AUTOCOMMIT_ATTRIBUTE])
def test_the_switch_of_a_driver_is_turned_off(driver: str) -> None:
    # SQLite's module has this switch since Python 3.12.
    made = SimpleNamespace(autocommit=True, isolation_level="")
    engine._leave_autocommit(made, driver)
    assert made.autocommit is False


@pytest.mark.parametrize("driver", engine.AUTOCOMMIT_METHOD)
def test_the_method_of_a_driver_turns_it_off(driver: str) -> None:
    set_to: list[bool] = []
    for before in (True, False):
        made = SimpleNamespace(get_autocommit=lambda before=before: before, autocommit=set_to.append)
        engine._leave_autocommit(made, driver)
    assert set_to == [False]


def test_mysqls_driver_gets_the_options_that_the_hook_does_not_read() -> None:
    given: list[dict[str, Any]] = []

    class Hook:
        def _get_conn_config_mysql_client(self, connection: Any) -> dict[str, Any]:
            return {"passwd": "token", "port": 3307, "ssl": {"ca": "own"}}

        def get_conn(self) -> Any:
            given.append(self._get_conn_config_mysql_client(None))

    hook = Hook()
    options: dict[str, Any] = {
        "passwd": "password",
        "port": 3306,
        "connect_timeout": 3,
        "init_command": "SET time_zone = '+00:00'",
        "ssl": {"ca": "other", "cert": "client.pem"},
        "cursor": "dictcursor",
    }
    engine._add_options_of_mysql(hook, "mysqldb", options)
    hook.get_conn()
    engine._add_options_of_mysql(other := Hook(), "mysqldb", {**options, "ssl": "{'ca': 'other'}"})
    other.get_conn()
    expected = {
        "passwd": "token",
        "port": 3307,
        "connect_timeout": 3,
        "init_command": "SET time_zone = '+00:00'",
        "ssl": {"ca": "own", "cert": "client.pem"},
    }
    assert given == [expected, {**expected, "ssl": {"ca": "own"}}]
    engine._add_options_of_mysql(object(), "mysqldb", options)


def test_options_of_sqlite_arrive(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    sqlite3.connect(path).close()
    connect(conn_type="sqlite", host=str(path), extra={"mode": "ro", "timeout": "7"})
    assert ask("PRAGMA busy_timeout") == [(7000,)]
    with pytest.raises(OperationalError, match="readonly"):
        ask("CREATE TABLE a (b INTEGER)")


def test_other_threads_do_not_read_airflows_connection(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's hook reads it for each connection."""
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    made = sql_engine("warehouse", "sql_conn_id")
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    names: list[Any] = []
    thread = threading.Thread(target=lambda: names.extend(sa.inspect(made).get_table_names() or ["none"]))
    thread.start()
    thread.join()
    assert names == ["none"]


class OtherDriver:
    """A connection of a driver that SQLAlchemy's dialect does not have."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_another_driver_may_not_lose_an_option(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OtherDriver()
    monkeypatch.setattr(SqliteHook, "get_conn", lambda hook: made)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"), extra={"timeout": "7", "cursor": "dictcursor"})
    # The URL has the time-out, and the cursor is for the hook.
    assert ask("PRAGMA busy_timeout") == [(7000,)]
    assert made.closed
    monkeypatch.setattr(SqliteHook, "get_uri", lambda hook: f"sqlite:///{tmp_path}/warehouse.db")
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"), extra={"ssl_mode": "REQUIRED", "empty": ""})
    with pytest.raises(ValueError, match=r"sql_conn_id: connection 'warehouse': its options ssl_mode would be lost"):
        ask()


@pytest.mark.parametrize("error", [ValueError("unknown client"), RuntimeError("no driver"), ImportError("no driver")])
def test_a_hook_that_cannot_connect_leaves_it_to_sqlalchemy_if_nothing_is_lost(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(hook: Any) -> Any:
        raise error

    monkeypatch.setattr(SqliteHook, "get_conn", fail)
    monkeypatch.setattr(SqliteHook, "get_uri", lambda hook: f"sqlite:///{tmp_path}/warehouse.db")
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"), extra={"client": "pymysql"})
    assert ask() == [(1,)]
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"), extra={"sslmode": "require"})
    with pytest.raises(type(error), match=str(error)):
        ask()


def test_a_hook_that_keeps_its_connection_gives_a_new_one_each_time(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SqliteHook.get_conn

    def get_conn(hook: Any) -> Any:
        if not hasattr(hook, "kept"):
            hook.kept = original(hook)
        return hook.kept

    monkeypatch.setattr(SqliteHook, "get_conn", get_conn)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    made = sql_engine("warehouse", "sql_conn_id")
    for _ in range(2):
        with made.connect() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar() == 1


def test_the_engine_of_a_hook_is_used_if_it_has_one(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_sqlalchemy_engine(hook: Any, engine_kwargs: Any = None) -> Any:
        return sa.create_engine(f"sqlite:///{tmp_path}/own.db", **engine_kwargs)

    monkeypatch.setattr(SqliteHook, "get_sqlalchemy_engine", get_sqlalchemy_engine)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    assert ask("PRAGMA database_list")[0][2] == f"{tmp_path}/own.db"


@pytest.mark.parametrize("error", [NotImplementedError("no URL"), ImportError("no module named cx_Oracle")])
def test_a_database_without_a_dialect_is_named(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(hook: Any) -> str:
        raise error

    monkeypatch.setattr(SqliteHook, "get_uri", fail)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    with pytest.raises(ValueError, match=f"connection 'warehouse' of type 'sqlite' cannot be used: {error}"):
        ask()


@pytest.mark.parametrize("uri", ["jdbc://etl:pass-word@host/db", "pass-word"])
def test_a_url_that_sqlalchemy_does_not_know_is_not_shown(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setattr(SqliteHook, "get_uri", lambda hook: uri)
    connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    with pytest.raises(ValueError, match="cannot be used: ") as failed:
        ask()
    assert "pass-word" not in str(failed.value)


def test_each_new_connection_asks_the_hook_again(
    connect: Connect, plain: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token, for example of AWS, is valid for a short time."""
    asked: list[Any] = []
    original = postgres.PostgresHook.get_conn

    def get_conn(hook: Any) -> Any:
        asked.append(hook)
        return original(hook)

    monkeypatch.setattr(postgres.PostgresHook, "get_conn", get_conn)
    connect(**plain.connection())
    made = sql_engine("warehouse", "sql_conn_id")
    for _ in range(2):
        with made.connect():
            pass
    assert len(asked) == 2


class RedshiftHook:
    """Stands for the hook of Amazon's provider, which makes an engine of its own."""

    def __init__(self, url: sa.engine.URL, extra: dict[str, Any]) -> None:
        self.url = url
        self.extra = extra

    def get_connection(self, conn_id: str) -> Connection:
        return Connection(conn_id=conn_id, conn_type="redshift", extra=json.dumps(self.extra))

    def get_sqlalchemy_engine(self, engine_kwargs: Any = None) -> Any:
        return sa.create_engine(self.url, connect_args=self.extra, **engine_kwargs)


def test_redshift_is_reached_with_tls_unless_the_connection_says_otherwise(
    plain: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver of Airflow's hook uses TLS by itself, that of its engine does not."""
    url = sa.engine.URL.create("postgresql+psycopg2", "postgres", None, "127.0.0.1", plain.port, "postgres")
    monkeypatch.setattr(BaseHook, "get_hook", lambda conn_id: RedshiftHook(url, {}))
    with pytest.raises(OperationalError, match="does not support SSL"):
        ask()
    monkeypatch.setattr(BaseHook, "get_hook", lambda conn_id: RedshiftHook(url, {"sslmode": "disable"}))
    assert ask() == [(1,)]


class MySql:
    """A connection of MySQL's driver whose rows are not tuples."""

    cursorclass = "DictCursor"


def test_the_cursor_of_mysqls_hook_does_not_change_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "MySQLdb.cursors", SimpleNamespace(Cursor="Cursor"))
    made: Any = MySql()
    dialect: Any = SimpleNamespace(driver="mysqldb")
    engine._prepare(made, dialect, {})
    assert made.cursorclass == "Cursor"


class TestOneConnection:
    @pytest.fixture
    def engines(self, connect: Connect, tmp_path: Path) -> list[Any]:
        connect(conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
        one = OneConnection()
        return [sql_engine("warehouse", "sql_conn_id", one) for _ in range(2)]

    def test_a_second_connection_in_the_same_thread_is_an_error(self, engines: list[Any]) -> None:
        with (
            engines[0].connect(),
            pytest.raises(RuntimeError, match="must close its database connection"),
            engines[1].connect(),
        ):
            pass
        with engines[1].connect():
            pass

    def test_another_thread_waits(self, engines: list[Any]) -> None:
        order: list[str] = []
        started = threading.Event()

        def other() -> None:
            started.set()
            with engines[1].connect():
                order.append("second")

        thread = threading.Thread(target=other)
        with engines[0].connect():
            thread.start()
            started.wait()
            thread.join(0.05)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]

    def test_a_failed_connection_counts_as_closed(self, engines: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(hook: Any) -> Any:
            raise sqlite3.OperationalError("no server")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteHook, "get_conn", fail)
            for failing in (*engines, *engines):
                with pytest.raises(OperationalError, match="no server"), failing.connect():
                    pass
        with engines[0].connect():
            pass
