"""Two tasks provision the same tenants at the same time."""

from __future__ import annotations

import pytest

from tests.posthog.fleet.checks import check, check_repeated
from tests.posthog.fleet.conftest import NewFleet
from tests.posthog.fleet.settings import FULL, KINDS, VERSIONS, Setting

SHORT = [
    Setting("DEFAULT_APP", 4),
    Setting("bare", 8, ledger=False),
    Setting("shallow", 4, tagging=False, version="2025-08", rough=True),
    Setting("blank", 8, version="2026-07", ledger=False, rough=True),
]
ALL = [
    Setting(kind, concurrency, ledger=ledger, version=VERSIONS[number % 3], rough=number % 2 == 1)
    for number, kind in enumerate(KINDS)
    for concurrency, ledger in ((4, True), (16, False))
]


@pytest.mark.parametrize("setting", list(dict.fromkeys([*SHORT, *ALL])) if FULL else SHORT, ids=str)
def test_two_runs_at_once_leave_each_tenant_one_dashboard(new_fleet: NewFleet, setting: Setting) -> None:
    fleet = new_fleet(setting)
    check(fleet, *fleet.run_two())
    check_repeated(fleet)
