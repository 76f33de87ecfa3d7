"""A MariaDB server of the tests' own, from the system's packages."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

PATIENCE_SECONDS = 120
LOGIN, PASSWORD, SCHEMA = "airflow", "p@ss/word", "warehouse"
# A collation that ignores case and accents, as a server's usual one does.
COLLATION = "utf8mb4_general_ci"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def url(port: int, *, login: str = LOGIN, schema: str = SCHEMA) -> str:
    """The URL of the database for SQLAlchemy."""
    made = sa.engine.URL.create(
        "mysql+mysqldb",
        login,
        PASSWORD if login == LOGIN else None,
        "127.0.0.1",
        port,
        schema or None,
        {"charset": "utf8mb4"},
    )
    return made.render_as_string(hide_password=False)


@contextmanager
def server() -> Iterator[int]:
    """Start a server with a data folder of its own; yields its port."""
    daemon = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
    with tempfile.TemporaryDirectory(prefix="mariadb-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "log"
        common = ["--no-defaults", f"--datadir={data}"]
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*install, "--user=root"], check=True, capture_output=True)
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(daemon, *common, "--user=root", "--bind-address=127.0.0.1", f"--port={port}"),
                    *(f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--tmpdir={folder}"),
                    *("--character-set-server=utf8mb4", f"--collation-server={COLLATION}"),
                    # The data need not survive a crash.
                    *("--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"),
                ],
                stdout=output,
                stderr=output,
            )
        try:
            _prepare(port, process, log)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def _prepare(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url(port, login="root", schema=""))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {SCHEMA}")
                connection.exec_driver_sql(f"CREATE USER {LOGIN}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
                connection.exec_driver_sql(f"GRANT ALL ON {SCHEMA}.* TO {LOGIN}@'127.0.0.1'")
            break
        except DBAPIError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB did not start: {log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.1)
    engine.dispose()
