"""What a provisioning task does with a ``batch`` and a ``spec`` that are something else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.conduit.operators import ProvisionConduitDashboardsOperator
from airflow_provider_databrain.databrain.operators.tenants import ProvisionTenantDashboardsOperator
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.tenants import ProvisionPostHogDashboardsOperator
from tests.support import SPEC, make_warehouse
from tests.tenants.operators.test_provision import TABLE, TaskInstance, plan, provision

BATCH: dict[str, Any] = {"number": 1, "of": 1, "rows": 4, "label": "all"}
FIRST: dict[str, Any] = {"number": 1, "of": 2, "rows": 2, "label": "first", "upto": "t01"}
PROVISION: list[Any] = [
    ProvisionTenantDashboardsOperator,
    ProvisionPostHogDashboardsOperator,
    ProvisionConduitDashboardsOperator,
]


class LazyResults(Sequence[Any]):
    """The results of mapped tasks, as Airflow gives them."""

    def __getitem__(self, index: Any) -> Any:
        return [BATCH, BATCH][index]

    def __len__(self) -> int:
        return 2


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four tenants."""
    return make_warehouse(tmp_path / "warehouse.db", monkeypatch, [(f"t{number:02}", "EU") for number in range(4)])


NO_BATCHES: list[tuple[Any, str]] = [
    ([BATCH], "a list of 1 elements, not one batch.*Without .expand, each task gets all batches"),
    ([], "a list of 0 elements"),
    (LazyResults(), "a LazyResults of 2 elements"),
    (repr(BATCH), "a text, .*render_template_as_native_obj"),
    (json.dumps(BATCH), "a text"),
    ("None", "a text, 'None'"),
    ("", "a text, ''"),
    (1, r"1 \(int\)"),
    (False, r"False \(bool\)"),
    ({}, "it lacks label, number, of, rows"),
    ({"tenant": "t01"}, "it lacks label, number, of, rows and it has tenant"),
    ({"after": "t01"}, "it lacks label"),
    ({**BATCH, "from": "t01"}, "it has from"),
    ({**BATCH, "number": "1"}, "number is a text, '1'"),
    ({**BATCH, "number": True}, "number is True"),
    ({**BATCH, "of": 0}, "of is 0"),
    ({**BATCH, "rows": -1}, "rows is -1"),
    ({**BATCH, "label": None}, "label is a NoneType"),
    ({**FIRST, "upto": None}, "its bounds are a NoneType"),
    ({**FIRST, "upto": 1.5}, "its bounds are 1.5"),
    ({**FIRST, "upto": True}, "its bounds are True"),
    ({**FIRST, "of": 3, "number": 2, "after": 1}, "of one type"),
    ({**BATCH, "of": 2}, "number 1 of 2 does not fit its bounds"),
    ({**BATCH, "upto": "t01"}, "number 1 of 1 does not fit its bounds"),
    ({**FIRST, "number": 3}, "number 3 of 2 does not fit"),
    ({**BATCH, "source": "tenants"}, "source is a text"),
]


@pytest.mark.parametrize("operator", PROVISION)
@pytest.mark.parametrize(("batch", "words"), NO_BATCHES)
def test_what_is_no_batch_is_refused_before_anything_is_read(operator: Any, batch: Any, words: str) -> None:
    # There is no connection, so reading or sending would fail in another way.
    task = operator(task_id="provision", **TABLE, spec=SPEC, batch=batch)
    with pytest.raises(ValueError, match=rf"(?s)^batch is .*{words}.*\.expand\(batch=plan.output\).*Nothing was sent"):
        task.execute({})


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_a_template_that_gives_nothing_is_not_the_whole_table(connection: Emulator, nothing: Any) -> None:
    template: Any = "{{ x }}"
    context: Any = {"x": nothing}
    task = ProvisionTenantDashboardsOperator(task_id="provision", **TABLE, spec=SPEC, batch=template)
    task.render_template_fields(context)
    with pytest.raises(ValueError, match=r"batch is .*: its template or XCom gave nothing.*Nothing was sent"):
        task.execute({})
    assert not connection.control.log


@pytest.mark.parametrize("argument", ["spec", "active_column", "ledger_conn_id"])
def test_other_arguments_that_vanish_are_refused(connection: Emulator, argument: str) -> None:
    options: dict[str, Any] = {**TABLE, "spec": SPEC, argument: "{{ none }}"}
    task = ProvisionTenantDashboardsOperator(task_id="provision", **options)
    task.render_template_fields({})
    with pytest.raises(ValueError, match=f"{argument} is 'None': its template"):
        task.execute({})
    assert not connection.control.log


