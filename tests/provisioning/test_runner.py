"""The engine, whatever the vendor: check all, then send with bounded concurrency, and lose nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_databrain.api.core import Server
from airflow_provider_databrain.api.errors import NotFoundError, ServerError
from airflow_provider_databrain.provisioning import runner
from airflow_provider_databrain.provisioning.report import Action, Outcome, Report
from airflow_provider_databrain.provisioning.runner import desire_all
from airflow_provider_databrain.provisioning.spec import SpecError
from airflow_provider_databrain.provisioning.targets.base import Desired
from airflow_provider_databrain.provisioning.targets.databrain import DatabrainTarget
from airflow_provider_databrain.transport.aio import AsyncTransport
from tests.support import SPEC


class FakeTarget:
    """A vendor without a network: remembers what it was asked, and how many calls were under way at a time."""

    def __init__(
        self,
        *,
        errors: Mapping[str, Exception] | None = None,
        open_ends: frozenset[str] = frozenset(),
        surveys: tuple[Exception | None, ...] = (),
    ) -> None:
        self.errors = errors or {}
        self.open_ends = open_ends
        self.surveys = list(surveys)
        self.surveyed = 0
        self.provisioned: list[str] = []
        self.under_way = 0
        self.most = 0

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[str]:
        return Desired(tenant, f"d-{tenant}", str(fields))

    async def survey(self, api: AsyncTransport) -> None:
        self.surveyed += 1
        error = self.surveys.pop(0) if self.surveys else None
        if error is not None:
            raise error

    async def provision(self, api: AsyncTransport, desired: Desired[str]) -> Outcome | None:
        self.provisioned.append(desired.tenant)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        self.under_way -= 1
        if desired.tenant in self.errors:
            raise self.errors[desired.tenant]
        if desired.tenant in self.open_ends:
            return None
        return Outcome(desired.tenant, desired.dashboard_id, Action.CREATED, desired.dashboard_id)

    def settle(self, desired: Desired[str]) -> Outcome:
        return Outcome(desired.tenant, desired.dashboard_id, Action.ADOPTED, desired.dashboard_id)


async def provision(target: FakeTarget, tenants: list[str], concurrency: int = 4) -> Report:
    """Run tenants against a fake; the transport is never opened."""
    nowhere = AsyncTransport(Server(base_url="http://127.0.0.1:9", tokens={}))
    wanted = [target.desire(tenant, {}) for tenant in tenants]
    return await runner.provision(target, nowhere, wanted, concurrency=concurrency)


TENANTS = [f"t{number}" for number in range(20)]


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (4, 4), (20, 20), (500, 20)])
async def test_no_more_calls_are_under_way_than_allowed(concurrency: int, most: int) -> None:
    target = FakeTarget()
    report = await provision(target, TENANTS, concurrency)
    assert target.most == most
    assert sorted(target.provisioned) == sorted(TENANTS)
    assert list(report.ids()) == TENANTS


@pytest.mark.parametrize("concurrency", [0, -1])
async def test_a_concurrency_below_one_is_refused(concurrency: int) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        await provision(FakeTarget(), TENANTS, concurrency)


async def test_nothing_wanted_asks_for_nothing() -> None:
    target = FakeTarget()
    assert (await provision(target, [])).ids() == {}
    assert target.surveyed == 0


@pytest.mark.parametrize("error", [NotFoundError("no such template"), ServerError("broken"), RuntimeError("our fault")])
async def test_one_tenants_failure_stops_no_other(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        report = await provision(FakeTarget(errors={"t3": error}), TENANTS)
    assert report.counts() == {"created": 19, "adopted": 0, "failed": 1}
    assert [(failure["tenant"], failure["error"]) for failure in report.failures()] == [("t3", type(error).__name__)]
    assert str(error) in report.failures()[0]["message"]
    assert "Tenant 't3'" in caplog.text
    assert list(report.ids()) == [tenant for tenant in TENANTS if tenant != "t3"]


async def test_a_failed_first_survey_raises_before_anything_is_made() -> None:
    target = FakeTarget(surveys=(ServerError("down"),))
    with pytest.raises(ServerError, match="down"):
        await provision(target, TENANTS)
    assert target.provisioned == []


async def test_open_ends_are_settled_by_one_more_survey() -> None:
    target = FakeTarget(open_ends=frozenset({"t1", "t2"}))
    report = await provision(target, TENANTS)
    assert target.surveyed == 2
    assert report.counts() == {"created": 18, "adopted": 2, "failed": 0}
    assert list(report.ids()) == TENANTS


async def test_without_open_ends_one_survey_is_enough() -> None:
    target = FakeTarget(errors={"t1": ServerError("broken")})
    await provision(target, TENANTS)
    assert target.surveyed == 1


@pytest.mark.parametrize("error", [ServerError("down"), RuntimeError("our fault")])
async def test_a_failed_second_survey_fails_the_open_ends_only(error: Exception) -> None:
    target = FakeTarget(open_ends=frozenset({"t1", "t2"}), surveys=(None, error))
    report = await provision(target, TENANTS)
    assert report.counts() == {"created": 18, "adopted": 0, "failed": 2}
    assert [failure["tenant"] for failure in report.failures()] == ["t1", "t2"]
    assert all(str(error) in failure["message"] for failure in report.failures())
    assert report.outcomes[1].error is error


async def test_a_long_batch_tells_of_its_progress(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        await provision(FakeTarget(errors={"t0": ServerError("broken")}), TENANTS, 1)
    assert "1 of 20 tenants done, 1 failed" in caplog.text
    assert "20 of 20 tenants done, 1 failed" in caplog.text


def rows(*tenants: str, **more: Any) -> dict[str, dict[str, Any]]:
    return {tenant: {"tenant_id": tenant, **more} for tenant in tenants}


def test_each_tenant_gets_its_own_request() -> None:
    wanted = desire_all(DatabrainTarget(), SPEC, rows("acme", "globex"))
    assert [(one.tenant, one.dashboard_id, one.wanted.client_id) for one in wanted] == [
        ("acme", "client-acme", "acme"),
        ("globex", "client-globex", "globex"),
    ]
    assert desire_all(DatabrainTarget(), SPEC, {}) == []


@pytest.mark.parametrize(("bad", "more"), [(1, None), (10, None), (11, "and 1 more"), (40, "and 30 more")])
def test_bad_rows_are_listed_up_to_ten(bad: int, more: str | None) -> None:
    table = rows(*(f"bad{number}" for number in range(bad)), region=None) | rows("good", region="EU")
    with pytest.raises(SpecError) as caught:
        desire_all(DatabrainTarget(), {**SPEC, "name": "{region}"}, table)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{bad} of {bad + 1} tenants cannot be provisioned; nothing was sent."
    assert [line.split(":")[0] for line in lines[1:11]] == [f"- tenant 'bad{n}'" for n in range(min(bad, 10))]
    assert lines[11:] == ([more] if more else [])


def test_different_faults_are_told_together() -> None:
    table = rows("a", mode="METRIC") | rows("b", mode=None) | rows("c", mode="wrong")
    with pytest.raises(SpecError) as caught:
        desire_all(DatabrainTarget(), {**SPEC, "metric_import_mode": "{mode}"}, table)
    told = str(caught.value)
    assert told.startswith("2 of 3 tenants")
    assert "tenant 'b': column 'mode' is null" in told
    assert "tenant 'c': metric_import_mode: " in told


def test_two_tenants_may_not_share_a_dashboard_id() -> None:
    with pytest.raises(SpecError, match="tenants 'a' and 'b' would share dashboard id 'same'"):
        desire_all(DatabrainTarget(), {**SPEC, "dashboard_id": "same"}, rows("a", "b"))


def test_two_tenants_may_share_a_client_id() -> None:
    wanted = desire_all(DatabrainTarget(), {**SPEC, "client_id": "both"}, rows("a", "b"))
    assert [one.wanted.client_id for one in wanted] == ["both", "both"]
