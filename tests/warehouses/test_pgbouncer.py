"""Batches through a PgBouncer whose pool has as many connections as there are tasks, or fewer.

``make test-warehouses`` runs it; PgBouncer is a package of the system.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from tests.databases import Database, numbered
from tests.support import SPEC
from tests.tenants.operators.test_provision import TaskInstance

TASKS = 3
TENANTS = numbered(3 * 40)
PATIENCE_SECONDS = 60
TABLE: dict[str, Any] = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
LEDGER: dict[str, Any] = {"ledger_conn_id": "book", "active_column": "active"}


@contextmanager
def pgbouncer(server_folder: str, mode: str, size: int) -> Iterator[int]:
    """Run a PgBouncer; yields its port. A client that waits for 20 seconds is refused."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            "\n".join(
                (
                    "[databases]",
                    f"postgres = host={server_folder} dbname=postgres user=postgres",
                    "[pgbouncer]",
                    "listen_addr = 127.0.0.1",
                    f"listen_port = {port}",
                    "unix_socket_dir =",
                    "auth_type = trust",
                    f"auth_file = {folder}/users",
                    f"pool_mode = {mode}",
                    f"default_pool_size = {size}",
                    "query_wait_timeout = 20",
                )
            )
        )
        # It refuses to run as root.
        as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command = [*(as_other if Path("/proc/self").stat().st_uid == 0 else []), program, str(folder / "pgbouncer.ini")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"PgBouncer did not start: {(folder / 'log').read_text()}") from None
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


@pytest.fixture(params=[("session", TASKS), ("session", 1), ("transaction", TASKS), ("transaction", 1)], ids=str)
def pool(
    request: pytest.FixtureRequest, postgresql: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The connections ``warehouse`` and ``book`` go through the same pool."""
    mode, size = request.param
    folder = parse_qs(urlsplit(postgres_url).query)["host"][0]
    # The user of PgBouncer must reach the socket.
    for parent in (Path(folder), *Path(folder).parents):
        if str(parent).startswith(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)
    Path(folder, ".s.PGSQL.5432").chmod(0o777)
    postgresql.run("CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY, active INTEGER)")
    postgresql.insert("tenants", [{"tenant_id": name, "active": 1} for name in TENANTS])
    with pgbouncer(folder, mode, size) as port:
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "postgres", "schema": "postgres"}
        for name in ("WAREHOUSE", "BOOK"):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(fields))
        yield


def at_once(tasks: list[Any]) -> list[dict[str, Any]]:
    """Run tasks in threads; returns what each pushed."""
    instances = [TaskInstance() for _ in tasks]
    start = threading.Barrier(len(tasks))
    failures: list[BaseException] = []

    def run(task: Any, instance: TaskInstance) -> None:
        context: Any = {"ti": instance}
        start.wait()
        try:
            task.execute(context)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(tasks, instances, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return [instance.pushed for instance in instances]


@pytest.mark.usefixtures("pool")
def test_batches_do_not_wait_for_each_other(connection: Emulator, postgresql: Database) -> None:
    batches = PlanTenantBatchesOperator(task_id="plan", **TABLE, batch_size=len(TENANTS) // TASKS).execute({})
    assert len(batches) == TASKS

    def provision() -> list[Any]:
        return [
            ProvisionTenantDashboardsOperator(task_id="provision", **TABLE, **LEDGER, spec=SPEC, batch=batch)
            for batch in batches
        ]

    assert [pushed["counts"]["created"] for pushed in at_once(provision())] == [40] * TASKS
    assert connection.state.count_embeds() == len(TENANTS)
    connection.control.log.clear()
    at_once(provision())
    assert list(connection.control.log) == []
    postgresql.run("UPDATE tenants SET active = 0 WHERE tenant_id < 't00010'")
    removal = RemoveTenantDashboardsOperator(task_id="remove", **TABLE, **LEDGER, delete="embed")
    assert at_once([removal])[0]["counts"]["deleted"] == 10
    assert postgresql.run("SELECT count(*) FROM tenant_dashboards WHERE spec_hash IS NOT NULL") == [(110,)]
