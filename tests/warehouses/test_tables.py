"""Key columns of other types, and the rows of a metric, on each database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_databrain.sql.replace_rows import replace_rows
from airflow_provider_databrain.tenants.engine.batches import plan_batches
from airflow_provider_databrain.tenants.engine.table import TenantSource, TenantTableError, read_batch, read_keys
from tests.warehouses.conftest import Warehouse


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("INTEGER", [2, 9, 10, 11, 100]),
        ("DECIMAL(9, 2)", [Decimal("9.50"), Decimal("10.25"), Decimal("11.75")]),
        ("DATE", [date(2025, 12, 31), date(2026, 1, 2), date(2026, 11, 3)]),
    ],
)
def test_each_key_is_in_exactly_one_batch(warehouse: Warehouse, kind: str, keys: list[Any]) -> None:
    database = warehouse.database
    # SQLite has no dates of its own: it returns what was stored.
    database.run(f"CREATE TABLE numbers (id {'TEXT' if (warehouse.kind, kind) == ('sqlite', 'DATE') else kind})")
    stored = [str(key) if isinstance(key, date | Decimal) else key for key in keys]
    database.insert("numbers", [{"id": key} for key in reversed(stored)])
    source = TenantSource("id", table="numbers")
    if warehouse.kind == "sqlite" and kind.startswith("DECIMAL"):
        # SQLite makes floating-point numbers of them.
        with pytest.raises(TenantTableError, match=r"values of type float; .*cast it in a query"):
            list(read_keys(database.own, source))
        return
    batches = plan_batches(database.own, source, batch_size=2, max_batches=9)
    read = [[row.tenant for row in read_batch(database.own, source, batch)] for batch in batches]
    assert [len(part) for part in read] == [batch["rows"] for batch in batches]
    everything = [row.tenant for row in read_keys(database.own, source)]
    assert [tenant for part in read for tenant in part] == everything
    assert len(everything) == len(keys)
    assert everything == [str(key) for key in keys]


def test_a_query_in_place_of_a_table(warehouse: Warehouse) -> None:
    warehouse.fill("100%", "a:b", "[x]", "o'neill")
    source = TenantSource(
        "tenant_id", query="SELECT * FROM tenants WHERE tenant_id NOT LIKE '%:b' AND region <> ':x'; "
    )
    batches = plan_batches(warehouse.database.own, source, batch_size=1, max_batches=9)
    read = [row.tenant for batch in batches for row in read_batch(warehouse.database.own, source, batch)]
    assert sorted(read) == ["100%", "[x]", "o'neill"]


def test_rows_of_a_metric_replace_those_of_the_last_run(warehouse: Warehouse) -> None:
    database = warehouse.database
    database.run("CREATE TABLE metrics (client_id VARCHAR(50), happened DATE, amount INTEGER)")
    for amount in (1, 2):
        for client in ("one", "two", "🦆"):
            replace_rows(
                database.engine(),
                "metrics",
                [{"day": "2026-01-02", "amount": str(amount)}, {"day": "2026-01-03", "amount": None}],
                constants={"client_id": client},
                columns={"day": "happened"},
                subject="the metric",
            )
    rows = database.run("SELECT client_id, amount FROM metrics WHERE amount IS NOT NULL")
    assert sorted(rows) == [("one", 2), ("two", 2), ("🦆", 2)]
    assert database.run("SELECT count(*) FROM metrics") == [(6,)]


def test_rows_of_a_client_with_nearly_the_same_name_are_not_deleted(warehouse: Warehouse) -> None:
    database = warehouse.database
    database.run("CREATE TABLE metrics (client_id VARCHAR(50), amount INTEGER)")
    options: dict[str, Any] = {"columns": {}, "subject": "the metric"}
    replace_rows(database.own, "metrics", [{"amount": 1}], constants={"client_id": "Acme"}, **options)
    if warehouse.kind == "mariadb":
        with pytest.raises(ValueError, match="treats 'Acme' in column client_id as equal to 'acme'"):
            replace_rows(database.own, "metrics", [{"amount": 2}], constants={"client_id": "acme"}, **options)
    else:
        replace_rows(database.own, "metrics", [{"amount": 2}], constants={"client_id": "acme"}, **options)
    assert ("Acme", 1) in database.run("SELECT client_id, amount FROM metrics")