@pytest.mark.usefixtures("warehouse")
def test_none_in_a_mapped_task_is_not_the_whole_table(connection: Emulator) -> None:
    instance: Any = TaskInstance()
    instance.map_index = 0
    with pytest.raises(ValueError, match="batch is None in a mapped task"):
        provision({"ti": instance}, batch=None)
    assert not connection.control.log
    # Mapped over something else, without a batch.
    assert len(provision({"ti": instance})) == 4


@pytest.mark.usefixtures("warehouse")
def test_a_batch_says_what_it_was_planned_from_without_the_query() -> None:
    [batch] = plan()
    assert plan(table='"tenants"') == [batch]
    assert batch["source"] == {"sql_conn_id": "warehouse", "table": '"tenants"', "key_column": "tenant_id"}
    secret = "SELECT * FROM tenants WHERE 'hunter2' <> '' -- " + "x" * 10_000
    [batch] = plan(table=None, query=secret)
    assert set(batch["source"]) == {"sql_conn_id", "query", "key_column"}
    assert "hunter2" not in repr(batch)
    assert len(json.dumps(batch)) < 300


def test_a_batch_of_another_source_is_refused(
    connection: Emulator, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "sqlite", "host": str(warehouse)}))
    with closing(sqlite3.connect(warehouse)) as database, database:
        database.execute("CREATE TABLE customers AS SELECT *, tenant_id AS customer FROM tenants")
    query = "SELECT * FROM tenants WHERE '{}' <> ''"
    [batch] = plan(table=None, query=query.format(1))
    [of_table] = plan()
    by_query: dict[str, Any] = {"table": None, "query": query.format(1)}
    for planned, options, words in (
        (of_table, {"table": "customers"}, """table was '"tenants"' in the plan and is '"customers"' here"""),
        (of_table, {"table": "customers", "key_column": "customer"}, "table was .*; key_column was 'tenant_id'"),
        (of_table, {"sql_conn_id": "other"}, "sql_conn_id was 'warehouse' in the plan and is 'other' here"),
        (
            of_table,
            by_query,
            r"table was .* and is not given here; query was not given in the plan .* here\. "
            r"Give the plan [^.]* column\.(?= Nothing)",
        ),
        (batch, {**by_query, "query": query.format(2)}, "query was another one .*must render to the same text"),
        (batch, {}, "table was not given in the plan"),
    ):
        with pytest.raises(ValueError, match=f"(?s)batch was planned from another source.*{words}.*Nothing was sent"):
            provision(batch=planned, **options)
    assert not connection.control.log
    # A batch passes through XCom as JSON, and the ends of a query do not matter.
    again = json.loads(json.dumps(batch))
    assert len(provision(batch=again, **{**by_query, "query": f"\n{query.format(1)} ;\n"})) == 4


@pytest.mark.usefixtures("warehouse", "connection", "posthog")
def test_one_plan_serves_two_systems(connection: Emulator, posthog: Emulator) -> None:
    first, second = plan(batch_size=2)
    for batch in (first, second):
        assert len(provision(batch=batch)) == 2
        task = ProvisionPostHogDashboardsOperator(task_id="p", **TABLE, spec={"name": "Of {tenant_id}"}, batch=batch)
        assert len(task.execute({})) == 2


@pytest.mark.usefixtures("warehouse", "connection")
def test_a_batch_of_an_earlier_version_is_used_with_a_warning(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    first, _ = plan(batch_size=2)
    del first["source"]
    with caplog.at_level("WARNING"):
        assert list(provision(batch=first)) == ["t00", "t01"]
    # Where a task's log goes depends on Airflow's version.
    shown = capfd.readouterr()
    assert "an earlier version planned it" in caplog.text + shown.out + shown.err


@pytest.mark.usefixtures("warehouse", "connection")
@pytest.mark.parametrize("as_text", [json.dumps, repr])
def test_a_spec_is_read_from_its_text(as_text: Any) -> None:
    assert len(provision(spec=as_text(SPEC))) == 4


@pytest.mark.parametrize("operator", PROVISION)
@pytest.mark.parametrize("spec", ["", "None", "x", "[1]", "{1}", "{tenant_id}", [SPEC], 5, True, {1}])
def test_what_is_no_spec_is_refused_before_anything_is_read(operator: Any, spec: Any) -> None:
    task = operator(task_id="provision", **TABLE, spec=spec)
    with pytest.raises(ValueError, match=r"^spec is .*; it must be a mapping.*Nothing was sent"):
        task.execute({})


@pytest.mark.parametrize("dry_run", ["", "None", "maybe", 2, [True]])
def test_an_unclear_dry_run_is_refused_before_anything_is_read(dry_run: Any) -> None:
    with pytest.raises(ValueError, match=r"dry_run is .*must be true or false"):
        provision(dry_run=dry_run)
