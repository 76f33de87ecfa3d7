"""The emulated PostHog's dashboards and their collaborators.

A deleted dashboard is kept, but only an update that restores it finds it.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import (
    DASHBOARD_FIELDS,
    Call,
    checked,
    forbidden,
    invalid,
    is_storable,
    level,
    not_found,
    required,
    server_error,
)
from airflow_provider_databrain.emulator.posthog.edits import Edits
from airflow_provider_databrain.emulator.posthog.order import unsteady
from airflow_provider_databrain.emulator.posthog.search import search, wants_search
from airflow_provider_databrain.emulator.posthog.state import COLLABORATORS, EVERYONE, DashboardRow, PostHogState
from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.posthog.tags import Tags
from airflow_provider_databrain.emulator.posthog.templates import TEMPLATES, fill, replaced
from airflow_provider_databrain.emulator.posthog.views import Views

PAGE_SIZE = 100
THEMES = (1, 2, 3, 4)
"""The ids of the color themes that exist."""
_COPIED = ("variables", "breakdown_colors", "data_color_theme_id")
"""The fields that a copy takes from its source, if the source has a value."""
NO_EDIT = "You don't have edit permissions for this dashboard."
_NO_RESTRICT = (
    "Only the dashboard owner and project admins have the restriction rights required to change the dashboard's "
    "restriction level."
)


class Dashboards:
    """Lists, creates, shows, updates and deletes dashboards."""

    def __init__(self, state: PostHogState, control: Control, views: Views) -> None:
        self._state = state
        self._control = control
        self._views = views
        self._tags = Tags(state, control)

    def list_page(self, call: Call) -> dict[str, Any]:
        """List one page of a project's dashboards, with the URLs of the next and the previous page."""
        query = call.request.query_params
        limit, offset = _natural(query.get("limit")) or PAGE_SIZE, _natural(query.get("offset"))
        tags, mode = query.getlist("tags"), query.get("creation_mode")
        if self._control.behaviour.posthog_version == "2025-08":
            tags, mode = [], None
        keys = unsteady(self._state.listed(call.project, tags=tags, creation_mode=mode), self._control.random("lists"))
        matches: dict[int, str | None] = {}
        newest = self._control.behaviour.posthog_version >= "2026-07"
        if newest and wants_search(query):
            matches = {row.id: match for row, match in search(self._state.all_of(keys), query)}
            keys = list(matches)
        total = len(keys)
        rows = self._state.all_of(keys[offset : offset + limit])
        return {
            "count": total,
            "next": _page(call, limit, offset + limit) if offset + limit < total else None,
            "previous": _page(call, limit, max(0, offset - limit)) if offset > 0 else None,
            "results": [
                self._views.basic(row, call.member) | ({"search_match_type": matches.get(row.id)} if newest else {})
                for row in rows
            ],
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """Create a dashboard: empty, from a template, or as a copy.

        What fails after the dashboard was saved leaves it there, as on the real server: a template or, before 2026-07,
        a source that does not exist, and a tag that cannot be written. ``variables`` are ignored.
        """
        data = call.data()
        fields = self._fields(data)
        template, source = fields.pop("use_template", None), fields.pop("use_dashboard", None)
        fields.pop("delete_insights", None)
        fields["creation_mode"] = "template" if template else "duplicate" if source else "default"
        checks_first = self._control.behaviour.posthog_version >= "2026-07"
        original = self._source(call, source) if source and checks_first else None
        fields["filters"] = _filters(data.get("filters")) or (original.fields["filters"] if original else {})
        tags, deleted = fields.pop("tags", None), fields.pop("deleted", False)
        _check_storable(fields)
        key = self._state.add_dashboard(project=call.project, owner=call.member.name, **fields)
        if deleted:
            self._state.change_dashboard(key, deleted=True)
        if template:
            self._use_template(call, key, template)
        elif source:
            self._copy(call, key, original or self._source(call, source), deep=bool(data.get("duplicate_tiles")))
        if tags is not None:
            await self._tags.write(key, tags)
        return self._shown(key, call)

    def retrieve(self, call: Call) -> dict[str, Any]:
        """Show a dashboard and note the time of access."""
        row = self.find(call)
        self._state.change_dashboard(row.id, last_accessed_at=now())
        return self._shown(row.id, call)

    async def update(self, call: Call) -> dict[str, Any]:
        """Change the fields and tiles that are sent. The others stay.

        Fields are saved first, then tags, then tiles. What fails keeps what was saved before. Filters and variables
        that are empty change nothing.
        """
        data = call.data()
        row = self._find_to_change(call, restore=self._restores(data))
        if not self._views.may_edit(row, call.member):
            raise forbidden(NO_EDIT)
        fields = self._fields(data)
        for name in ("use_template", "use_dashboard"):
            fields.pop(name, None)
        deletes_insights = fields.pop("delete_insights", False)
        if "restriction_level" in fields and not self._views.may_restrict(row, call.member):
            raise forbidden(_NO_RESTRICT)
        fields |= {name: _filters(data[name]) for name in ("filters", "variables") if data.get(name)}
        tags = fields.pop("tags", None)
        _check_storable(fields)
        if fields.get("deleted") and deletes_insights:
            self._delete_insights(row.id)
        self._state.change_dashboard(row.id, **fields)
        if tags is not None:
            await self._tags.write(row.id, tags)
        edits = Edits(self._state, row.id, call.member.name, self._control.behaviour.posthog_version)
        edits.apply(data.get("tiles", []))
        return self._shown(row.id, call)

    def delete(self, call: Call) -> Response:
        """Refuse the method: an update deletes a dashboard."""
        return Response(None, 405, {"allow": "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"})

    def find(self, call: Call) -> DashboardRow:
        """Return the dashboard in the path, if it is not deleted."""
        return dashboard_of(self._state, call, "Not found.")

    def _restores(self, data: dict[str, Any]) -> bool:
        """Whether an update may find a deleted dashboard."""
        if self._control.behaviour.posthog_version < "2026-07":
            return data.keys() == {"deleted"} and not data["deleted"]
        deleted = data.get("deleted")
        return deleted is not None and str(deleted).lower() not in ("y", "yes", "t", "true", "on", "1")

    def _find_to_change(self, call: Call, *, restore: bool) -> DashboardRow:
        return dashboard_of(self._state, call, "Not found.", deleted=restore)

    def _fields(self, data: dict[str, Any]) -> dict[str, Any]:
        known = dict(DASHBOARD_FIELDS)
        if self._control.behaviour.posthog_version == "2025-08":
            del known["last_accessed_at"]
        fields = checked(data, known)
        if not self._control.behaviour.tagging:
            fields.pop("tags", None)
        fields.pop("_create_in_folder", None)
        if fields.get("use_template") and fields.get("use_dashboard"):
            raise invalid("`use_dashboard` and `use_template` cannot be used together")
        return fields

    def _use_template(self, call: Call, key: int, name: str) -> None:
        if name not in TEMPLATES:
            raise invalid(f"Invalid template provided: {name}", "use_template")
        [row] = self._state.found(key)
        self._state.change_dashboard(key, **replaced(name, row.fields, tagging=self._control.behaviour.tagging))
        fill(self._state.contents, key, TEMPLATES[name].tiles, call.project)

    def _source(self, call: Call, source: int) -> DashboardRow:
        rows = self._state.found(source)
        if not rows or rows[0].project != call.project or rows[0].deleted:
            raise invalid("Invalid value provided", "use_dashboard")
        return rows[0]

    def _copy(self, call: Call, key: int, source: DashboardRow, *, deep: bool) -> None:
        """Fill a new dashboard from another one. A copy that is not deep shares the insights and the texts."""
        copied = {name: source.fields[name] for name in _COPIED if source.fields[name]}
        self._state.change_dashboard(key, **copied)
        contents = self._state.contents
        for tile in contents.tiles(source.id):
            insight, text = tile.insight_id, tile.text.id if tile.text else None
            if deep and tile.text:
                # The copy of a text has no writer.
                text = contents.add_text(None, tile.text.body)
            if deep and insight is not None and (original := contents.insight(insight)):
                fields = {name: value for name, value in original.fields.items() if name != "short_id"}
                fields["name"] = f"{fields['name']} (Copy)" if fields["name"] else None
                insight = contents.add_insight(call.project, call.member.name, **fields)
            contents.add_tile(key, insight=insight, text=text, layouts=tile.layouts, color=tile.color)

    def _delete_insights(self, key: int) -> None:
        contents = self._state.contents
        for tile in contents.tiles(key):
            insight = None if tile.insight_id is None else contents.insight(tile.insight_id)
            if insight and all(dashboard == key for _, dashboard in contents.places(insight.id)):
                contents.change_insight(insight, deleted=True)

    def _shown(self, key: int, call: Call) -> dict[str, Any]:
        [row] = self._state.found(key)
        return self._views.full(row, call.member, overrides=call.request.query_params)


class Collaborators:
    """The members who may edit a restricted dashboard."""

    def __init__(self, state: PostHogState, views: Views) -> None:
        self._state = state
        self._views = views

    def list_all(self, call: Call) -> list[dict[str, Any]]:
        """List a dashboard's collaborators."""
        row = dashboard_of(self._state, call, "Dashboard not found.")
        return [self._shown(row.id, *entry) for entry in self._state.collaborators(row.id)]

    def add(self, call: Call) -> dict[str, Any]:
        """Add a collaborator."""
        row = editable(self._state, self._views, call, "Dashboard not found.")
        member = self._candidate(row, call.data())
        self._state.add_collaborator(row.id, member)
        return self._shown(row.id, *self._state.collaborators(row.id)[-1])

    def remove(self, call: Call) -> Response:
        """Remove a collaborator."""
        row = editable(self._state, self._views, call, "Dashboard not found.")
        names = [member.name for member in self._state.members() if member.uuid == call.path["user"]]
        if not names or not self._state.remove_collaborator(row.id, names[0]):
            raise not_found()
        return Response(None, 204)

    def _candidate(self, row: DashboardRow, data: dict[str, Any]) -> str:
        """Return the name of the member to add."""
        for name in ("level", "user_uuid"):
            if name not in data:
                raise required(name)
        wanted = level("level", data["level"])
        key = _uuid(data["user_uuid"])
        if self._views.effective_level(row) == EVERYONE:
            raise invalid("Cannot add collaborators to a dashboard on the lowest restriction level.")
        if wanted != COLLABORATORS:
            raise invalid("Only edit access can be explicitly specified currently.")
        members = [member for member in self._state.members() if member.uuid == key]
        if not members:
            raise invalid("User does not exist.")
        [member] = members
        if self._views.may_restrict(row, member):
            raise invalid("Cannot add collaborators that already have inherent access (the dashboard owner or admins).")
        if any(name == member.name for _, name, _ in self._state.collaborators(row.id)):
            raise invalid("User already is a collaborator.")
        if not member.access:
            raise invalid("Cannot add collaborators that have no access to the project.")
        return member.name

    def _shown(self, dashboard: int, key: str, member: str, added_at: str) -> dict[str, Any]:
        return {
            "id": key,
            "dashboard_id": dashboard,
            "user": self._views.user(member),
            "level": COLLABORATORS,
            "added_at": added_at,
            "updated_at": added_at,
        }


def editable(state: PostHogState, views: Views, call: Call, missing: str) -> DashboardRow:
    """Return the dashboard in the path, as ``dashboard_of`` does, if the member may edit it."""
    row = dashboard_of(state, call, missing)
    if not views.may_edit(row, call.member):
        raise forbidden(NO_EDIT)
    return row


def dashboard_of(state: PostHogState, call: Call, missing: str, *, deleted: bool = False) -> DashboardRow:
    """Return the dashboard in the path.

    :param missing: the message of the refusal if it does not exist or belongs to another project.
    :param deleted: it may be a deleted dashboard.
    """
    rows = state.found(call.key())
    if not rows or rows[0].project != call.project or (rows[0].deleted and not deleted):
        raise not_found(missing)
    return rows[0]


def _filters(value: Any) -> dict[str, Any]:
    """Return filters or variables that were sent. The server names both "Filters" if they are of another type."""
    if value and not isinstance(value, dict):
        raise invalid("Filters must be a dictionary")
    return value or {}


def _check_storable(fields: dict[str, Any]) -> None:
    """Refuse with 500 what the database cannot store. Then nothing is saved."""
    if fields.get("data_color_theme_id") not in (None, *THEMES) or not is_storable(fields):
        raise server_error()


def _natural(value: str | None) -> int:
    return int(value) if value and value.isdecimal() else 0


def _uuid(value: object) -> str:
    if value is None:
        raise invalid("This field may not be null.", "user_uuid", "null")
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise invalid("Must be a valid UUID.", "user_uuid") from None


def _page(call: Call, limit: int, offset: int) -> str:
    """Return a page's absolute URL, which keeps the request's other parameters."""
    url = call.request.url
    others = [pair for pair in call.request.query_params.multi_items() if pair[0] not in ("limit", "offset")]
    start = [("offset", str(offset))] if offset else []
    # The framework sorts the parameters.
    pairs = sorted([*others, ("limit", str(limit)), *start], key=lambda pair: pair[0])
    return f"{url.scheme}://{url.netloc}{url.path}?{urlencode(pairs)}"
