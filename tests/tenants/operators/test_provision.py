"""Plan and provision with an SQLite warehouse and the emulator, without a scheduler."""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.client.transport import pace
from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine import progress
from airflow_provider_databrain.tenants.engine.batches import Batch
from airflow_provider_databrain.tenants.engine.report import Action, ProvisioningError
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.table import TenantTableError
from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator
from airflow_provider_databrain.tenants.operators.task import TenantTask
from tests.support import ODD_IDS, SPEC, WORKSPACE, database_connections, embed, make_warehouse, set_connection

TABLE: dict[str, Any] = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "tenant_id"}
NAMES = [f"t{number:02}" for number in range(25)]


class TaskInstance:
    """Keeps what a task pushes, as JSON, the way Airflow does."""

    def __init__(self, try_number: int = 1, run_id: str = "run-1", dag_id: str = "tenants") -> None:
        self.try_number = try_number
        self.run_id = run_id
        self.dag_id = dag_id
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        assert key not in self.pushed
        self.pushed[key] = json.loads(json.dumps(value))


@dataclass
class Metrics:
    """The metrics that Airflow got.

    :param counted: each counter's value.
    :param timed: how often each timer got a time.
    :param tags: the different tags.
    """

    counted: Counter[str] = field(default_factory=Counter)
    timed: Counter[str] = field(default_factory=Counter)
    tags: list[dict[str, str]] = field(default_factory=list)

    def incr(self, name: str, count: int = 1, *, tags: dict[str, str]) -> None:
        self.counted[name] += count
        self.tags += [tags] * (tags not in self.tags)

    def timing(self, name: str, _time: object, *, tags: dict[str, str]) -> None:
        self.timed[name] += 1
        self.tags += [tags] * (tags not in self.tags)


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """The metrics of the tenants' tasks."""
    kept = Metrics()
    monkeypatch.setattr(progress, "Stats", kept)
    return kept


def counts(**named: int) -> dict[str, int]:
    """All counts; 0 for those that are not named."""
    return {action.value: named.get(action.value, 0) for action in Action}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """25 tenants."""
    return make_warehouse(tmp_path / "warehouse.db", monkeypatch, [(name, "EU") for name in NAMES])


def change(warehouse: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(warehouse)) as database, database:
        database.execute(statement, values)


def plan(**options: Any) -> list[Batch]:
    return PlanTenantBatchesOperator(task_id="plan", **{**TABLE, **options}).execute({})


def provision(context: Any = None, **options: Any) -> Any:
    task = ProvisionTenantDashboardsOperator(task_id="provision", **{**TABLE, "spec": SPEC, **options})
    return task.execute({} if context is None else context)


def put(emulator: Emulator, tenant: str, owner: str) -> None:
    """Let ``owner`` take a tenant's dashboard id."""
    body = wire(embed(tenant, client_id=owner))
    emulator.state.create_embed(body, dashboard_name=f"client-{tenant}_{owner}", name="x")


@pytest.mark.usefixtures("warehouse")
def test_every_tenant_gets_its_dashboard(connection: Emulator) -> None:
    batches = plan(batch_size=10)
    assert [batch["rows"] for batch in batches] == [10, 10, 5]
    assert not connection.control.log
    ids: dict[str, str] = {}
    for batch in batches:
        made = provision(batch=batch, concurrency=4)
        assert len(made) == batch["rows"]
        ids |= made
    assert ids == {name: f"client-{name}" for name in NAMES}
    assert {row.dashboard_id: row.client_id for row in connection.state.embeds()} == {
        f"client-{name}": name for name in NAMES
    }
    # Each batch lists the embeds first. Ten or more may be cut, so then the page after the last one is asked for.
    assert Counter(logged.method for logged in connection.control.log) == {"GET": 5, "POST": 25}


