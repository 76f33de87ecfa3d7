"""The operator that writes a metric's data to an SQL table, over HTTP against the emulator."""

from __future__ import annotations

import json
import socket
import sqlite3
import traceback
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.databrain.operators.metrics import MetricDataToSqlOperator
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.exposure import Exposed
from tests.support import database_connections, embed, http_answer, raw_server, set_connection

ROWS = [{"region": "north", "total": 1.5}, {"region": "south", "total": 2}]


@pytest.fixture
def table(connection: Emulator, fast_retries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with a row of another day, and an embed of a client with a metric."""
    path = tmp_path / "warehouse.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE sales (client TEXT, day DATE, region TEXT, total NUMERIC)")
        database.execute("INSERT INTO sales VALUES ('acme', '2026-01-01', 'north', 9)")
        database.commit()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    connection.state.create_embed(wire(embed("acme")), dashboard_name="x", name="x")
    connection.state.contents.add_metric("client-acme", "sales", data=ROWS)
    return path


def write(**changes: Any) -> int:
    arguments: dict[str, Any] = {
        "embed_id": "client-acme",
        "metric_id": "sales",
        "client_id": "acme",
        "sql_conn_id": "warehouse",
        "table": "sales",
        "constants": {"client": "acme", "day": "{{ day }}"},
        **changes,
    }
    task = MetricDataToSqlOperator(task_id="t", **arguments)
    context: Any = {"day": "2026-01-02"}
    task.render_template_fields(context)
    return task.execute(context)


def rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT client, day, region, total FROM sales ORDER BY day, region").fetchall()


OLD = ("acme", "2026-01-01", "north", 9)
BOTH = [OLD, ("acme", "2026-01-02", "north", 1.5), ("acme", "2026-01-02", "south", 2)]


def test_a_repeated_run_writes_each_row_once_and_keeps_other_days(table: Path) -> None:
    for _ in range(2):
        assert write() == 2
        assert rows(table) == BOTH


def test_clients_in_one_table_do_not_affect_each_other(connection: Emulator, table: Path) -> None:
    write()
    connection.state.create_embed(wire(embed("o'neill")), dashboard_name="y", name="y")
    connection.state.contents.add_metric("client-o'neill", "sales", data=ROWS[:1])
    other = {
        "embed_id": "client-o'neill",
        "client_id": "o'neill",
        "constants": {"client": "o'neill", "day": "{{ day }}"},
    }
    assert write(**other) == 1
    connection.state.contents.add_metric("client-o'neill", "sales", data=[])
    assert [row for row in rows(table) if row[0] == "acme"] == BOTH
    assert write(**other) == 0
    assert rows(table) == BOTH


def test_columns_are_renamed_and_left_out_after_templating(connection: Emulator, table: Path) -> None:
    connection.state.contents.add_metric("client-acme", "wide", data=[{"Region": "north", "total": 1, "note": [1]}])
    assert write(metric_id="wide", columns={"Region": "{{ 'reg' }}ion", "note": None}) == 1
    assert rows(table) == [OLD, ("acme", "2026-01-02", "north", 1)]


def test_the_databases_password_is_not_shown(
    table: Path, exposed: Exposed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    password = "pass-word-of-the-warehouse"
    # A port on which nothing listens.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "etl", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
    exposed.secrets.append(password)
    with pytest.raises(OperationalError) as failed:
        write()
    # The error's attributes are left out: they include the driver's connection, and nothing prints them.
    exposed.show("".join(traceback.format_exception(failed.value)), *capfd.readouterr())
    assert exposed.leaks() == []


def test_filters_are_sent(table: Path) -> None:
    assert write(metric_filter={"region": "south"}) == 1
    assert rows(table) == [OLD, BOTH[2]]


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut", "too_many"])
def test_a_transient_failure_is_retried(connection: Emulator, table: Path, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, times=1, seconds=0.01)])
    assert write() == 2
    assert rows(table) == BOTH


@pytest.mark.parametrize("kind", ["error_before", "html", "cut", "wrong"])
def test_a_permanent_failure_leaves_the_table_unchanged(connection: Emulator, table: Path, kind: Any) -> None:
    write()
    connection.control.set_faults([Fault(kind=kind)])
    with pytest.raises(ApiError, match="tenant 'acme'"):
        write(max_retry_seconds=0)
    assert rows(table) == BOTH


def test_an_incomplete_answer_leaves_the_table_unchanged(
    connection: Emulator, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    answer = {"data": ROWS[:1], "totalRecords": 2}
    with raw_server(http_answer(200, json.dumps(answer).encode())) as (url, _):
        set_connection(monkeypatch, connection, host=url)
        with pytest.raises(ValueError, match="metric 'sales' of client 'acme': the server sent 1 of 2 rows"):
            write()
    assert rows(table) == BOTH


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"constants": {}}, "constants is empty"),
        ({"sql_conn_id": "nowhere"}, "nowhere"),
        ({"sql_conn_id": "databrain_default"}, "sql_conn_id: connection 'databrain_default' is not an SQL connection"),
    ],
)
def test_wrong_arguments_raise_before_the_metric_is_fetched(
    connection: Emulator, table: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        write(**changes)
    assert connection.control.arrived.total() == 0
    assert rows(table) == [OLD]


def test_a_table_that_does_not_fit_raises_with_metric_and_client(connection: Emulator, table: Path) -> None:
    connection.state.contents.add_metric("client-acme", "odd", data=[{"surprise": 1}])
    with pytest.raises(ValueError, match="metric 'odd' of client 'acme': table 'sales' has no column surprise"):
        write(metric_id="odd")
    assert rows(table) == [OLD]


def test_a_missing_metric_raises(table: Path) -> None:
    with pytest.raises(NotFoundError, match="client-acme"):
        write(metric_id="never")
    assert rows(table) == [OLD]


def test_the_sql_arguments_are_templated() -> None:
    assert {"sql_conn_id", "table", "constants", "columns", "client_id"} <= set(MetricDataToSqlOperator.template_fields)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("changes", [{}, {"columns": {"region": "nowhere"}}], ids=["after a success", "after an error"])
def test_no_database_connection_stays_open(changes: dict[str, Any]) -> None:
    with database_connections() as (every, still_open):
        with pytest.raises(ValueError, match="nowhere") if changes else nullcontext():
            write(**changes)
        assert every
        assert still_open == []
