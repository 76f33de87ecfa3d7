"""The addresses of a batch: one call for each tenant, and a stop that loses no outcome."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_databrain.client.errors import AuthenticationError, NotFoundError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.pace import StoppedError
from airflow_provider_databrain.tenants.engine.addresses import fetch_addresses
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.tenants.engine.test_tiny_target import NOWHERE
from tests.tenants.engine.tiny_target import TinyTarget, TinyVendor

TENANTS = [f"t{number}" for number in range(8)]


class SharedTarget(TinyTarget):
    """Boards with an address of their own.

    :param errors: the errors of fetching a board's address.
    :param stop: requested after this number of addresses.
    """

    def __init__(self, errors: dict[str, Exception] | None = None, stop: tuple[Stop, int] | None = None) -> None:
        super().__init__(TinyVendor())
        self._errors = errors or {}
        self._stop = stop
        self.asked: list[str] = []
        self.under_way = self.most = 0

    async def url(self, api: AsyncTransport, existing: Existing) -> str | None:
        """The address of a board; None for a board that is not shared."""
        self.asked.append(existing.dashboard_id)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self._stop and len(self.asked) == self._stop[1]:
            self._stop[0].request("killed")
        if existing.dashboard_id in self._errors:
            raise self._errors[existing.dashboard_id]
        return None if existing.dashboard_id == "b3" else f"https://x.example/{existing.embed_id}"


def report() -> Report:
    """All tenants have a board and are done."""
    made = Report(keeps_embed_ids=True, total=len(TENANTS))
    for number, tenant in enumerate(TENANTS):
        made.set_dashboard(tenant, f"b{number}", f"e{number}")
        made.count(Action.CREATED)
    return made


async def ask(target: SharedTarget, shown: Report, stop: Stop | None = None) -> dict[str, str]:
    return await fetch_addresses(target, NOWHERE, shown, concurrency=3, stop=stop or Stop())


async def test_each_shared_board_has_its_address() -> None:
    target, shown = SharedTarget(), report()
    found = await ask(target, shown)
    assert found == {tenant: f"https://x.example/e{tenant[1:]}" for tenant in TENANTS if tenant != "t3"}
    assert (len(target.asked), target.most) == (8, 3)
    shown.raise_for_failures()


async def test_a_failure_is_counted_besides_what_was_done_for_the_tenant(caplog: pytest.LogCaptureFixture) -> None:
    shown = report()
    found = await ask(SharedTarget(errors={"b2": NotFoundError("it is gone")}), shown)
    assert "t2" not in found
    assert len(found) == 6
    assert [(failure["tenant"], failure["dashboard_id"]) for failure in shown.failures] == [("t2", "b2")]
    assert shown.counted[Action.CREATED] == 8
    assert "'t2': API call failed: it is gone" in caplog.text


async def test_after_refused_credentials_no_further_address_is_fetched_and_all_tenants_fail() -> None:
    target, shown = (
        SharedTarget(errors={f"b{number}": AuthenticationError("no scope") for number in range(8)}),
        report(),
    )
    assert await ask(target, shown) == {}
    assert len(target.asked) <= 3
    assert {failure["tenant"] for failure in shown.failures} == set(TENANTS)


async def test_after_a_stop_no_further_address_is_fetched() -> None:
    stop = Stop()
    stop.bind()
    target, shown = SharedTarget(stop=(stop, 4)), report()
    found = await ask(target, shown, stop)
    assert len(target.asked) <= 6
    assert 3 <= len(found) <= 6
    shown.raise_for_failures()


async def test_a_call_that_a_stop_prevented_is_not_a_failure() -> None:
    shown = report()
    found = await ask(SharedTarget(errors={f"b{number}": StoppedError("killed") for number in range(8)}), shown)
    assert found == {}
    shown.raise_for_failures()
