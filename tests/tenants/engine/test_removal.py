"""Removal: which dashboards it removes, and what stops it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ServerError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api import endpoint
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.removal import (
    Guard,
    Mode,
    RemovalGuardError,
    RemovalPlan,
    plan_removal,
    preview,
    remove,
)
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow, TenantSource, TenantTableError, read_keys
from airflow_provider_databrain.tenants.engine.target import Existing
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, entry_of, ledger_on, numbered
from tests.support import ODD_IDS, embed

MODES: tuple[Mode, ...] = ("incremental", "full")


def note(ledger: Ledger, *tenants: str, action: Action = Action.CREATED) -> list[Entry]:
    """Record that these tenants have a dashboard."""
    entries = [
        entry_of(
            ledger,
            Outcome(tenant, action, existing=Existing(f"client-{tenant}", f"client-{tenant}", "a.b.c"), input_hash="h"),
        )
        for tenant in tenants
    ]
    ledger.write(entries)
    return entries


def rows(active: Iterable[str] = (), inactive: Iterable[str] = ()) -> list[TenantRow]:
    states = [(tenant, True) for tenant in active] + [(tenant, False) for tenant in inactive]
    return [TenantRow(tenant, {"tenant_id": tenant}, state) for tenant, state in sorted(states)]


def tenants(found: RemovalPlan) -> list[str]:
    return [entry.tenant for entry in found.entries]


# Which dashboards are removed


def test_incremental_removes_inactive_tenants(ledger: Ledger) -> None:
    note(ledger, "active", "inactive", "vanished")
    found = plan_removal(rows(["active", "new"], ["inactive", "never provisioned"]), ledger, "incremental")
    assert tenants(found) == ["inactive"]
    assert (found.in_ledger, found.other_dags) == (3, 0)


def test_full_also_removes_tenants_without_a_row(ledger: Ledger) -> None:
    note(ledger, "active", "inactive", "vanished")
    found = plan_removal(rows(["active", "new"], ["inactive"]), ledger, "full")
    assert tenants(found) == ["inactive", "vanished"]
    assert (found.in_ledger, found.other_dags) == (3, 0)


def test_full_leaves_what_another_dag_provisioned(database: Database, ledger: Ledger) -> None:
    other = ledger_on(database, dag_id="other")
    other.open()
    note(other, "theirs", "theirs inactive", "theirs active")
    note(ledger, "mine")
    found = plan_removal(rows(["theirs active"], ["theirs inactive"]), ledger, "full")
    # A row that says "inactive" counts for a dashboard of any Dag.
    assert tenants(found) == ["mine", "theirs inactive"]
    assert (found.in_ledger, found.other_dags) == (4, 1)
    assert plan_removal(rows(["mine"], ["theirs inactive"]), ledger, "incremental").other_dags == 0


def test_other_scopes_and_systems_are_left_alone(database: Database, ledger: Ledger) -> None:
    note(ledger, "mine")
    for scope, system in (("other", "databrain"), ("app", "other")):
        other = ledger_on(database, scope=scope, system=system)
        other.open()
        note(other, "theirs")
    found = plan_removal(rows(["x"]), ledger, "full")
    assert tenants(found) == ["mine"]
    assert found.in_ledger == 1


def test_a_tenant_without_a_dashboard_is_not_removed_again(ledger: Ledger) -> None:
    [before] = note(ledger, "gone")
    failed = entry_of(ledger, Outcome("never", Action.FAILED, wanted_id="client-never"))
    deleted = entry_of(ledger, Outcome("gone", Action.DELETED, before, wanted_id="client-gone"))
    ledger.write([failed, deleted])
    found = plan_removal(rows(["x"], ["gone", "never"]), ledger, "full")
    assert (tenants(found), found.in_ledger) == ([], 0)


def test_a_failed_removal_is_planned_again(ledger: Ledger) -> None:
    note(ledger, "acme", action=Action.FAILED)
    assert tenants(plan_removal(rows(["x"]), ledger, "full")) == ["acme"]


def test_odd_and_many_tenants_are_distinguished(ledger: Ledger) -> None:
    many = [*numbered(1500), *ODD_IDS]
    note(ledger, *many)
    found = plan_removal(rows(numbered(1500), ODD_IDS[:-1]), ledger, "full")
    assert sorted(tenants(found)) == sorted(ODD_IDS)
    assert found.in_ledger == len(many)


def test_an_empty_table_is_never_taken_for_the_truth(ledger: Ledger) -> None:
    note(ledger, "acme", "globex")
    with pytest.raises(RemovalGuardError) as caught:
        plan_removal([], ledger, "full")
    assert caught.value.tenants == 2
    assert str(caught.value).startswith("nothing was removed: the tenant table is empty")
    assert "would remove all 2 tenants" in str(caught.value)
    # Without mode full there is nothing that it would remove.
    assert tenants(plan_removal([], ledger, "incremental")) == []


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_table_with_an_empty_ledger_removes_nothing(ledger: Ledger, mode: Mode) -> None:
    assert plan_removal([], ledger, mode) == RemovalPlan([], 0, 0)


def test_a_table_with_only_inactive_tenants_removes_all(ledger: Ledger) -> None:
    note(ledger, "acme", "globex")
    assert tenants(plan_removal(rows([], ["acme", "globex"]), ledger, "full")) == ["acme", "globex"]


def test_another_mode_is_refused_before_anything_is_read(book: Ledger) -> None:
    def never() -> Iterable[TenantRow]:
        raise AssertionError("read")
        yield

    wrong: Any = "Full"
    with pytest.raises(ValueError, match=r"mode is 'Full'; it must be 'incremental' or 'full'. Nothing was removed"):
        plan_removal(never(), book, wrong)


# A table that cannot be read: nothing is removed

KEYS = TenantSource("tenant_id", table="tenants")


def fill(database: Database, rows: Iterable[tuple[str | None, str | None]]) -> None:
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), active VARCHAR(9))")
    database.insert("tenants", [{"tenant_id": tenant, "active": active} for tenant, active in rows])


@pytest.mark.parametrize("mode", MODES)
def test_a_query_that_fails_in_mid_stream_removes_nothing(database: Database, ledger: Ledger, mode: Mode) -> None:
    note(ledger, *numbered(3000))
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9) PRIMARY KEY, number BIGINT)")
    # The last rows, which include a bad number, are not read.
    lowest = -(2**63)
    database.insert(
        "tenants",
        [{"tenant_id": tenant, "number": lowest if tenant == "t02900" else 1} for tenant in numbered(3000)],
    )
    source = TenantSource("tenant_id", query="SELECT tenant_id, abs(number) AS active FROM tenants")
    # PostgreSQL must use the index of the key, and not sort all rows before the first one.
    engine = database.engine(connect_args={"options": "-c enable_sort=off"} if database.kind == "postgresql" else {})
    came: list[TenantRow] = []

    def read() -> Iterable[TenantRow]:
        for found in read_keys(engine, source, active_column="active"):
            came.append(found)
            yield found

    with pytest.raises(TenantTableError, match=r"the tenant query cannot be read: .*(overflow|out of range)"):
        plan_removal(read(), ledger, mode)
    assert 0 < len(came) < 2900


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ((None, "yes"), "a null tenant_id"),
        (("", "yes"), "an empty tenant_id"),
        (("acme ", "yes"), "begins or ends with a blank"),
        (("acme", "no"), "tenant 'acme' has more than one row"),
        (("globex", None), "tenant 'globex' has None as active"),
        (("globex", "maybe"), "tenant 'globex' has 'maybe' as active"),
    ],
)
def test_a_bad_row_removes_nothing(
    database: Database, ledger: Ledger, bad: tuple[str | None, str | None], problem: str, mode: Mode
) -> None:
    note(ledger, "acme", "globex", "vanished")
    fill(database, [("acme", "yes"), ("inactive", "no"), bad])
    with pytest.raises(TenantTableError, match=problem):
        plan_removal(read_keys(database.own, KEYS, active_column="active"), ledger, mode)


def test_a_missing_table_or_column_removes_nothing(database: Database, ledger: Ledger) -> None:
    note(ledger, "acme")
    with pytest.raises(TenantTableError, match="tenants"):
        plan_removal(read_keys(database.own, KEYS), ledger, "full")
    fill(database, [("globex", "yes")])
    with pytest.raises(TenantTableError, match="no column 'aktive'"):
        plan_removal(read_keys(database.own, KEYS, active_column="aktive"), ledger, "full")


def test_a_tenant_that_is_both_active_and_inactive_removes_nothing(sqlite: Database, book: Ledger) -> None:
    # For SQLite these keys differ, so their rows are not neighbours.
    note(book, "1", "2")
    sqlite.run("CREATE TABLE tenants (tenant_id, active)")
    sqlite.insert("tenants", [{"tenant_id": key, "active": key == 1} for key in (1, 2, "1")])
    read = read_keys(sqlite.own, KEYS, active_column="active")
    with pytest.raises(TenantTableError, match="tenant '1' has more than one row"):
        plan_removal(read, book, "incremental")


def test_a_ledger_that_cannot_be_read_removes_nothing(database: Database, ledger: Ledger) -> None:
    database.run("DROP TABLE tenant_dashboards")
    with pytest.raises(LedgerError, match="cannot be read"):
        plan_removal(rows(["acme"]), ledger, "full")


# The guard


def entries(ledger: Ledger, count: int) -> list[Entry]:
    return note(ledger, *numbered(count))


@pytest.mark.parametrize(
    ("guard", "to_remove", "in_ledger", "bound"),
    [
        (Guard(), 0, 0, None),
        (Guard(), 0, 5, None),
        (Guard(), 10, 100, None),
        (Guard(), 11, 100, "max_deletion_fraction is 0.1"),
        (Guard(), 100, 1000, None),
        (Guard(), 100, 999, "max_deletion_fraction is 0.1"),
        (Guard(), 101, 2000, "max_deletions is 100"),
        (Guard(), 101, 200, "max_deletions is 100 and max_deletion_fraction is 0.1"),
        (Guard(None, 1), 500, 500, None),
        (Guard(None, 0.5), 500, 1000, None),
        (Guard(None, 0.5), 501, 1000, "max_deletion_fraction is 0.5"),
        (Guard(0, 1), 0, 100, None),
        (Guard(0, 1), 1, 100, "max_deletions is 0"),
        (Guard(None, 0), 0, 100, None),
        (Guard(None, 0), 1, 100, "max_deletion_fraction is 0"),
        # In floating point these products are a little less than the number.
        (Guard(None, 0.29), 29, 100, None),
        (Guard(None, 0.57), 57, 100, None),
        (Guard(None, 0.07), 7, 100, None),
        (Guard(None, 0.29), 30, 100, "max_deletion_fraction is 0.29"),
        (Guard(None, 1 / 3), 1, 3, None),
        (Guard(None, 2 / 3), 2, 3, None),
    ],
)
def test_the_limits_are_exact(book: Ledger, guard: Guard, to_remove: int, in_ledger: int, bound: str | None) -> None:
    found = entries(book, to_remove)
    if bound is None:
        guard.check(found, in_ledger)
        return
    with pytest.raises(RemovalGuardError) as caught:
        guard.check(found, in_ledger)
    assert caught.value.tenants == to_remove
    assert f"but {bound}. The tenants are" in str(caught.value)


def test_every_fraction_with_two_digits_is_exact(book: Ledger) -> None:
    found = entries(book, 700)
    for percent in range(1, 100):
        guard = Guard(None, percent / 100)
        for times in (1, 3, 7):
            guard.check(found[: percent * times], 100 * times)
        with pytest.raises(RemovalGuardError):
            guard.check(found[: percent + 1], 100)


def test_a_table_that_shrank_stops_at_the_guard(ledger: Ledger) -> None:
    note(ledger, *numbered(200))
    found = plan_removal(rows(numbered(150)), ledger, "full")
    assert len(found.entries) == 50
    with pytest.raises(RemovalGuardError) as caught:
        Guard().check(found.entries, found.in_ledger)
    first = ", ".join(repr(f"t{number:05}") for number in range(150, 160))
    assert str(caught.value) == (
        "nothing was removed: this run would remove the dashboards of 50 of 200 tenants, but max_deletion_fraction is "
        f"0.1. The tenants are {first} and 40 more. If this is right, raise the limit for one run."
    )
    assert caught.value.tenants == 50
    Guard(50, 0.25).check(found.entries, found.in_ledger)


def test_few_tenants_are_all_named(book: Ledger) -> None:
    with pytest.raises(RemovalGuardError, match=r"The tenants are 't00000', 't00001', 't00002'\. If"):
        Guard(2, 1).check(entries(book, 3), 10)


@pytest.mark.parametrize(
    ("most", "fraction", "shown"),
    [
        (-1, 0.1, "max_deletions is -1; it must be 0 or more, or None"),
        (None, -0.1, "max_deletion_fraction is -0.1; it must be from 0 to 1"),
        (None, 1.1, "max_deletion_fraction is 1.1; it must be from 0 to 1"),
        (None, 10, "max_deletion_fraction is 10; it must be from 0 to 1"),
        (None, math.nan, "max_deletion_fraction is nan; it must be from 0 to 1"),
    ],
)
def test_impossible_limits_are_refused(most: int | None, fraction: float, shown: str) -> None:
    with pytest.raises(ValueError, match=f"{shown}.*Nothing was removed"):
        Guard(most, fraction)


def test_a_plan_names_each_dashboard(book: Ledger) -> None:
    assert preview(entries(book, 2)) == [
        {"tenant": "t00000", "dashboard_id": "client-t00000", "action": "delete"},
        {"tenant": "t00001", "dashboard_id": "client-t00001", "action": "delete"},
    ]


# Removing


def put(emulator: Emulator, *tenants: str, owner: str = "") -> None:
    """Create these tenants' dashboards, for the tenants themselves or for another owner."""
    target = DatabrainTarget()
    for tenant in tenants:
        wanted = embed(owner or tenant, dashboard_id=f"client-{tenant}")
        desired = target.desire(owner or tenant, wanted.model_dump(exclude_none=True))
        emulator.state.create_embed(
            wire(desired.wanted), dashboard_name=f"client-{tenant}_{owner or tenant}", name=f"client-{tenant}"
        )


