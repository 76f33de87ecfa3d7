"""Dashboards: list, create, retrieve, update, delete, restore.

Names are not unique, and each create makes another dashboard. ``marks`` creates a dashboard that can be found again.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.models import json_body, reader, wire
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, DASHBOARDS, endpoint, for_dashboard
from airflow_provider_databrain.posthog.api.models import Dashboard, DashboardChange, DashboardPage, NewDashboard

PAGE_SIZE = 5_000
"""Dashboards requested per page. If the server returns fewer, its answer says where the next page begins."""
LARGEST_PAGE = 25_000
"""Dashboards per page if the list is read again. The answer must stay below the connection's ``max_answer_mib``."""
READS = 10
"""How often a list is read until it is complete."""
LONGEST_SEARCH = 200
"""Characters of ``search`` that PostHog accepts."""
LIST_DASHBOARDS = endpoint("list dashboards", "GET", DASHBOARDS, "dashboard:read")
CREATE_DASHBOARD = endpoint("create dashboard", "POST", DASHBOARDS, "dashboard:write", Resend.IF_UNPROCESSED)
RETRIEVE_DASHBOARD = endpoint("retrieve dashboard", "GET", DASHBOARD, "dashboard:read")
UPDATE_DASHBOARD = endpoint("update dashboard", "PATCH", DASHBOARD, "dashboard:write")
# PostHog answers 405 to DELETE. A PATCH deletes a dashboard, and another PATCH restores it.
DELETE_DASHBOARD = endpoint("delete dashboard", "PATCH", DASHBOARD, "dashboard:write", Resend.DETECTABLE)
RESTORE_DASHBOARD = endpoint("restore dashboard", "PATCH", DASHBOARD, "dashboard:write")
_read_page = reader(DashboardPage)
_read_dashboard = reader(Dashboard)


def list_page(
    *,
    limit: int = PAGE_SIZE,
    offset: int = 0,
    tags: Sequence[str] = (),
    search: str | None = None,
    creation_mode: str | None = None,
    exclude_generated: bool = False,
) -> Request[DashboardPage]:
    """One page of the project's dashboards: pinned ones first, then by name. Deleted ones are not listed.

    The order of dashboards with the same name differs from page to page, so a page may lack one that no other page has.
    ``list_dashboards`` notices that. For the filters see there.
    """
    query: dict[str, str | Sequence[str]] = {"limit": str(limit), "offset": str(offset)}
    if isinstance(tags, str):
        raise ValueError(f"tags is {tags!r}; it must be a list of strings")
    if tags:
        query["tags"] = list(tags)
    if search is not None:
        if not search.strip() or len(search) > LONGEST_SEARCH:
            raise ValueError(f"search must have 1 to {LONGEST_SEARCH} characters, not only blanks")
        query["search"] = search
    if creation_mode is not None:
        query["creation_mode"] = creation_mode
    if exclude_generated:
        query["exclude_generated"] = "true"
    return Request(LIST_DASHBOARDS, _read_page, query=query)


def list_dashboards(
    *,
    tags: Sequence[str] = (),
    search: str | None = None,
    creation_mode: str | None = None,
    exclude_generated: bool = False,
) -> Generator[Request[DashboardPage], DashboardPage, list[Dashboard]]:
    """All dashboards of the project. A server that does not know a filter ignores it and lists all.

    The list counts as complete if it has as many dashboards as ``count`` says. Otherwise it is read again, with larger
    pages. What all reads have found counts together, if the count stays the same. Only the offset is read from the next
    page's URL, so every request goes to the connection's host.

    :param tags: only dashboards with at least one of these tags; known since late 2025.
    :param search: only dashboards whose name, description or tags contain this, or are similar; known since 2026. At
        most 200 characters.
    :param creation_mode: ``default``, ``template``, ``duplicate`` or ``unlisted``; known since late 2025.
    :param exclude_generated: leave out dashboards that PostHog generated for a feature flag; known since 2026.
    :raises ValueError: a filter has a wrong value.
    :raises MalformedAnswerError: the next page does not begin after the current one, or the list stays incomplete.
    """
    filters: dict[str, Any] = {
        "tags": tags,
        "search": search,
        "creation_mode": creation_mode,
        "exclude_generated": exclude_generated,
    }
    size, together, constant = PAGE_SIZE, dict[int, Dashboard](), -1
    for _ in range(READS):
        listed, counts = yield from _read_pages(size, filters)
        count = max(counts, default=0)
        if set(counts) != {constant}:
            # Dashboards were created or deleted, so what earlier reads have found may be gone.
            together, constant = {}, count if len(set(counts)) == 1 else -1
        together.update(listed)
        # If the count changes between two pages, a dashboard may have moved to a page that was read before.
        if len(listed) >= count and (len(counts) == 1 or len(set(counts)) <= 1):
            return list(listed.values())
        # As long as the count stays the same, what one read has missed, another one may have found.
        if constant >= 0 and len(together) == count:
            return list(together.values())
        size = LARGEST_PAGE
    error = MalformedAnswerError(
        f"PostHog says that there are {count} dashboards and lists {len(listed)}; the list was read {READS} times. "
        "Nothing is concluded from a list that may be incomplete; try again later",
        ambiguous=False,
    )
    error.endpoint = LIST_DASHBOARDS.name
    raise error


