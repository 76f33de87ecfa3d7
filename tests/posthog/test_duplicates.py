"""Each create makes another dashboard: ambiguous answers, other runs and half-done tries leave no duplicate."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.marks import mark_of
from airflow_provider_databrain.posthog.target import NEW, PostHogTarget, Wanted
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from tests.databases import Database
from tests.posthog.runs import SPEC, TENANTS, Runs, counts
from tests.posthog.support import names, posthog_server

pytestmark = pytest.mark.usefixtures("fast_retries")
LEDGER = pytest.mark.parametrize("with_ledger", [True, False])
CREATE = {"method": "POST", "path": "/dashboards/$"}


@pytest.fixture
def runs(posthog: Emulator, sqlite: Database, with_ledger: bool) -> Runs:
    """Runs with or without a ledger."""
    return Runs(posthog, sqlite if with_ledger else None)


@LEDGER
@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset_after", every=3, **CREATE),
        Fault(kind="error_after", every=3, **CREATE),
        Fault(kind="cut", every=3, **CREATE),
        Fault(kind="reset_midway", every=3, **CREATE),
        Fault(kind="error_before", every=4, **CREATE),
        Fault(kind="reset_before", every=4, **CREATE),
        Fault(kind="error_after", times=20, **CREATE),
        Fault(kind="error_before", times=20, **CREATE),
        Fault(kind="reset_after", every=3, path="/sharing/$"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.every} {fault.times} {fault.path}",
)
async def test_ambiguous_answers_leave_each_tenant_exactly_one_dashboard(
    runs: Runs, posthog: Emulator, fault: Fault, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.control.set_faults([fault])
    report = await runs.provision()
    assert counts(report) == {"created": 20}
    runs.check(report)


@LEDGER
async def test_a_dashboard_that_cannot_be_created_fails_and_is_created_by_the_next_run(
    runs: Runs, posthog: Emulator
) -> None:
    posthog.control.set_faults([Fault(kind="error_before", **CREATE)])
    report = await runs.provision(TENANTS[:3])
    assert counts(report) == {"failed": 3}
    assert "create dashboard failed [HTTP 500" in report.failures[0]["message"]
    assert posthog.control.arrived["POST", "/api/projects/1/dashboards/"] == 9
    posthog.control.set_faults([])
    report = await runs.provision(TENANTS[:3])
    assert counts(report) == {"created": 3}
    runs.check(report, TENANTS[:3])


@LEDGER
async def test_a_dashboard_that_was_created_but_not_shared_is_completed(runs: Runs, posthog: Emulator) -> None:
    runs.server = posthog_server(posthog, max_retry_seconds=0)
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH", path="/sharing/$")])
    report = await runs.provision(TENANTS[:3])
    assert counts(report) == {"failed": 3}
    assert [row.shared for row in runs.dashboards().values()] == [False] * 3
    posthog.control.set_faults([])
    report = await runs.provision(TENANTS[:3])
    assert counts(report) == {"adopted": 3}
    runs.check(report, TENANTS[:3])


@LEDGER
async def test_a_dashboard_that_users_changed_and_shared_is_not_changed_without_a_ledger(
    runs: Runs, posthog: Emulator, with_ledger: bool
) -> None:
    number = posthog.posthog.add_dashboard(name="mine", tags=[mark_of("t00")])
    posthog.posthog.shares.save(number, enabled=True)
    assert counts(await runs.provision(["t00"])) == {"adopted": 1}
    assert names(posthog) == ["Sales of t00" if with_ledger else "mine"]


class Rival(PostHogTarget):
    """Another run creates some tenants' dashboards at the same time, before or after this run."""

    emulator: Emulator
    older: tuple[str, ...] = ()
    younger: tuple[str, ...] = ()

    async def create(self, transport: AsyncTransport, desired: Desired[Wanted]) -> Existing:
        if desired.tenant in self.older:
            self._rival(desired)
        made = await super().create(transport, desired)
        if desired.tenant in self.younger:
            self._rival(desired)
        return made

    def _rival(self, desired: Desired[Wanted]) -> None:
        self.emulator.posthog.add_dashboard(name=f"rival of {desired.tenant}", description=f"[{desired.wanted.mark}]")


