"""``make demo-celery`` counts its result at the API. These tests count without the servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from demo.accounting import Account, account
from demo.celery import RECOVERY, Result, worker
from demo.local_airflow import COMPONENTS, LocalAirflow

Embeds = list[dict[str, Any]]


def embed(tenant: str | None, embed_id: str, dashboard_id: str | None = None) -> dict[str, Any]:
    """Return an embed as the API lists it."""
    metadata = {"createdAt": "2026-11-23"} | ({} if tenant is None else {"airflowProviderClientId": tenant})
    return {
        "embedId": embed_id,
        "externalDashboard": {"externalDashboardId": dashboard_id or embed_id, "metadata": metadata},
    }


def counted(after: Embeds, xcoms: Iterable[Mapping[str, str]], before: Embeds | None = None) -> Account:
    return account(["a", "b", "c"], before or [], after, xcoms)


GOOD = [embed("a", "1"), embed("b", "2"), embed("c", "3")]
IDS = [{"a": "1", "b": "2"}, {"c": "3"}]


def test_every_tenant_exactly_once() -> None:
    assert counted(GOOD, IDS) == Account(tenants=3, created=3, failed=0, doubled=0)


def test_a_dashboard_from_before_the_run_is_not_created() -> None:
    assert counted(GOOD, IDS, before=GOOD[:1]) == Account(tenants=3, created=2, failed=0, doubled=0)


def test_a_tenant_without_dashboard_has_failed() -> None:
    assert counted(GOOD[1:], IDS) == Account(tenants=3, created=2, failed=1, doubled=0)


@pytest.mark.parametrize("owner", ["z", None])
def test_a_tenant_with_a_dashboard_that_does_not_name_it_has_failed(owner: str | None) -> None:
    assert counted([embed(owner, "1"), *GOOD[1:]], IDS) == Account(tenants=3, created=2, failed=1, doubled=0)


def test_tenants_with_each_others_ids_have_failed() -> None:
    assert counted(GOOD, [{"a": "2", "b": "1"}, {"c": "3"}]) == Account(tenants=3, created=3, failed=2, doubled=0)


def test_two_dashboards_of_one_tenant_are_counted_once_as_doubled() -> None:
    assert counted([*GOOD, embed("a", "4")], IDS) == Account(tenants=3, created=3, failed=0, doubled=1)


def test_two_embeds_of_one_dashboard_are_not_doubled() -> None:
    assert counted([*GOOD, embed("a", "4", "1")], IDS) == Account(tenants=3, created=3, failed=0, doubled=0)


@pytest.mark.parametrize("xcoms", [[{"a": "1", "b": "2"}], [*IDS, {"c": "3"}], [IDS[0], {"c": "9"}]])
def test_xcom_must_have_exactly_one_correct_id_for_each_tenant(xcoms: list[dict[str, str]]) -> None:
    assert counted(GOOD, xcoms) == Account(tenants=3, created=3, failed=1, doubled=0)


@pytest.mark.parametrize(
    ("wrong", "good"),
    [
        ({}, True),
        ({"failed": 1}, False),
        ({"doubled": 1}, False),
        ({"created": 2}, False),
        ({"workers_killed": 0}, False),
    ],
)
def test_a_result_is_good_only_if_a_worker_was_killed_and_nothing_failed(wrong: dict[str, int], good: bool) -> None:
    fields: dict[str, Any] = {"tenants": 3, "created": 3, "failed": 0, "doubled": 0, "workers_killed": 1, "seconds": 9}
    assert Result(**fields | wrong).is_good() is good


def test_local_airflow_accepts_a_database_an_executor_and_workers(tmp_path: Any) -> None:
    own = {**COMPONENTS, "worker-1": worker("worker-1", tmp_path)}
    environment = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor", **RECOVERY}
    airflow = LocalAirflow(tmp_path, tmp_path, environment, database="postgresql://there/airflow", components=own)
    assert airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://there/airflow"
    assert environment.items() <= airflow.environment.items()
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in LocalAirflow(tmp_path, tmp_path).environment