def _read_pages(
    size: int, filters: Mapping[str, Any]
) -> Generator[Request[DashboardPage], DashboardPage, tuple[dict[int, Dashboard], list[int]]]:
    """All pages once: the dashboards by id, and the count that each page says."""
    found: dict[int, Dashboard] = {}
    counts: list[int] = []
    offset = 0
    while True:
        page = yield list_page(limit=size, offset=offset, **filters)
        found.update((dashboard.id, dashboard) for dashboard in page.results)
        if page.count is not None:
            counts.append(page.count)
        if not page.next or not page.results:
            return found, counts
        following = _offset(page.next)
        if following is None or following <= offset:
            raise MalformedAnswerError(
                f"the next page must begin after offset {offset}, not at {following}", transient=False
            )
        offset = following


def create_dashboard(dashboard: NewDashboard | Mapping[str, Any]) -> Request[Dashboard]:
    """Create a dashboard: blank, from a template, or as a copy of another dashboard.

    It is not sent again after an ambiguous failure, because each create makes another dashboard.

    :raises ValueError: a field is unknown or has a wrong value, or both a template and a source dashboard are named.
    """
    new = dashboard if isinstance(dashboard, NewDashboard) else NewDashboard.model_validate(dashboard)
    if new.use_template and new.use_dashboard:
        raise ValueError("use_template and use_dashboard cannot be used together")
    return Request(CREATE_DASHBOARD, _read_dashboard, body=json_body(wire(new)))


def retrieve_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """One dashboard with its tiles. PostHog counts this as a view."""
    return Request(RETRIEVE_DASHBOARD, _read_dashboard, **for_dashboard(dashboard_id))


def update_dashboard(dashboard_id: int, change: DashboardChange | Mapping[str, Any]) -> Request[Dashboard]:
    """Change some fields of a dashboard.

    It is sent again after an ambiguous failure, because the same values can be set twice. If it adds a tile, it is not
    sent again.

    :raises ValueError: a field is unknown or has a wrong value.
    """
    fields = change if isinstance(change, DashboardChange) else DashboardChange.model_validate(change)
    adds = any("id" not in tile for tile in fields.tiles or ())
    endpoint = replace(UPDATE_DASHBOARD, resend=Resend.IF_UNPROCESSED) if adds else UPDATE_DASHBOARD
    return Request(endpoint, _read_dashboard, body=json_body(wire(fields)), **for_dashboard(dashboard_id))


def delete_dashboard(dashboard_id: int, *, delete_insights: bool = False) -> Request[Dashboard]:
    """Delete a dashboard. ``restore_dashboard`` undoes this.

    :param delete_insights: also delete its insights that are on no other dashboard.
    :raises NotFoundError: the dashboard does not exist or is already deleted. If ``after_ambiguous`` is set, an earlier
        try of this call may have deleted it.
    """
    body = {"deleted": True} | ({"delete_insights": True} if delete_insights else {})
    return Request(DELETE_DASHBOARD, _read_dashboard, body=json_body(body), **for_dashboard(dashboard_id))


def restore_dashboard(dashboard_id: int) -> Request[Dashboard]:
    """Undo ``delete_dashboard``."""
    # Older servers restore only if this is the only field.
    return Request(
        RESTORE_DASHBOARD, _read_dashboard, body=json_body({"deleted": False}), **for_dashboard(dashboard_id)
    )


def _offset(address: str) -> int | None:
    try:
        [offset] = parse_qs(urlsplit(address).query)["offset"]
        return int(offset)
    except (KeyError, ValueError):
        return None
