"""A dashboard is built from a template in several requests, over HTTP with both transports."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import dashboards, marks, templates
from airflow_provider_databrain.posthog.api.models import Dashboard
from tests.client.conftest import Run
from tests.posthog.support import TEMPLATE, add_legacy_key, contents, names, posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")
MARK = marks.mark_of("acme")


def in_full(emulator: Emulator, dashboard: Dashboard) -> list[Any]:
    """Everything of a dashboard that a person sees."""
    [row] = emulator.posthog.found(dashboard.id)
    fields = {name: row.fields[name] for name in ("name", "description", "filters", "tags", "creation_mode")}
    return [fields, contents(emulator, dashboard.id)]


def test_build_dashboard_makes_the_same_dashboard_as_the_refused_action(posthog: Emulator, run: Run) -> None:
    with pytest.raises(AuthenticationError, match="build_dashboard"):
        run(posthog_server(posthog), templates.create_from_template_json(TEMPLATE))
    made = run(posthog_server(posthog, add_legacy_key(posthog)), templates.create_from_template_json(TEMPLATE))
    built = run(posthog_server(posthog), templates.build_dashboard(TEMPLATE))
    assert built.id != made.id
    assert in_full(posthog, built) == in_full(posthog, made)
    assert [tile.text is None for tile in built.tiles or ()] == [True, False, True]


@pytest.mark.parametrize(
    "tiles", [[{"type": "BUTTON"}], [{"body": "x"}], [{"type": "TEXT"}, {"type": "insight"}]], ids=str
)
def test_a_template_that_cannot_be_built_is_refused_before_sending(posthog: Emulator, run: Run, tiles: Any) -> None:
    with pytest.raises(ValueError, match="'INSIGHT' or 'TEXT'"):
        run(posthog_server(posthog), templates.build_dashboard({**TEMPLATE, "tiles": tiles}))
    assert sent(posthog) == []


STEPS = [
    Fault(kind="error_before", method="POST", path="insights", every=1),
    Fault(kind="error_after", method="POST", path="insights", every=2),
    Fault(kind="reset_after", method="POST", path="insights", every=2),
    Fault(kind="error_before", method="GET", path=r"dashboards/\d+"),
    Fault(kind="error_after", method="PATCH", path=r"dashboards/\d+", times=1),
]


@pytest.mark.parametrize("fault", STEPS, ids=lambda fault: f"{fault.kind} {fault.method} {fault.every}")
def test_a_half_built_dashboard_is_deleted(posthog: Emulator, run: Run, fault: Fault) -> None:
    posthog.control.set_faults([fault])
    with pytest.raises((ServerError, TransportError)):
        run(posthog_server(posthog, max_retry_seconds=0), templates.build_dashboard(TEMPLATE))
    assert names(posthog) == []
    insights = [posthog.posthog.contents.insight(number) for number in range(1, 200)]
    assert all(insight.deleted for insight in insights if insight is not None)


@pytest.mark.parametrize("tagging", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset_after", method="POST", path="dashboards/$", times=1),
        # A step fails, and the deletion fails too.
        Fault(kind="error_before", method="PATCH", path=r"dashboards/\d+", times=2),
    ],
    ids=["the answer is lost", "not removed"],
)
def test_an_unfinished_dashboard_does_not_carry_the_mark_and_the_next_build_deletes_it(
    posthog: Emulator, run: Run, fault: Fault, tagging: bool
) -> None:
    posthog.control.behaviour = Behaviour(tagging=tagging)
    posthog.control.set_faults([fault])
    server = posthog_server(posthog, max_retry_seconds=0)
    with pytest.raises((ServerError, TransportError)):
        run(server, templates.build_dashboard(TEMPLATE, mark=MARK))
    assert names(posthog) == ["KPIs"]
    posthog.control.set_faults([])
    assert marks.find_marked(run(server, dashboards.list_dashboards()), MARK) == []
    built = run(server, templates.build_dashboard(TEMPLATE, mark=MARK))
    assert [found.id for found in marks.find_marked(run(server, dashboards.list_dashboards()), MARK)] == [built.id]
    assert names(posthog) == ["KPIs"]
    assert len(contents(posthog, built.id)) == 3
    assert built.description == f"What counts\n[{MARK}]"
    assert set(built.tags or ()) == ({"kpi"} if tagging else set())
