"""The first pass over a batch: every row is checked, and only changed tenants are work."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api import endpoint
from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed
from airflow_provider_databrain.databrain.ownership import STAMP
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine.apply import provision
from airflow_provider_databrain.tenants.engine.check import CheckedBatch, WorkItem, check_batch
from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger, LedgerError
from airflow_provider_databrain.tenants.engine.outcome import Outcome
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.removal import remove
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.spec import Spec, SpecError
from airflow_provider_databrain.tenants.engine.spool import Spool
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow, TenantSource, TenantTableError, read_batch
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, entry_of, ledger_on, numbered
from tests.support import ACCESS, ODD_IDS, SPEC, embed

NAMED: dict[str, Any] = {**SPEC, "name": "{name}", "metadata": {"region": "{region}"}}
"""The name can be changed later, the metadata cannot."""


class Counting(DatabrainTarget):
    """Records the tenants whose request was built."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.desired: list[str] = []

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[CreateDashboardEmbed]:
        self.desired.append(tenant)
        return super().desire(tenant, fields)


def row(tenant: str, active: bool = True, **columns: Any) -> TenantRow:
    return TenantRow(tenant, {"tenant_id": tenant, "name": "Acme", "region": "EU", **columns}, active)


def rows(*tenants: str, **columns: Any) -> list[TenantRow]:
    return [row(tenant, **columns) for tenant in tenants]


def work(checked: CheckedBatch[CreateDashboardEmbed]) -> dict[str, WorkItem[CreateDashboardEmbed]]:
    return {item.desired.tenant: item for item in checked.work}


def record(
    ledger: Ledger,
    tenant_rows: Iterable[TenantRow],
    spec: Spec = NAMED,
    action: Action = Action.CREATED,
    target: DatabrainTarget | None = None,
) -> None:
    """Record these rows in the ledger as if they had been provisioned."""
    with check_batch(tenant_rows, spec, target or DatabrainTarget(), ledger) as checked:
        ledger.write(
            [
                entry_of(
                    ledger,
                    Outcome(
                        item.desired.tenant,
                        action,
                        item.entry,
                        Existing(
                            str(item.desired.dashboard_id), f"embed-{item.desired.tenant}", item.desired.spec_hash
                        ),
                        input_hash=item.input_hash,
                    ),
                )
                for item in checked.work
            ]
        )


def refused(
    tenant_rows: Iterable[TenantRow],
    spec: Spec = NAMED,
    ledger: Ledger | None = None,
    target: DatabrainTarget | None = None,
) -> str:
    """The message of the error."""
    with pytest.raises(SpecError) as caught:
        check_batch(tenant_rows, spec, target or DatabrainTarget(), ledger)
    assert "nothing was sent" in str(caught.value)
    return str(caught.value)


# Without a ledger


def test_without_a_ledger_every_active_tenant_is_work() -> None:
    with check_batch([row("a"), row("b", active=False), row("c")], NAMED, DatabrainTarget()) as checked:
        assert [(item.desired.tenant, item.entry) for item in checked.work] == [("a", None), ("c", None)]
        assert checked.report.ids == {"a": "", "c": ""}
        assert checked.report.total == 3
        assert checked.report.counted == {Action.INACTIVE: 1}
        assert len(checked.new_hashes) == 0


def test_the_work_is_the_checked_request() -> None:
    target = DatabrainTarget(workspace_name="other")
    with check_batch(rows(*ODD_IDS), NAMED, target) as checked:
        for item, tenant in zip(checked.work, ODD_IDS, strict=True):
            assert item.desired == target.desire(
                tenant,
                {
                    **SPEC,
                    "dashboard_id": f"client-{tenant}",
                    "client_id": tenant,
                    "name": "Acme",
                    "metadata": {"region": "EU"},
                },
            )


def test_an_empty_batch_has_no_work() -> None:
    with check_batch([], NAMED, DatabrainTarget()) as checked:
        assert list(checked.work) == []
        assert checked.report.total == 0
        assert checked.report.ids == {}


