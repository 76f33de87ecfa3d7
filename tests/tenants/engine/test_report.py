"""The report of a batch, as a task hands it on."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as postgres

from airflow_provider_databrain.client.errors import NotFoundError, RateLimitedError
from airflow_provider_databrain.tenants.engine.report import (
    ERROR_LIMIT,
    KEPT,
    Action,
    Failure,
    ProvisioningError,
    Report,
)
from tests.databases import Database


def good() -> Report:
    """Three successful tenants."""
    report = Report(ids={"a": "client-a", "b": "client-b", "c": "client-c"}, total=3)
    for action in (Action.CREATED, Action.ADOPTED, Action.CREATED):
        report.count(action)
    return report


def bad() -> Report:
    """The same, and one failed tenant."""
    report = good()
    report.total = 4
    report.ids["d"] = ""
    report.fail("d", "client-d", NotFoundError("no such workspace", tenant="d"))
    return report


def test_ids_are_of_tenants_that_have_a_dashboard() -> None:
    report = bad()
    report.close()
    assert report.ids == {"a": "client-a", "b": "client-b", "c": "client-c"}


def test_every_action_is_counted() -> None:
    none = dict.fromkeys(map(str, Action), 0)
    assert bad().counts() == none | {"created": 2, "adopted": 1, "failed": 1}
    assert Report().counts() == none
    assert json.loads(json.dumps(bad().counts())) == bad().counts()


def test_failures_are_plain_json() -> None:
    failures = bad().failures
    assert failures == json.loads(json.dumps(failures))
    assert failures == [
        {
            "tenant": "d",
            "dashboard_id": "client-d",
            "error": "NotFoundError",
            "message": "API call for tenant 'd' failed: no such workspace",
        }
    ]


def test_a_failure_without_a_dashboard_id_has_an_empty_one() -> None:
    report = Report()
    report.fail("a", None, ValueError("bad"))
    assert report.failures[0]["dashboard_id"] == ""


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\x1b[31m\r\n", "😀" * 5000, "plain"])
def test_a_failure_fits_into_the_column_of_airflows_xcoms(postgresql: Database, text: str) -> None:
    report = Report(total=1)
    report.fail("a", f"d-{text[:9]}", ValueError(text))
    with postgresql.own.begin() as connection:
        stored = connection.execute(sa.select(sa.cast(report.failures, postgres.JSONB))).scalar_one()
    assert stored == report.failures
    assert 0 < len(report.failures[0]["message"]) <= ERROR_LIMIT
    if text == "plain":
        assert report.failures == [Failure(tenant="a", dashboard_id="d-plain", error="ValueError", message="plain")]
    with pytest.raises(ProvisioningError) as caught:
        report.raise_for_failures()
    assert len(str(caught.value)) < ERROR_LIMIT + 100


def test_failures_are_kept_up_to_a_limit_and_all_are_counted() -> None:
    report = Report(total=KEPT + 5)
    for number in range(KEPT + 5):
        report.fail(f"t{number}", None, ValueError("bad"))
    assert len(report.failures) == KEPT
    with pytest.raises(ProvisioningError, match=f"{KEPT + 5} of {KEPT + 5} tenants failed") as caught:
        report.raise_for_failures()
    assert caught.value.failed == KEPT + 5
    assert f"and {KEPT} more: " in str(caught.value)


def test_only_failures_raise() -> None:
    good().raise_for_failures()
    with pytest.raises(ProvisioningError, match=r"1 of 4 tenants failed:\n- 'd': .*no such workspace") as caught:
        bad().raise_for_failures()
    assert [failure["tenant"] for failure in caught.value.failures] == ["d"]


def test_a_stop_raises_too_and_says_how_many_are_left() -> None:
    report = good()
    report.total = 10
    report.close("stopped by a test", 7.5, left=7)
    assert report.wait == 7.5
    with pytest.raises(ProvisioningError) as caught:
        report.raise_for_failures()
    assert (
        str(caught.value) == "stopped by a test; 7 of 10 tenants were not finished. The next try continues with them."
    )
    assert (caught.value.failed, caught.value.left) == (0, 7)


def test_the_longest_wait_that_the_server_asked_for_is_handed_on() -> None:
    report = Report(total=3)
    for wait in (2.0, 30.0, None):
        report.fail("a", None, RateLimitedError("slow down", retry_after=wait))
    with pytest.raises(ProvisioningError) as caught:
        report.raise_for_failures()
    assert caught.value.retry_after == 30.0


@pytest.mark.parametrize(("failed", "more"), [(5, None), (6, "and 1 more"), (40, "and 35 more")])
def test_the_message_names_five_and_counts_the_rest(failed: int, more: str | None) -> None:
    failures = [
        Failure(tenant=f"t{number}", dashboard_id="d", error="E", message=f"reason {number}")
        for number in range(failed)
    ]
    error = ProvisioningError(failures, 50)
    lines = str(error).splitlines()
    assert lines[:6] == [f"{failed} of 50 tenants failed:", *(f"- 't{number}': reason {number}" for number in range(5))]
    assert lines[6:] == ([f"{more}: see the log, this task's XCom 'failures', or the ledger"] if more else [])
    assert error.failures == failures


def test_xcom_gets_at_most_1000_failures() -> None:
    report = Report()
    for number in range(1001):
        report.fail(f"t{number}", None, NotFoundError("gone"))
    assert (len(report.failures), report.counts()["failed"]) == (1000, 1001)


def test_the_longest_wait_that_was_asked_for_is_handed_on() -> None:
    report = Report()
    for wait in (5.0, 9.0, 3.0, None):
        report.fail("a", None, RateLimitedError("slow down", retry_after=wait))
    assert report.retry_after == 9.0


def test_a_dashboard_without_an_embed_id_is_its_own_embed() -> None:
    report = Report(keeps_embed_ids=True)
    report.set_dashboard("a", "client-a", None)
    report.set_dashboard("b", "client-b", "embed-b")
    assert report.embed_ids == {"a": "client-a", "b": "embed-b"}
    report.refuse("b", NotFoundError("gone"))
    assert (report.ids, report.embed_ids) == ({"a": "client-a"}, {"a": "client-a"})