@pytest.mark.parametrize("options", [{}, {"batch": None}])
@pytest.mark.usefixtures("warehouse")
def test_without_a_batch_the_whole_table_is_provisioned(connection: Emulator, options: Any) -> None:
    assert len(provision(**options)) == 25
    assert connection.state.count_embeds() == 25


@pytest.mark.usefixtures("connection")
def test_a_query_replaces_the_table(warehouse: Path) -> None:
    change(warehouse, "UPDATE tenants SET region = 'US' WHERE tenant_id = 't07'")
    source = {"table": None, "query": "SELECT * FROM tenants WHERE region = 'US';"}
    [batch] = plan(**source)
    assert provision(batch=batch, **source) == {"t07": "client-t07"}


@pytest.mark.usefixtures("warehouse", "connection")
def test_counts_and_failures_are_pushed() -> None:
    instance = TaskInstance()
    provision({"ti": instance})
    assert instance.pushed == {"counts": counts(created=25), "failures": []}


@pytest.mark.usefixtures("warehouse")
def test_a_failed_task_pushes_the_ids_of_the_good_tenants(connection: Emulator) -> None:
    put(connection, "t03", "t03")
    put(connection, "t07", "globex")
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match=r"(?s)1 of 25 tenants failed:.*'t07': .*client 'globex', not to 't07'"):
        provision({"ti": instance})
    assert instance.pushed["return_value"] == {name: f"client-{name}" for name in NAMES if name != "t07"}
    assert instance.pushed["counts"] == counts(created=23, adopted=1, failed=1)
    [failure] = instance.pushed["failures"]
    assert (failure["tenant"], failure["dashboard_id"]) == ("t07", "client-t07")
    assert failure["error"] == "AlreadyExistsError"


@pytest.mark.usefixtures("warehouse")
def test_a_task_without_xcoms_pushes_nothing(connection: Emulator) -> None:
    put(connection, "t07", "globex")
    instance = TaskInstance()
    with pytest.raises(ProvisioningError):
        provision({"ti": instance}, do_xcom_push=False)
    assert instance.pushed == {}


@pytest.mark.usefixtures("warehouse")
def test_a_second_run_adopts_all_and_creates_nothing(connection: Emulator) -> None:
    first = provision()
    connection.control.log.clear()
    assert provision() == first
    assert Counter(logged.method for logged in connection.control.log) == {"GET": 2}


@pytest.mark.usefixtures("warehouse")
def test_with_if_exists_fail_a_second_run_adopts_nothing(connection: Emulator) -> None:
    provision()
    with pytest.raises(ProvisioningError, match="25 of 25 tenants failed"):
        provision(if_exists="fail")


@pytest.mark.parametrize(
    ("row", "spec", "error", "shown"),
    [
        ((None, "EU"), {}, TenantTableError, "null tenant_id"),
        (("t07", "EU"), {}, TenantTableError, "tenant 't07' has more than one row"),
        ((" ", "EU"), {}, TenantTableError, "an empty tenant_id"),
        (("x", None), {"name": "{region}"}, SpecError, "tenant 'x': column 'region' is null"),
        (("x", ""), {"name": "{region}"}, SpecError, "tenant 'x': name: "),
        (("x", "EU"), {"name": "{plan}"}, SpecError, "asks for 'plan', which is not a column"),
        (("x", "EU"), {"dashboard_id": "{region}"}, SpecError, "would share dashboard id 'EU'"),
        (("x", "EU"), {"colour": "red"}, SpecError, "tenant 't00': colour: "),
    ],
)
def test_one_bad_row_stops_the_batch_before_anything_is_sent(
    connection: Emulator,
    warehouse: Path,
    row: tuple[Any, ...],
    spec: dict[str, Any],
    error: type[Exception],
    shown: str,
) -> None:
    change(warehouse, "INSERT INTO tenants VALUES (?, ?)", *row)
    with pytest.raises(error, match=shown) as caught:
        provision(spec={**SPEC, **spec})
    assert "nothing was sent" in str(caught.value).lower()
    assert connection.state.count_embeds() == 0
    assert not connection.control.log