def test_inactive_rows_need_not_fit_the_spec() -> None:
    with check_batch([row("a", active=False, name=None), row("b")], NAMED, DatabrainTarget()) as checked:
        assert list(work(checked)) == ["b"]


# Unchanged or not


def test_the_request_of_an_unchanged_row_is_not_built(ledger: Ledger) -> None:
    tenants = [*numbered(1200), *ODD_IDS]
    record(ledger, rows(*tenants))
    ledger.run_id = "next run"
    target = Counting()
    with check_batch(rows(*tenants, "new"), NAMED, target, ledger) as checked:
        assert target.desired == ["new"]
        assert list(work(checked)) == ["new"]
        assert checked.report.counted == {Action.UNCHANGED: len(tenants)}
        assert checked.report.ids == {**{tenant: f"client-{tenant}" for tenant in tenants}, "new": ""}
        assert list(checked.report.ids) == [*tenants, "new"]
        assert len(checked.new_hashes) == 0


def test_a_spec_function_is_called_for_each_row(book: Ledger) -> None:
    def spec(values: Mapping[str, Any]) -> Mapping[str, Any]:
        tenant = values["tenant_id"]
        return {**SPEC, "dashboard_id": f"client-{tenant}", "client_id": tenant, "name": values["name"]}

    record(book, rows("a", "b"), spec)
    target = Counting()
    with check_batch([row("a", region="US"), row("b", name="New")], spec, target, book) as checked:
        assert target.desired == ["a", "b"]
        assert list(work(checked)) == ["b"]
        assert checked.report.counted == {Action.CREATED: 1}
        assert len(checked.new_hashes) == 0


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a column of the name": ({"name": "Globex"}, {}),
    "the name's template": ({}, {"name": "{name} GmbH"}),
    "no name": ({}, {"name": None}),
    "a setting": ({}, {"access_settings": {**ACCESS, "is_allow_email_reports": True}}),
    "one more setting": ({}, {"access_settings": {**ACCESS, "is_allow_ai_pilot": False}}),
    "the title": ({}, {"is_rename_dashboard": True}),
}


@pytest.mark.parametrize(("columns", "fields"), CHANGES.values(), ids=CHANGES)
def test_a_change_that_the_vendor_can_make_is_work(
    book: Ledger, columns: dict[str, Any], fields: dict[str, Any]
) -> None:
    record(book, rows("acme"))
    before = book.entries(["acme"])["acme"]
    spec = {name: value for name, value in {**NAMED, **fields}.items() if value is not None}
    with check_batch(rows("acme", **columns), spec, DatabrainTarget(), book) as checked:
        found = work(checked)["acme"]
        assert found.entry == before
        assert found.input_hash != before.input_hash
        assert found.desired.spec_hash != before.spec_hash
        assert checked.report.ids == {"acme": ""}
        assert not checked.report.counted
        assert len(checked.new_hashes) == 0


def test_a_changed_setting_from_a_column_is_work(book: Ledger) -> None:
    spec = {**NAMED, "access_settings": {**ACCESS, "datamart_name": "{region}"}}
    record(book, rows("acme", "globex"), spec)
    with check_batch([row("acme", region="US"), row("globex")], spec, DatabrainTarget(), book) as checked:
        assert list(work(checked)) == ["acme"]


CREATION_ONLY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a column of the metadata": ({"region": "US"}, {}),
    "the metadata": ({}, {"metadata": {"other": "x"}}),
    "the template": ({}, {"template_dashboard_id": "template-pro"}),
    "a setting's other spelling": ({}, {"access_settings": dict(reversed(ACCESS.items()))}),
}