async def removed(
    emulator: Emulator,
    ledger: Ledger,
    to_remove: list[Entry],
    *,
    rules: Rules | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> Report:
    server = Server(emulator.url, {endpoint.API_KEY: emulator.api_key}, max_retry_seconds=0)
    report = Report(total=len(to_remove))
    progress = Progress("databrain", report, len(to_remove))
    async with AsyncTransport(server, limit=4) as transport:
        return await remove(
            DatabrainTarget(**options),
            transport,
            to_remove,
            report=report,
            progress=progress,
            rules=rules or Rules(4),
            stop=stop or Stop(),
            ledger=ledger,
        )


def listed(emulator: Emulator) -> list[str]:
    return sorted(found.embed_id for found in emulator.state.embeds())


async def test_a_removal_deletes_and_is_recorded(emulator: Emulator, ledger: Ledger) -> None:
    put(emulator, *numbered(30))
    note(ledger, *numbered(30))
    found = plan_removal(rows(numbered(10)), ledger, "full")
    report = await removed(emulator, ledger, found.entries)
    assert report.counted == {Action.DELETED: 20}
    assert (report.left, report.why, report.ids, report.total) == (0, None, {}, 20)
    assert listed(emulator) == [f"client-{tenant}" for tenant in numbered(10)]
    assert [entry.tenant for entry in ledger.live()] == numbered(10)
    gone = ledger.entries(numbered(30)[10:])
    assert {(entry.status, entry.spec_hash, entry.input_hash, entry.embed_id) for entry in gone.values()} == {
        ("deleted", None, None, None)
    }
    assert {entry.dashboard_id for entry in gone.values()} == {f"client-{tenant}" for tenant in numbered(30)[10:]}
    # A second run has nothing to do and sends nothing.
    emulator.control.log.clear()
    again = plan_removal(rows(numbered(10)), ledger, "full")
    assert (await removed(emulator, ledger, again.entries)).counted == {}
    assert not emulator.control.log


@pytest.mark.parametrize("delete_dashboards", [False, True])
async def test_the_dashboard_is_deleted_only_if_asked_for(
    emulator: Emulator, book: Ledger, delete_dashboards: bool
) -> None:
    put(emulator, "acme")
    await removed(emulator, book, note(book, "acme"), delete_dashboards=delete_dashboards)
    assert listed(emulator) == []
    assert emulator.state.dashboard_exists("client-acme") is not delete_dashboards


async def test_a_dashboard_that_no_longer_exists_counts_as_deleted(emulator: Emulator, book: Ledger) -> None:
    put(emulator, "other")
    report = await removed(emulator, book, note(book, "acme"))
    assert report.counted == {Action.DELETED: 1}
    assert book.entries(["acme"])["acme"].status == "deleted"
    assert listed(emulator) == ["client-other"]
    # The API itself says that the embed does not exist.
    calls = [(logged.method, logged.path, logged.status) for logged in emulator.control.log]
    assert calls == [("GET", "/api/v2/data-app/embeds", 200), ("GET", "/api/v2/data-app/metrics", 404)]


async def test_a_dashboard_with_a_new_owner_stays(emulator: Emulator, ledger: Ledger) -> None:
    put(emulator, "acme", owner="globex")
    put(emulator, "initech")
    report = await removed(emulator, ledger, note(ledger, "acme", "initech"))
    assert report.counted == {Action.DELETED: 1, Action.FAILED: 1}
    [failure] = report.failures
    assert failure["tenant"] == "acme"
    assert "now belongs to 'globex'" in failure["message"]
    assert listed(emulator) == ["client-acme"]
    entry = ledger.entries(["acme"])["acme"]
    assert (entry.status, entry.existing is not None) == ("failed", True)


async def test_a_failed_list_removes_nothing(emulator: Emulator, book: Ledger) -> None:
    put(emulator, "acme")
    to_remove = note(book, "acme")
    emulator.control.set_faults([Fault(kind="error_before", method="GET")])
    with pytest.raises(ServerError):
        await removed(emulator, book, to_remove)
    assert listed(emulator) == ["client-acme"]
    assert list(book.live()) == to_remove


async def test_one_failure_stops_no_other_and_is_tried_again(emulator: Emulator, ledger: Ledger) -> None:
    put(emulator, *numbered(10))
    note(ledger, *numbered(10))
    emulator.control.set_faults([Fault(kind="error_before", method="DELETE", times=3)])
    report = await removed(emulator, ledger, list(ledger.live()))
    assert report.counted == {Action.DELETED: 7, Action.FAILED: 3}
    left = list(ledger.live())
    assert {(entry.status, entry.attempts) for entry in left} == {("failed", 1)}
    assert all("delete embed (dashboard 'client-t" in str(entry.last_error) for entry in left)
    emulator.control.set_faults([])
    assert (await removed(emulator, ledger, left)).counted == {Action.DELETED: 3}
    assert {entry.attempts for entry in ledger.entries([entry.tenant for entry in left]).values()} == {2}
    assert listed(emulator) == []


async def test_too_many_failures_leave_the_rest(emulator: Emulator, book: Ledger) -> None:
    put(emulator, *numbered(50))
    to_remove = note(book, *numbered(50))
    emulator.control.set_faults([Fault(kind="error_before", method="DELETE")])
    report = await removed(emulator, book, to_remove, rules=Rules(1, max_failures=2))
    assert report.counted == {Action.FAILED: 3}
    assert report.left == 47
    assert report.why == "stopped after 3 failures (max_failures is 2)"
    assert len(listed(emulator)) == 50


async def test_a_stop_before_the_first_deletion_removes_nothing(emulator: Emulator, book: Ledger) -> None:
    put(emulator, "acme")
    stop = Stop()
    stop.request("stopped by a test")
    report = await removed(emulator, book, note(book, "acme"), stop=stop)
    assert (report.left, report.why, report.counted) == (1, "stopped by a test", {})
    assert listed(emulator) == ["client-acme"]


@pytest.mark.parametrize("mode", MODES)
def test_a_tenant_with_two_rows_that_are_not_neighbours_removes_nothing(book: Ledger, mode: Mode) -> None:
    note(book, "a", "b")
    table = [*rows(["a", "b"]), *rows([], ["a"])]
    with pytest.raises(TenantTableError, match=r"tenant 'a' has more than one row\. Nothing was removed"):
        plan_removal(table, book, mode)
