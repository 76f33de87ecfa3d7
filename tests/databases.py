"""A database for each test, and a ledger in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.report import Action
from airflow_provider_databrain.tenants.engine.target import Existing

KINDS = ("sqlite", "postgresql")


class Database:
    """An empty database.

    :param kind: ``sqlite`` or ``postgresql``.
    :param options: for each engine.
    """

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self.kind = kind
        self.url = url
        self._options = options
        self._engines: list[Engine] = []
        self.own = self.engine()

    def engine(self, url: str = "", **options: Any) -> Engine:
        """Return another engine on this database. ``close`` disposes of it."""
        made = sa.create_engine(url or self.url, **{**self._options, **options})
        if self.kind == "sqlite":
            sa.event.listen(made, "connect", _unsafe)
        self._engines.append(made)
        return made

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run each statement in a transaction of its own. Return the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            with self.own.begin() as connection:
                # The driver gets the statement as it is: colons and percent signs have no meaning.
                result = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
        return rows

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows. All of them have the same columns."""
        rows = [dict(row) for row in rows]
        if rows:
            with self.own.begin() as connection:
                connection.execute(sa.insert(sa.table(table, *map(sa.column, rows[0]))), rows)

    def tables(self) -> list[str]:
        """Return the names of the tables."""
        return sorted(sa.inspect(self.own).get_table_names())

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        return [column["name"] for column in sa.inspect(self.own).get_columns(table)]

    def close(self) -> None:
        """Close all connections."""
        for engine in self._engines:
            engine.dispose()


def _unsafe(connection: Any, _record: object) -> None:
    # The data need not survive a crash of the machine.
    connection.execute("PRAGMA synchronous = OFF").close()


def numbered(count: int, width: int = 5) -> Sequence[str]:
    """Return tenants that every database sorts in the same order."""
    return [f"t{number:0{width}}" for number in range(count)]


def ledger_on(
    database: Database,
    *,
    table: str = "tenant_dashboards",
    system: str = "databrain",
    scope: str = "app",
    dag_id: str = "dag",
    run_id: str = "run",
    engine: Engine | None = None,
) -> Ledger:
    """Return a ledger that is not open yet."""
    return Ledger(engine or database.own, table, system=system, scope=scope, dag_id=dag_id, run_id=run_id)


def entry_of(ledger: Ledger, outcome: Outcome) -> Entry:
    """Return the entry that a run on this ledger records."""
    return outcome.entry(dag_id=ledger.dag_id, run_id=ledger.run_id)


def open_a_ledger(url: str, tenant: str, start: Barrier) -> None:
    """Open a ledger and write one entry, at the same moment as the other processes."""
    engine = sa.create_engine(url)
    ledger = Ledger(engine, "tenant_dashboards", system="databrain", scope="app")
    start.wait()
    ledger.open()
    ledger.write([entry_of(ledger, Outcome(tenant, Action.CREATED, existing=Existing(tenant, tenant, "a")))])
    engine.dispose()
