"""PostHog's operators for sharing and collaborators, run against the emulator."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_databrain.client.errors import NotAllowedError
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.state import MEMBER
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.collaborators import AddPostHogCollaboratorsOperator
from airflow_provider_databrain.posthog.operators.sharing import (
    RefreshPostHogSharingOperator,
    SharePostHogDashboardOperator,
)
from tests.posthog.operators.support import TaskInstance, as_text, links, run


@pytest.fixture
def number(posthog: Emulator) -> int:
    """A dashboard."""
    return posthog.posthog.add_dashboard(name="one")


@pytest.mark.parametrize("return_url", [True, False])
def test_sharing_returns_the_url_only_with_return_url(posthog: Emulator, number: int, return_url: bool) -> None:
    options: dict[str, Any] = {"dashboard_id": as_text(number), "return_url": return_url}
    shared = run(SharePostHogDashboardOperator, settings={"whitelabel": True}, **options)
    share = posthog.posthog.shares.of(number)
    assert share is not None
    assert (share.enabled, share.settings) == (True, {"whitelabel": True})
    address = f"{posthog.url}/shared/{share.access_token}"
    assert shared == (address if return_url else None)
    assert requests.get(address, timeout=5).status_code == 200
    refreshed = run(RefreshPostHogSharingOperator, **options)
    assert (refreshed is not None) is return_url
    assert refreshed != address
    assert run(SharePostHogDashboardOperator, enabled=False, **options) is None
    share = posthog.posthog.shares.of(number)
    assert share is not None
    # The settings were not given, so they are unchanged.
    assert share.settings == {"whitelabel": True}
    assert requests.get(f"{posthog.url}/shared/{share.access_token}", timeout=5).status_code == 404


def test_the_shared_page_asks_for_the_password_that_was_added(posthog: Emulator, number: int) -> None:
    run(SharePostHogDashboardOperator, dashboard_id=number, password="secret-{{ params.n }}")
    share = posthog.posthog.shares.of(number)
    assert share is not None
    assert (share.enabled, share.password_required) == (True, True)
    assert len(posthog.posthog.shares.passwords(share.id)) == 1


@pytest.mark.parametrize("options", [{"password": "12345678"}, {"password_required": True}])
def test_a_plan_without_passwords_is_named_in_the_error(
    posthog: Emulator, number: int, options: dict[str, Any]
) -> None:
    posthog.control.behaviour = Behaviour(advanced_permissions=False)
    with pytest.raises(NotAllowedError, match="requires the Advanced Permissions feature"):
        run(SharePostHogDashboardOperator, dashboard_id=number, **options)


def test_only_added_collaborators_are_counted(posthog: Emulator, number: int) -> None:
    posthog.posthog.change_dashboard(number, restriction_level=37)
    members = [posthog.posthog.member(MEMBER).uuid, posthog.posthog.add_member("third").uuid]
    assert run(AddPostHogCollaboratorsOperator, dashboard_id=as_text(number), user_uuids=members[0]) == 1
    assert run(AddPostHogCollaboratorsOperator, dashboard_id=number, user_uuids=members) == 1
    assert run(AddPostHogCollaboratorsOperator, dashboard_id=number, user_uuids=members) == 0
    assert [name for _, name, _ in posthog.posthog.collaborators(number)] == [MEMBER, "third"]


def test_a_collaborator_is_counted_if_the_answer_was_lost(posthog: Emulator, number: int, fast_retries: None) -> None:
    posthog.posthog.change_dashboard(number, restriction_level=37)
    posthog.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    uuid = posthog.posthog.member(MEMBER).uuid
    assert run(AddPostHogCollaboratorsOperator, dashboard_id=number, user_uuids=[uuid], max_retry_seconds=60) == 1


@pytest.mark.parametrize("return_url", [True, False])
def test_the_link_to_the_shared_page_exists_only_with_return_url(
    posthog: Emulator, number: int, return_url: bool
) -> None:
    task = SharePostHogDashboardOperator(task_id="t", dashboard_id=number, return_url=return_url)
    returned = task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert links(task) == {
        "PostHog dashboard": f"{posthog.url}/project/1/dashboard/{number}",
        "Shared page": returned or "",
    }
