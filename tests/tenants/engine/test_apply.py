"""The engine with a fake vendor: limited concurrency, few surveys, an orderly stop, and no tenant lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, AuthenticationError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.tenants.engine import apply as runner
from airflow_provider_databrain.tenants.engine import progress as progresses
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.preview import preview
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.support import SPEC

TENANTS = [f"t{number}" for number in range(20)]


class FakeTarget:
    """A vendor without a network; records its calls and how many were under way at a time.

    :param errors: the error of a tenant's create or update.
    :param taken: tenants whose dashboards exist already; a survey shows them.
    :param surveys: the errors of the surveys, one after the other.
    :param endless: creates never end.
    """

    system = "fake"
    scope = "app"
    creates_once = False
    can_duplicate = False
    has_shared_places = False
    options = ""

    def __init__(
        self,
        *,
        errors: Mapping[str, Exception] | None = None,
        taken: Sequence[str] = (),
        surveys: Sequence[Exception | None] = (),
        look_first: bool = False,
        endless: bool = False,
    ) -> None:
        self.errors = dict(errors or {})
        self.taken = set(taken)
        self.surveys = list(surveys)
        self.look_first = look_first
        self.endless = endless
        self.surveyed = 0
        self.seen: set[str] = set()
        self.created: list[str] = []
        self.updated: list[str] = []
        self.under_way = 0
        self.most = 0

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[str]:
        return Desired(tenant, f"d-{tenant}", fields["text"], tenant)

    def differs(self, desired: Desired[str], existing: Existing) -> bool:
        return desired.spec_hash != existing.spec_hash

    async def survey(self, api: AsyncTransport) -> None:
        self.surveyed += 1
        await asyncio.sleep(0)
        error = self.surveys.pop(0) if self.surveys else None
        if error is not None:
            raise error
        self.seen = set(self.taken)

    @property
    def lists_nothing(self) -> bool:
        return not self.seen

    def lists(self, existing: Existing) -> bool:
        return existing.dashboard_id.removeprefix("d-") in self.seen

    async def is_gone(self, api: AsyncTransport, existing: Existing) -> bool:
        return False

    async def find(self, api: AsyncTransport, desired: Desired[str], *, ours: bool) -> Existing | None:
        return self._existing(desired) if desired.tenant in self.seen else None

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        return ()

    def find_known(self, desired: Desired[str], existing: Existing) -> Existing | None:
        return None

    def duplicates(self, desired: Desired[str]) -> Sequence[Existing]:
        return ()

    async def create(self, api: AsyncTransport, desired: Desired[str]) -> Existing:
        self.created.append(desired.tenant)
        await self._call(desired.tenant)
        if desired.tenant in self.taken:
            raise AlreadyExistsError("taken")
        return self._existing(desired)

    async def update(self, api: AsyncTransport, desired: Desired[str], existing: Existing) -> Existing:
        self.updated.append(desired.tenant)
        await self._call(desired.tenant)
        return self._existing(desired)

    async def delete(self, api: AsyncTransport, tenant: str, existing: Existing) -> None:
        await self._call(tenant)

    async def _call(self, tenant: str) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.under_way -= 1
        if tenant in self.errors:
            raise self.errors[tenant]

    @staticmethod
    def _existing(desired: Desired[str]) -> Existing:
        return Existing(f"d-{desired.tenant}", f"e-{desired.tenant}", desired.spec_hash)


def rows(*tenants: str, **columns: Any) -> list[TenantRow]:
    return [TenantRow(tenant, {"tenant_id": tenant, **columns}, True) for tenant in tenants]


async def provision(
    target: FakeTarget,
    tenants: Sequence[str] = TENANTS,
    concurrency: int = 4,
    *,
    text: str = "as it is",
    ledger: Ledger | None = None,
    stop: Stop | None = None,
    **rules: Any,
) -> Report:
    """Run tenants against a fake; the transport is never opened."""
    nowhere = AsyncTransport(Server(base_url="http://127.0.0.1:9", tokens={}))
    bounds = Rules(concurrency=concurrency, **rules)
    with check_batch(rows(*tenants), {"text": text}, target, ledger) as checked:
        progress = Progress(target.system, checked.report, len(checked.work))
        return await runner.provision(
            target, nowhere, checked, progress=progress, rules=bounds, stop=stop or Stop(), ledger=ledger
        )


def counts(report: Report) -> dict[str, int]:
    """The counts that are not 0."""
    return {action: count for action, count in report.counts().items() if count}


@pytest.fixture
def ledger(sqlite: Database) -> Ledger:
    """An open ledger."""
    made = ledger_on(sqlite, system="fake")
    made.open()
    return made


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (4, 4), (20, 20), (500, 20)])
async def test_no_more_calls_are_under_way_than_allowed(concurrency: int, most: int) -> None:
    target = FakeTarget()
    report = await provision(target, TENANTS, concurrency)
    assert target.most == most
    assert sorted(target.created) == sorted(TENANTS)
    assert list(report.ids) == TENANTS
    assert (report.why, report.left, report.total) == (None, 0, 20)


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"concurrency": -1}, "concurrency is -1"),
        ({"max_failures": -1}, "max_failures is -1"),
        ({"grace_seconds": -0.5}, "grace_seconds is -0.5"),
    ],
)
def test_impossible_rules_are_refused(rules: dict[str, Any], shown: str) -> None:
    with pytest.raises(ValueError, match=f"{shown}; it must be .* Nothing was sent"):
        Rules(**rules)


@pytest.mark.parametrize("look_first", [True, False])
async def test_an_empty_batch_costs_no_survey(look_first: bool) -> None:
    target = FakeTarget(look_first=look_first)
    assert (await provision(target, [])).ids == {}
    assert target.surveyed == 0


@pytest.mark.parametrize("error", [NotFoundError("no such template"), RuntimeError("our fault")])
async def test_one_tenants_failure_stops_no_other(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        report = await provision(FakeTarget(errors={"t3": error}))
    assert counts(report) == {"created": 19, "failed": 1}
    assert [(failure["tenant"], failure["error"]) for failure in report.failures] == [("t3", type(error).__name__)]
    assert str(error) in report.failures[0]["message"]
    assert "Tenant 't3'" in caplog.text
    # Only an error that nobody expects has a traceback.
    assert ("Traceback" in caplog.text) == isinstance(error, RuntimeError)
    assert list(report.ids) == [tenant for tenant in TENANTS if tenant != "t3"]


# Surveys


@pytest.mark.parametrize("error", [ServerError("down"), RuntimeError("our fault")])
async def test_a_failed_first_survey_creates_nothing_and_is_not_repeated(error: Exception) -> None:
    target = FakeTarget(surveys=(error,), look_first=True)
    report = await provision(target)
    assert counts(report) == {"failed": 20}
    assert all(str(error) in failure["message"] for failure in report.failures)
    assert target.created == []
    assert target.surveyed == 1


async def test_with_look_first_one_survey_serves_all_tenants() -> None:
    target = FakeTarget(taken=TENANTS[:5], look_first=True)
    assert counts(await provision(target)) == {"created": 15, "adopted": 5}
    assert target.surveyed == 1
    assert sorted(target.created) == sorted(TENANTS[5:])


async def test_without_conflicts_no_survey_is_made() -> None:
    target = FakeTarget(errors={"t1": NotFoundError("no such template")})
    await provision(target)
    assert target.surveyed == 0


async def test_many_conflicts_cost_few_creates_and_two_surveys() -> None:
    tenants = [f"t{number}" for number in range(300)]
    target = FakeTarget(taken=tenants)
    report = await provision(target, tenants, 8)
    assert counts(report) == {"adopted": 300}
    assert list(report.ids) == tenants
    assert target.surveyed <= 2
    assert len(target.created) <= 8


async def test_a_survey_decides_about_an_unclear_create() -> None:
    # The server created t1 and t2 before it failed, but not t3.
    errors = dict.fromkeys(("t1", "t2", "t3"), ServerError("broken"))
    target = FakeTarget(errors=errors, taken=["t1", "t2"])
    report = await provision(target, TENANTS, 20)
    assert counts(report) == {"created": 19, "failed": 1}
    assert [failure["tenant"] for failure in report.failures] == ["t3"]
    assert "broken" in report.failures[0]["message"]
    assert target.surveyed == 1


@pytest.mark.parametrize("error", [ServerError("down"), RuntimeError("our fault")])
async def test_a_failed_second_survey_fails_only_the_tenants_that_needed_it(error: Exception) -> None:
    target = FakeTarget(taken=["t1", "t2"], surveys=(error,))
    report = await provision(target, TENANTS, 20)
    assert counts(report) == {"created": 18, "failed": 2}
    assert [failure["tenant"] for failure in report.failures] == ["t1", "t2"]
    assert all(str(error) in failure["message"] for failure in report.failures)
    assert target.surveyed == 1


# With a ledger


async def test_a_failed_update_keeps_the_id(ledger: Ledger) -> None:
    await provision(FakeTarget(), ledger=ledger)
    failing = FakeTarget(errors={"t4": RuntimeError("our fault")})
    report = await provision(failing, text="changed", ledger=ledger)
    assert counts(report) == {"updated": 19, "failed": 1}
    assert report.ids == {tenant: f"d-{tenant}" for tenant in TENANTS}
    entry = ledger.entries(["t4"])["t4"]
    assert (entry.status, entry.dashboard_id, entry.embed_id, entry.spec_hash) == ("failed", "d-t4", "e-t4", "as it is")
    assert entry.last_error == "our fault"
    assert report.failures[0]["dashboard_id"] == "d-t4"

    again = FakeTarget(taken=TENANTS)
    assert counts(await provision(again, text="changed", ledger=ledger)) == {"updated": 20}
    # The failed update may have been done, so it is looked up first. No other tenant costs a call.
    assert (again.surveyed, again.created, again.updated) == (1, [], ["t4"])


async def test_a_change_that_the_vendor_cannot_make_is_noted(ledger: Ledger) -> None:
    nowhere = AsyncTransport(Server(base_url="http://127.0.0.1:9", tokens={}))

    async def run(more: str) -> tuple[dict[str, int], str | None]:
        target = FakeTarget()
        with check_batch(rows("t0"), {"text": "as it is", "more": more}, target, ledger) as checked:
            progress = Progress(target.system, checked.report, len(checked.work))
            report = await runner.provision(
                target, nowhere, checked, progress=progress, rules=Rules(), stop=Stop(), ledger=ledger
            )
        return counts(report), ledger.entries(["t0"])["t0"].input_hash

    _, before = await run("old")
    _, after = await run("new")
    assert before != after
    assert (await run("new"))[1] == after


# Stopping early


@pytest.mark.parametrize("most", [0, 2])
async def test_more_failures_than_allowed_begin_no_further_tenant(most: int) -> None:
    target = FakeTarget(errors=dict.fromkeys(TENANTS, NotFoundError("no such template")))
    report = await provision(target, TENANTS, 1, max_failures=most)
    assert counts(report) == {"failed": most + 1}
    assert len(target.created) == most + 1
    assert report.left == 20 - most - 1
    assert report.why == f"stopped after {most + 1} failures (max_failures is {most})"


async def test_as_many_failures_as_allowed_stop_nothing() -> None:
    report = await provision(
        FakeTarget(errors=dict.fromkeys(TENANTS[:2], NotFoundError("no such template"))), max_failures=2
    )
    assert counts(report) == {"created": 18, "failed": 2}
    assert report.why is None


async def test_refused_credentials_begin_no_further_tenant() -> None:
    target = FakeTarget(errors=dict.fromkeys(TENANTS, AuthenticationError("wrong key")))
    report = await provision(target, TENANTS, 4)
    assert len(target.created) == 4
    assert counts(report) == {"failed": 4}
    assert report.left == 16
    assert report.why == "stopped, because the API refuses the credentials"


async def test_a_stop_before_the_start_sends_nothing(ledger: Ledger) -> None:
    stop = Stop()
    stop.request("stopped early", wait=12.0)
    target = FakeTarget(look_first=True)
    report = await provision(target, ledger=ledger, stop=stop)
    assert (target.created, target.surveyed) == ([], 0)
    assert (report.why, report.wait, report.left, report.ids) == ("stopped early", 12.0, 20, {})
    assert ledger.entries(TENANTS) == {}


async def test_calls_under_way_have_the_grace_and_no_more_are_begun(ledger: Ledger) -> None:
    stop = Stop()

    class Stopping(FakeTarget):
        async def create(self, api: AsyncTransport, desired: Desired[str]) -> Existing:
            stop.request("stopped by a test")
            return await super().create(api, desired)

    report = await provision(Stopping(), TENANTS, 4, ledger=ledger, stop=stop, grace_seconds=30)
    # The first asks to stop before its neighbours have begun.
    assert counts(report) == {"created": 1}
    assert (report.why, report.left) == ("stopped by a test", 19)
    assert list(ledger.entries(TENANTS)) == list(report.ids) == ["t0"]


async def test_calls_that_outlast_the_grace_are_cancelled(ledger: Ledger) -> None:
    stop = Stop()
    asyncio.get_running_loop().call_later(0.05, stop.request, "stopped by a test")
    target = FakeTarget(endless=True)
    started = time.monotonic()
    report = await provision(target, TENANTS, 4, ledger=ledger, stop=stop, grace_seconds=0.05)
    assert time.monotonic() - started < 10
    assert len(target.created) == 4
    assert target.under_way == 0
    assert (report.why, report.left, report.ids, counts(report)) == ("stopped by a test", 20, {}, {})
    assert ledger.entries(TENANTS) == {}


async def test_after_a_stop_unclear_creates_are_not_resolved() -> None:
    stop = Stop()

    class Stopping(FakeTarget):
        async def create(self, api: AsyncTransport, desired: Desired[str]) -> Existing:
            stop.request("stopped by a test")
            return await super().create(api, desired)

    target = Stopping(taken=TENANTS)
    report = await provision(target, TENANTS, 1, stop=stop)
    assert (target.surveyed, target.created) == (0, ["t0"])
    assert (report.left, report.failures) == (20, [])


async def test_a_long_batch_logs_its_progress(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progresses, "PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        await provision(FakeTarget(errors={"t0": NotFoundError("broken")}), TENANTS, 1)
    assert "1 of 20 tenants done" in caplog.text
    assert "20 of 20 tenants done" in caplog.text
    assert "0 remaining, 1 failed" in caplog.text


# A dry run


async def test_a_preview_plans_each_tenant(ledger: Ledger) -> None:
    await provision(FakeTarget(), ["t0", "t1"], ledger=ledger)
    target = FakeTarget(taken=["t2"])
    nowhere = AsyncTransport(Server(base_url="http://127.0.0.1:9", tokens={}))
    with check_batch(rows("t0", "t1", "t2", "t3"), {"text": "changed"}, target, ledger) as checked:
        report = await preview(target, nowhere, checked, rules=Rules(), stop=Stop())
    assert [(plan["tenant"], plan["dashboard_id"], plan["action"]) for plan in report.planned] == [
        ("t0", "d-t0", "update"),
        ("t1", "d-t1", "update"),
        ("t2", "d-t2", "adopt"),
        ("t3", "d-t3", "create"),
    ]
    assert (target.surveyed, target.created, target.updated) == (1, [], [])
    assert report.counted[Action.CREATED] == 0


# Requests to Databrain


def test_different_problems_are_reported_together() -> None:
    table = [*rows("a", mode="METRIC"), *rows("b", mode=None), *rows("c", mode="wrong")]
    with pytest.raises(SpecError) as caught:
        check_batch(table, {**SPEC, "metric_import_mode": "{mode}"}, DatabrainTarget())
    shown = str(caught.value)
    assert shown.startswith("2 of 3 tenants")
    assert "tenant 'b': column 'mode' is null" in shown
    assert "tenant 'c': metric_import_mode: " in shown


def test_two_tenants_may_share_a_client_id() -> None:
    with check_batch(rows("a", "b"), {**SPEC, "client_id": "both"}, DatabrainTarget()) as checked:
        assert [(work.desired.tenant, work.desired.wanted.client_id) for work in checked.work] == [
            ("a", "both"),
            ("b", "both"),
        ]
