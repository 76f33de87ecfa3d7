"""Calls to PostHog that take more than one request: find or create, and what keys with scopes may do instead.

PostHog gives a dashboard's id itself, and neither its name nor anything else is unique. So a dashboard that shall be
found again carries a mark: a tag, and the same at the end of its description, because PostHog ignores tags where the
organization has no tagging.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
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

GHOSTLY = ("use_template:", "use_dashboard:")
"""How errors begin after which PostHog leaves a half-made dashboard behind."""


def mark_of(key: str) -> str:
    """The mark of what is found again by ``key``.

    It is a digest, because tags may be changed in case and blanks, and two keys must not become one.
    """
    return f"airflow-{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=10).hexdigest()}"


def marked(dashboard: NewDashboard, mark: str) -> NewDashboard:
    """The dashboard to be created, with its mark."""
    described = with_mark(dashboard.description, mark)
    return dashboard.model_copy(update={"tags": [*(dashboard.tags or ()), mark], "description": described})


def with_mark(description: str | None, mark: str) -> str:
    """A description that ends with the mark."""
    return f"{description or ''}\n[{mark}]".lstrip()


def mark_on(dashboard: Dashboard) -> set[str]:
    """Every mark that a dashboard may carry: its tags, and the end of its description."""
    end = re.search(r"\[([^\[\]]+)\]\s*$", dashboard.description or "")
    return {*(dashboard.tags or ()), *(end.groups() if end else ())}


def with_that_mark(dashboards: Iterable[Dashboard], mark: str) -> list[Dashboard]:
    """Those that carry the mark, the oldest first."""
    return sorted((one for one in dashboards if mark in mark_on(one)), key=lambda one: one.id)


def find_or_create_dashboard(dashboard: NewDashboard, key: str) -> Steps[tuple[Dashboard, bool]]:
    """The dashboard that carries the mark of ``key``; a new one where there is none.

    Two tasks that do this at the same moment may make one each; whoever comes next finds both, and takes the older.

    :return: the dashboard, and whether it was created.
    """
    mark = mark_of(key)
    found = with_that_mark((yield from list_dashboards()), mark)
    if found:
        return found[0], False
    return (yield from create_marked(marked(dashboard, mark), mark)), True


def create_marked(dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Create a marked dashboard of which none was there.

    After an unclear failure the list shows whether it was created. After a refused template or source, what PostHog
    left behind half made is deleted.
    """
    try:
        created: Dashboard = yield create_dashboard(dashboard)
    except InvalidRequestError as refused:
        if refused.message.startswith(GHOSTLY):
            try:
                yield from remove_marked(mark)
            except ApiError as error:
                refused.message += f" What PostHog left behind half made could not be deleted: {error}"
        raise
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = with_that_mark((yield from list_dashboards()), mark)
        if not found:
            raise
        created = found[0]
    changes = _overwritten(dashboard, created, mark)
    if changes:
        created = yield update_dashboard(created.id, changes)
    return created


def _overwritten(dashboard: NewDashboard, created: Dashboard, mark: str) -> dict[str, Any]:
    """What of a new dashboard a template has put its own in place of; the mark is part of the description."""
    if dashboard.use_template is None:
        return {}
    changes: dict[str, Any] = {}
    if dashboard.description != with_mark(None, mark):
        if created.description != dashboard.description:
            changes["description"] = dashboard.description
    elif mark not in mark_on(created):
        changes["description"] = with_mark(created.description, mark)
    if dashboard.filters is not None and created.filters != dashboard.filters:
        changes["filters"] = dashboard.filters
    return changes


def remove_marked(mark: str, *, delete_insights: bool = False) -> Steps[int]:
    """Delete whatever carries the mark; returns how many that were.

    :param delete_insights: those of its insights too that are on no other dashboard.
    """
    found = with_that_mark((yield from list_dashboards()), mark)
    for one in found:
        with suppress(NotFoundError):
            yield delete_dashboard(one.id, delete_insights=delete_insights)
    return len(found)