@pytest.mark.parametrize(("columns", "fields"), CREATION_ONLY.values(), ids=CREATION_ONLY)
def test_a_field_that_counts_only_at_creation_leaves_the_tenant_unchanged_with_a_new_hash(
    book: Ledger, columns: dict[str, Any], fields: dict[str, Any]
) -> None:
    record(book, rows("acme"))
    before = book.entries(["acme"])["acme"]
    book.run_id = "next run"
    spec = {**NAMED, **fields}
    with check_batch(rows("acme", **columns), spec, DatabrainTarget(), book) as checked:
        assert len(checked.work) == 0
        assert checked.report.counted == {Action.UNCHANGED: 1}
        assert checked.report.ids == {"acme": "client-acme"}
        new_hashes = list(checked.new_hashes)
        assert len(new_hashes) <= 1
        book.write(new_hashes)
    after = book.entries(["acme"])["acme"]
    assert replace(after, input_hash=before.input_hash) == before
    # The next time the row has the same hash.
    target = Counting()
    with check_batch(rows("acme", **columns), spec, target, book) as checked:
        assert checked.report.counted == {Action.UNCHANGED: 1}
    assert target.desired == []


def test_another_default_workspace_is_another_request(book: Ledger) -> None:
    spec = {name: value for name, value in NAMED.items() if name != "workspace_name"}
    record(book, rows("acme"), spec, target=DatabrainTarget(workspace_name="one"))
    assert "workspace_name is not what dashboard 'client-acme' was created with" in refused(
        rows("acme"), spec, book, DatabrainTarget(workspace_name="two")
    )


def failed(ledger: Ledger, tenant: str, existing: Existing | None) -> Entry:
    """A tenant's entry after a failure."""
    before = ledger.entries([tenant]).get(tenant)
    outcome = Outcome(tenant, Action.FAILED, before, existing, wanted_id=f"client-{tenant}", error=ValueError("no"))
    ledger.write([entry_of(ledger, outcome)])
    return ledger.entries([tenant])[tenant]


def test_a_tenant_that_failed_without_a_dashboard_is_work(ledger: Ledger) -> None:
    entry = failed(ledger, "acme", None)
    with check_batch(rows("acme"), NAMED, DatabrainTarget(), ledger) as checked:
        assert work(checked)["acme"].entry == entry
        assert entry.existing is None
        assert checked.report.ids == {"acme": ""}


@pytest.mark.parametrize("name", ["Acme", "Globex"])
def test_a_tenant_that_failed_with_a_dashboard_is_work_even_with_the_same_row(ledger: Ledger, name: str) -> None:
    record(ledger, rows("acme"))
    entry = failed(ledger, "acme", ledger.entries(["acme"])["acme"].existing)
    with check_batch(rows("acme", name=name), NAMED, DatabrainTarget(), ledger) as checked:
        assert work(checked)["acme"].entry == entry
        assert entry.existing is not None
        assert checked.report.ids == {"acme": ""}
        assert len(checked.new_hashes) == 0


def test_a_deleted_tenant_is_work_without_a_dashboard(ledger: Ledger) -> None:
    record(ledger, rows("acme"))
    entry = entry_of(ledger, Outcome("acme", Action.DELETED, ledger.entries(["acme"])["acme"], wanted_id="client-acme"))
    ledger.write([entry])
    with check_batch(rows("acme"), NAMED, DatabrainTarget(), ledger) as checked:
        found = work(checked)["acme"]
        assert found.entry == entry
        assert found.entry.existing is None
        assert checked.report.ids == {"acme": ""}


def test_a_deleted_tenant_may_come_back_with_another_id(ledger: Ledger) -> None:
    record(ledger, rows("acme"))
    before = ledger.entries(["acme"])["acme"]
    ledger.write([entry_of(ledger, Outcome("acme", Action.DELETED, before, wanted_id="client-acme"))])
    spec = {**NAMED, "dashboard_id": "new-{tenant_id}", "client_id": "other"}
    with check_batch(rows("acme"), spec, DatabrainTarget(), ledger) as checked:
        assert work(checked)["acme"].desired.dashboard_id == "new-acme"


