"""The statements that a run executes, compiled by each of SQLAlchemy's own dialects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from airflow_provider_databrain.tenants.engine import ledger_table
from airflow_provider_databrain.tenants.engine.batches import plan_batches
from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.table import TenantSource, read_batch, read_keys
from tests.databases import Database, ledger_on
from tests.tenants.engine.entries import entry

DIALECTS: dict[str, Any] = {
    "mssql": mssql.dialect,
    "oracle": oracle.dialect,
    "mysql": mysql.dialect,
    "postgresql": postgresql.dialect,
}


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Any:
    """Each dialect in turn."""
    return DIALECTS[request.param]()


def executed(database: Database) -> list[Any]:
    """What a plan, two reads and a ledger send to a database, before a dialect has compiled it."""
    statements: list[Any] = []
    engine = database.engine()
    sa.event.listen(engine, "before_execute", lambda _connection, statement, *_: statements.append(statement))
    database.run('CREATE TABLE "Tenants" ("Tenant" TEXT, active INTEGER)')
    database.insert("Tenants", [{"Tenant": name, "active": 1} for name in "aabcd"])
    source = TenantSource("Tenant", table="Tenants")
    with pytest.raises(ValueError, match="'a' has more than one row"):
        plan_batches(engine, source, batch_size=2, max_batches=9)
    database.run("""DELETE FROM "Tenants" WHERE "Tenant" = 'a'""")
    for batch in plan_batches(engine, source, batch_size=1, max_batches=9):
        list(read_batch(engine, source, batch))
    list(read_keys(engine, source, active_column="active"))
    ledger = ledger_on(database, engine=engine)
    ledger.open()
    ledger.write([entry("a")])
    ledger.entries(["a"])
    ledger.tenants_by_dashboard(["a"])
    ledger.tenants_by_embed(["a"])
    ledger.shared_embeds()
    list(ledger.live())
    return [statement for statement in statements if isinstance(statement, sa.sql.ClauseElement)]


def compiled(statements: list[Any], dialect: Any) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, CreateTable | CreateIndex):
            continue
        yield " ".join(str(statement.compile(dialect=dialect)).split())


def definition(dialect: Any) -> str:
    """The statement that creates the ledger."""
    engine: Any = SimpleNamespace(dialect=dialect)
    return str(CreateTable(Ledger(engine, "book", system="s", scope="x")._table).compile(dialect=dialect))


def test_each_statement_has_a_form_in_each_dialect(sqlite: Database, dialect: Any) -> None:
    statements = list(compiled(executed(sqlite), dialect))
    assert len(statements) > 20
    quote = dialect.identifier_preparer.quote
    for statement in statements:
        # A name with a capital letter is quoted.
        assert re.findall(r"\bTenants?\b", statement.replace(quote("Tenants"), "").replace(quote("Tenant"), "")) == []
        if dialect.name in ("mssql", "oracle"):
            assert " LIMIT " not in statement
        if dialect.name == "oracle":
            assert "%" not in statement
    limited = [statement for statement in statements if re.search(r"TOP|FETCH FIRST|ROWNUM| LIMIT ", statement)]
    assert limited


def test_no_order_within_a_subquery(sqlite: Database) -> None:
    # SQL Server refuses it without TOP.
    for statement in compiled(executed(sqlite), DIALECTS["mssql"]()):
        for inner in re.findall(r"FROM \((SELECT .*?)\) AS", re.sub(r"OVER \(.*?\)", "", statement)):
            assert "ORDER BY" not in inner


@pytest.mark.parametrize("column", ledger_table.EXACT_COLUMNS)
@pytest.mark.parametrize(
    ("dialect_name", "kind"),
    [
        ("mysql", "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        ("mssql", "NVARCHAR(255) COLLATE Latin1_General_100_BIN2"),
        ("oracle", "VARCHAR2(255 CHAR)"),
        ("postgresql", "VARCHAR(255)"),
    ],
)
def test_keys_and_ids_distinguish_all_strings(dialect_name: str, kind: str, column: str) -> None:
    assert re.search(rf"\b{column} {re.escape(kind)}( NOT)?( NULL)?,", definition(DIALECTS[dialect_name]()))


def test_sql_server_takes_the_longest_key() -> None:
    # 32 + 2 * 255 characters of one and of two bytes: more than the 900 of a clustered key, less than 1,700.
    assert "PRIMARY KEY NONCLUSTERED (system, scope, tenant)" in definition(DIALECTS["mssql"]())


def test_messages_have_every_character() -> None:
    assert "last_error NVARCHAR(max) NULL" in definition(DIALECTS["mssql"]())
    assert "last_error TEXT CHARACTER SET utf8mb4" in definition(DIALECTS["mysql"]())


def named(name: str) -> Any:
    """A dialect of which only the name matters."""
    dialect = DIALECTS["postgresql"]()
    dialect.name = name
    return dialect


def test_redshift_counts_bytes_and_has_no_index() -> None:
    shown = definition(named("redshift"))
    assert "tenant VARCHAR(1020) NOT NULL" in shown
    # TEXT would have 256 bytes.
    assert "last_error VARCHAR(4000)" in shown


@pytest.mark.parametrize(("name", "count"), [("redshift", 0), ("snowflake", 0), ("postgresql", 1)])
def test_an_index_only_where_there_are_indexes(name: str, count: int) -> None:
    engine: Any = SimpleNamespace(dialect=named(name))
    assert len(Ledger(engine, "book", system="s", scope="x")._table.indexes) == count


@pytest.mark.parametrize("name", ["bigquery", "databricks", "trino", "presto", "clickhousedb", "awsathena"])
@pytest.mark.parametrize("create", [True, False])
def test_a_ledger_needs_transactions(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, name: str, create: bool
) -> None:
    ledger = ledger_on(sqlite)
    monkeypatch.setattr(sqlite.own.dialect, "name", name)
    with pytest.raises(LedgerError, match=rf"kind '{name}'.* no transactions.* ledger_conn_id"):
        ledger.open(create=create)
    monkeypatch.undo()
    assert sqlite.tables() == []