def test_an_empty_table_needs_no_batch_and_no_call(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants")
    assert plan() == []
    instance = TaskInstance()
    assert provision({"ti": instance}) == {}
    assert instance.pushed["counts"] == counts()
    assert not connection.control.log


@pytest.mark.usefixtures("warehouse")
def test_there_are_no_more_batches_than_airflow_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(plan(batch_size=1)) == 25
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "4")
    batches = plan(batch_size=1)
    assert [batch["rows"] for batch in batches] == [7, 7, 7, 4]


def test_rows_added_or_deleted_after_the_plan_are_seen(connection: Emulator, warehouse: Path) -> None:
    batches = plan(batch_size=10)
    for new in ("a-first", "t05-new", "z-last"):
        change(warehouse, "INSERT INTO tenants VALUES (?, 'EU')", new)
    change(warehouse, "DELETE FROM tenants WHERE tenant_id IN ('t00', 't09', 't24')")
    made = [tenant for batch in batches for tenant in provision(batch=batch)]
    expected = {*NAMES, "a-first", "t05-new", "z-last"} - {"t00", "t09", "t24"}
    assert sorted(made) == sorted(expected)
    assert {row.client_id for row in connection.state.embeds()} == expected


def test_odd_ids_are_sent_unchanged(connection: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_warehouse(tmp_path / "odd.db", monkeypatch, [(name, "EU") for name in ODD_IDS])
    for _ in range(2):
        made: dict[str, str] = {}
        for batch in plan(batch_size=5):
            made |= provision(batch=batch)
        assert made == {name: f"client-{name}" for name in ODD_IDS}
    assert {row.client_id: row.dashboard_id for row in connection.state.embeds()} == made


@pytest.mark.usefixtures("warehouse")
def test_a_spec_without_workspace_takes_the_connections(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {name: value for name, value in SPEC.items() if name != "workspace_name"}
    provision(spec=spec)
    assert {row.workspace for row in connection.state.embeds()} == {WORKSPACE}
    set_connection(monkeypatch, connection, extra={"workspace_name": None})
    with pytest.raises(SpecError, match="25 of 25 tenants"):
        provision(spec=spec)


@pytest.mark.usefixtures("warehouse")
def test_a_spec_may_be_a_function(connection: Emulator) -> None:
    def spec(row: Mapping[str, Any]) -> Mapping[str, Any]:
        plain = {"dashboard_id": f"{row['region']}-{row['tenant_id']}", "client_id": row["tenant_id"]}
        return {**SPEC, **plain, "name": "{region}"}

    task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, spec_callable=spec)
    task.render_template_fields({})
    assert task.execute({})["t00"] == "EU-t00"
    assert connection.state.created_with("EU-t00")["name"] == "{region}"


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        (None, {"tenant_id", "region", "plan"}),
        (["{{ wanted }}"], {"tenant_id", "region"}),
        ((), {"tenant_id"}),
        (["tenant_id"], {"tenant_id"}),
    ],
)
def test_a_function_gets_the_columns_that_it_asks_for(
    connection: Emulator, warehouse: Path, columns: Any, seen: set[str]
) -> None:
    change(warehouse, "ALTER TABLE tenants ADD plan TEXT")
    met: set[str] = set()

    def spec(row: Mapping[str, Any]) -> Mapping[str, Any]:
        met.update(row)
        return {**SPEC, "dashboard_id": f"d-{row['tenant_id']}", "client_id": row["tenant_id"]}

    task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, spec_callable=spec, columns=columns)
    task.render_template_fields({"wanted": "region"})  # type: ignore[typeddict-unknown-key]
    assert len(task.execute({})) == 25
    assert met == seen
    assert connection.state.count_embeds() == 25


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"spec": SPEC, "columns": ["region"]}, "columns is for spec_callable"),
        ({"spec": SPEC, "columns": []}, "columns is for spec_callable"),
        ({"spec_callable": dict, "columns": "region"}, "columns is 'region'; it must be a list of names"),
        ({"spec_callable": dict, "columns": [1]}, r"columns is \[1\]; it must be a list of names"),
        ({"spec_callable": dict, "columns": {"region"}}, "it must be a list of names"),
        (
            {"spec_callable": dict, "columns": ["Region"]},
            "columns asks for 'Region', which is not a column of table 'tenants'; it has tenant_id, region",
        ),
    ],
)
def test_columns_that_cannot_be_read_are_refused(connection: Emulator, arguments: dict[str, Any], shown: str) -> None:
    task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, **arguments)
    with pytest.raises(ValueError, match=shown) as caught:
        task.execute({})
    assert "Nothing was sent" in str(caught.value)
    assert len(connection.control.log) == 0


