"""The example Dags that create a campaign's dashboard, and delete it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_databrain.emulator.posthog.state import MEMBER
from airflow_provider_databrain.emulator.server import Emulator
from tests.dags.conftest import Ran

CREATE, END = "posthog_campaign", "end_posthog_campaign"


def test_two_runs_leave_one_dashboard_with_its_editors_and_show_no_address(
    posthog: Emulator, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    member = posthog.posthog.member(MEMBER).uuid
    addresses = set()
    for _ in range(2):
        ran = run_example(CREATE, params={"editors": [member]})
        assert ran.state == "success"
        [row] = posthog.posthog.dashboards()
        assert (row.fields["name"], row.fields["restriction_level"], row.shared) == ("Campaign spring", 37, True)
        assert len(posthog.posthog.contents.tiles(row.id)) == 1
        assert [name for _, name, _ in posthog.posthog.collaborators(row.id)] == [MEMBER]
        share = posthog.posthog.shares.of(row.id)
        assert share is not None
        addresses.add(share.access_token)
        assert share.access_token not in repr(ran.xcoms) + "".join(capfd.readouterr())
    assert len(addresses) == 2


def test_the_end_dag_deletes_the_dashboard_with_its_insights_and_can_run_again(
    posthog: Emulator, run_example: Callable[..., Ran]
) -> None:
    [number] = run_example(CREATE).values("create")
    other = posthog.posthog.add_dashboard(name="Other")
    [tile] = posthog.posthog.contents.tiles(number)
    assert tile.insight_id is not None
    for _ in range(2):
        assert run_example(END, params={"dashboard_id": number}).state == "success"
        assert [row.id for row in posthog.posthog.dashboards()] == [other]
        insight = posthog.posthog.contents.insight(tile.insight_id)
        assert insight is not None
        assert insight.deleted
