"""Batches against the emulator: each tenant gets exactly one dashboard of its own, even if the network fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

import pytest

from airflow_provider_databrain.client import retry
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api import endpoint
from airflow_provider_databrain.databrain.ownership import STAMP
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.emulator.faults import Behaviour, Fault, Kind
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.tenants.engine import apply as runner
from airflow_provider_databrain.tenants.engine.check import check_batch
from airflow_provider_databrain.tenants.engine.ledger import Ledger
from airflow_provider_databrain.tenants.engine.progress import Progress
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.stop import Stop
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.workers import Rules
from tests.databases import Database, ledger_on
from tests.databrain.worlds import world
from tests.support import SPEC, embed

__all__ = ["world"]

TENANTS = [f"tenant-{number:02}" for number in range(60)]


async def provision(
    emulator: Emulator,
    tenants: list[str],
    target: DatabrainTarget | None = None,
    *,
    key: str = "",
    patience: float = 60,
    ledger: Ledger | None = None,
) -> Report:
    """Provision tenants with the spec that all tests share."""
    server = Server(emulator.url, {endpoint.API_KEY: key or emulator.api_key}, max_retry_seconds=patience)
    target = target or DatabrainTarget()
    rows = [TenantRow(tenant, {"tenant_id": tenant}, True) for tenant in tenants]
    with check_batch(rows, SPEC, target, ledger) as checked:
        progress = Progress(target.system, checked.report, len(checked.work))
        async with AsyncTransport(server, limit=8, watch=progress.tried) as transport:
            return await runner.provision(
                target, transport, checked, progress=progress, rules=Rules(concurrency=8), stop=Stop(), ledger=ledger
            )


def counts(report: Report) -> dict[str, int]:
    """The counts that are not 0."""
    return {action: count for action, count in report.counts().items() if count}


def put(emulator: Emulator, tenant: str, owner: str, *, title: str | None = None, metadata: Any = None) -> None:
    """Let ``owner`` take the dashboard id of ``tenant``."""
    body = wire(embed(tenant, client_id=owner)) | {"metadata": metadata or {}}
    dashboard = f"client-{tenant}"
    emulator.state.create_embed(body, dashboard_name=title or f"{dashboard}_{owner}", name=dashboard)


def requests(emulator: Emulator) -> Counter[str]:
    return Counter(logged.method for logged in emulator.control.log)


def owners(emulator: Emulator) -> dict[str, str]:
    return {row.dashboard_id: row.client_id for row in emulator.state.embeds()}


class Interrupted(DatabrainTarget):
    """A target that triggers an event right after its first survey."""

    def __init__(self, event: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._event: Callable[[], object] | None = event

    async def survey(self, transport: AsyncTransport) -> None:
        await super().survey(transport)
        if self._event:
            self._event()
        self._event = None


FAULTS = {kind: [Fault(kind=kind, method="POST", every=3, seconds=0.01)] for kind in get_args(Kind)}
FAULTS["mixture"] = [
    Fault(kind="reset_after", method="POST", every=7),
    Fault(kind="error_after", method="POST", every=5),
    Fault(kind="too_many", method="POST", every=11, seconds=0.01),
]


@pytest.mark.usefixtures("fast_retries")
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_faults_cost_no_tenant_its_dashboard(
    emulator: Emulator, world: str, faults: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Six faults in a row for one tenant are rare, but they happen.
    monkeypatch.setattr(retry, "MAX_FAILURES", 50)
    emulator.control.set_faults(faults)
    report = await provision(emulator, TENANTS)
    assert report.failures == []
    assert counts(report) == {"created": 60}
    assert report.ids == {tenant: f"client-{tenant}" for tenant in TENANTS}
    assert owners(emulator) == {f"client-{tenant}": tenant for tenant in TENANTS}
    assert emulator.state.count_embeds() == 60
    assert {logged.fault for logged in emulator.control.log} - {None} == {fault.kind for fault in faults}

    emulator.control.set_faults([])
    emulator.control.log.clear()
    again = await provision(emulator, TENANTS)
    assert counts(again) == {"adopted": 60}
    assert again.ids == report.ids
    lists = requests(emulator)
    assert lists.keys() == {"GET"}
    # One list of everything, and the page after its end; or, if it was cut, all other pages.
    assert lists["GET"] == {"a list that is cut": 7, "a list without an order": lists["GET"]}.get(world, 2)
    assert emulator.state.count_embeds() == 60


async def test_a_batch_sends_the_list_call_once(emulator: Emulator) -> None:
    put(emulator, "tenant-00", "tenant-00")
    report = await provision(emulator, TENANTS)
    assert counts(report) == {"created": 59, "adopted": 1}
    assert requests(emulator) == {"GET": 1, "POST": 59}


@pytest.mark.usefixtures("fast_retries")
async def test_lost_answers_cost_one_more_list_for_the_whole_batch(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="reset_after", method="POST", times=5)])
    report = await provision(emulator, TENANTS)
    assert report.counted[Action.CREATED] == 60
    # The second list has more than one page, so the page after its end is asked for too.
    assert requests(emulator) == {"GET": 3, "POST": 65}


async def test_new_dashboards_are_stamped(emulator: Emulator) -> None:
    await provision(emulator, ["acme"])
    assert emulator.state.created_with("client-acme")["metadata"] == {STAMP: "acme"}


async def test_a_dashboard_made_without_stamp_is_adopted_by_its_title(emulator: Emulator) -> None:
    await provision(emulator, ["acme"], DatabrainTarget(stamp=False))
    assert "metadata" not in emulator.state.created_with("client-acme")
    assert counts(await provision(emulator, ["acme"])) == {"adopted": 1}


async def test_a_renamed_dashboard_is_adopted_by_its_stamp(emulator: Emulator) -> None:
    put(emulator, "acme", "acme", title="Sales", metadata={STAMP: "acme"})
    assert (await provision(emulator, ["acme"])).ids == {"acme": "client-acme"}


@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize(
    ("title", "shown"), [(None, "belongs to client 'globex', not to 'acme'"), ("Sales", "nothing proves")]
)
@pytest.mark.parametrize("when", ["before the batch", "during the batch"])
async def test_a_dashboard_of_another_client_is_never_adopted(
    emulator: Emulator, ignores: bool, title: str | None, shown: str, when: str
) -> None:
    emulator.control.behaviour = Behaviour(ignores_client_filter=ignores)

    def take() -> None:
        put(emulator, "acme", "globex", title=title)

    if when == "before the batch":
        take()
        target = DatabrainTarget()
    else:
        target = Interrupted(take)
    report = await provision(emulator, ["acme", "initech"], target)
    assert report.ids == {"initech": "client-initech"}
    [failure] = report.failures
    assert (failure["tenant"], failure["dashboard_id"]) == ("acme", "client-acme")
    assert failure["error"] == "AlreadyExistsError"
    assert shown in failure["message"]
    assert "'acme'" in failure["message"]
    assert owners(emulator) == {"client-acme": "globex", "client-initech": "initech"}
    assert emulator.state.embeds("globex")[0].dashboard_name == (title or "client-acme_globex")


async def test_a_dashboard_that_appears_during_the_batch_is_adopted_on_proof(emulator: Emulator) -> None:
    target = Interrupted(lambda: put(emulator, "acme", "acme"))
    assert counts(await provision(emulator, ["acme"], target)) == {"adopted": 1}


@pytest.mark.parametrize("when", ["before the batch", "during the batch"])
async def test_if_exists_fail_adopts_nothing(emulator: Emulator, when: str) -> None:
    if when == "before the batch":
        put(emulator, "acme", "acme")
        target = DatabrainTarget(if_exists="fail")
    else:
        target = Interrupted(lambda: put(emulator, "acme", "acme"), if_exists="fail")
    report = await provision(emulator, ["acme", "globex"], target)
    assert counts(report) == {"created": 1, "failed": 1}
    assert "exists already and if_exists is 'fail'" in report.failures[0]["message"]


@pytest.mark.usefixtures("fast_retries")
async def test_if_exists_fail_accepts_what_this_batch_created_itself(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="reset_after", method="POST", every=2)])
    report = await provision(emulator, TENANTS[:10], DatabrainTarget(if_exists="fail"))
    assert counts(report) == {"created": 10}


async def test_a_wrong_key_ends_the_batch_with_one_request(emulator: Emulator) -> None:
    report = await provision(emulator, TENANTS, key="wrong")
    assert requests(emulator) == {"GET": 1}
    assert {failure["error"] for failure in report.failures} == {"AuthenticationError"}
    assert report.why is not None
    assert "refuses the credentials" in report.why
    # The tenants that waited for the list failed; no further tenant was begun.
    assert len(report.failures) <= 8
    assert report.left == len(TENANTS) - len(report.failures)


@pytest.mark.usefixtures("fast_retries")
async def test_a_failed_first_list_creates_nothing(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="error_before", method="GET")])
    report = await provision(emulator, TENANTS)
    assert counts(report) == {"failed": 60}
    assert all("list embeds failed" in failure["message"] for failure in report.failures)
    assert emulator.state.count_embeds() == 0
    assert "POST" not in requests(emulator)


@pytest.mark.usefixtures("fast_retries")
async def test_a_failed_second_list_fails_only_those_that_needed_it(emulator: Emulator) -> None:
    def take_one_and_break_the_list() -> None:
        put(emulator, "tenant-07", "tenant-07")
        emulator.control.set_faults([Fault(kind="error_before", method="GET")])

    report = await provision(emulator, TENANTS, Interrupted(take_one_and_break_the_list))
    assert counts(report) == {"created": 59, "failed": 1}
    [failure] = report.failures
    assert (failure["tenant"], failure["error"]) == ("tenant-07", "ServerError")


async def test_a_lost_answer_is_looked_up_even_without_retries(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    assert counts(await provision(emulator, ["acme"], patience=0)) == {"created": 1}
    assert requests(emulator) == {"GET": 2, "POST": 1}


async def test_a_create_that_failed_is_sent_by_the_next_run(emulator: Emulator) -> None:
    emulator.control.set_faults([Fault(kind="reset_before", method="POST", times=1)])
    first = await provision(emulator, ["acme"], patience=0)
    assert [failure["error"] for failure in first.failures] == ["TransportError"]
    assert counts(await provision(emulator, ["acme"])) == {"created": 1}


@pytest.mark.usefixtures("fast_retries")
async def test_with_a_ledger_a_second_run_sends_nothing(
    emulator: Emulator, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "MAX_FAILURES", 50)
    emulator.control.set_faults(FAULTS["mixture"])
    ledger = ledger_on(sqlite, run_id="first")
    ledger.open()
    first = await provision(emulator, TENANTS, DatabrainTarget(look_first=False), ledger=ledger)
    assert counts(first) == {"created": 60}
    emulator.control.log.clear()
    again = ledger_on(sqlite, run_id="second")
    again.open()
    second = await provision(emulator, TENANTS, DatabrainTarget(look_first=False), ledger=again)
    assert counts(second) == {"unchanged": 60}
    assert second.ids == first.ids
    assert not emulator.control.log
