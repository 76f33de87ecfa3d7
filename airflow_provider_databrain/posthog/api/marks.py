"""Marks: how a dashboard is found again, so that a retry does not create a second one.

PostHog chooses the ids, and no field of a dashboard is unique. So each dashboard carries a mark, which is made from the
caller's key. The mark is a tag, and it is also the end of the description, because PostHog ignores tags if the
organization has no tagging. If several dashboards carry the same mark, the oldest counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from airflow_provider_databrain.client.errors import ApiError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.posthog.api.dashboards import (
    create_dashboard,
    delete_dashboard,
    list_dashboards,
    update_dashboard,
)
from airflow_provider_databrain.posthog.api.endpoint import Steps
from airflow_provider_databrain.posthog.api.models import Dashboard, NewDashboard

HALF_MADE_AFTER = ("use_template:", "use_dashboard:")
"""After an error that begins with one of these, PostHog leaves a half-made dashboard behind."""


def mark_of(key: str) -> str:
    """The mark for a key.

    It is a digest, because PostHog may change the case and the blanks of a tag, and two keys must not get the same tag.
    """
    return f"airflow-{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=10).hexdigest()}"


def marked(dashboard: NewDashboard, mark: str) -> NewDashboard:
    """The new dashboard with the mark in its tags and its description."""
    described = marked_description(dashboard.description, mark)
    return dashboard.model_copy(update={"tags": [*(dashboard.tags or ()), mark], "description": described})


def marked_description(description: str | None, mark: str) -> str:
    """A description that ends with the mark."""
    return f"{description or ''}\n[{mark}]".lstrip()


def possible_marks(dashboard: Dashboard) -> set[str]:
    """Every string of a dashboard that can be a mark: its tags, and the brackets at the end of its description."""
    end = re.search(r"\[([^\[\]]+)\]\s*$", dashboard.description or "")
    return {*(dashboard.tags or ()), *(end.groups() if end else ())}


def find_marked(dashboards: Iterable[Dashboard], mark: str) -> list[Dashboard]:
    """The dashboards that carry the mark, the oldest first."""
    return sorted(
        (dashboard for dashboard in dashboards if mark in possible_marks(dashboard)), key=lambda each: each.id
    )


def find_or_create_dashboard(dashboard: NewDashboard, key: str) -> Steps[tuple[Dashboard, bool]]:
    """The dashboard that carries the mark of ``key``. If none exists, create it.

    If two tasks do this at the same moment, each may create a dashboard. The next call finds both and takes the older.

    :return: the dashboard, and whether it was created.
    """
    mark = mark_of(key)
    found = find_marked((yield from list_dashboards()), mark)
    if found:
        return found[0], False
    return (yield from create_marked(marked(dashboard, mark), mark)), True


def create_marked(dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Create a dashboard whose mark no other dashboard carries.

    After an ambiguous failure, the list shows whether it was created. If PostHog refuses the template or the source
    dashboard, the half-made dashboard that it leaves behind is deleted.
    """
    try:
        created: Dashboard = yield create_dashboard(dashboard)
    except InvalidRequestError as refused:
        if refused.message.startswith(HALF_MADE_AFTER):
            try:
                yield from remove_marked(mark)
            except ApiError as error:
                refused.message += f"; PostHog left a half-made dashboard behind, which could not be deleted: {error}"
        raise
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = find_marked((yield from list_dashboards()), mark)
        if not found:
            raise
        created = found[0]
    changes = _overwritten(dashboard, created, mark)
    if changes:
        created = yield update_dashboard(created.id, changes)
    return created


def _overwritten(dashboard: NewDashboard, created: Dashboard, mark: str) -> dict[str, Any]:
    """The fields of a new dashboard that its template has overwritten. The description includes the mark."""
    if dashboard.use_template is None:
        return {}
    changes: dict[str, Any] = {}
    if dashboard.description != marked_description(None, mark):
        if created.description != dashboard.description:
            changes["description"] = dashboard.description
    elif mark not in possible_marks(created):
        changes["description"] = marked_description(created.description, mark)
    if dashboard.filters is not None and created.filters != dashboard.filters:
        changes["filters"] = dashboard.filters
    return changes


def remove_marked(mark: str, *, delete_insights: bool = False) -> Steps[int]:
    """Delete every dashboard that carries the mark; returns how many carried it.

    :param delete_insights: also delete their insights that are on no other dashboard.
    """
    found = find_marked((yield from list_dashboards()), mark)
    for dashboard in found:
        try:
            yield delete_dashboard(dashboard.id, delete_insights=delete_insights)
        except NotFoundError as error:
            error.raise_unless_from_api()
    return len(found)