def test_a_row_level_key_of_another_client_is_not_taken(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "CREATE TABLE resellers AS SELECT tenant_id, 'reseller' AS client_id FROM tenants")
    change(warehouse, "ALTER TABLE tenants ADD client_id TEXT")
    query = "SELECT t.*, r.client_id FROM tenants t JOIN resellers r ON r.tenant_id = t.tenant_id"
    task = ProvisionTenantDashboardsOperator(
        task_id="t",
        sql_conn_id="warehouse",
        query=query,
        key_column="tenant_id",
        spec={**SPEC, "client_id": "{client_id}"},
    )
    with pytest.raises(TenantTableError, match=r"2 columns with the name 'client_id'.*Nothing was sent"):
        task.execute({})
    assert len(connection.control.log) == 0


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("specs", [{}, {"spec": SPEC, "spec_callable": dict}], ids=["neither", "both"])
def test_one_kind_of_spec_is_needed(connection: Emulator, specs: dict[str, Any]) -> None:
    task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, **specs)
    with pytest.raises(ValueError, match="either spec or spec_callable"):
        task.execute({})
    assert len(connection.control.log) == 0


@pytest.mark.usefixtures("warehouse")
def test_a_wrong_key_fails_at_once(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, password="wrong")
    instance = TaskInstance()
    with pytest.raises(ProvisioningError, match="stopped, because the API refuses the credentials"):
        provision({"ti": instance})
    assert [(logged.method, logged.status) for logged in connection.control.log] == [("GET", 401)]
    assert instance.pushed["return_value"] == {}


@pytest.mark.usefixtures("connection")
def test_templates_are_rendered(warehouse: Path) -> None:
    planning = PlanTenantBatchesOperator(
        task_id="plan", sql_conn_id="{{ 'warehouse' }}", table="{{ t }}", key_column="{{ t[:-1] }}_id"
    )
    context: Any = {"t": "tenants", "ds": "2026-01-02"}
    planning.render_template_fields(context)
    [batch] = planning.execute(context)
    task = ProvisionTenantDashboardsOperator(
        task_id="provision",
        **{**TABLE, "table": "{{ t }}"},
        batch=batch,
        spec={**SPEC, "dashboard_id": "{tenant_id}-{{ ds }}"},
    )
    task.render_template_fields(context)
    assert task.execute(context)["t00"] == "t00-2026-01-02"


def test_the_constructor_checks_no_template() -> None:
    options: Any = {"sql_conn_id": "{{ a }}", "key_column": "{{ b }}"}
    PlanTenantBatchesOperator(task_id="plan", **options)
    task = ProvisionTenantDashboardsOperator(task_id="provision", **options, spec={"{{ c }}": 1})
    assert task.spec == {"{{ c }}": 1}


