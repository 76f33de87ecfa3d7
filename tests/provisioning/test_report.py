"""What a batch came to, as a task hands it on."""

from __future__ import annotations

import json

import pytest

from airflow_provider_databrain.api.errors import NotFoundError
from airflow_provider_databrain.provisioning.report import Action, Failure, Outcome, ProvisioningError, Report

GOOD = [
    Outcome("a", "client-a", Action.CREATED, "embed-a"),
    Outcome("b", "client-b", Action.ADOPTED, "embed-b"),
    Outcome("c", "client-c", Action.CREATED, "embed-c"),
]
BAD = Outcome("d", "client-d", Action.FAILED, error=NotFoundError("no such workspace", tenant="d"))


def test_ids_are_of_tenants_that_have_a_dashboard() -> None:
    assert Report([*GOOD, BAD]).ids() == {"a": "client-a", "b": "client-b", "c": "client-c"}


def test_every_action_is_counted() -> None:
    assert Report([*GOOD, BAD]).counts() == {"created": 2, "adopted": 1, "failed": 1}
    assert Report([]).counts() == {"created": 0, "adopted": 0, "failed": 0}


def test_failures_are_plain_json() -> None:
    failures = Report([*GOOD, BAD]).failures()
    assert failures == json.loads(json.dumps(failures))
    assert failures == [
        {
            "tenant": "d",
            "dashboard_id": "client-d",
            "error": "NotFoundError",
            "message": "API call for tenant 'd' failed: no such workspace",
        }
    ]


def test_only_failures_raise() -> None:
    Report(GOOD).raise_for_failures()
    with pytest.raises(ProvisioningError, match=r"1 of 4 tenants failed:\n- 'd': .*no such workspace") as caught:
        Report([*GOOD, BAD]).raise_for_failures()
    assert [failure["tenant"] for failure in caught.value.failures] == ["d"]


@pytest.mark.parametrize(("failed", "more"), [(5, None), (6, "and 1 more"), (40, "and 35 more")])
def test_the_message_names_five_and_counts_the_rest(failed: int, more: str | None) -> None:
    failures = [
        Failure(tenant=f"t{number}", dashboard_id="d", error="E", message=f"reason {number}")
        for number in range(failed)
    ]
    error = ProvisioningError(failures, 50)
    lines = str(error).splitlines()
    assert lines[:6] == [f"{failed} of 50 tenants failed:", *(f"- 't{number}': reason {number}" for number in range(5))]
    assert lines[6:] == ([f"{more}: see the log or this task's XCom 'failures'"] if more else [])
    assert error.failures == failures
