"""Ledger entries for tests, and what several threads do at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from airflow_provider_databrain.tenants.engine.ledger import Entry

TABLE = "tenant_dashboards"
NOW = datetime(2026, 1, 2, 3, 4, 5)


def entry(tenant: str, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "tenant": tenant,
        "dashboard_id": f"client-{tenant}",
        "embed_id": f"embed-{tenant}",
        "spec_hash": "a.b.c",
        "input_hash": "e295dc90",
        "status": "created",
        "last_error": None,
        "attempts": 1,
        "first_change": NOW,
        "last_change": NOW,
        "dag_id": "dag",
        "run_id": "run",
    }
    return Entry(**{**fields, **changes})


def together(work: Callable[[], object], threads: int = 8) -> None:
    """Do the same work in several threads at the same moment."""
    start = threading.Barrier(threads)

    def wait_and_work(_number: int) -> None:
        start.wait()
        work()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(wait_and_work, range(threads)))