@pytest.mark.parametrize("fails", [False, True], ids=["after a success", "after an error"])
@pytest.mark.parametrize("task", ["plan", "provision", "remove"])
def test_a_task_leaves_no_database_connection_open(
    connection: Emulator, warehouse: Path, task: str, fails: bool
) -> None:
    ledger: dict[str, Any] = {} if task == "plan" else {"ledger_conn_id": "warehouse"}
    operators: dict[str, Any] = {
        "plan": PlanTenantBatchesOperator,
        "provision": partial(ProvisionTenantDashboardsOperator, spec=SPEC),
        "remove": partial(RemoveTenantDashboardsOperator, delete="dashboard", active_column="region", mode="full"),
    }
    if task == "remove" and not fails:
        change(warehouse, "UPDATE tenants SET region = 1")
    if fails and task != "remove":
        change(warehouse, "UPDATE tenants SET tenant_id = NULL")
    with database_connections() as (every, still_open):
        with pytest.raises(TenantTableError) if fails else nullcontext():
            operators[task](task_id="t", **TABLE, **ledger).execute({})
        assert every
        assert still_open == []


@pytest.mark.usefixtures("warehouse", "fast_retries")
def test_airflow_gets_the_metrics(connection: Emulator, metrics: Metrics) -> None:
    put(connection, "t03", "somebody else")
    limited = Fault(kind="too_many", method="POST", times=2, seconds=0.01)
    lost = Fault(kind="error_before", method="POST", times=3)
    connection.control.set_faults([limited, lost])
    with pytest.raises(ProvisioningError):
        provision()
    # The conflict is a failed call too; it is not tried again.
    assert metrics.counted == {
        "tenant_dashboards.calls": metrics.timed["tenant_dashboards.call_duration"],
        "tenant_dashboards.rate_limited": 2,
        "tenant_dashboards.call_failures": 3,
        "tenant_dashboards.retries": 5,
        "tenant_dashboards.outcomes.created": 24,
        "tenant_dashboards.outcomes.failed": 1,
    }
    assert metrics.tags == [{"system": "databrain"}]


@pytest.mark.usefixtures("warehouse", "connection")
@pytest.mark.parametrize("most", [None, 1000.0])
def test_the_pace_has_the_limit_that_the_task_names(monkeypatch: pytest.MonkeyPatch, most: float | None) -> None:
    limits: list[float | None] = []

    class Noted(pace.Pace):
        """Notes its limit."""

        def __init__(self, most: float | None = None, **options: Any) -> None:
            super().__init__(most, **options)
            limits.append(most)

    monkeypatch.setattr(pace, "Pace", Noted)
    provision(requests_per_second=most)
    assert limits == [most]


DEFAULTS: list[tuple[type, dict[str, Any]]] = [
    (PlanTenantBatchesOperator, {"batch_size": 500}),
    (
        TenantTask,
        {
            "ledger_table": "tenant_dashboards",
            "concurrency": 16,
            "requests_per_second": None,
            "max_failures": None,
            "grace_seconds": 3.0,
            "dry_run": False,
            "defer_above": 60.0,
        },
    ),
    (
        RemoveTenantsOperator,
        {"mode": "incremental", "max_deletions": 100, "max_deletion_fraction": 0.1, "concurrency": 8},
    ),
]


@pytest.mark.parametrize(("operator", "promised"), DEFAULTS, ids=[operator.__name__ for operator, _ in DEFAULTS])
def test_the_defaults_are_as_promised(operator: type, promised: dict[str, Any]) -> None:
    parameters = inspect.signature(operator).parameters
    assert {name: parameters[name].default for name in promised} == promised


@pytest.mark.usefixtures("warehouse")
def test_a_concurrency_of_0_is_refused(connection: Emulator) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        provision(concurrency=0)
    assert not connection.control.log


