"""Marks: how a dashboard is found again, so that a retry does not create a second one.

PostHog chooses the ids, and no field of a dashboard is unique. So each dashboard carries a mark, which is made from the
caller's key. What always holds:

- The mark is there from the moment at which the dashboard exists, because the create sends it. It is the end of the
  description, in brackets. A tag would not do: creates with new tags fail at random (see ``fields``).
- A template replaces the description. So if anything must be set after the create, the mark is also the end of the
  name. The update that sets everything removes it from there. A name that ends with a mark says that the dashboard is
  not finished.
- A dashboard whose tags have the mark is found too: earlier versions put it there.
- If several dashboards carry the same mark, the oldest counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_databrain.client.errors import (
    ApiError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.posthog.api import dashboards
from airflow_provider_databrain.posthog.api.dashboards import (
    create_dashboard,
    delete_dashboard,
    list_dashboards,
    retrieve_dashboard,
)
from airflow_provider_databrain.posthog.api.endpoint import Steps, is_gone
from airflow_provider_databrain.posthog.api.fields import changeable, explained, is_as_asked, set_fields
from airflow_provider_databrain.posthog.api.models import LONGEST_NAME, Dashboard, DashboardChange, NewDashboard

HALF_MADE_AFTER = ("use_template:", "use_dashboard:")
"""After an error that begins with one of these, PostHog leaves a half-made dashboard behind."""
TITLES = {"DEFAULT_APP": "Product analytics", "WEBSITE_TRAFFIC": ""}
"""The names that PostHog gives without one of ours, for the values of ``use_template`` that are no template's name."""
_NEVER_SET = ("tags", "variables")
"""Fields that a create does not set; tags are not sent."""
_BY_COPY = (*_NEVER_SET, "filters", "breakdown_colors", "data_color_theme_id")
"""Fields that a copy may take from its source although others were asked for."""
_MARK = re.compile(r"airflow-[0-9a-f]{20}")
_BRACKETS = re.compile(r"\[([^\[\]]+)\]\s*$")


def mark_of(key: str) -> str:
    """The mark for a key.

    It is a digest, because PostHog may change the case and the blanks of a tag, and two keys must not get the same tag.
    """
    return f"airflow-{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=10).hexdigest()}"


def is_mark(text: str) -> bool:
    """Whether this is the mark of some key."""
    return _MARK.fullmatch(text) is not None


def marked_description(description: str | None, mark: str) -> str:
    """A description that ends with the mark."""
    return f"{description or ''}\n[{mark}]".lstrip()


def marked_name(name: str | None, mark: str) -> str:
    """A name that ends with the mark. A long name is cut."""
    ending = f"[{mark}]"
    begin = (name or "").strip()[: LONGEST_NAME - len(ending) - 1]
    return f"{begin} {ending}".strip()


def possible_marks(dashboard: Dashboard) -> set[str]:
    """Every string of a dashboard that can be a mark: its tags, and the brackets at the end of description and name."""
    ends = (_end(dashboard.description), _end(dashboard.name))
    return {*(dashboard.tags or ()), *(end for end in ends if end)}


def is_unfinished(dashboard: Dashboard, mark: str) -> bool:
    """Whether the dashboard's name ends with the mark: the update after its create has not been done."""
    return _end(dashboard.name) == mark


def find_marked(dashboards: Iterable[Dashboard], mark: str) -> list[Dashboard]:
    """The dashboards that carry the mark, the oldest first."""
    return sorted(
        (dashboard for dashboard in dashboards if mark in possible_marks(dashboard)), key=lambda each: each.id
    )


def find_or_create_dashboard(dashboard: NewDashboard, key: str) -> Steps[tuple[Dashboard, bool]]:
    """The dashboard that carries the mark of ``key``. If none exists, create it.

    A dashboard that an earlier call has created and not finished is finished. If two tasks do this at the same moment,
    each may create a dashboard. The next call finds both and takes the older.

    :return: the dashboard, and whether it was created.
    :raises InvalidRequestError: PostHog did not keep a field. The dashboard exists and is found again.
    """
    mark = mark_of(key)
    found = yield from look(mark)
    if found:
        finished = not is_unfinished(found[0], mark)
        return (found[0] if finished else (yield from finish(found[0], dashboard, mark))), False
    try:
        return (yield from create_marked(dashboard, mark)), True
    except ApiError as error:
        if not error.ambiguous:
            raise
        found = yield from look(mark)
        if not found:
            raise
    return (yield from finish(found[0], dashboard, mark)), True


def look(mark: str) -> Steps[list[Dashboard]]:
    """The dashboards that carry the mark, the oldest first.

    PostHog's search is asked first, because its answer is short. A server that does not know it lists all dashboards.
    What the search does not find may exist nevertheless, so then all dashboards are listed.
    """
    answered = yield from list_dashboards(search=mark)
    found = find_marked(answered, mark)
    was_ignored = bool(answered) and not any(getattr(each, "search_match_type", None) for each in answered)
    return found if found or was_ignored else find_marked((yield from list_dashboards()), mark)


