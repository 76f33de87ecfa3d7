"""The URLs of Conduit's clones, and that no secret is shown."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_databrain.emulator.conduit import ConduitRefusalError, ConduitState
from airflow_provider_databrain.emulator.faults import Fault, Kind
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.conduit.runs import CREATE, Runs, alter_one_list, has_all
from tests.conduit.support import TOKEN
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import counts

pytestmark = pytest.mark.usefixtures("fast_retries")


# URLs


def urls(state: ConduitState) -> dict[str, str]:
    """``ext_id`` to the clone's URL."""
    return {str(row.ext_id): state.dashboards(row.id)[0].url for row in state.workspaces()}


@pytest.mark.parametrize("ledger", [True, False])
def test_urls_are_pushed_with_push_urls(runs: Runs, ledger: bool) -> None:
    for _ in range(2):
        instance = runs.provision(ledger=ledger, push_urls=True)
        has_all(runs, instance)
        assert instance.pushed["urls"] == urls(runs.conduit.state)
    assert "urls" not in runs.provision(ledger=ledger).pushed


def test_with_a_ledger_each_url_takes_one_call_and_the_list_takes_one(runs: Runs) -> None:
    runs.provision()
    runs.provision(push_urls=True)
    assert len(runs.conduit.calls) == 9
    assert "1 GET /workspaces/" in runs.conduit.calls


def test_a_url_that_cannot_be_fetched_fails_only_its_tenant(runs: Runs) -> None:
    first = runs.provision()
    state = runs.conduit.state
    state.disable_workspace(int(first.pushed["workspaces"]["t0"]))
    clone = first.pushed["return_value"]["t1"]
    runs.conduit.control.set_faults([Fault(kind="error_before", path=f"/dashboards/{clone}/share/$")])
    with pytest.raises(ProvisioningError, match="2 of 8 tenants failed"):
        runs.provision(push_urls=True, max_retry_seconds=0)
    pushed = runs.last.pushed
    assert pushed["return_value"] == first.pushed["return_value"]
    assert pushed["counts"] == counts(unchanged=8, failed=2)
    assert {failure["tenant"]: failure["error"] for failure in pushed["failures"]} == {
        "t0": "NotFoundError",
        "t1": "ServerError",
    }
    assert pushed["urls"] == {name: url for name, url in urls(state).items() if name not in ("t0", "t1")}


def test_a_list_that_fails_is_requested_once_for_all_tenants(runs: Runs) -> None:
    runs.provision()
    runs.conduit.control.set_faults([Fault(kind="error_before", path="/workspaces/$")])
    with pytest.raises(ProvisioningError, match=r"(?s)8 of 8 tenants failed.*list workspaces failed"):
        runs.provision(push_urls=True, max_retry_seconds=0)
    assert runs.conduit.calls == ["1 GET /workspaces/"]
    assert runs.last.pushed["urls"] == {}


def test_a_stale_list_does_not_lose_a_new_workspace(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.conduit.control.set_faults([Fault(kind="error_after", path=CREATE, method="POST", every=5)])
    # The list after the fifth create does not have the first workspace yet.
    alter_one_list(runs.conduit.state, monkeypatch, 2, lambda row: row.ext_id != "t0")
    instance = runs.provision(concurrency=1, push_urls=True)
    has_all(runs, instance)
    assert instance.pushed["urls"] == urls(runs.conduit.state)


# Secrets


@pytest.mark.parametrize("kind", [None, "error_before", "cut", "wrong", "html"])
def test_no_token_and_no_url_is_shown(
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: Kind | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    state = runs.conduit.state
    state.add_workspace("Of t0", "t0")
    own, dashboards = state.workspaces()[0].token, state.dashboards

    def telling(workspace: int | None = None) -> Any:
        if workspace == 1 and kind is None:
            raise ConduitRefusalError(400, own, f"{own} is of {TOKEN}")
        return dashboards(workspace)

    monkeypatch.setattr(state, "dashboards", telling)
    shown = []
    for number in range(2):
        runs.conduit.control.set_faults([Fault(kind=kind, every=2)] if kind and not number else [])
        try:
            runs.provision(max_retry_seconds=0)
        except ProvisioningError as error:
            shown += [str(error), repr(error), repr(error.failures)]
        shown += [repr(runs.last.pushed), repr(runs.task)]
        shown.append(repr({name: getattr(runs.task, name) for name in runs.task.template_fields}))
    rows = repr(read(runs.path, "SELECT * FROM tenant_dashboards"))
    out = capfd.readouterr()
    secrets = [TOKEN, *(row.token for row in state.workspaces())]
    secrets += [clone.url for row in state.workspaces() for clone in dashboards(row.id)]
    assert len(secrets) >= 1 + 8 + 7
    assert "t7" in rows
    assert "***" in rows or kind
    shown += [rows, caplog.text, out.out, out.err]
    assert not [secret for secret in secrets if any(secret in text for text in shown)]


def test_requested_urls_are_in_xcom_under_urls_and_nowhere_else(
    runs: Runs, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = runs.provision(push_urls=True)
    keys = [url.rpartition("/")[2] for url in instance.pushed.pop("urls").values()]
    out = capfd.readouterr()
    rows = repr(read(runs.path, "SELECT * FROM tenant_dashboards"))
    shown = [repr(instance.pushed), caplog.text, out.out, out.err, rows]
    assert len(keys) == 8
    assert not [key for key in keys if any(key in text for text in shown)]