@pytest.mark.parametrize("action", [Action.CREATED, Action.ADOPTED, Action.UPDATED])
def test_a_change_by_an_earlier_try_of_the_same_run_is_counted(book: Ledger, action: Action) -> None:
    record(book, rows("acme", "globex"), action=action)
    for dag_id, run_id, counted in (
        ("dag", "run", action),
        ("dag", "next run", Action.UNCHANGED),
        ("other dag", "run", Action.UNCHANGED),
        # Without a Dag no run is the same run.
        ("", "", Action.UNCHANGED),
    ):
        book.dag_id, book.run_id = dag_id, run_id
        with check_batch(rows("acme", "globex"), NAMED, DatabrainTarget(), book) as checked:
            assert checked.report.counted == {counted: 2}
            assert checked.report.ids == {"acme": "client-acme", "globex": "client-globex"}


def test_entries_without_a_run_are_never_of_the_same_run(book: Ledger) -> None:
    book.dag_id = book.run_id = ""
    record(book, rows("acme"))
    with check_batch(rows("acme"), NAMED, DatabrainTarget(), book) as checked:
        assert checked.report.counted == {Action.UNCHANGED: 1}


def test_entries_of_another_scope_are_ignored(database: Database, ledger: Ledger) -> None:
    other = ledger_on(database, scope="other")
    other.open()
    record(other, rows("acme"))
    with check_batch(rows("acme"), NAMED, DatabrainTarget(), ledger) as checked:
        assert work(checked)["acme"].entry is None


# A failed call may have been done


async def applied(emulator: Emulator, ledger: Ledger, tenant_rows: Iterable[TenantRow], spec: Spec = NAMED) -> Report:
    """Provision these rows; each call is tried once."""
    server = Server(emulator.url, {endpoint.API_KEY: emulator.api_key}, max_retry_seconds=0)
    target = DatabrainTarget(look_first=False)
    with check_batch(tenant_rows, spec, target, ledger) as checked:
        progress = Progress(target.system, checked.report, len(checked.work))
        async with AsyncTransport(server, limit=4) as transport:
            return await provision(
                target, transport, checked, progress=progress, rules=Rules(4), stop=Stop(), ledger=ledger
            )


async def removed_all(emulator: Emulator, ledger: Ledger) -> Report:
    """Remove every tenant in the ledger; each call is tried once."""
    server = Server(emulator.url, {endpoint.API_KEY: emulator.api_key}, max_retry_seconds=0)
    entries = list(ledger.live())
    report = Report(total=len(entries))
    progress = Progress("databrain", report, len(entries))
    target = DatabrainTarget(delete_dashboards=True)
    async with AsyncTransport(server, limit=4) as transport:
        return await remove(
            target, transport, entries, report=report, progress=progress, rules=Rules(4), stop=Stop(), ledger=ledger
        )


async def test_a_failed_update_that_was_done_is_undone_with_its_row(emulator: Emulator, book: Ledger) -> None:
    more = {**NAMED, "access_settings": {**ACCESS, "is_allow_underlying_data": True}}
    await applied(emulator, book, rows("acme", "globex"))
    emulator.control.set_faults([Fault(kind="error_after", method="PUT")])
    assert (await applied(emulator, book, [row("acme"), row("globex")], more)).counted == {Action.FAILED: 2}
    emulator.control.set_faults([])
    assert emulator.state.access_settings("client-acme")["isAllowUnderlyingData"] is True
    report = await applied(emulator, book, rows("acme", "globex"))
    assert report.counted == {Action.UPDATED: 2}
    assert report.ids == {"acme": "client-acme", "globex": "client-globex"}
    for tenant in ("acme", "globex"):
        assert emulator.state.access_settings(f"client-{tenant}")["isAllowUnderlyingData"] is False
    emulator.control.log.clear()
    assert (await applied(emulator, book, rows("acme", "globex"))).counted == {Action.UPDATED: 2}
    assert not emulator.control.log


async def test_a_failed_removal_that_was_done_is_repaired_if_the_tenant_comes_back(
    emulator: Emulator, book: Ledger
) -> None:
    await applied(emulator, book, rows("acme"))
    emulator.control.set_faults([Fault(kind="error_after", method="DELETE")])
    assert (await removed_all(emulator, book)).counted == {Action.FAILED: 1}
    emulator.control.set_faults([])
    assert emulator.state.count_embeds() == 0
    report = await applied(emulator, book, rows("acme"))
    assert report.counted == {Action.CREATED: 1}
    assert [found.embed_id for found in emulator.state.embeds("acme")] == ["client-acme"]
    assert report.ids == {"acme": "client-acme"}


