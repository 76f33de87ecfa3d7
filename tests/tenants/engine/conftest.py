"""Open ledgers."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.tenants.engine.ledger import Ledger
from tests.databases import Database, ledger_on


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """An open ledger of the Dag ``dag``, in each kind of database."""
    made = ledger_on(database)
    made.open()
    return made


@pytest.fixture
def book(sqlite: Database) -> Ledger:
    """The same, for tests in which the kind of database does not matter."""
    made = ledger_on(sqlite)
    made.open()
    return made
