"""PostHog's operator for templates, run against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AuthenticationError,
    ServerError,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.templates import CreatePostHogDashboardFromTemplateOperator
from tests.posthog.operators.support import TaskInstance, fields, run
from tests.posthog.support import TEMPLATE, add_legacy_key, contents, names, sent, set_posthog_connection

FromTemplate = CreatePostHogDashboardFromTemplateOperator


def test_a_retry_after_a_failed_build_leaves_no_half_made_dashboard(posthog: Emulator) -> None:
    # The first insight fails, and so does the deletion of the unfinished dashboard.
    posthog.control.set_faults(
        [
            Fault(kind="error_before", method="POST", path="insights", times=1),
            Fault(kind="error_before", method="PATCH", times=1),
        ]
    )
    with pytest.raises(ServerError):
        run(FromTemplate, template=TEMPLATE)
    assert names(posthog) == ["KPIs"]
    number = run(FromTemplate, TaskInstance(try_number=2), template=TEMPLATE)
    assert names(posthog) == ["KPIs"]
    assert len(contents(posthog, number)) == 3


def test_a_key_with_scopes_builds_the_same_dashboard_as_the_refused_action(
    posthog: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = run(FromTemplate, template=TEMPLATE, key="acme")
    assert "POST dashboards/create_from_template_json/" in sent(posthog)
    set_posthog_connection(monkeypatch, posthog, password=add_legacy_key(posthog))
    made = run(FromTemplate, template=TEMPLATE, key="acme", project_id="{{ '@current' }}", method="template")
    # Both have the same mark, so the built dashboard was found. Another key creates a second dashboard.
    assert made == built
    other = run(FromTemplate, template=TEMPLATE, key="other")
    assert contents(posthog, other) == contents(posthog, built)
    assert {**fields(posthog, other), "tags": [], "description": ""} == {
        **fields(posthog, built),
        "tags": [],
        "description": "",
    } | {"last_accessed_at": None}


def test_the_method_template_fails_for_a_key_with_scopes(posthog: Emulator) -> None:
    with pytest.raises(AuthenticationError, match="use build_dashboard instead"):
        run(FromTemplate, template=TEMPLATE, method="template")
    assert names(posthog) == []


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"method": "magic"}, "it must be 'auto', 'template' or 'build'. Nothing was sent"),
        ({"template": {**TEMPLATE, "dashboard_description": None}}, "template: dashboard_description missing"),
        ({"template": "{{ params.n }}"}, r"template is a str of \d characters; it must be a mapping.*Nothing was sent"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_before_sending(
    posthog: Emulator, options: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ValueError, match=shown):
        run(FromTemplate, **{"template": TEMPLATE, **options})
    assert sent(posthog) == []