async def test_a_dashboard_of_another_client_is_not_changed_when_the_tenant_comes_back(
    emulator: Emulator, book: Ledger
) -> None:
    await applied(emulator, book, rows("acme"))
    emulator.state.delete_embed("client-acme", dashboard=True)
    theirs = {"access_settings": {**ACCESS, "is_allow_underlying_data": True}, "name": "Theirs"}
    emulator.state.create_embed(
        wire(embed("acme", client_id="globex", metadata={STAMP: "globex"}, **theirs)),
        dashboard_name="client-acme_globex",
        name="Theirs",
    )
    assert (await removed_all(emulator, book)).counted == {Action.FAILED: 1}
    report = await applied(emulator, book, rows("acme"))
    assert report.counted == {Action.FAILED: 1}
    assert "belongs to client 'globex', not to 'acme'" in report.failures[0]["message"]
    assert emulator.state.access_settings("client-acme")["isAllowUnderlyingData"] is True
    assert [found.name for found in emulator.state.embeds("globex")] == ["Theirs"]


# What cannot be provisioned


def test_each_bad_row_is_named_up_to_ten() -> None:
    bad = [row(tenant, name=None) for tenant in numbered(700)]
    shown = refused([*bad, row("good")])
    assert shown.startswith("700 of 701 tenants cannot be provisioned; nothing was sent.\n")
    assert shown.count("column 'name' is null") == 10
    assert "tenant 't00009'" in shown
    assert "tenant 't00010'" not in shown
    assert shown.endswith("\nand 690 more")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"dashboard_id": "{nope}"}, "asks for 'nope'"),
        ({"dashboard_id": " "}, "dashboard_id: String should match"),
        ({"access_settings": {}}, "access_settings.datamart_name: Field required"),
        ({"metadata": {1: "x", "y": "z"}}, "metadata"),
        ({"metadata": {"airflowProviderClientId": "x"}}, "is this provider's own"),
    ],
)
def test_a_wrong_spec_is_reported_with_the_tenant(fields: dict[str, Any], problem: str) -> None:
    shown = refused(rows("acme"), {**NAMED, **fields})
    assert "- tenant 'acme': " in shown
    assert problem in shown


def test_a_failed_spec_function_is_reported_with_the_tenant() -> None:
    def spec(values: Mapping[str, Any]) -> Mapping[str, Any]:
        raise KeyError(values["tenant_id"])

    assert "- tenant 'acme': the spec function failed: KeyError: 'acme'" in refused(rows("acme"), spec)


@pytest.mark.parametrize("apart", [0, 1, 600])
def test_two_rows_for_one_tenant_are_refused(book: Ledger, apart: int) -> None:
    shown = refused([row("acme"), *rows(*numbered(apart)), row("acme")], ledger=book)
    assert "- tenant 'acme' has more than one row" in shown
    # Also if the first row needs no work.
    record(book, rows("acme"))
    shown = refused([row("acme"), *rows(*numbered(apart)), row("acme", name="Other")], ledger=book)
    assert "- tenant 'acme' has more than one row" in shown


def test_two_rows_for_one_tenant_in_the_table_are_refused(database: Database) -> None:
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), name VARCHAR(9), region VARCHAR(9))")
    database.insert("tenants", [{"tenant_id": tenant, "name": "x", "region": "EU"} for tenant in ("a", "b", "b")])
    with pytest.raises(TenantTableError, match=r"(?s)Nothing was sent.*tenant 'b' has more than one row"):
        check_batch(
            read_batch(database.own, TenantSource("tenant_id", table="tenants"), {}), NAMED, DatabrainTarget(), None
        )


