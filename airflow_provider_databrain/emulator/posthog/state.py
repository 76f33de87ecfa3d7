"""The emulated PostHog's projects, members, dashboards and collaborators, in an SQLite file.

Other systems may share the file. The fields of a dashboard are stored as JSON under the API's names.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.posthog.contents import Contents
from airflow_provider_databrain.emulator.posthog.shares import Shares
from airflow_provider_databrain.emulator.posthog.store import SCHEMA, now
from airflow_provider_databrain.emulator.store import Store

PROJECT = 1
"""The project that always exists. ``@current`` means it, for a key that can access all projects."""
OWNER = "owner"
"""The name of the member who owns the organization."""
MEMBER = "member"
"""The name of a member who is not an admin."""
EVERYONE, COLLABORATORS = 21, 37
"""The restriction levels of a dashboard: who may edit it. As a person's privilege level: may view, may edit."""
NEW_DASHBOARD: dict[str, Any] = {
    "name": None,
    "description": "",
    "pinned": False,
    "tags": [],
    "creation_mode": "default",
    "restriction_level": EVERYONE,
    "filters": {},
    "variables": {},
    "breakdown_colors": [],
    "data_color_theme_id": None,
    "last_refresh": None,
    "last_accessed_at": None,
}
_DASHBOARDS = """
SELECT d.id, d.project, d.owner, d.deleted, d.created_at, d.fields, EXISTS (
    SELECT 1 FROM posthog_shares s WHERE s.dashboard_id = d.id AND s.enabled
    AND (s.expires_at IS NULL OR s.expires_at > ?))
FROM posthog_dashboards d
"""
_IN_ORDER = """
ORDER BY json_extract(d.fields, '$.pinned') DESC, json_extract(d.fields, '$.name') IS NULL,
    json_extract(d.fields, '$.name'), d.id
"""


@dataclass(frozen=True)
class Member:
    """A person in the organization.

    :param admin: owns or administers the organization.
    :param access: may see the projects.
    """

    id: int
    name: str
    uuid: str
    admin: bool
    access: bool

    @property
    def email(self) -> str:
        """The email address. It does not exist."""
        return f"{self.name}@example.com"


@dataclass(frozen=True)
class DashboardRow:
    """A dashboard.

    :param owner: the member who created it; None if it came with the project.
    :param shared: a public link to it works.
    """

    id: int
    project: int
    owner: str | None
    deleted: bool
    created_at: str
    fields: dict[str, Any]
    shared: bool