def creation(dashboard: NewDashboard, mark: str) -> NewDashboard:
    """What is sent to create a dashboard: with the mark, without tags."""
    sent: dict[str, Any] = {"tags": None, "description": marked_description(dashboard.description, mark)}
    overwritten = _BY_COPY if dashboard.use_dashboard else _NEVER_SET
    if dashboard.use_template or any(getattr(dashboard, name) is not None for name in overwritten):
        # An update must follow. Until then the name shows that the dashboard is not finished.
        sent["name"] = marked_name(dashboard.name, mark)
    return dashboard.model_copy(update=sent)


def create_marked(dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Create a dashboard whose mark no other dashboard carries, and give it all fields that were asked for.

    :raises InvalidRequestError: PostHog did not keep a field. The dashboard exists, with the mark.
    """
    created = yield from create_unfinished(dashboard, mark)
    asked = finished_fields(created, dashboard, mark)
    return created if is_as_asked(asked, created) else (yield from set_fields(created.id, asked))


def create_unfinished(dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Create a dashboard with the mark. The answer shows what an update must set.

    If PostHog refuses the template or the source dashboard, the half-made dashboard that it leaves behind is deleted.
    After an ambiguous failure the caller must look for the mark.

    :raises MalformedAnswerError: the answer is about another dashboard. The new one may exist.
    """
    try:
        with explained(changeable(dashboard)):
            created: Dashboard = yield create_dashboard(creation(dashboard, mark))
    except InvalidRequestError as refused:
        if refused.message.startswith(HALF_MADE_AFTER):
            try:
                yield from remove_marked(mark)
            except ApiError as error:
                refused.message += f"; PostHog left a half-made dashboard behind, which could not be deleted: {error}"
        raise
    if created.model_fields_set & {"name", "description"} and mark not in possible_marks(created):
        # Something in between may have sent the answer to another create.
        others = MalformedAnswerError(
            f"the answer shows dashboard {created.id}, which does not carry the mark that was sent; it is not used"
        )
        others.endpoint = dashboards.CREATE_DASHBOARD.name
        raise others
    return created


def finish(found: Dashboard, dashboard: NewDashboard, mark: str) -> Steps[Dashboard]:
    """Give a dashboard that was found by its mark all fields that were asked for.

    A list does not show all fields, so all are sent.
    """
    return (yield from set_fields(found.id, finished_fields(found, dashboard, mark)))


def finished_fields(shown: Dashboard, dashboard: NewDashboard, mark: str) -> dict[str, Any]:
    """The fields of the finished dashboard, under the API's names: those that are asked for, and the mark.

    :param shown: the dashboard as it is.
    """
    asked = changeable(dashboard)
    if dashboard.description is not None or _end(shown.description) != mark:
        text = shown.description if dashboard.description is None else dashboard.description
        asked["description"] = marked_description(text, mark)
    if dashboard.name is None and is_unfinished(shown, mark):
        asked["name"] = _unmarked(shown.name) or _title_of(dashboard.use_template)
    return asked


def update_as_asked(dashboard_id: int, change: DashboardChange | Mapping[str, Any]) -> Steps[Dashboard]:
    """Change some fields of a dashboard, and check in the answer that PostHog has set them.

    A new description keeps the mark of the old one, which is read first. The update is sent again after an ambiguous
    failure, because the same values can be set twice. If it adds a tile, it is not sent again. PostHog ignores empty
    ``filters``; they are cleared by setting each existing filter to null.

    :raises ValueError: a field is unknown or has a wrong value.
    :raises InvalidRequestError: PostHog did not keep a field, for example it ignores empty ``variables``.
    """
    fields = change if isinstance(change, DashboardChange) else DashboardChange.model_validate(change)
    asked = wire(fields)
    if fields.description is not None and _end(fields.description) is None:
        shown: Dashboard = yield retrieve_dashboard(dashboard_id)
        mark = _end(shown.description)
        if mark is not None and is_mark(mark):
            asked["description"] = marked_description(fields.description, mark)
    return (yield from set_fields(dashboard_id, asked))


def remove_marked(mark: str, *, delete_insights: bool = False) -> Steps[int]:
    """Delete every dashboard that carries the mark; returns how many carried it.

    :param delete_insights: also delete their insights that are on no other dashboard.
    """
    found = find_marked((yield from list_dashboards()), mark)
    for dashboard in found:
        try:
            yield delete_dashboard(dashboard.id, delete_insights=delete_insights)
        except NotFoundError as error:
            if not is_gone(error):
                raise
    return len(found)


def _end(text: str | None) -> str | None:
    """What is in the brackets at the end of a text."""
    end = _BRACKETS.search(text or "")
    return end[1] if end else None


def _unmarked(text: str | None) -> str:
    return _BRACKETS.sub("", text or "").strip()


def _title_of(template: str | None) -> str:
    """The name that PostHog gives to a dashboard from this template."""
    return TITLES.get(template, template) if template else ""