def test_tenants_of_one_client_in_two_batches_do_not_share_a_dashboard(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id > 't01'")
    spec = {**SPEC, "dashboard_id": "group-{region}", "client_id": "{region}"}
    first, second = plan(batch_size=1)
    assert provision(batch=first, spec=spec) == {"t00": "group-EU"}
    with pytest.raises(ProvisioningError, match="belongs to tenant 't00' of the same client, not to 't01'"):
        provision(batch=second, spec=spec)
    assert provision(batch=first, spec=spec) == {"t00": "group-EU"}


def test_with_if_exists_fail_a_later_try_accepts_what_an_earlier_try_created(
    connection: Emulator, warehouse: Path
) -> None:
    change(warehouse, "DELETE FROM tenants WHERE tenant_id > 't03'")
    # The create is done but answers an error, and the survey that would decide about it fails too.
    unclear = Fault(kind="error_after", times=1, path="dashboard-embeds")
    connection.control.set_faults([unclear, Fault(kind="error_before", method="GET", every=2, times=1)])
    with pytest.raises(ProvisioningError, match="1 of 4 tenants failed"):
        provision({"ti": TaskInstance()}, if_exists="fail", max_retry_seconds=0)
    ids = provision({"ti": TaskInstance(try_number=2)}, if_exists="fail")
    assert ids == {name: f"client-{name}" for name in NAMES[:4]}
    with pytest.raises(ProvisioningError, match="if_exists is 'fail'"):
        provision({"ti": TaskInstance()}, if_exists="fail")


@pytest.mark.usefixtures("warehouse")
def test_the_bounds_of_a_batch_are_not_rendered() -> None:
    batch = {"number": 1, "of": 1, "rows": 1, "label": "x", "upto": "c{{ 1 + 1 }}{% if %}"}
    task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, spec=SPEC, batch=batch)
    task.render_template_fields({})
    assert task.batch == batch


def test_the_wait_that_the_server_asks_for_is_in_the_error(connection: Emulator, warehouse: Path) -> None:
    # A second tenant might begin later, and wait.
    change(warehouse, "DELETE FROM tenants WHERE tenant_id > 't00'")
    connection.control.set_faults([Fault(kind="too_many", path="dashboard-embeds", seconds=120)])
    with pytest.raises(ProvisioningError, match="retry after 120 s") as caught:
        provision(max_retry_seconds=0)
    assert caught.value.retry_after == 120


def test_a_connection_that_is_not_a_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "databrain"}))
    with pytest.raises(ValueError, match="connection 'warehouse' is not an SQL connection"):
        plan()


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"connect_timeout": 0}, "connect_timeout: Input should be greater than 0"),
        ({"max_retry_seconds": -5}, "max_retry_seconds: Input should be greater than or equal to 0"),
    ],
)
def test_impossible_timeouts_are_refused(connection: Emulator, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        provision(**options)
    assert not connection.control.log


def test_a_binary_column_cannot_be_part_of_an_id(
    connection: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_warehouse(tmp_path / "other.db", monkeypatch, [("a", b"\x01\xff")], "tenant_id, uid")
    with pytest.raises(
        SpecError, match="tenant 'a': column 'uid' holds a value of type bytes, which has no plain string"
    ):
        provision(spec={**SPEC, "dashboard_id": "c-{uid}"})
    assert not connection.control.log


@pytest.mark.usefixtures("connection", "warehouse")
def test_a_renamed_dashboard_needs_the_stamp() -> None:
    with pytest.raises(SpecError, match="nothing would prove whose the dashboard is"):
        provision(spec={**SPEC, "name": "x", "is_rename_dashboard": True}, stamp=False)


def test_a_tenant_named_like_its_client_keeps_its_dashboard(connection: Emulator, warehouse: Path) -> None:
    change(warehouse, "UPDATE tenants SET region = 't00'")
    change(warehouse, "DELETE FROM tenants WHERE tenant_id > 't01'")
    spec = {**SPEC, "dashboard_id": "group-{region}", "client_id": "{region}"}
    first, second = plan(batch_size=1)
    assert provision(batch=first, spec=spec) == {"t00": "group-t00"}
    with pytest.raises(ProvisioningError, match="belongs to tenant 't00' of the same client, not to 't01'"):
        provision(batch=second, spec=spec)
