"""Each tenant has one dashboard, its own and as asked, with each kind of template and at each concurrency."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from itertools import combinations, product

import pytest

from airflow_provider_databrain.emulator.faults import PostHogVersion
from tests.posthog.fleet.checks import LIST, check, check_repeated
from tests.posthog.fleet.conftest import NewFleet
from tests.posthog.fleet.settings import (
    CONCURRENCIES,
    DEFAULT_CONCURRENCY,
    FULL,
    KINDS,
    SHIPPED,
    TENANTS,
    VERSIONS,
    Setting,
    all_settings,
    short_settings,
)

VALUES = {
    "kind": list(KINDS),
    "concurrency": CONCURRENCIES,
    "tagging": (True, False),
    "version": VERSIONS,
    "ledger": (True, False),
    "rough": (True, False),
}


def test_the_short_settings_have_each_pair_of_values() -> None:
    assert list(VALUES) == [field.name for field in fields(Setting)]
    missing = [
        {one: value, other: another}
        for one, other in combinations(VALUES, 2)
        for value, another in product(VALUES[one], VALUES[other])
        if not any(getattr(each, one) == value and getattr(each, other) == another for each in short_settings())
    ]
    assert missing == []


@pytest.mark.parametrize("setting", all_settings() if FULL else short_settings(), ids=str)
def test_each_tenant_has_its_own_dashboard_as_asked(new_fleet: NewFleet, setting: Setting) -> None:
    fleet = new_fleet(setting)
    check(fleet, fleet.run())
    check_repeated(fleet)


@pytest.mark.parametrize("concurrency", [1, DEFAULT_CONCURRENCY])
@pytest.mark.parametrize("version", VERSIONS if FULL else VERSIONS[:1])
def test_each_tenant_of_the_example_dag_has_its_dashboard_after_three_calls(
    new_fleet: NewFleet, version: PostHogVersion, concurrency: int
) -> None:
    fleet = new_fleet(Setting("DEFAULT_APP", concurrency, version=version), kind=SHIPPED)
    fleet.sent()
    ran = fleet.run()
    calls = Counter(fleet.sent())
    check(fleet, ran)
    if concurrency == 1:
        # Nothing is repeated, because no two requests are under way at the same time.
        lists = calls.pop(LIST)
        assert calls == dict.fromkeys(
            (
                "POST /api/projects/N/dashboards/",
                "PATCH /api/projects/N/dashboards/N/",
                "PATCH /api/projects/N/dashboards/N/sharing/",
            ),
            len(TENANTS),
        )
        assert lists <= 2
    check_repeated(fleet)
