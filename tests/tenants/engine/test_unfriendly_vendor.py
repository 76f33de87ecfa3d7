"""The engine's promises with a vendor whose answers are late, partial, unordered, lost or about something else."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import MalformedAnswerError, ServerError, TransportError
from airflow_provider_databrain.tenants.engine.apply import provision
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.removal import plan_removal, remove
from airflow_provider_databrain.tenants.engine.report import Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.tenants.engine.test_tiny_target import NOWHERE, owners, rows
from tests.tenants.engine.unfriendly_vendor import UnfriendlyTarget, UnfriendlyVendor

TENANTS = [f"t{number:02}" for number in range(12)]
SPEC = {"title": "Sales of {name}"}
WAYS: dict[str, dict[str, Any]] = {
    "any order": {},
    "lost answers": {"lost": 0.3},
    "errors": {"refused": 0.2, "lost": 0.1},
    "half-made": {"half": 0.4},
    "late lists": {"late": 2, "lost": 0.2},
    "another id": {"other_id": 0.5},
    "404s of something else": {"unproved": 0.3, "lost": 0.2},
    "everything": {"lost": 0.1, "refused": 0.1, "half": 0.2, "unproved": 0.1},
}
SEEDS = range(2)


def books(database: Database, run: int) -> Ledger:
    made = ledger_on(database, system="tiny", scope="project", run_id=f"run-{run}")
    made.open()
    return made


async def provisioned(vendor: UnfriendlyVendor, ledger: Ledger | None, name: str = "Acme") -> Report:
    target = UnfriendlyTarget(vendor)
    with check_batch(rows(TENANTS, name), SPEC, target, ledger) as checked:
        progress = Progress(target.system, checked.report, len(checked.work))
        return await provision(
            target, NOWHERE, checked, progress=progress, rules=Rules(concurrency=4), stop=Stop(), ledger=ledger
        )


def is_own(vendor: UnfriendlyVendor, report: Report) -> None:
    """No tenant has another tenant's board, and each board of a tenant that has not failed exists."""
    failed = {failure["tenant"] for failure in report.failures}
    for tenant, board in report.ids.items():
        assert vendor.made_for[board] == tenant
        assert board in vendor.boards or tenant in failed


@pytest.mark.parametrize("with_ledger", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", WAYS)
async def test_each_tenant_ends_with_one_board_of_its_own(
    sqlite: Database, way: str, seed: int, with_ledger: bool
) -> None:
    vendor = UnfriendlyVendor(random=Random(seed), **WAYS[way])
    for number in range(4):
        report = await provisioned(vendor, books(sqlite, number) if with_ledger else None)
        is_own(vendor, report)
        # A tenant that has neither a board nor an error would be lost.
        assert set(report.ids) | {failure["tenant"] for failure in report.failures} == set(TENANTS)
    vendor.be_friendly()
    for number in (4, 5):
        report = await provisioned(vendor, books(sqlite, number) if with_ledger else None)
    assert report.failures == []
    assert list(report.ids) == TENANTS
    is_own(vendor, report)
    if way == "late lists":
        # The engine relies on a list that shows what was created before. Without it, a second board may be left.
        assert set(owners(vendor)) == set(TENANTS)
        return
    assert owners(vendor) == TENANTS
    assert {title for _, title in vendor.boards.values()} == {"Sales of Acme"}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_list_that_lacks_rows_gives_no_tenant_anothers_board(sqlite: Database, seed: int) -> None:
    vendor = UnfriendlyVendor(random=Random(seed), lacking=0.3, lost=0.3)
    for number in range(4):
        report = await provisioned(vendor, books(sqlite, number), name="Acme" if number < 2 else "Globex")
        is_own(vendor, report)
    vendor.be_friendly()
    for number in (4, 5):
        report = await provisioned(vendor, books(sqlite, number), name="Globex")
    assert report.failures == []
    is_own(vendor, report)
    # A second board may be left: a list that lacks the first one looks as if there is none.
    assert set(owners(vendor)) == set(TENANTS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", ["errors", "404s of something else", "late lists"])
async def test_removing_takes_only_the_tenants_that_leave(sqlite: Database, way: str, seed: int) -> None:
    vendor = UnfriendlyVendor(random=Random(seed))
    await provisioned(vendor, books(sqlite, 0))
    for name, share in WAYS[way].items():
        setattr(vendor, name, share)
    leaving = TENANTS[:5]
    for number in range(1, 9):
        if number == 8:
            vendor.be_friendly()
        ledger = books(sqlite, number)
        entries = plan_removal([TenantRow(tenant, {}, False) for tenant in leaving], ledger, "incremental").entries
        report = Report(total=len(entries))
        try:
            await remove(
                UnfriendlyTarget(vendor),
                NOWHERE,
                entries,
                report=report,
                progress=Progress("tiny", report, len(entries)),
                rules=Rules(concurrency=4),
                stop=Stop(),
                ledger=ledger,
            )
        except (MalformedAnswerError, ServerError, TransportError):
            # The list failed or was not believed: nothing was removed.
            assert number < 8
        live = {entry.tenant for entry in ledger.live()}
        # What the ledger no longer has is gone, and what stays is there.
        assert set(owners(vendor)) <= live
        assert set(TENANTS[5:]) <= set(owners(vendor))
    assert owners(vendor) == TENANTS[5:]
    assert live == set(TENANTS[5:])
