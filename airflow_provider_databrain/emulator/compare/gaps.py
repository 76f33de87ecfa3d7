"""Adds the effect of requests that were sent but not recorded.

If a recorded answer shows that something existed, it must exist in the emulator before the request is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_databrain.emulator.compare.ids import Ids, named
from airflow_provider_databrain.emulator.compare.recordings import Recording
from airflow_provider_databrain.emulator.posthog.state import MEMBER, OWNER, DashboardRow, PostHogState


class Gaps:
    """Adds to a state what a recording needs."""

    def __init__(self, state: PostHogState, ids: Ids) -> None:
        self._state = state
        self._ids = ids

    def prepare(self, recordings: Iterable[Recording]) -> None:
        """Add what must exist from the start: projects, and the person who becomes a collaborator."""
        for recording in recordings:
            parts = recording.path.split("/")
            if recording.succeeded and parts[2:3] == ["projects"] and parts[3].isdecimal():
                self._state.add_project(int(parts[3]), f"Project {parts[3]}")
            if recording.answer.status == 201 and "/collaborators" in recording.path:
                self._ids.add("word", recording.data["user_uuid"], self._state.member(MEMBER).uuid)

    def fill(self, recording: Recording) -> None:
        """Add what a request needs and the state lacks."""
        if recording.answer.status == 404:
            return
        body = recording.answer.body
        for item in body.get("results", []) if isinstance(body, dict) else []:
            if "creation_mode" in item:
                self._counterpart(item["id"], item)
        for kind, key in named(recording.path):
            if kind == "dashboard":
                self._dashboard(recording, key)
            elif kind == "insight" and not self._ids.knows(kind, key):
                self._ids.add(kind, key, self._state.contents.add_insight(1, OWNER))
            elif kind == "password" and not self._ids.knows(kind, key):
                self._password(recording, key)
            elif kind in ("shared", "embedded"):
                self._link(key, body)

    def _dashboard(self, recording: Recording, key: int) -> None:
        body = recording.answer.body
        row = self._counterpart(key, body if isinstance(body, dict) else {})
        sent = recording.data if isinstance(recording.data, dict) else {}
        if row.deleted and recording.succeeded and "deleted" not in sent:
            self._state.change_dashboard(row.id, deleted=False)
        settings = body.get("settings") if isinstance(body, dict) else None
        if settings and "settings" not in sent:
            self._state.shares.save(row.id, settings=settings)

    def _counterpart(self, key: int, shown: dict[str, Any]) -> DashboardRow:
        """Return the dashboard for a recorded id.

        That is the known one, else one of the same name that has no recorded id yet, else a new one.
        """
        if not self._ids.knows("dashboard", key):
            name = shown.get("name")
            free = [
                row
                for row in self._state.dashboards()
                if row.fields["name"] == name and not self._ids.is_used("dashboard", row.id)
            ]
            owner = None if shown.get("created_by", OWNER) is None else OWNER
            made = (
                free[0].id
                if free
                else self._state.add_dashboard(owner=owner, name=name, pinned=bool(shown.get("pinned")))
            )
            self._ids.add("dashboard", key, made)
        [row] = self._state.found(self._ids.of("dashboard", key))
        return row

    def _password(self, recording: Recording, key: int) -> None:
        dashboard = next(key for kind, key in named(recording.path) if kind == "dashboard")
        share = self._state.shares.save(self._ids.of("dashboard", dashboard))
        self._ids.add("password", key, self._state.shares.add_password(share.id, "", "owner@example.com").id)

    def _link(self, token: str, body: Any) -> None:
        """Share the dashboard of a public link that answered, without a password."""
        share = self._state.shares.by_token(self._ids.of("word", token)) if self._ids.knows("word", token) else None
        shown = body.get("dashboard", {}) if isinstance(body, dict) else {}
        if share is None or share.password_required:
            row = self._counterpart(shown.get("id", 0), shown)
            share = self._state.shares.save(row.id, enabled=True, password_required=False)
            self._ids.add("word", token, share.access_token)