@pytest.mark.parametrize("with_ledger", [True, False])
@pytest.mark.parametrize("apart", [0, 600])
def test_two_tenants_with_one_dashboard_id_are_refused(book: Ledger, apart: int, with_ledger: bool) -> None:
    spec = {**NAMED, "dashboard_id": "d-{region}"}
    others = [row(tenant, region=tenant) for tenant in numbered(apart)]
    shown = refused(
        [row("acme"), *others, row("globex"), row("initech", active=False)], spec, book if with_ledger else None
    )
    assert shown.startswith(f"1 of {apart + 3} tenants cannot be provisioned")
    assert "- tenants 'acme' and 'globex' would share dashboard id 'd-EU'" in shown
    assert "initech" not in shown


@pytest.mark.parametrize("name", ["Acme", "Changed"])
@pytest.mark.parametrize("apart", [0, 600])
def test_a_new_tenant_with_the_id_of_a_known_one_is_refused_once(ledger: Ledger, name: str, apart: int) -> None:
    spec = {**NAMED, "dashboard_id": "d-{region}"}
    record(ledger, rows("acme"), spec)
    others = [row(tenant, region=tenant) for tenant in numbered(apart)]
    known, new = row("acme", name=name), row("globex")
    for order in ([known, *others, new], [new, *others, known]):
        shown = refused(order, spec, ledger)
        assert shown.startswith(f"1 of {apart + 2} tenants cannot be provisioned")
        assert shown.count("would share dashboard id 'd-EU'") == 1
        assert "'acme'" in shown
        assert "'globex'" in shown


def test_a_new_tenant_with_the_id_of_another_batchs_is_refused(ledger: Ledger) -> None:
    spec = {**NAMED, "dashboard_id": "d-{region}"}
    record(ledger, [row("acme"), row("hooli", region="US")], spec)
    shown = refused([row("globex"), row("initech", region="US"), row("new", region="APAC")], spec, ledger)
    assert shown.startswith("2 of 3 tenants cannot be provisioned")
    assert "- tenants 'acme' and 'globex' would share dashboard id 'd-EU'" in shown
    assert "- tenants 'hooli' and 'initech' would share dashboard id 'd-US'" in shown


def test_the_id_of_a_deleted_dashboard_may_be_used_again(ledger: Ledger) -> None:
    spec = {**NAMED, "dashboard_id": "d-{region}"}
    record(ledger, rows("acme"), spec)
    before = ledger.entries(["acme"])["acme"]
    ledger.write([entry_of(ledger, Outcome("acme", Action.DELETED, before, wanted_id="d-EU"))])
    with check_batch(rows("globex"), spec, DatabrainTarget(), ledger) as checked:
        assert list(work(checked)) == ["globex"]


IMMUTABLE: dict[str, tuple[dict[str, Any], str]] = {
    "another id": (
        {"dashboard_id": "new-{tenant_id}"},
        "the spec now says dashboard id 'new-a', the ledger has 'client-a'",
    ),
    "another client": ({"client_id": "{region}"}, "client_id or workspace_name is not what dashboard 'client-a'"),
    "another workspace": ({"workspace_name": "x"}, "client_id or workspace_name is not what dashboard 'client-a'"),
}


@pytest.mark.parametrize(("fields", "problem"), IMMUTABLE.values(), ids=IMMUTABLE)
def test_an_impossible_spec_change_is_refused_with_the_next_step(
    ledger: Ledger, fields: dict[str, Any], problem: str
) -> None:
    record(ledger, rows("a", "b"))
    before = list(ledger.live())
    shown = refused([*rows("a", "b"), row("new", region="US")], {**NAMED, **fields}, ledger)
    # The new tenant is not sent either.
    assert shown.startswith("2 of 3 tenants cannot be provisioned; nothing was sent.")
    assert problem in shown
    assert "be changed: undo the change, or remove the tenant's dashboard first" in shown
    assert list(ledger.live()) == before
    with check_batch(rows("a", "b"), NAMED, DatabrainTarget(), ledger) as checked:
        assert len(checked.work) == 0


