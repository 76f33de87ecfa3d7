"""The databases of a task: options of both connections arrive, and at most one connection is open at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.providers.sqlite.hooks.sqlite import SqliteHook

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.conduit import operators as conduit_operators
from airflow_provider_databrain.databrain.operators import tenants as databrain_operators
from airflow_provider_databrain.databrain.operators.metrics import MetricDataToSqlOperator
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators import tenants as posthog_operators
from airflow_provider_databrain.tenants.engine.ledger import LedgerError
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from tests.databases import Database
from tests.front import Authority, Front, front
from tests.support import SPEC, embed, make_warehouse
from tests.tenants.operators.test_provision import TaskInstance, change, counts

NAMES = [f"t{number}" for number in range(6)]
TABLE: dict[str, Any] = {
    "sql_conn_id": "warehouse",
    "table": "tenants",
    "key_column": "tenant_id",
    "active_column": "active",
}
BOTH: dict[str, Any] = {**TABLE, "ledger_conn_id": "book"}
OPEN: dict[str, Any] = {"max_deletions": None, "max_deletion_fraction": 1}


class System(NamedTuple):
    """The operators of one vendor."""

    provision: Callable[..., Any]
    remove: Callable[..., Any]
    spec: dict[str, Any]


SYSTEMS = {
    "connection": System(
        databrain_operators.ProvisionTenantDashboardsOperator,
        partial(databrain_operators.RemoveTenantDashboardsOperator, delete="embed"),
        SPEC,
    ),
    "posthog": System(
        posthog_operators.ProvisionPostHogDashboardsOperator,
        posthog_operators.RemovePostHogDashboardsOperator,
        {"name": "Sales of {tenant_id}"},
    ),
    "conduit": System(
        conduit_operators.ProvisionConduitDashboardsOperator,
        conduit_operators.RemoveConduitWorkspacesOperator,
        {"source_dashboard": 1, "name": "Overview", "workspace_name": "Of {tenant_id}"},
    ),
}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> System:
    """The operators of each vendor, with its emulator."""
    request.getfixturevalue(request.param)
    return SYSTEMS[request.param]


def run(task: Any) -> TaskInstance:
    instance = TaskInstance()
    context: Any = {"ti": instance}
    instance.xcom_push("result", task.execute(context))
    return instance


# Options


@pytest.fixture
def tables(postgresql: Database) -> Database:
    """The tenant table is in the schema ``crm``; the schema ``books`` is empty."""
    postgresql.run(
        "CREATE SCHEMA crm",
        "CREATE SCHEMA books",
        "CREATE TABLE crm.tenants (tenant_id TEXT PRIMARY KEY, active INTEGER)",
        "INSERT INTO crm.tenants VALUES ('t0', 1), ('t1', 1)",
        "CREATE TABLE crm.sales (client TEXT, region TEXT, total NUMERIC)",
    )
    return postgresql


@pytest.fixture
def clean(postgresql: Database) -> Iterator[None]:
    """Remove the schemas afterwards."""
    yield
    postgresql.run("DROP SCHEMA IF EXISTS crm CASCADE", "DROP SCHEMA IF EXISTS books CASCADE")


@pytest.fixture
def socket_path(postgres_url: str) -> str:
    return f"{parse_qs(urlsplit(postgres_url).query)['host'][0]}/.s.PGSQL.5432"


def point(monkeypatch: pytest.MonkeyPatch, server: Front, *, warehouse: dict[str, Any], book: dict[str, Any]) -> None:
    """Set both connections, with these extras."""
    for name, schema, extra in (("WAREHOUSE", "crm", warehouse), ("BOOK", "books", book)):
        fields = server.connection(options=f"-c search_path={schema}", **extra)
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(fields))


def write_metric(emulator: Emulator) -> int:
    if not emulator.state.count_embeds():
        emulator.state.create_embed(wire(embed("acme")), dashboard_name="x", name="x")
        emulator.state.contents.add_metric("client-acme", "sales", data=[{"region": "north", "total": 1}])
    task = MetricDataToSqlOperator(
        task_id="t",
        embed_id="client-acme",
        metric_id="sales",
        client_id="acme",
        sql_conn_id="warehouse",
        table="sales",
        constants={"client": "acme"},
    )
    return task.execute({})


@pytest.mark.usefixtures("clean")
def test_options_and_a_client_certificate_arrive_for_table_and_ledger(
    system: System, tables: Database, socket_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    own = []
    for name in ("etl", "bookkeeper"):
        certificate, key = authority.issue(name)
        own.append(
            {"sslmode": "verify-full", "sslrootcert": str(authority.file), "sslcert": certificate, "sslkey": key}
        )
    with front(socket_path, authority.server(wants_certificate=True)) as server:
        point(monkeypatch, server, warehouse=own[0], book=own[1])
        batches = PlanTenantBatchesOperator(
            task_id="plan", sql_conn_id="warehouse", table="tenants", key_column="tenant_id"
        ).execute({})
        assert set(server.clients) == {"etl"}
        result = run(system.provision(task_id="t", **BOTH, spec=system.spec, batch=batches[0]))
        assert result.pushed["counts"] == counts(created=2)
        tables.run("UPDATE crm.tenants SET active = 0 WHERE tenant_id = 't1'")
        assert run(system.remove(task_id="t", **BOTH, **OPEN)).pushed["counts"] == counts(deleted=1)
        assert set(server.clients) == {"etl", "bookkeeper"}
    assert tables.run("SELECT tenant, status FROM books.tenant_dashboards ORDER BY tenant") == [
        ("t0", "created"),
        ("t1", "deleted"),
    ]


@pytest.mark.usefixtures("clean")
def test_a_metrics_rows_are_written_through_the_connections_options(
    connection: Emulator, tables: Database, socket_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with front(socket_path, authority.server()) as server:
        extra = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
        point(monkeypatch, server, warehouse=extra, book={})
        assert write_metric(connection) == 1
        assert set(server.encrypted) == {True}
    assert tables.run("SELECT client, region FROM crm.sales") == [("acme", "north")]


@pytest.mark.usefixtures("clean", "tables")
def test_no_task_connects_in_clear_if_its_connection_requires_tls(
    connection: Emulator, socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = SYSTEMS["connection"].provision(task_id="t", **BOTH, spec=SPEC)
    secure = {"sslmode": "require"}
    with front(socket_path) as server:
        point(monkeypatch, server, warehouse=secure, book={})
        with pytest.raises(TenantTableError, match="SSL"):
            run(task)
        with pytest.raises(TenantTableError, match="SSL"):
            PlanTenantBatchesOperator(
                task_id="plan", sql_conn_id="warehouse", table="tenants", key_column="tenant_id"
            ).execute({})
        with pytest.raises(Exception, match="SSL"):
            write_metric(connection)
        point(monkeypatch, server, warehouse={}, book=secure)
        with pytest.raises(LedgerError, match="SSL"):
            run(task)


# Connections


class Counted(sqlite3.Connection):
    """A connection that counts how many are open."""

    open = 0
    most = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        Counted.open += 1
        Counted.most = max(Counted.most, Counted.open)

    def close(self) -> None:
        Counted.open -= 1
        super().close()


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    """A tenant table, and another database for the ledger. Each connection to them is counted."""

    def get_conn(hook: Any) -> Any:
        uri = hook.get_uri().replace("sqlite:///", "file:")
        return sqlite3.connect(uri, uri=True, factory=Counted)

    rows = [(name, 1) for name in NAMES]
    make_warehouse(tmp_path / "warehouse.db", monkeypatch, rows, "tenant_id, active")
    monkeypatch.setenv("AIRFLOW_CONN_BOOK", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "book.db")}))
    monkeypatch.setattr(SqliteHook, "get_conn", get_conn)
    monkeypatch.setattr(Counted, "open", 0)
    monkeypatch.setattr(Counted, "most", 0)
    return Counted


@pytest.mark.parametrize("book", ["book", "warehouse"], ids=["another database", "the same database"])
def test_a_task_has_at_most_one_connection(
    system: System, counted: type[Counted], tmp_path: Path, book: str, fast_retries: None
) -> None:
    path = tmp_path / "warehouse.db"
    arguments = {**TABLE, "ledger_conn_id": book, "concurrency": 8}
    provision = system.provision(task_id="t", **arguments, spec=system.spec)

    def check(task: Any, expected: dict[str, int]) -> None:
        assert run(task).pushed["counts"] == expected
        assert (counted.open, counted.most) == (0, 1)

    check(system.provision(task_id="t", **arguments, spec=system.spec, dry_run=True), counts())
    check(provision, counts(created=6))
    check(provision, counts(created=6))
    change(path, "UPDATE tenants SET active = 0 WHERE tenant_id IN ('t1', 't2')")
    check(system.remove(task_id="t", **arguments, **OPEN, dry_run=True), counts())
    check(system.remove(task_id="t", **arguments, **OPEN), counts(deleted=2))
    check(system.remove(task_id="t", **arguments, **OPEN, mode="full"), counts())


def test_planning_and_writing_rows_have_one_connection(
    connection: Emulator, counted: type[Counted], tmp_path: Path
) -> None:
    plan = PlanTenantBatchesOperator(
        task_id="plan", sql_conn_id="warehouse", table="tenants", key_column="tenant_id", batch_size=2
    )
    assert len(plan.execute({})) == 3
    assert (counted.open, counted.most) == (0, 1)
    change(tmp_path / "warehouse.db", "CREATE TABLE sales (client TEXT, region TEXT, total NUMERIC)")
    assert write_metric(connection) == 1
    assert (counted.open, counted.most) == (0, 1)
