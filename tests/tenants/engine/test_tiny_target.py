"""The engine with a vendor that chooses the ids, and where each create makes one more dashboard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.apply import provision
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.preview import preview
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.removal import plan_removal, remove
from airflow_provider_databrain.tenants.engine.report import Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.target import Target
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.tenants.engine.tiny_target import TinyTarget, TinyVendor

TENANTS = [f"t{number:02}" for number in range(20)]
SPEC = {"title": "Sales of {name}"}
NOWHERE = AsyncTransport(Server(base_url="http://127.0.0.1:9", tokens={}))


@pytest.fixture
def vendor() -> TinyVendor:
    """A vendor without boards."""
    return TinyVendor()


class Runs:
    """Runs against one vendor; each is a Dag run of its own on the same ledger."""

    def __init__(self, vendor: TinyVendor, database: Database) -> None:
        self.vendor = vendor
        self._database = database
        self._runs = 0

    def ledger(self) -> Ledger:
        """The ledger of the next run."""
        self._runs += 1
        made = ledger_on(self._database, system="tiny", scope="project", run_id=f"run-{self._runs}")
        made.open()
        return made

    async def provision(
        self, tenants: Sequence[str] = TENANTS, *, name: str = "Acme", with_ledger: bool = True
    ) -> Report:
        """Provision tenants, one title for all."""
        ledger = self.ledger() if with_ledger else None
        target: Target[str] = TinyTarget(self.vendor)
        with check_batch(rows(tenants, name), SPEC, target, ledger) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))
            return await provision(
                target, NOWHERE, checked, progress=progress, rules=Rules(concurrency=4), stop=Stop(), ledger=ledger
            )

    async def preview(self, tenants: Sequence[str], *, name: str = "Acme") -> Report:
        """A dry run of that."""
        target = TinyTarget(self.vendor)
        with check_batch(rows(tenants, name), SPEC, target, self.ledger()) as checked:
            return await preview(target, NOWHERE, checked, rules=Rules(), stop=Stop())

    async def remove(self, tenants: Sequence[str]) -> Report:
        """Remove these tenants' boards."""
        ledger = self.ledger()
        inactive = [TenantRow(tenant, {}, False) for tenant in tenants]
        entries = plan_removal(inactive, ledger, "incremental").entries
        report = Report(total=len(entries))
        progress = Progress("tiny", report, len(entries))
        return await remove(
            TinyTarget(self.vendor),
            NOWHERE,
            entries,
            report=report,
            progress=progress,
            rules=Rules(concurrency=4),
            stop=Stop(),
            ledger=ledger,
        )


@pytest.fixture
def runs(vendor: TinyVendor, sqlite: Database) -> Runs:
    """Runs of one Dag."""
    return Runs(vendor, sqlite)


def rows(tenants: Sequence[str], name: str) -> list[TenantRow]:
    return [TenantRow(tenant, {"tenant_id": tenant, "name": name}, True) for tenant in tenants]


def counts(report: Report) -> dict[str, int]:
    """The counts that are not 0."""
    return {action: count for action, count in report.counts().items() if count}


def owners(vendor: TinyVendor) -> list[str]:
    return sorted(owner for owner, _ in vendor.boards.values())


async def test_each_tenant_gets_one_board_and_its_id_is_recorded(runs: Runs, vendor: TinyVendor) -> None:
    report = await runs.provision()
    assert counts(report) == {"created": 20}
    assert owners(vendor) == TENANTS
    assert list(report.ids) == TENANTS
    assert {board: owner for owner, board in report.ids.items()} == {
        board: owner for board, (owner, _) in vendor.boards.items()
    }
    assert {tenant: entry.dashboard_id for tenant, entry in runs.ledger().entries(TENANTS).items()} == report.ids
    assert vendor.calls == {"list": 1, "create": 20}