def test_a_key_or_id_that_is_too_long_for_the_ledger_is_refused(ledger: Ledger) -> None:
    fits = "x" * (255 - len("client-"))
    too_long = "the key or the dashboard id has more than 255 characters"
    with check_batch(rows(fits), NAMED, DatabrainTarget(), ledger) as checked:
        assert len(checked.work) == 1
    assert too_long in refused(rows(f"{fits}x"), NAMED, ledger)
    assert too_long in refused(rows("y" * 256), {**NAMED, "dashboard_id": "short"}, ledger)
    with check_batch(rows("y" * 256), NAMED, DatabrainTarget()) as checked:
        assert len(checked.work) == 1


def test_a_key_that_the_ledgers_database_cannot_store_stops_the_check(postgresql: Database) -> None:
    ledger = ledger_on(postgresql)
    ledger.open()
    with pytest.raises(LedgerError, match=r"cannot be read: .*NUL"):
        check_batch(rows("a\0b"), NAMED, DatabrainTarget(), ledger)
    with pytest.raises(LedgerError, match=r"cannot be read: .*NUL"):
        check_batch(rows("a", region="\0"), {**NAMED, "dashboard_id": "d-{region}"}, DatabrainTarget(), ledger)


def test_a_table_that_fails_in_the_middle_stops_the_check() -> None:
    def broken() -> Iterator[TenantRow]:
        yield from rows(*numbered(1200))
        raise TenantTableError("gone")

    with pytest.raises(TenantTableError, match="gone"):
        check_batch(broken(), NAMED, DatabrainTarget())


def test_a_refused_batch_leaves_no_file_open() -> None:
    # The bad row comes when the work list is a file already.
    with pytest.raises(SpecError) as caught:
        check_batch([*rows(*numbered(12_000)), row("bad", name=None)], NAMED, DatabrainTarget())
    traceback = caught.value.__traceback__
    while traceback is not None and "checked" not in traceback.tb_frame.f_locals:
        traceback = traceback.tb_next
    assert traceback is not None
    made: Any = traceback.tb_frame.f_locals["checked"]
    assert made.work._file._rolled
    assert made.work._file.closed
    assert made.new_hashes._file.closed


# Memory


def test_a_long_spool_goes_to_a_file_and_keeps_its_order() -> None:
    spool: Spool[tuple[int, str]] = Spool()
    items = [(number, str(number) * 300) for number in range(3000)]
    for item in items:
        spool.append(item)
    file: Any = spool._file
    assert file._rolled
    assert len(spool) == 3000
    assert list(spool) == items
    spool.close()
    assert file.closed


def test_a_small_spool_makes_no_file() -> None:
    spool: Spool[str] = Spool()
    assert list(spool) == []
    assert len(spool) == 0
    spool.append("x")
    file: Any = spool._file
    assert not file._rolled
    assert list(spool) == ["x"]
    spool.close()


def test_a_checked_batch_closes_its_files_at_the_end() -> None:
    with check_batch(rows("a"), NAMED, DatabrainTarget()) as checked:
        spools: Any = (checked.work, checked.new_hashes)
        assert not any(spool._file.closed for spool in spools)
    assert all(spool._file.closed for spool in spools)


def peak(count: int) -> int:
    """The most bytes in memory while this number of new tenants is checked."""
    tracemalloc.start()
    try:
        with check_batch(map(row, numbered(count)), NAMED, DatabrainTarget()) as checked:
            assert len(checked.work) == count
            return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_holds_the_ids_of_a_batch_and_not_its_requests() -> None:
    # Both counts are large enough that the spool uses a file. The first call allocates what is allocated once.
    peak(10)
    few, many = 8_000, 12_000
    per_tenant = (peak(many) - peak(few)) / (many - few)
    # The key and the dashboard id of each tenant stay, in two dicts. A request would be 3,000 bytes more.
    assert per_tenant < 400


def test_a_closed_spool_keeps_no_item() -> None:
    class Item:
        """Something that a weak reference can be made to."""

    spool: Spool[Item] = Spool()
    item = Item()
    spool.append(item)
    kept = weakref.ref(item)
    del item
    spool.close()
    gc.collect()
    assert kept() is None