class PostHogState:
    """The data of one emulated organization.

    :param path: an SQLite file, which is created if it does not exist; ``:memory:`` keeps the data in memory.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._store = Store(path, SCHEMA)
        self.shares = Shares(self._store)
        self.contents = Contents(self._store)
        self.add_project(PROJECT, "Default project")
        self.add_member(OWNER, admin=True)
        self.add_member(MEMBER)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def clear(self) -> None:
        """Delete all dashboards and their contents. Projects and members stay."""
        for table in ("dashboards", "insights", "texts", "tiles", "collaborators", "shares", "passwords", "tagged"):
            self._store.change(f"DELETE FROM posthog_{table}")  # noqa: S608 - the names above

    def add_project(self, project: int, name: str) -> None:
        """Add a project. An existing one does not change."""
        self._store.insert("INSERT OR IGNORE INTO posthog_projects VALUES (?, ?)", project, name)

    def projects(self) -> list[tuple[int, str]]:
        """Return the id and the name of each project."""
        return self._store.rows("SELECT id, name FROM posthog_projects ORDER BY id")

    def add_member(self, name: str, *, admin: bool = False, access: bool = True) -> Member:
        """Add a person, or return the existing one of this name unchanged."""
        self._store.insert(
            "INSERT OR IGNORE INTO posthog_members (name, uuid, admin, access) VALUES (?, ?, ?, ?)",
            name,
            str(uuid.uuid4()),
            admin,
            access,
        )
        return self.member(name)

    def member(self, name: str) -> Member:
        """Return the person of this name."""
        [member] = self.members(name)
        return member

    def members(self, name: str | None = None) -> list[Member]:
        """Return all persons, or only the one of this name."""
        rows = self._store.rows(
            "SELECT id, name, uuid, admin, access FROM posthog_members WHERE name = coalesce(?, name) ORDER BY id", name
        )
        return [Member(key, name, uid, bool(admin), bool(access)) for key, name, uid, admin, access in rows]

    def add_dashboard(self, *, project: int = PROJECT, owner: str | None = OWNER, **fields: Any) -> int:
        """Add a dashboard and return its id. ``fields`` have the API's names."""
        key = self._store.insert(
            "INSERT INTO posthog_dashboards (project, owner, created_at, fields) VALUES (?, ?, ?, ?)",
            project,
            owner,
            now(),
            json.dumps(NEW_DASHBOARD | fields),
        )
        self._note_tags(key, project, fields.get("tags", ()))
        return key

    def found(self, key: int) -> list[DashboardRow]:
        """Return a list with the dashboard of this id, which may be deleted; empty if it does not exist."""
        return self._dashboards("d.id = ?", key)

    def dashboards(
        self,
        project: int = PROJECT,
        *,
        tags: Iterable[str] = (),
        creation_mode: str | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[DashboardRow]:
        """Return a project's dashboards that are not deleted: pinned ones first, then by name.

        :param tags: only dashboards with at least one of these tags.
        :param limit: maximum number of dashboards; -1 means no limit.
        """
        where, values = _listed(project, tags, creation_mode)
        return self._dashboards(where, *values, limit, offset, tail=" LIMIT ? OFFSET ?")

    def listed(
        self, project: int = PROJECT, *, tags: Iterable[str] = (), creation_mode: str | None = None
    ) -> list[tuple[int, bool, str | None]]:
        """Return id, pinned and name of a project's dashboards that are not deleted, in order."""
        where, values = _listed(project, tags, creation_mode)
        rows = self._store.rows(
            "SELECT d.id, json_extract(d.fields, '$.pinned'), json_extract(d.fields, '$.name')"  # noqa: S608 - the condition is ours, the values are bound
            f" FROM posthog_dashboards d WHERE {where} {_IN_ORDER}",
            *values,
        )
        return [(key, bool(pinned), name) for key, pinned, name in rows]

    def all_of(self, keys: Iterable[int]) -> list[DashboardRow]:
        """Return the dashboards of these ids, in the same order."""
        wanted = list(keys)
        rows = self._dashboards("d.id IN (SELECT value FROM json_each(?))", json.dumps(wanted))
        found = {row.id: row for row in rows}
        return [found[key] for key in wanted if key in found]

    def newest(self, limit: int) -> list[DashboardRow]:
        """Return the newest dashboards of all projects that are not deleted, newest first."""
        rows = self._store.rows("SELECT id FROM posthog_dashboards WHERE NOT deleted ORDER BY id DESC LIMIT ?", limit)
        return [row for (key,) in rows for row in self.found(key)]

    def count_dashboards(
        self, project: int | None = PROJECT, *, tags: Iterable[str] = (), creation_mode: str | None = None
    ) -> int:
        """Return the number of dashboards that are not deleted, of one project or, without one, of all."""
        where, values = _listed(project, tags, creation_mode)
        [(count,)] = self._store.rows(f"SELECT count(*) FROM posthog_dashboards d WHERE {where}", *values)  # noqa: S608 - the condition is ours, the values are bound
        return int(count)

    def change_dashboard(self, key: int, *, deleted: bool | None = None, **fields: Any) -> None:
        """Set fields. ``deleted`` deletes a dashboard softly or restores it."""
        [row] = self.found(key)
        self._store.change(
            "UPDATE posthog_dashboards SET fields = ?, deleted = coalesce(?, deleted) WHERE id = ?",
            json.dumps(row.fields | fields),
            deleted,
            key,
        )
        if "tags" in fields:
            self._store.change("DELETE FROM posthog_tagged WHERE dashboard_id = ?", key)
            self._note_tags(key, row.project, fields["tags"])

    def is_tag(self, project: int, name: str) -> bool:
        """Whether a dashboard of a project has a tag. It may be a deleted dashboard."""
        return bool(
            self._store.rows("SELECT 1 FROM posthog_tagged WHERE project = ? AND tag = ? LIMIT 1", project, name)
        )

    def _note_tags(self, dashboard: int, project: int, tags: Iterable[str]) -> None:
        for tag in tags:
            self._store.change("INSERT OR IGNORE INTO posthog_tagged VALUES (?, ?, ?)", project, tag, dashboard)

    def remove_dashboard(self, key: int) -> None:
        """Delete a dashboard, which then cannot be restored."""
        self._store.change("DELETE FROM posthog_dashboards WHERE id = ?", key)
        self._store.change("DELETE FROM posthog_tagged WHERE dashboard_id = ?", key)

    def collaborators(self, dashboard: int) -> list[tuple[str, str, str]]:
        """Return each collaborator's id, member name and time of addition."""
        return self._store.rows(
            "SELECT id, member, added_at FROM posthog_collaborators WHERE dashboard_id = ? ORDER BY rowid", dashboard
        )

    def add_collaborator(self, dashboard: int, member: str) -> None:
        """Allow a member to edit a restricted dashboard."""
        self._store.insert(
            "INSERT INTO posthog_collaborators VALUES (?, ?, ?, ?)", str(uuid.uuid4()), dashboard, member, now()
        )

    def remove_collaborator(self, dashboard: int, member: str) -> bool:
        """Remove a collaborator. Return False if the member is not a collaborator."""
        return bool(
            self._store.change(
                "DELETE FROM posthog_collaborators WHERE dashboard_id = ? AND member = ?", dashboard, member
            )
        )

    def _dashboards(self, where: str, *values: object, tail: str = "") -> list[DashboardRow]:
        rows = self._store.rows(
            f"{_DASHBOARDS} WHERE {where} {_IN_ORDER}{tail}",
            time.time(),
            *values,
        )
        return [
            DashboardRow(key, project, owner, bool(deleted), created, json.loads(fields), bool(shared))
            for key, project, owner, deleted, created, fields, shared in rows
        ]


def _listed(project: int | None, tags: Iterable[str], creation_mode: str | None) -> tuple[str, list[object]]:
    """Return the SQL condition of a list, and its values."""
    where = "d.project = coalesce(?, d.project) AND NOT d.deleted"
    values: list[object] = [project]
    wanted = list(tags)
    if wanted:
        marks = ", ".join("?" for _ in wanted)
        where += f" AND EXISTS (SELECT 1 FROM json_each(d.fields, '$.tags') t WHERE t.value IN ({marks}))"  # noqa: S608 - the condition is ours, the values are bound
        values += wanted
    if creation_mode is not None:
        where += " AND json_extract(d.fields, '$.creation_mode') = ?"
        values.append(creation_mode)
    return where, values