async def test_a_second_run_costs_nothing(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision()
    vendor.calls.clear()
    second = await runs.provision()
    assert counts(second) == {"unchanged": 20}
    assert second.ids == first.ids
    assert vendor.calls == {}


async def test_only_what_changed_is_updated(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision()
    vendor.calls.clear()
    assert counts(await runs.provision(TENANTS[:3], name="Globex")) == {"updated": 3}
    assert vendor.calls == {"rename": 3}
    assert [vendor.boards[first.ids[tenant]][1] for tenant in TENANTS[2:4]] == ["Sales of Globex", "Sales of Acme"]
    assert counts(await runs.provision(TENANTS[:3], name="Globex")) == {"unchanged": 3}


@pytest.mark.parametrize("with_ledger", [True, False])
async def test_a_lost_answer_makes_no_second_board(runs: Runs, vendor: TinyVendor, with_ledger: bool) -> None:
    vendor.lose = 5
    report = await runs.provision(with_ledger=with_ledger)
    assert counts(report) == {"created": 20}
    assert owners(vendor) == TENANTS
    assert {tenant: vendor.boards[board][0] for tenant, board in report.ids.items()} == {t: t for t in TENANTS}
    assert vendor.calls == {"list": 2, "create": 20}
    if with_ledger:
        assert counts(await runs.provision()) == {"unchanged": 20}
        assert vendor.calls == {"list": 2, "create": 20}


async def test_a_run_without_a_ledger_adopts_what_the_last_one_made(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision(with_ledger=False)
    second = await runs.provision(with_ledger=False)
    assert counts(second) == {"adopted": 20}
    assert second.ids == first.ids
    assert owners(vendor) == TENANTS


async def test_an_adopted_board_is_made_as_the_table_says(runs: Runs, vendor: TinyVendor) -> None:
    vendor.boards["found"] = ("t00", "an older title")
    report = await runs.provision(TENANTS[:2])
    assert counts(report) == {"created": 1, "adopted": 1}
    assert report.ids["t00"] == "found"
    assert vendor.boards["found"] == ("t00", "Sales of Acme")


async def test_several_boards_fail_only_their_tenant(runs: Runs, vendor: TinyVendor) -> None:
    vendor.boards |= {"one": ("t00", "a"), "two": ("t00", "b")}
    report = await runs.provision(TENANTS[:2])
    assert counts(report) == {"created": 1, "failed": 1}
    assert report.failures[0]["dashboard_id"] == ""
    assert "several boards" in report.failures[0]["message"]


async def test_a_board_that_no_longer_exists_is_created_again(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision(TENANTS[:3])
    del vendor.boards[first.ids["t01"]]
    second = await runs.provision(TENANTS[:3], name="Globex")
    assert counts(second) == {"created": 1, "updated": 2}
    assert second.ids["t01"] != first.ids["t01"]
    assert owners(vendor) == TENANTS[:3]
    assert set(vendor.boards) == set(second.ids.values())
    assert runs.ledger().entries(["t01"])["t01"].dashboard_id == second.ids["t01"]


async def test_removing_deletes_and_a_tenant_that_comes_back_gets_a_new_board(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision(TENANTS[:3])
    assert counts(await runs.remove(["t01", "t02", "never provisioned"])) == {"deleted": 2}
    assert owners(vendor) == ["t00"]
    assert [entry.tenant for entry in runs.ledger().live()] == ["t00"]
    again = await runs.provision(TENANTS[:3])
    assert counts(again) == {"unchanged": 1, "created": 2}
    assert again.ids["t01"] != first.ids["t01"]
    assert owners(vendor) == TENANTS[:3]


async def test_a_board_that_no_longer_exists_counts_as_deleted(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision(TENANTS[:2])
    del vendor.boards[first.ids["t00"]]
    assert counts(await runs.remove(TENANTS[:1])) == {"deleted": 1}
    assert [entry.tenant for entry in runs.ledger().live()] == ["t01"]
    vendor.boards.clear()
    with pytest.raises(MalformedAnswerError, match="shows none of the 1 dashboards that the ledger has"):
        await runs.remove(TENANTS[:2])
    assert [entry.tenant for entry in runs.ledger().live()] == ["t01"]


async def test_a_preview_changes_nothing(runs: Runs, vendor: TinyVendor) -> None:
    first = await runs.provision(TENANTS[:2])
    vendor.boards["found"] = ("t02", "an older title")
    vendor.calls.clear()
    boards, entries = dict(vendor.boards), runs.ledger().entries(TENANTS)
    report = await runs.preview(TENANTS[:4], name="Globex")
    assert [(plan["tenant"], plan["dashboard_id"], plan["action"]) for plan in report.planned] == [
        ("t00", first.ids["t00"], "update"),
        ("t01", first.ids["t01"], "update"),
        ("t02", "found", "adopt"),
        ("t03", None, "create"),
    ]
    assert vendor.calls == {"list": 1}
    assert vendor.boards == boards
    assert runs.ledger().entries(TENANTS) == entries
    assert (await runs.preview(TENANTS[:2])).planned == []


async def test_an_id_that_the_ledger_cannot_store_costs_one_tenant(
    vendor: TinyVendor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, create = Runs(vendor, database), vendor.create

    async def create_one_long(owner: str, title: str) -> str:
        board = await create(owner, title)
        if owner == "t07":
            vendor.boards["x" * 256] = vendor.boards.pop(board)
            return "x" * 256
        return board

    monkeypatch.setattr(vendor, "create", create_one_long)
    report = await runs.provision()
    assert not report.why
    assert [(failure["tenant"], failure["error"]) for failure in report.failures] == [("t07", "LedgerError")]
    assert "at most 255 characters of an id; the dashboard's has 256: 'xxx" in report.failures[0]["message"]
    entries = runs.ledger().entries(TENANTS)
    assert len(entries) == len(TENANTS)
    assert [tenant for tenant, entry in entries.items() if entry.status == "failed"] == ["t07"]
