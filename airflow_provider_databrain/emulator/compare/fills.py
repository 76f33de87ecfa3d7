"""Brings the emulator's dashboards, tiles and sharing into the state that a recorded answer shows.

That is the effect of requests that were sent but not recorded. What the next request sends itself is left alone, so
that its effect is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Any

from airflow_provider_databrain.emulator.compare.ids import Ids
from airflow_provider_databrain.emulator.posthog.state import OWNER, DashboardRow, PostHogState
from airflow_provider_databrain.emulator.posthog.store import now

_FIELDS = (
    "name",
    "description",
    "pinned",
    "creation_mode",
    "restriction_level",
    "filters",
    "variables",
    "breakdown_colors",
    "data_color_theme_id",
    "last_refresh",
)
_INSIGHT = ("name", "description", "query", "filters", "tags", "favorited", "saved", "is_sample")


class Fills:
    """Changes a state without a request."""

    def __init__(self, state: PostHogState, ids: Ids) -> None:
        self._state = state
        self._ids = ids

    def counterpart(self, key: int, shown: Mapping[str, Any]) -> DashboardRow:
        """Return the dashboard for a recorded id.

        That is the known one, else the most similar one of the same name that has no recorded id yet, else a new one.
        """
        if not self._ids.knows("dashboard", key):
            free = [
                row
                for row in self._state.dashboards()
                if row.fields["name"] == shown.get("name", row) and not self._ids.is_used("dashboard", row.id)
            ]
            made = min(free, key=lambda row: _distance(row, shown)).id if free else self._new(shown)
            self._ids.add("dashboard", key, made)
        [row] = self._state.found(self._ids.of("dashboard", key))
        return row

    def dashboard(self, shown: Mapping[str, Any], sent: Mapping[str, Any], *, accessed: bool = False) -> None:
        """Give a dashboard the fields and tiles that an answer shows, except those that are sent.

        :param accessed: the request itself notes the time of access.
        """
        shown = _stored(shown)
        row = self.counterpart(shown["id"], shown)
        changes = {name: shown[name] for name in _FIELDS if name in shown and not sent.get(name)}
        if "tags" in shown and "tags" not in sent and set(shown["tags"]) != set(row.fields["tags"]):
            changes["tags"] = shown["tags"]
        if "last_accessed_at" in shown and not accessed:
            changes["last_accessed_at"] = shown["last_accessed_at"] and (row.fields["last_accessed_at"] or now())
        deleted = False if sent.get("deleted") else None if "deleted" in sent else shown.get("deleted")
        self._state.change_dashboard(row.id, deleted=deleted, **changes)
        if "is_shared" in shown and shown["is_shared"] != row.shared:
            self._state.shares.save(row.id, enabled=shown["is_shared"])
            if not shown["is_shared"]:
                self._state.shares.expire_tokens()
        if isinstance(shown.get("tiles"), list) and not shown.get("deleted"):
            items = sent.get("tiles")
            for tile in shown["tiles"]:
                if tile.get("insight"):
                    self.changed_insight(tile["insight"])
            self._tiles(row, shown["tiles"], items if isinstance(items, list) else [])

    def source(self, key: int, copy: Mapping[str, Any], *, deep: bool, filtered: bool) -> None:
        """Give a dashboard the tiles that a recorded copy of it shows.

        :param filtered: the request sends filters, so that the copy's are not the source's.
        :param deep: the copy has texts and insights of its own.
        """
        row = self.counterpart(key, {})
        copy = _stored(copy)
        copied = ["variables", "breakdown_colors", "data_color_theme_id", *([] if filtered else ["filters"])]
        values = {name: copy[name] for name in copied if copy.get(name)}
        self._state.change_dashboard(row.id, deleted=False, **values)
        shown = sorted(copy.get("tiles") or [], key=lambda tile: int(tile["id"]))
        if any("layouts" not in tile for tile in shown):
            return
        contents = self._state.contents
        present = contents.tiles(row.id)
        wanted: list[tuple[object, object]]
        held: list[tuple[object, object]]
        if deep:
            shown = [_original(tile) for tile in shown]
            wanted = [(_text_of(tile), _name_of(tile)) for tile in shown]
            held = [(tile.text and tile.text.body, self._title(tile.insight_id)) for tile in present]
        else:
            wanted = [(self._text(_of(tile, "text")), self._insight(_of(tile, "insight"))) for tile in shown]
            held = [(tile.text and tile.text.id, tile.insight_id) for tile in present]
        if Counter(wanted) == Counter(held):
            return
        for tile in present:
            contents.remove_tile(tile.id)
        for tile in shown:
            self._new_tile(row, tile)

    def sharing(
        self, dashboard: DashboardRow, shown: Mapping[str, Any], sent: Container[str], *, refreshes: bool
    ) -> None:
        """Give a dashboard the sharing configuration that an answer shows, except what is sent."""
        shares = self._state.shares
        if shown.get("created_at") is None:
            shares.forget(dashboard.id)
            return
        names = ("enabled", "password_required", "settings")
        share = shares.save(dashboard.id, **{name: shown[name] for name in names if name in shown and name not in sent})
        passwords = list(shown.get("share_passwords") or [])
        present = shares.passwords(share.id)
        if refreshes:
            # The newest one was copied first, so that it is the oldest now.
            same = [row.note for row in reversed(present)] == [password["note"] for password in passwords]
        else:
            passwords.reverse()
            known = [self._ids.knows("password", password["id"]) for password in passwords]
            keys = [self._ids.of("password", password["id"]) for password in passwords]
            same = all(known) and keys == [row.id for row in reversed(present)]
        if same:
            return
        for row in present:
            shares.remove_password(share.id, row.id)
        for password in passwords:
            made = shares.add_password(share.id, password["note"], password["created_by_email"])
            if not refreshes:
                self._ids.replace("password", password["id"], made.id)

    def insight(self, shown: Mapping[str, Any], sent: Container[str] = ()) -> int:
        """Return the insight for a recorded one, which is made if it is not known."""
        key = shown.get("id")
        if key is None or not self._ids.knows("insight", key):
            fields = {name: shown[name] for name in _INSIGHT if name in shown and name not in sent}
            owner = self._person(shown) if "created_by" in shown else OWNER
            made = self._state.contents.add_insight(1, owner, **fields)
            if key is None:
                return made
            self._ids.add("insight", key, made)
        return int(self._ids.of("insight", key))

    def changed_insight(self, shown: Mapping[str, Any], sent: Container[str] = ()) -> None:
        """Give an insight the fields and the dashboards that an answer shows, except what is sent."""
        contents = self._state.contents
        row = contents.insight(self.insight(shown, sent))
        if row is None:
            return
        contents.change_insight(row, **{name: shown[name] for name in _INSIGHT if name in shown and name not in sent})
        if "dashboard_tiles" not in shown or "dashboards" in sent:
            return
        kept = [self._placed(row.id, place) for place in shown["dashboard_tiles"]]
        for tile, _ in contents.places(row.id):
            if tile not in kept:
                contents.remove_tile(tile)

    def _placed(self, insight: int, place: Mapping[str, Any]) -> int:
        """Return the tile of an insight on a dashboard, which is made if it is not known."""
        contents, row = self._state.contents, self.counterpart(place["dashboard_id"], {})
        if not self._ids.knows("tile", place["id"]):
            present = [tile for tile, dashboard in contents.places(insight) if dashboard == row.id]
            self._ids.add("tile", place["id"], present[0] if present else contents.add_tile(row.id, insight=insight))
        tile = int(self._ids.of("tile", place["id"]))
        contents.move_tile(tile, row.id)
        contents.remove_tile(tile, removed=False)
        return tile

    def others(self, shown: list[dict[str, Any]], count: int, offset: int) -> None:
        """Make the number of the dashboards that a list does not show right, before and after those that it shows."""
        keys = {self._ids.of("dashboard", item["id"]) for item in shown}
        first, last = _order(shown[0]), _order(shown[-1])
        before: list[int] = []
        after: list[int] = []
        for row in self._state.dashboards():
            place = _order(row.fields)
            if row.id not in keys and place < first and len(before) < offset:
                before.append(row.id)
            elif row.id not in keys and place >= last and len(after) < count - offset - len(shown):
                after.append(row.id)
            elif row.id not in keys:
                self._state.change_dashboard(row.id, deleted=True)
        for _ in range(offset - len(before)):
            self._state.add_dashboard(name="", pinned=True)
        for _ in range(count - offset - len(shown) - len(after)):
            self._state.add_dashboard()

    def _new(self, shown: Mapping[str, Any]) -> int:
        owner = self._person(shown) if "created_by" in shown else OWNER
        fields = {name: shown[name] for name in _FIELDS if name in shown}
        return self._state.add_dashboard(owner=owner, **fields)

    def _person(self, shown: Mapping[str, Any]) -> str | None:
        person = shown["created_by"]
        if person is None:
            return None
        known = self._ids.of("user", person.get("id"))
        names = [member.name for member in self._state.members() if member.id == known]
        called = [member.name for member in self._state.members() if member.email == person.get("email")]
        return [*(names if self._ids.knows("user", person.get("id")) else []), *called, OWNER][0]

    def _tiles(self, row: DashboardRow, shown: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
        edits = {item["id"]: item for item in items if item.get("id") is not None}
        added = sum(1 for item in items if item.get("id") is None and item.get("text"))
        unknown = sorted(tile["id"] for tile in shown if not self._ids.knows("tile", tile["id"]))
        new = set(unknown[-added:]) if added else set()
        gone = [
            {"layouts": {}, "color": None, "text": {"id": None, "body": ""}, "insight": None} | item
            for key, item in edits.items()
            if key not in {tile["id"] for tile in shown}
        ]
        kept = [
            self._tile(row, tile, tile if tile in gone else edits.get(tile["id"], {}))
            for tile in sorted([*shown, *gone], key=lambda tile: tile["id"])
            if tile["id"] not in new
        ]
        for tile in self._state.contents.tiles(row.id):
            if tile.id not in kept:
                self._state.contents.remove_tile(tile.id)

    def _tile(self, row: DashboardRow, shown: dict[str, Any], sent: Mapping[str, Any]) -> int:
        contents = self._state.contents
        key = self._ids.of("tile", shown["id"]) if self._ids.knows("tile", shown["id"]) else None
        if key is None:
            key = self._new_tile(row, shown)
            self._ids.add("tile", shown["id"], key)
        contents.move_tile(key, row.id)
        contents.remove_tile(key, removed=False)
        tile = contents.tile(key, row.id)
        if tile is None or "error" in shown:
            return int(key)
        contents.arrange_tile(
            key,
            layouts=tile.layouts if "layouts" in sent else shown["layouts"],
            color=tile.color if "color" in sent else shown["color"],
        )
        text = _of(shown, "text")
        if text and tile.text and not sent.get("text") and text.get("body") != tile.text.body:
            contents.change_text(tile.text.id, tile.text.owner, tile.text.last_modified_by, text["body"])
        return int(key)

    def _new_tile(self, row: DashboardRow, shown: Mapping[str, Any]) -> int:
        return self._state.contents.add_tile(
            row.id,
            text=self._text(_of(shown, "text")),
            insight=self._insight(_of(shown, "insight")),
            layouts=shown.get("layouts"),
            color=shown.get("color"),
        )

    def _title(self, insight: int | None) -> str | None:
        found = None if insight is None else self._state.contents.insight(insight)
        return found.fields["name"] if found else None

    def _insight(self, shown: Mapping[str, Any] | None) -> int | None:
        return None if shown is None else self.insight(shown)

    def _text(self, shown: Mapping[str, Any] | None) -> int | None:
        """Return the text for a recorded one, which is made if it is not known."""
        if shown is None:
            return None
        contents, body = self._state.contents, shown.get("body") or ""
        owner = self._person(shown) if "created_by" in shown else OWNER
        editor = OWNER if shown.get("last_modified_by") else None
        if shown.get("id") is not None and self._ids.knows("text", shown["id"]):
            known = int(self._ids.of("text", shown["id"]))
            contents.change_text(known, owner, editor, body)
            return known
        made = contents.add_text(owner, body, editor)
        if shown.get("id") is not None:
            self._ids.add("text", shown["id"], made)
        return made


def _distance(row: DashboardRow, shown: Mapping[str, Any]) -> int:
    """Return the number of fields that differ."""
    return sum(row.fields.get(name) != shown[name] for name in _FIELDS if name in shown)


def _order(fields: Mapping[str, Any]) -> tuple[bool, bool, str]:
    """Return what the server sorts a list by."""
    return not fields["pinned"], fields["name"] is None, fields["name"] or ""


def _stored(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a dashboard with the filters and variables that are stored, which may not be those that are shown."""
    stored = {
        name: shown[f"persisted_{name}"] or {} for name in ("filters", "variables") if f"persisted_{name}" in shown
    }
    return {**shown, **stored}


def _text_of(tile: Mapping[str, Any]) -> str | None:
    text = _of(tile, "text")
    return None if text is None else text.get("body")


def _name_of(tile: Mapping[str, Any]) -> str | None:
    insight = _of(tile, "insight")
    return None if insight is None else insight.get("name")


def _original(tile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tile that a deep copy was made of."""
    text, insight = _of(tile, "text"), _of(tile, "insight")
    return {
        **tile,
        "text": text and {**text, "id": None},
        "insight": insight
        and {**insight, "id": None, "name": (insight.get("name") or "").removesuffix(" (Copy)") or None},
    }


def _of(tile: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    content: Mapping[str, Any] | None = tile.get(name)
    return content
