"""A small warehouse: an SQLite file with a table of tenants."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

REGIONS = ("eu", "us", "apac")
PLANS = ("basic", "pro")


def rows(count: int) -> Iterable[tuple[str, str, str, str, bool]]:
    """Yield tenants as an ETL job might load them: id, name, region, plan, whether it is active."""
    for number in range(1, count + 1):
        yield f"tenant-{number:05}", f"Tenant {number}", REGIONS[number % 3], PLANS[number % 2], True


def build(path: Path, tenants: int) -> None:
    """Create the table ``tenants`` again, with ``tenants`` rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE IF EXISTS tenants")
        database.execute(
            "CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY, name TEXT, region TEXT, plan TEXT, is_active BOOLEAN)"
        )
        database.executemany("INSERT INTO tenants VALUES (?, ?, ?, ?, ?)", rows(tenants))
    database.close()
