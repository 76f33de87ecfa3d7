"""PostHog's dashboards."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.models import json_body, reader, wire
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, DASHBOARDS, endpoint, for_dashboard
from airflow_provider_databrain.posthog.api.models import Dashboard, DashboardChange, DashboardPage, NewDashboard

PAGE_SIZE = 500
"""Dashboards that are asked for at a time; a server that grants fewer says where to go on."""
LIST_DASHBOARDS = endpoint("list dashboards", "GET", DASHBOARDS, "dashboard:read")
CREATE_DASHBOARD = endpoint("create dashboard", "POST", DASHBOARDS, "dashboard:write", Resend.IF_UNPROCESSED)
RETRIEVE_DASHBOARD = endpoint("retrieve dashboard", "GET", DASHBOARD, "dashboard:read")
UPDATE_DASHBOARD = endpoint("update dashboard", "PATCH", DASHBOARD, "dashboard:write")
# DELETE is answered 405; a dashboard is deleted by a PATCH, and can be restored by one.
DELETE_DASHBOARD = endpoint("delete dashboard", "PATCH", DASHBOARD, "dashboard:write", Resend.DETECTABLE)
RESTORE_DASHBOARD = endpoint("restore dashboard", "PATCH", DASHBOARD, "dashboard:write")
_read_page = reader(DashboardPage)
_read_dashboard = reader(Dashboard)


def list_page(*, limit: int = PAGE_SIZE, offset: int = 0) -> Request[DashboardPage]:
    """One page of the project's dashboards, pinned ones first, then by name; deleted ones are not among them."""
    return Request(LIST_DASHBOARDS, _read_page, query={"limit": str(limit), "offset": str(offset)})


def list_dashboards() -> Generator[Request[DashboardPage], DashboardPage, list[Dashboard]]:
    """All of the project's dashboards.

    Of the address of the next page only its offset is used: the calls stay on the connection's host.

    :raises MalformedAnswerError: the pages do not go forward.
    """
    found: dict[int, Dashboard] = {}
    offset = 0
    while True:
        page = yield list_page(offset=offset)
        # One that was created or renamed meanwhile moves the others, so that one may come twice.
        found.update((dashboard.id, dashboard) for dashboard in page.results)
        if not page.next or not page.results:
            return list(found.values())
        following = _offset(page.next)
        if following is None or following <= offset:
            raise MalformedAnswerError(f"the page after offset {offset} is told to be at {following}", transient=False)
        offset = following


def create_dashboard(dashboard: NewDashboard | Mapping[str, Any]) -> Request[Dashboard]:
    """Create a dashboard: blank, from a template, or as a copy of another one.

    It is not sent again after an unclear failure: names are not unique, and each create makes one more.

    :raises ValueError: a field is unknown or has a wrong value, or two origins are named.
    """
    new = dashboard if isinstance(dashboard, NewDashboard) else NewDashboard.model_validate(dashboard)
    if new.use_template and new.use_dashboard:
        raise ValueError("use_template and use_dashboard cannot be used together")
    return Request(CREATE_DASHBOARD, _read_dashboard, body=json_body(wire(new)))


def retrieve_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """One dashboard with its tiles; PostHog notes that it was looked at."""
    return Request(RETRIEVE_DASHBOARD, _read_dashboard, **for_dashboard(dashboard_id))


def update_dashboard(dashboard_id: int, change: DashboardChange | Mapping[str, Any]) -> Request[Dashboard]:
    """Change some of a dashboard's fields.

    Unclear failures are tried again, because the same values twice change nothing more; but not where a tile is added.

    :raises ValueError: a field is unknown or has a wrong value.
    """
    fields = change if isinstance(change, DashboardChange) else DashboardChange.model_validate(change)
    adds = any("id" not in tile for tile in fields.tiles or ())
    endpoint = replace(UPDATE_DASHBOARD, resend=Resend.IF_UNPROCESSED) if adds else UPDATE_DASHBOARD
    return Request(endpoint, _read_dashboard, body=json_body(wire(fields)), **for_dashboard(dashboard_id))


def delete_dashboard(dashboard_id: int, *, delete_insights: bool = False) -> Request[Dashboard]:
    """Delete a dashboard; ``restore_dashboard`` brings it back.

    One that is deleted already is a ``NotFoundError``, as is one that an earlier, unclear try of this call deleted
    (``after_ambiguous``).

    :param delete_insights: delete those of its insights too that are on no other dashboard.
    """
    body = {"deleted": True} | ({"delete_insights": True} if delete_insights else {})
    return Request(DELETE_DASHBOARD, _read_dashboard, body=json_body(body), **for_dashboard(dashboard_id))


def restore_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """Undo ``delete_dashboard``."""
    # Older servers restore only where this is the only key.
    return Request(
        RESTORE_DASHBOARD, _read_dashboard, body=json_body({"deleted": False}), **for_dashboard(dashboard_id)
    )


def _offset(address: str) -> int | None:
    try:
        [offset] = parse_qs(urlsplit(address).query)["offset"]
        return int(offset)
    except (KeyError, ValueError):
        return None
