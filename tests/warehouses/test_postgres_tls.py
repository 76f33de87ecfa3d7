"""The options of a connection arrive at a PostgreSQL server with TLS of its own, for tenant table and ledger alike.

``make test-warehouses`` runs it; the server is a package of the system, because the wheel's server has no TLS.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from tests.databases import Database, numbered
from tests.front import Authority
from tests.support import SPEC
from tests.tenants.operators.test_provision import TaskInstance

PATIENCE_SECONDS = 60
NOBODY = 65534
TENANTS = numbered(30)
TABLE: dict[str, Any] = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER: dict[str, Any] = {"ledger_conn_id": "warehouse", "active_column": "active"}
# Only with TLS, and only with a client certificate that has the user's name.
RULES = "hostssl all all 127.0.0.1/32 cert\nhostnossl all all 127.0.0.1/32 reject\nlocal all all trust\n"


@dataclass(frozen=True)
class TlsServer:
    """A running server.

    :param log: its log, which names each connection's certificate.
    :param own: a connection through the socket, for the test's own statements.
    """

    port: int
    authority: Authority
    log: Path
    own: Database

    def fields(self, **extra: Any) -> str:
        """An Airflow connection to it, with a client certificate."""
        certificate, key = (str(self.authority.folder / f"postgres.{ending}") for ending in ("pem", "key"))
        options = {"sslmode": "verify-full", "sslrootcert": str(self.authority.file), "sslcert": certificate}
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port, "login": "postgres"}
        return json.dumps({**fields, "schema": "postgres", "extra": {**options, "sslkey": key, **extra}})


def programs() -> Path:
    """The folder of the system's PostgreSQL server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    """A server with TLS; it refuses a connection without TLS or without a client certificate."""
    as_root = os.getuid() == 0
    # It refuses to run as root.
    as_other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if as_root else []
    with tempfile.TemporaryDirectory(prefix="pg-tls-") as name:
        folder = Path(name)
        authority = Authority(folder)
        certificate, key = authority.issue("server")
        authority.issue("postgres")
        if as_root:
            for path in (folder, Path(key)):
                os.chown(path, NOBODY, NOBODY)
        data = folder / "data"
        create = [*as_other, str(programs() / "initdb"), "--auth=trust", "--username=postgres", "-D", str(data)]
        subprocess.run(create, check=True, capture_output=True)
        (data / "pg_hba.conf").write_text(RULES)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
            "ssl_ca_file": authority.file,
            "log_connections": "on",
            "fsync": "off",
        }
        options = [part for option, value in settings.items() for part in ("-c", f"{option}={value}")]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*as_other, str(programs() / "postgres"), "-D", str(data), *options], stdout=output, stderr=output
            )
        try:
            wait_until_ready(folder / f".s.PGSQL.{port}", process, log)
            own = Database("postgresql", f"postgresql://postgres@/postgres?host={folder}&port={port}")
            yield TlsServer(port, authority, log, own)
            own.close()
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def wait_until_ready(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server's socket exists."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.05)


@pytest.fixture
def tables(server: TlsServer) -> Iterator[Database]:
    """The schema ``crm`` with the tenant table."""
    server.own.run("CREATE SCHEMA crm", "CREATE TABLE crm.tenants (tenant_id TEXT PRIMARY KEY, active INTEGER)")
    server.own.run(*(f"INSERT INTO crm.tenants VALUES ('{name}', 1)" for name in TENANTS))
    yield server.own
    server.own.run("DROP SCHEMA crm CASCADE")


def run(task: Any) -> dict[str, int]:
    """Run a task; returns its counts."""
    instance = TaskInstance()
    context: Any = {"ti": instance}
    task.execute(context)
    counts: dict[str, int] = instance.pushed["counts"]
    return counts


def test_each_connection_of_table_and_ledger_has_tls_the_certificate_and_the_search_path(
    server: TlsServer, tables: Database, connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", server.fields(options="-c search_path=crm"))
    before = len(server.log.read_text())
    [batch] = PlanTenantBatchesOperator(task_id="plan", **TABLE).execute({})
    provision = ProvisionTenantDashboardsOperator(task_id="provision", **TABLE, **LEDGER, spec=SPEC, batch=batch)
    assert run(provision)["created"] == len(TENANTS)
    tables.run("UPDATE crm.tenants SET active = 0 WHERE tenant_id < 't00002'")
    assert run(RemoveTenantDashboardsOperator(task_id="remove", **TABLE, **LEDGER, delete="embed"))["deleted"] == 2
    # Neither table was named with its schema.
    assert tables.run("SELECT count(*) FROM crm.tenant_dashboards WHERE spec_hash IS NOT NULL") == [(28,)]
    made = [line for line in server.log.read_text()[before:].splitlines() if "host=127.0.0.1" in line]
    assert len(made) >= 3
    log = server.log.read_text()[before:]
    assert log.count('identity="CN=postgres" method=cert') == len(made)
    assert log.count("SSL enabled") == len(made)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"sslmode": "disable"}, "pg_hba.conf rejects"),
        ({"sslcert": "/none", "sslkey": "/none"}, "certificate"),
        ({"sslrootcert": "/none"}, "certificate"),
    ],
)
def test_an_option_that_the_server_does_not_accept_fails_the_task(
    server: TlsServer, tables: Database, monkeypatch: pytest.MonkeyPatch, extra: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", server.fields(**extra))
    with pytest.raises(TenantTableError, match=words):
        PlanTenantBatchesOperator(task_id="plan", **TABLE).execute({})
