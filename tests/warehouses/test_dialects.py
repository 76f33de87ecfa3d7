"""The statements that a run executes, compiled by dialects of other packages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from databricks.sqlalchemy.base import DatabricksDialect
from snowflake.sqlalchemy.snowdialect import SnowflakeDialect
from sqlalchemy_bigquery import BigQueryDialect
from sqlalchemy_redshift.dialect import RedshiftDialect_psycopg2
from trino.sqlalchemy.dialect import TrinoDialect

from airflow_provider_databrain.tenants.engine.ledger import Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.ledger_table import WITHOUT_INDEXES, WITHOUT_TRANSACTIONS, check_database
from tests.databases import Database
from tests.tenants.engine.test_dialects import compiled, definition, executed

DIALECTS: dict[str, Any] = {
    "bigquery": BigQueryDialect,
    "databricks": DatabricksDialect,
    "redshift": RedshiftDialect_psycopg2,
    "snowflake": SnowflakeDialect,
    "trino": TrinoDialect,
}
TENANT_TABLE_ONLY = ("bigquery", "databricks", "trino")


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Any:
    """Each dialect in turn, with the parameters of its driver."""
    made = DIALECTS[request.param]
    return made(paramstyle="pyformat") if request.param == "bigquery" else made()


def test_each_statement_has_a_form_in_each_dialect(sqlite: Database, dialect: Any) -> None:
    quote = dialect.identifier_preparer.quote
    statements = list(compiled(executed(sqlite), dialect))
    assert len(statements) > 20
    for statement in statements:
        # A name with a capital letter is quoted.
        assert re.findall(r"\bTenants?\b", statement.replace(quote("Tenants"), "").replace(quote("Tenant"), "")) == []
    if dialect.name == "bigquery":
        # It has no operator for the rest of a division.
        assert not [statement for statement in statements if re.search(r"%(?!\()", statement)]


def test_the_name_of_each_dialect_is_known(dialect: Any) -> None:
    known = WITHOUT_TRANSACTIONS if dialect.name in TENANT_TABLE_ONLY else WITHOUT_INDEXES
    assert dialect.name in known


@pytest.mark.parametrize("name", TENANT_TABLE_ONLY)
def test_a_ledger_needs_transactions(name: str) -> None:
    with pytest.raises(LedgerError, match=rf"kind '{name}'.* no transactions.* ledger_conn_id"):
        check_database(DIALECTS[name](), "book")


@pytest.mark.parametrize("name", ["redshift", "snowflake"])
def test_the_ledger_has_no_index(name: str) -> None:
    class Unconnected:
        dialect = DIALECTS[name]()

    engine: Any = Unconnected
    assert Ledger(engine, "book", system="s", scope="x")._table.indexes == set()
    shown = definition(engine.dialect)
    assert "PRIMARY KEY" in shown
    assert ("tenant VARCHAR(1020)" in shown) is (name == "redshift")