@pytest.fixture
def rival(runs: Runs, posthog: Emulator) -> Runs:
    """Runs while another run creates the same dashboards."""

    class AtWork(Rival):
        emulator = posthog
        older = ("t00", "t01")
        younger = ("t02",)

    runs.target = AtWork
    return runs


@LEDGER
@pytest.mark.parametrize("tagging", [True, False])
async def test_the_older_of_two_dashboards_stays_and_is_updated_as_the_spec_says(
    rival: Runs, posthog: Emulator, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    report = await rival.provision(TENANTS[:4])
    assert counts(report) == {"created": 4}
    rival.check(report, TENANTS[:4])
    there = list(rival.dashboards())
    assert [report.ids[tenant] for tenant in TENANTS[:4]] == there
    again = await rival.provision(TENANTS[:4])
    assert again.ids == report.ids


@LEDGER
async def test_a_duplicate_that_cannot_be_deleted_fails_its_tenant_and_is_deleted_by_the_next_run(
    rival: Runs, posthog: Emulator
) -> None:
    rival.server = posthog_server(posthog, max_retry_seconds=0)
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH", path=r"/dashboards/\d+/$")])
    report = await rival.provision(TENANTS[:4])
    assert counts(report) == {"created": 1, "failed": 3}
    assert {failure["tenant"] for failure in report.failures} == {"t00", "t01", "t02"}
    posthog.control.set_faults([])
    report = await rival.provision(TENANTS[:4])
    assert "failed" not in counts(report)
    rival.check(report, TENANTS[:4])


class Remover(PostHogTarget):
    """Another run has created a dashboard too, and deletes this run's as the younger one before it is shared."""

    emulator: Emulator

    async def update(self, transport: AsyncTransport, desired: Desired[Wanted], existing: Existing) -> Existing:
        state = self.emulator.posthog
        if existing.spec_hash.endswith(f".{NEW}"):
            state.change_dashboard(int(existing.dashboard_id), deleted=True)
            number = state.add_dashboard(name=f"Sales of {desired.tenant}", tags=[desired.wanted.mark])
            state.shares.save(number, enabled=True)
        return await super().update(transport, desired, existing)


@LEDGER
async def test_a_run_whose_new_dashboard_was_deleted_as_the_younger_uses_the_older_one(
    runs: Runs, posthog: Emulator
) -> None:
    class AtWork(Remover):
        emulator = posthog

    runs.target = AtWork
    report = await runs.provision(TENANTS[:3])
    assert "failed" not in counts(report)
    runs.check(report, TENANTS[:3])


@pytest.mark.parametrize("latency", [0.0, 0.005])
async def test_two_runs_at_the_same_time_end_with_one_dashboard_for_each_tenant(
    posthog: Emulator, sqlite: Database, latency: float
) -> None:
    posthog.control.behaviour = Behaviour(latency=latency)
    one, other = Runs(posthog, sqlite), Runs(posthog)
    first, second = await asyncio.gather(one.provision(), other.provision())
    assert (counts(first).get("failed"), counts(second).get("failed")) == (None, None)
    one.check(first)
    other.check(second)
    assert first.ids == second.ids


@LEDGER
async def test_a_dashboard_that_the_ledger_gives_to_another_tenant_is_not_adopted(
    runs: Runs, posthog: Emulator, with_ledger: bool
) -> None:
    report = await runs.provision(["t00"], {**SPEC, "tags": ["kpi"]})
    # A user has put the other tenant's mark on it too.
    number = int(report.ids["t00"])
    posthog.posthog.change_dashboard(number, tags=[mark_of("t00"), mark_of("t01")])
    report = await runs.provision(["t01"])
    if with_ledger:
        assert counts(report) == {"failed": 1}
        assert (
            "according to the ledger it belongs to tenant 't00'; it was neither adopted nor deleted"
            in report.failures[0]["message"]
        )
        assert runs.entries()["t00"].dashboard_id == str(number)
    else:
        assert counts(report) == {"adopted": 1}
    assert posthog.posthog.found(number)[0].fields["name"] == "Sales of t00"
