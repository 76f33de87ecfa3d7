"""Adds the effect of requests that were sent but not recorded.

The numbers of the files show where requests are missing. There, the emulator's state must become what the next recorded
answer shows, before its request is sent. Where none is missing, only what the recording never made is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_databrain.emulator.compare.fills import Fills
from airflow_provider_databrain.emulator.compare.ids import Ids, named
from airflow_provider_databrain.emulator.compare.recordings import Recording
from airflow_provider_databrain.emulator.faults import PostHogVersion
from airflow_provider_databrain.emulator.posthog.sharing import SETTINGS
from airflow_provider_databrain.emulator.posthog.state import (
    COLLABORATORS,
    EVERYONE,
    MEMBER,
    OWNER,
    DashboardRow,
    PostHogState,
)

_FILTERS: dict[PostHogVersion, set[str]] = {
    "2025-08": set(),
    "2026-01": {"tags", "creation_mode"},
    "2026-07": {"tags", "creation_mode", "search"},
}
"""Parameters that may leave dashboards out of a list, by version."""


_NOWHERE = 10**9
"""An id that nothing has."""


class _Seen:
    """What recorded answers have shown since the last request that is missing."""

    def __init__(self) -> None:
        self._last = 0
        self._gaps = 0
        self._at: dict[tuple[object, ...], int] = {}

    def count(self, number: int | None) -> None:
        """Note the number of the next request."""
        self._gaps += number is None or number != self._last + 1
        self._last = number or 0

    def is_stale(self, *what: object) -> bool:
        """Whether a request is missing since an answer showed this. The present answer shows it."""
        before = self._at.get(what, 0)
        self._at[what] = self._gaps
        return before != self._gaps


class Gaps:
    """Adds to a state what a recording needs."""

    def __init__(self, state: PostHogState, ids: Ids, recordings: Sequence[Recording], version: PostHogVersion) -> None:
        self._state = state
        self._ids = ids
        self._recordings = recordings
        self._version = version
        self._fills = Fills(state, ids)
        self._seen = _Seen()

    def prepare(self) -> None:
        """Add what must exist from the start: projects, and the person who becomes a collaborator."""
        for recording in self._recordings:
            parts = recording.path.split("/")
            if recording.succeeded and parts[2:3] == ["projects"] and parts[3].isdecimal():
                self._state.add_project(int(parts[3]), f"Project {parts[3]}")
            if "/collaborators" in recording.path:
                self._add_people(recording)

    def _add_people(self, recording: Recording) -> None:
        """Find out who the members are that requests name."""
        body, sent = recording.answer.body, recording.data if isinstance(recording.data, dict) else {}
        detail = str(body.get("detail")) if isinstance(body, dict) else ""
        named_person = sent.get("user_uuid")
        if recording.answer.status == 201 or "already is" in detail:
            self._ids.add("word", named_person, self._state.member(MEMBER).uuid)
        elif "inherent access" in detail:
            self._ids.add("word", named_person, self._state.member(OWNER).uuid)
        elif "no access" in detail:
            self._ids.add("word", named_person, self._state.add_member("outsider", access=False).uuid)
        for item in body if isinstance(body, list) else ():
            self._ids.add("word", item["user"]["uuid"], self._state.member(MEMBER).uuid)

    def fill(self, recording: Recording) -> None:
        """Add what a request needs and the state lacks."""
        self._seen.count(recording.number)
        body = recording.answer.body
        if recording.answer.status == 404:
            self._take_away(recording)
            return
        if recording.path.rstrip("/").endswith("/dashboards") and isinstance(body, dict) and "results" in body:
            self._list(recording)
        for kind, key in named(recording.path):
            if kind == "dashboard":
                self._dashboard(recording, key)
            elif kind == "insight":
                shown = body if isinstance(body, dict) and "short_id" in body else {}
                self._fills.insight({**shown, "id": key}, recording.data or ())
                if shown and self._seen.is_stale("insight", key):
                    self._fills.changed_insight(shown, recording.data or ())
            elif kind == "password" and not self._ids.knows(kind, key):
                self._password(recording, key)
            elif kind in ("shared", "embedded"):
                self._link(key, body)
        if isinstance(recording.data, dict):
            self._named(recording, recording.data)

    def _take_away(self, recording: Recording) -> None:
        """Take away what was not found."""
        body, resources = recording.answer.body, dict(named(recording.path))
        if "dashboard" in resources and isinstance(body, dict):
            self._delete(resources["dashboard"], str(body.get("detail")), recording.path)
        if "/collaborators/" in recording.path and self._ids.knows("dashboard", resources["dashboard"]):
            self._state.remove_collaborator(self._ids.of("dashboard", resources["dashboard"]), MEMBER)
        if "password" in resources:
            self._ids.replace("password", resources["password"], _NOWHERE)

    def _list(self, recording: Recording) -> None:
        body = recording.answer.body
        items = body["results"]
        stale = [item for item in items if self._seen.is_stale("basic", item["id"])]
        for item in items:
            self._fills.counterpart(item["id"], item)
        for item in stale:
            self._fills.dashboard(item, {})
        if not _FILTERS[self._version] & recording.params.keys() and self._seen.is_stale("list", recording.path):
            others = [item for item in self._all(recording) if item["id"] not in {shown["id"] for shown in items}]
            for item in others:
                self._fills.dashboard(item, {})
            every = [*items, *others] if others else items
            if every:
                offset = 0 if others else int(recording.params.get("offset", 0))
                self._fills.others(every, body["count"], max(0, offset))

    def _all(self, recording: Recording) -> list[dict[str, Any]]:
        """Return the dashboards of the next recorded list that has as many and shows all of them."""
        place = self._recordings.index(recording)
        for other in [*self._recordings[place:], *self._recordings[:place]]:
            body = other.answer.body
            if other.path != recording.path or other.answer.status != 200 or not isinstance(body, dict):
                continue
            if body.get("count") == recording.answer.body["count"] == len(body.get("results", [])):
                return list(body["results"])
        return []

    def _dashboard(self, recording: Recording, key: int) -> None:
        body = recording.answer.body if isinstance(recording.answer.body, dict) else {}
        sent = recording.data if isinstance(recording.data, dict) else {}
        ending = recording.path.partition(f"/dashboards/{key}")[2].strip("/")
        shown = body if body.get("id") == key and ending in ("", "move_tile") else {}
        if recording.answer.streams and recording.answer.events():
            shown = recording.answer.events()[0].get("dashboard", {})
            shown |= {"tiles": _tiles(recording)}
        row = self._fills.counterpart(key, shown)
        if row.deleted and recording.succeeded and "deleted" not in sent:
            self._state.change_dashboard(row.id, deleted=False)
        if shown:
            # A tile that is moved away was there before.
            self._shown(recording, shown, {"tiles": [sent["tile"]]} if ending == "move_tile" else sent)
        elif ending in ("sharing", "sharing/refresh") and "access_token" in body:
            if self._seen.is_stale("sharing", key):
                self._fills.sharing(row, body, sent, refreshes=ending == "sharing/refresh")
        elif ending == "sharing/passwords" and recording.method == "POST":
            required = "must be enabled" not in str(body.get("error"))
            self._state.shares.save(row.id, password_required=required)
        elif ending.startswith("collaborators"):
            if self._seen.is_stale("collaborators", key):
                self._collaborators(recording, row)
        elif "edit permissions" in str(body.get("detail")):
            self._state.change_dashboard(row.id, restriction_level=COLLABORATORS)
            self._state.remove_collaborator(row.id, MEMBER)

    def _shown(self, recording: Recording, shown: dict[str, Any], sent: dict[str, Any]) -> None:
        """Change a dashboard whose answer shows it as a whole."""
        self._seen.is_stale("basic", shown["id"])
        if self._seen.is_stale("full", shown["id"]):
            hidden = {"filters": True} if "filters_override" in recording.params else {}
            hidden |= {"variables": True} if "variables_override" in recording.params else {}
            self._fills.dashboard(shown, {**sent, **hidden}, accessed=recording.method == "GET")
            row = self._fills.counterpart(shown["id"], shown)
            if recording.key == "key_member" and row.owner != MEMBER and row.fields["restriction_level"] > EVERYONE:
                self._collaborate(row, wanted=shown.get("effective_privilege_level") == COLLABORATORS)

    def _delete(self, key: int, detail: str, path: str) -> None:
        """Delete a dashboard that was not found."""
        itself = path.rstrip("/").endswith(f"/dashboards/{key}") and detail == "Not found."
        if itself or detail == "Dashboard not found.":
            self._state.change_dashboard(self._fills.counterpart(key, {}).id, deleted=True)

    def _named(self, recording: Recording, sent: dict[str, Any]) -> None:
        """Add the dashboards that a request's body names."""
        body, source = recording.answer.body, sent.get("use_dashboard")
        if isinstance(source, int) and isinstance(body, dict) and not isinstance(source, bool):
            if recording.succeeded:
                self._fills.source(
                    source, body, deep=bool(sent.get("duplicate_tiles")), filtered=bool(sent.get("filters"))
                )
            elif body.get("attr") == "use_dashboard":
                self._delete(source, "Dashboard not found.", "")
        if recording.succeeded and isinstance(sent.get("dashboards"), list):
            for key in sent["dashboards"]:
                self._fills.counterpart(key, {})

    def _collaborators(self, recording: Recording, row: DashboardRow) -> None:
        """Add or remove the collaborator, and restrict the dashboard or not, as an answer shows."""
        body, method = recording.answer.body, recording.method
        detail = str(body.get("detail")) if isinstance(body, dict) else ""
        if method == "POST":
            level = EVERYONE if "lowest restriction" in detail else COLLABORATORS
            self._state.change_dashboard(row.id, restriction_level=level)
        self._collaborate(row, wanted=bool(body) if method == "GET" else method == "DELETE" or "already is" in detail)

    def _collaborate(self, row: DashboardRow, *, wanted: bool) -> None:
        present = any(name == MEMBER for _, name, _ in self._state.collaborators(row.id))
        if wanted and not present:
            self._state.add_collaborator(row.id, MEMBER)
        elif present and not wanted:
            self._state.remove_collaborator(row.id, MEMBER)

    def _password(self, recording: Recording, key: int) -> None:
        dashboard = next(key for kind, key in named(recording.path) if kind == "dashboard")
        share = self._state.shares.save(self._ids.of("dashboard", dashboard))
        self._ids.add("password", key, self._state.shares.add_password(share.id, "", "owner@example.com").id)

    def _link(self, token: str, body: Any) -> None:
        """Share the dashboard of a public link that answered, without a password."""
        share = self._state.shares.by_token(self._ids.of("word", token)) if self._ids.knows("word", token) else None
        shown = body.get("dashboard", {}) if isinstance(body, dict) else {}
        if share is None or share.password_required:
            row = self._fills.counterpart(shown.get("id", 0), shown)
            settings = {name: body[name] for name in SETTINGS if isinstance(body, dict) and name in body}
            changes = {"settings": settings} if settings else {}
            share = self._state.shares.save(row.id, enabled=True, password_required=False, **changes)
            self._ids.replace("word", token, share.access_token)
        if shown and self._seen.is_stale("full", shown["id"]):
            # A page for everyone does not show these.
            hidden = dict.fromkeys(("tags", "is_shared", "last_accessed_at"), True)
            self._fills.dashboard({name: value for name, value in shown.items() if name not in hidden}, {})


def _tiles(recording: Recording) -> list[dict[str, Any]]:
    """Return all tiles of a stream."""
    first, *events = recording.answer.events()
    return [*first["dashboard"]["tiles"], *(event["tile"] for event in events if event.get("type") == "tile")]
