"""The engine with a vendor that may make two dashboards for one tenant: rounds of surveys, and a last survey."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.apply import ROUNDS, provision
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import LedgerError
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import ProvisioningError, Report
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.tenants.engine.test_tiny_target import NOWHERE, counts, owners, rows
from tests.tenants.engine.tiny_target import TinyTarget, TinyVendor

TENANTS = ["t0", "t1", "t2", "t3"]
Step = Callable[[TinyVendor], ApiError | None]


class DoublingTarget(TinyTarget):
    """Sends each create once, and may get two boards for one owner.

    :param creates: tenant to what its first creates do, one after the other.
    :param surveys: what the surveys do before they list, one after the other.
    :param deletes: the error of each delete.
    """

    creates_once = True
    can_duplicate = True

    def __init__(
        self,
        vendor: TinyVendor,
        *,
        creates: Mapping[str, Sequence[Step]] | None = None,
        surveys: Sequence[Step] = (),
        deletes: Exception | None = None,
        place: str | None = None,
    ) -> None:
        super().__init__(vendor)
        self._creates = {tenant: list(steps) for tenant, steps in (creates or {}).items()}
        self._surveys = list(surveys)
        self._deletes = deletes
        self._place = place
        self.has_shared_places = place is not None

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[str]:
        return super().desire(tenant, fields)._replace(place=self._place)

    async def survey(self, api: AsyncTransport) -> None:
        error = self._surveys.pop(0)(self._vendor) if self._surveys else None
        if error is not None:
            raise error
        await super().survey(api)

    async def find(self, api: AsyncTransport, desired: Desired[str], *, ours: bool) -> Existing | None:
        return next(iter(self._listed.get(desired.tenant, [])), None)

    def duplicates(self, desired: Desired[str]) -> Sequence[Existing]:
        return self._listed.get(desired.tenant, [])[1:]

    async def create(self, api: AsyncTransport, desired: Desired[str]) -> Existing:
        steps = self._creates.get(desired.tenant)
        error = steps.pop(0)(self._vendor) if steps else None
        if error is not None:
            self._vendor.calls["create"] += 1
            raise error
        return await super().create(api, desired)

    async def delete(self, api: AsyncTransport, tenant: str, existing: Existing) -> None:
        if self._deletes is not None:
            raise self._deletes
        await super().delete(api, tenant, existing)


def fails(error: ApiError) -> Step:
    return lambda vendor: error


def appears(board: str, owner: str, error: ApiError | None = None, *, older: bool = False) -> Step:
    """A board of another run exists from now on."""

    def step(vendor: TinyVendor) -> ApiError | None:
        new = {board: (owner, "theirs")}
        vendor.boards = {**new, **vendor.boards} if older else {**vendor.boards, **new}
        return error

    return step


def nothing(vendor: TinyVendor) -> None:
    """Do nothing."""


@pytest.fixture
def vendor() -> TinyVendor:
    """A vendor without boards."""
    return TinyVendor()


class Run:
    """Runs of one Dag on one ledger."""

    def __init__(self, database: Database) -> None:
        self.title = "Sales of {name}"
        self.ledger = ledger_on(database, system="tiny", scope="project")
        self.ledger.open()

    async def __call__(
        self, target: TinyTarget, tenants: Sequence[str] = TENANTS, *, with_ledger: bool = True, **rules: Any
    ) -> Report:
        ledger = self.ledger if with_ledger else None
        with check_batch(rows(tenants, "Acme"), {"title": self.title}, target, ledger) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))
            bounds = Rules(**{"concurrency": 2, **rules})
            return await provision(
                target, NOWHERE, checked, progress=progress, rules=bounds, stop=Stop(), ledger=ledger
            )

    def recorded(self) -> dict[str, tuple[str | None, str]]:
        """Tenant to board and status, from the ledger."""
        return {entry.tenant: (entry.dashboard_id, entry.status) for entry in self.ledger.live()}


@pytest.fixture
def run(sqlite: Database) -> Run:
    """Runs of one Dag."""
    return Run(sqlite)


LOST, UNSENT = ServerError("lost"), TransportError("reset")


@pytest.mark.parametrize("times", range(1, ROUNDS))
async def test_a_create_that_left_no_board_is_sent_again(vendor: TinyVendor, run: Run, times: int) -> None:
    target = DoublingTarget(vendor, creates={"t1": [fails(LOST)] * times, "t2": [fails(UNSENT)]})
    report = await run(target)
    assert counts(report) == {"created": 4}
    assert owners(vendor) == TENANTS
    assert run.recorded() == {tenant: (board, "created") for tenant, board in report.ids.items()}
    # The first survey, one for each round, and the last one.
    assert vendor.calls == {"list": 2 + times, "create": 4 + times + 1}


async def test_a_create_is_sent_only_a_few_times(vendor: TinyVendor, run: Run) -> None:
    report = await run(DoublingTarget(vendor, creates={"t1": [fails(LOST)] * 99}))
    assert counts(report) == {"created": 3, "failed": 1}
    assert report.failures[0]["message"] == "API call failed: lost"
    assert vendor.calls["create"] == 3 + ROUNDS
    assert "t1" not in report.ids


async def test_the_board_of_a_create_without_an_answer_is_taken_over(vendor: TinyVendor, run: Run) -> None:
    target = DoublingTarget(vendor, creates={"t1": [fails(LOST), appears("late", "t1", LOST)]})
    report = await run(target)
    assert counts(report) == {"created": 4}
    assert report.ids["t1"] == "late"
    assert owners(vendor) == TENANTS
    assert vendor.boards["late"] == ("t1", "Sales of Acme")


async def test_a_create_whose_id_is_taken_is_not_sent_again(vendor: TinyVendor, run: Run) -> None:
    report = await run(DoublingTarget(vendor, creates={"t1": [fails(AlreadyExistsError("taken"))] * 2}))
    assert counts(report) == {"created": 3, "failed": 1}
    assert vendor.calls["create"] == 4


async def test_a_refused_create_is_not_sent_again(vendor: TinyVendor, run: Run) -> None:
    report = await run(DoublingTarget(vendor, creates={"t1": [fails(InvalidRequestError("no"))]}))
    assert counts(report) == {"created": 3, "failed": 1}
    assert vendor.calls["create"] == 4


async def test_a_failed_survey_fails_the_unclear_tenant(vendor: TinyVendor, run: Run) -> None:
    target = DoublingTarget(vendor, creates={"t1": [fails(LOST)]}, surveys=[nothing, fails(LOST)])
    assert counts(await run(target)) == {"created": 3, "failed": 1}
    assert vendor.calls["create"] == 4


@pytest.mark.parametrize("with_ledger", [True, False])
@pytest.mark.parametrize("older", [True, False])
async def test_the_oldest_of_two_is_kept_and_recorded(
    vendor: TinyVendor, run: Run, older: bool, with_ledger: bool
) -> None:
    target = DoublingTarget(vendor, surveys=[nothing, appears("theirs", "t1", older=older)])
    report = await run(target, with_ledger=with_ledger)
    assert counts(report) == {"created": 4}
    assert (report.ids["t1"] == "theirs") is older
    assert list(report.ids) == TENANTS
    # There are no other boards, and each is as the table says.
    assert vendor.boards == {board: (tenant, "Sales of Acme") for tenant, board in report.ids.items()}
    if with_ledger:
        assert run.recorded() == {tenant: (board, "created") for tenant, board in report.ids.items()}
        vendor.calls.clear()
        again = await run(DoublingTarget(vendor))
        assert (again.ids, vendor.calls) == (report.ids, {})


@pytest.mark.parametrize(
    "options",
    [
        {"surveys": [nothing, fails(LOST)]},
        {"surveys": [nothing, appears("theirs", "t1")], "deletes": LOST},
    ],
    ids=["the survey failed", "the deletion failed"],
)
async def test_a_tenant_that_could_not_be_confirmed_has_failed_and_is_looked_up_in_the_next_run(
    vendor: TinyVendor, run: Run, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    report = await run(DoublingTarget(vendor, **options))
    assert "Tenant 't1': API call failed: lost" in caplog.text
    failed = 1 if "deletes" in options else 4
    assert counts(report) == {"failed": failed} | ({"created": 4 - failed} if failed < 4 else {})
    assert sum(report.counts().values()) == report.total
    # It has a board, and the board is recorded.
    assert list(report.ids) == TENANTS
    assert run.recorded()["t1"] == (report.ids["t1"], "failed")
    with pytest.raises(ProvisioningError, match=f"{failed} of 4 tenants failed"):
        report.raise_for_failures()
    again = await run(DoublingTarget(vendor))
    assert "failed" not in counts(again)
    assert again.ids == report.ids
    assert owners(vendor) == TENANTS
    assert {status for _, status in run.recorded().values()} <= {"created", "updated"}


async def test_without_a_create_there_is_no_last_survey(vendor: TinyVendor, run: Run) -> None:
    vendor.boards = {f"b{tenant}": (tenant, "Sales of Acme") for tenant in TENANTS}
    assert counts(await run(DoublingTarget(vendor))) == {"adopted": 4}
    assert vendor.calls == {"list": 1}
    target = DoublingTarget(vendor, creates={"new": [fails(InvalidRequestError("no"))]})
    assert counts(await run(target, ["new"])) == {"failed": 1}
    assert vendor.calls == {"list": 2, "create": 1}


async def test_after_a_stop_there_is_no_last_survey(vendor: TinyVendor, run: Run) -> None:
    target = DoublingTarget(vendor, creates={"t3": [fails(AuthenticationError("expired"))]})
    report = await run(target, concurrency=1)
    assert report.why == "stopped, because the API refuses the credentials"
    assert counts(report) == {"created": 3, "failed": 1}
    assert vendor.calls["list"] == 1


async def test_the_oldest_of_several_boards_is_adopted(vendor: TinyVendor, run: Run) -> None:
    vendor.boards = {"old": ("t1", "a"), "new": ("t1", "b"), "newest": ("t1", "c")}
    report = await run(DoublingTarget(vendor))
    assert counts(report) == {"created": 3, "adopted": 1}
    assert report.ids["t1"] == "old"
    assert owners(vendor) == TENANTS


async def test_a_board_that_is_another_tenants_in_the_ledger_is_not_adopted(vendor: TinyVendor, run: Run) -> None:
    first = await run(DoublingTarget(vendor), ["t0"])
    # A survey for t1 shows the board of t0.
    vendor.boards[first.ids["t0"]] = ("t1", "Sales of Acme")
    report = await run(DoublingTarget(vendor), ["t0", "t1"])
    # Both batches are of one Dag run, so the first one counts too.
    assert counts(report) == {"created": 1, "failed": 1}
    assert (
        "according to the ledger it belongs to tenant 't0'; it was neither adopted nor deleted"
        in report.failures[0]["message"]
    )
    assert run.recorded() == {"t0": (first.ids["t0"], "created")}
    # Without a ledger nothing shows the owner.
    assert counts(await run(DoublingTarget(vendor), ["t1"], with_ledger=False)) == {"adopted": 1}


@pytest.mark.parametrize("created", [True, False])
async def test_a_board_that_is_another_tenants_in_the_ledger_is_not_deleted_as_a_duplicate(
    vendor: TinyVendor, run: Run, created: bool
) -> None:
    first = await run(DoublingTarget(vendor), ["t0"])
    taken = first.ids["t0"]
    if not created:
        vendor.boards = {"own": ("t1", "Sales of Acme"), **vendor.boards}

    def also(vendor: TinyVendor) -> None:
        own = {board: row for board, row in vendor.boards.items() if board != taken}
        vendor.boards = {**own, taken: ("t1", "Sales of Acme")}

    report = await run(DoublingTarget(vendor, surveys=[nothing, also] if created else [also]), ["t1"])
    assert counts(report) == {"failed": 1}
    assert taken in vendor.boards
    assert run.recorded()["t0"] == (taken, "created")


@pytest.mark.parametrize("confirmed", [True, False], ids=["in the same run", "in the next run"])
async def test_a_board_that_is_the_tenants_own_for_certain_is_kept_whatever_the_ledger_says(
    run: Run, confirmed: bool
) -> None:
    old = await run(DoublingTarget(TinyVendor()), ["old", "other"])
    # The vendor restored a backup, and numbers its boards from 1 again. The ledger still has a tenant of before.
    vendor = TinyVendor({old.ids["other"]: ("other", "Sales of Acme")})
    if not confirmed:
        failed = await run(DoublingTarget(vendor, surveys=[nothing, fails(LOST)]), ["t1"])
        assert counts(failed) == {"failed": 1}
    report = await run(DoublingTarget(vendor), ["t1"])
    assert report.failures == []
    assert report.ids == {"t1": old.ids["old"]}
    assert owners(vendor) == ["other", "t1"]


async def test_two_tenants_with_one_place_are_refused_before_anything_is_sent(vendor: TinyVendor, run: Run) -> None:
    target = DoublingTarget(vendor, place="the workspace 'x'")
    with pytest.raises(SpecError, match=r"1 of 2 tenants .*\n- tenants 't0' and 't1' would share the workspace 'x'"):
        await run(target, ["t0", "t1"])
    assert vendor.calls == {}
    assert counts(await run(target, ["t0"])) == {"created": 1}
    vendor.calls.clear()
    # The place is also taken if the first tenant has it already and did not change.
    with pytest.raises(SpecError, match="tenants 't0' and 't1' would share the workspace 'x'"):
        await run(target, ["t0", "t1"])
    assert counts(await run(target, ["t0"])) == {"created": 1}
    assert vendor.calls == {}


class Careful(DoublingTarget):
    """Takes no board over that a create of ours cannot have made."""

    async def find(self, api: AsyncTransport, desired: Desired[str], *, ours: bool) -> Existing | None:
        found = await super().find(api, desired, ours=ours)
        if found is not None and not ours:
            raise AlreadyExistsError("it may be another's")
        return found


async def test_a_board_that_this_run_created_is_confirmed_as_ours(vendor: TinyVendor, run: Run) -> None:
    assert counts(await run(Careful(vendor))) == {"created": 4}


async def test_a_board_that_an_earlier_run_created_and_could_not_confirm_is_ours(vendor: TinyVendor, run: Run) -> None:
    assert counts(await run(Careful(vendor, surveys=[nothing, fails(LOST)]))) == {"failed": 4}
    assert (await run(Careful(vendor))).failures == []


async def test_a_board_that_is_gone_and_could_not_be_created_again_is_in_the_ledger_no_more(
    vendor: TinyVendor, run: Run
) -> None:
    await run(DoublingTarget(vendor), ["t0"])
    vendor.boards.clear()
    run.title = "Sales of {name} in 2026"
    report = await run(DoublingTarget(vendor, creates={"t0": [fails(InvalidRequestError("no"))]}), ["t0"])
    assert (counts(report), report.ids) == ({"failed": 1}, {})
    assert run.recorded() == {}


async def test_a_place_that_cannot_be_compared_fails_the_task(
    vendor: TinyVendor, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, set[str]]:
        raise LedgerError("the ledger cannot be read")

    monkeypatch.setattr(run.ledger, "shared_embeds", broken)
    report = await run(DoublingTarget(vendor, place="the workspace 'x'"), ["t0"])
    assert counts(report) == {"created": 1}
    assert report.why == "the ledger cannot be read"


async def test_after_a_stop_places_are_not_compared(
    vendor: TinyVendor, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def shared_embeds() -> dict[str, set[str]]:
        asked.append("asked")
        return {}

    monkeypatch.setattr(run.ledger, "shared_embeds", shared_embeds)
    refused = {"t0": [fails(AuthenticationError("expired"))]}
    report = await run(DoublingTarget(vendor, creates=refused, place="the workspace 'x'"), ["t0"])
    assert report.why is not None
    assert asked == []
