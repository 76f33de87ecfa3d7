"""Options of an Airflow connection to MySQL that Airflow's hook does not read arrive, because SQLAlchemy knows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from airflow_provider_databrain.sql.engine import sql_engine
from tests.warehouses import mariadb as mariadb_server


def ask(monkeypatch: pytest.MonkeyPatch, port: int, statement: str, extra: dict[str, Any]) -> Any:
    fields = {
        "conn_type": "mysql",
        "host": "127.0.0.1",
        "port": port,
        "login": mariadb_server.LOGIN,
        "password": mariadb_server.PASSWORD,
        "schema": mariadb_server.SCHEMA,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
    with sql_engine("warehouse", "sql_conn_id").connect() as connection:
        return connection.execute(sa.text(statement)).scalar()


@pytest.mark.parametrize(
    ("extra", "statement", "answer"),
    [
        ({"init_command": "SET time_zone = '+05:00'"}, "SELECT @@time_zone", "+05:00"),
        ({"sql_mode": "ANSI_QUOTES"}, "SELECT @@sql_mode", "ANSI_QUOTES"),
        ({"connect_timeout": "30", "read_timeout": 60}, "SELECT 1", 1),
        ({"charset": "latin1", "cursor": "ssdictcursor"}, "SELECT @@character_set_client", "latin1"),
        ({"init_command": "SET autocommit = 1"}, "SELECT @@autocommit", 0),
    ],
    ids=["init_command", "sql_mode", "timeouts", "the_hooks_own", "autocommit"],
)
def test_an_option_arrives(
    monkeypatch: pytest.MonkeyPatch, mariadb_port: int, extra: dict[str, Any], statement: str, answer: Any
) -> None:
    assert ask(monkeypatch, mariadb_port, statement, extra) == answer


def test_a_missing_certificate_is_no_reason_to_connect_in_clear(
    monkeypatch: pytest.MonkeyPatch, mariadb_port: int
) -> None:
    with pytest.raises(OperationalError, match="SSL"):
        ask(monkeypatch, mariadb_port, "SELECT 1", {"ssl_ca": "/no/such/file", "ssl_mode": "VERIFY_CA"})
