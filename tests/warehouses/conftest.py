"""A tenant table and a ledger in each database, behind the Airflow connection ``warehouse``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakesnow
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from airflow_provider_databrain.airflow_compat import BaseHook
from tests.databases import Database
from tests.warehouses import mariadb as mariadb_server

KINDS = ("sqlite", "postgresql", "mariadb", "duckdb", "snowflake")
SNOWFLAKE = "snowflake://user:password@account/warehouse/public"
COLUMNS = "tenant_id VARCHAR(255), region VARCHAR(20), active INTEGER"


@dataclass(frozen=True)
class Warehouse:
    """A database behind the Airflow connection ``warehouse``.

    :param kind: one of ``KINDS``.
    :param database: runs statements of the test.
    """

    kind: str
    database: Database

    def fill(self, *tenants: str, table: str = "tenants") -> None:
        """Create the tenant table. It has no key, because the databases disagree about which keys are equal."""
        self.database.run(f"CREATE TABLE {table} ({COLUMNS})")
        self.database.insert(table, [{"tenant_id": name, "region": "EU", "active": 1} for name in tenants])

    def change(self, tenant: str, **columns: Any) -> None:
        """Change the row of exactly this tenant."""
        table = sa.table("tenants", *map(sa.column, ("tenant_id", *columns)))
        # Compared as bytes, because the collation may treat the keys of two tenants as equal.
        column = sa.cast(table.c.tenant_id, sa.LargeBinary) if self.kind == "mariadb" else table.c.tenant_id
        value: Any = tenant.encode() if self.kind == "mariadb" else tenant
        with self.database.own.begin() as connection:
            done = connection.execute(sa.update(table).where(column == value).values(**columns))
            assert done.rowcount == 1


class OwnEngineHook:
    """Stands for a provider's hook that makes its engine itself.

    The tests install no provider for DuckDB or Snowflake.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def get_connection(self, conn_id: str) -> Any:
        """Return the Airflow connection."""
        return BaseHook.get_connection(conn_id)

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine:
        """Return an engine."""
        return sa.create_engine(self._url, **(engine_kwargs or {}))


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    """The port of a MariaDB server."""
    with mariadb_server.server() as port:
        yield port


@pytest.fixture
def mariadb(mariadb_port: int) -> Iterator[Database]:
    """A database on the MariaDB server. It is emptied afterwards."""
    database = Database("mariadb", mariadb_server.url(mariadb_port))
    yield database
    database.close()
    for table in database.tables():
        database.run(f"DROP TABLE `{table}`")
    database.close()


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Iterator[Database]:
    """A DuckDB file."""
    database = Database("duckdb", f"duckdb:///{tmp_path}/test.duckdb")
    yield database
    database.close()


@pytest.fixture
def snowflake() -> Iterator[Database]:
    """Snowflake's driver and dialect, with DuckDB in place of the server."""
    with fakesnow.patch():
        database = Database("snowflake", SNOWFLAKE)
        yield database
        database.close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database], Warehouse]:
    """Point the Airflow connection ``warehouse`` at a database."""

    def connect(database: Database) -> Warehouse:
        url = sa.engine.make_url(database.url)
        fields: dict[str, Any]
        if database.kind == "sqlite":
            fields = {"conn_type": "sqlite", "host": url.database}
        elif database.kind == "postgresql":
            fields = {"conn_type": "postgres", "login": url.username, "schema": url.database, "host": url.query["host"]}
        elif database.kind == "mariadb":
            fields = {
                "conn_type": "mysql",
                "host": url.host,
                "port": url.port,
                "login": url.username,
                "password": url.password,
                "schema": url.database,
                "extra": {"charset": "utf8mb4"},
            }
        else:
            fields = {"conn_type": "generic"}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
        kind: Any = type(BaseHook.get_connection("warehouse"))
        original = kind.get_hook

        def get_hook(self: Any, **options: Any) -> Any:
            return OwnEngineHook(database.url) if self.conn_type == "generic" else original(self, **options)

        monkeypatch.setattr(kind, "get_hook", get_hook)
        return Warehouse(database.kind, database)

    return connect


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest, connect: Callable[[Database], Warehouse]) -> Warehouse:
    """Each database in turn, empty."""
    database: Database = request.getfixturevalue({"duckdb": "duckdb_file"}.get(request.param, request.param))
    return connect(database)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one warning of another package pass.

    sqlalchemy-bigquery replaces SQLAlchemy's function ``unnest`` in the whole process, and that of PostgreSQL's dialect
    then warns.
    """
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:Class unnest will not make use of SQL compilation caching"))
