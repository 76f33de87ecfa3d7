"""The contents of the emulated PostHog's dashboards: insights, texts, and the tiles that hold them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.emulator.posthog.store import now
from airflow_provider_databrain.emulator.store import Store

NEW_INSIGHT: dict[str, Any] = {
    "name": None,
    "description": None,
    "query": None,
    "filters": {},
    "tags": [],
    "favorited": False,
    "saved": False,
    "is_sample": False,
}
_TILES = """
SELECT t.id, t.dashboard_id, t.insight_id, t.layouts, t.color,
    x.id, x.owner, x.last_modified_by, x.last_modified_at, x.body
FROM posthog_tiles t LEFT JOIN posthog_texts x ON x.id = t.text_id
"""
_LAST = 100
"""The position of a tile without a layout: after all tiles that have one."""


@dataclass(frozen=True)
class InsightRow:
    """An insight.

    :param owner: the member who created it; None if a template did.
    """

    id: int
    project: int
    owner: str | None
    deleted: bool
    created_at: str
    updated_at: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class TextRow:
    """The text of a tile, in Markdown."""

    id: int
    owner: str | None
    last_modified_by: str | None
    last_modified_at: str
    body: str


@dataclass(frozen=True)
class TileRow:
    """A place on a dashboard that holds an insight or a text."""

    id: int
    dashboard_id: int
    insight_id: int | None
    text: TextRow | None
    layouts: dict[str, Any]
    color: str | None


class Contents:
    """Insights, texts and tiles in PostHog's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_insight(self, project: int, owner: str | None, **fields: Any) -> int:
        """Add an insight and return its id. ``fields`` have the API's names."""
        made = now()
        return self._store.insert(
            "INSERT INTO posthog_insights (project, owner, created_at, updated_at, fields) VALUES (?, ?, ?, ?, ?)",
            project,
            owner,
            made,
            made,
            json.dumps(NEW_INSIGHT | {"short_id": secrets.token_hex(4)} | fields),
        )

    def insight(self, key: int) -> InsightRow | None:
        """Return an insight, which may be deleted, or None if it does not exist."""
        rows = self._store.rows(
            "SELECT id, project, owner, deleted, created_at, updated_at, fields FROM posthog_insights WHERE id = ?", key
        )
        insights = [
            InsightRow(key, project, owner, bool(deleted), created, updated, json.loads(fields))
            for key, project, owner, deleted, created, updated, fields in rows
        ]
        return insights[0] if insights else None

    def change_insight(self, row: InsightRow, *, deleted: bool | None = None, **fields: Any) -> None:
        """Set fields. ``deleted`` deletes an insight softly or restores it."""
        self._store.change(
            "UPDATE posthog_insights SET fields = ?, deleted = coalesce(?, deleted), updated_at = ? WHERE id = ?",
            json.dumps(row.fields | fields),
            deleted,
            now(),
            row.id,
        )

    def places(self, insight: int) -> list[tuple[int, int]]:
        """Return the places of an insight, each as its tile's id and its dashboard's id."""
        return self._store.rows(
            "SELECT t.id, t.dashboard_id FROM posthog_tiles t JOIN posthog_dashboards d ON d.id = t.dashboard_id"
            " WHERE t.insight_id = ? AND NOT t.deleted AND NOT d.deleted ORDER BY t.id",
            insight,
        )

    def tiles(self, dashboard: int, size: str = "sm") -> list[TileRow]:
        """Return a dashboard's tiles, from top left to bottom right.

        :param size: the screen whose layout orders them, ``sm`` or ``xs``.
        """
        tiles = self._tiles("t.dashboard_id = ? AND NOT t.deleted", dashboard)
        return sorted(tiles, key=lambda tile: _position(tile.layouts.get(size)))

    def tile(self, key: int, dashboard: int, *, removed: bool = False) -> TileRow | None:
        """Return a dashboard's tile, or None if the dashboard has no tile of this id.

        :param removed: it may be a tile that was removed.
        """
        tiles = self._tiles("t.id = ? AND t.dashboard_id = ? AND t.deleted <= ?", key, dashboard, removed)
        return tiles[0] if tiles else None

    def add_tile(
        self,
        dashboard: int,
        *,
        insight: int | None = None,
        text: int | None = None,
        layouts: object = None,
        color: str | None = None,
    ) -> int:
        """Put an insight or a text on a dashboard. Return the tile's id."""
        return self._store.insert(
            "INSERT INTO posthog_tiles (dashboard_id, insight_id, text_id, layouts, color) VALUES (?, ?, ?, ?, ?)",
            dashboard,
            insight,
            text,
            json.dumps(layouts if isinstance(layouts, dict) else {}),
            color,
        )

    def copy_tile(self, tile: TileRow, dashboard: int) -> None:
        """Show a tile's insight or text on another dashboard too. A tile that was removed there comes back."""
        text = tile.text.id if tile.text else None
        rows = self._store.rows(
            "SELECT id FROM posthog_tiles WHERE dashboard_id = ? AND deleted AND insight_id IS ? AND text_id IS ?",
            dashboard,
            tile.insight_id,
            text,
        )
        if rows:
            self._store.change("UPDATE posthog_tiles SET deleted = 0 WHERE id = ?", rows[0][0])
            self.arrange_tile(rows[0][0], layouts=tile.layouts, color=tile.color)
        else:
            self.add_tile(dashboard, insight=tile.insight_id, text=text, layouts=tile.layouts, color=tile.color)

    def arrange_tile(self, key: int, *, layouts: dict[str, Any], color: str | None) -> None:
        """Set a tile's layouts and color."""
        self._store.change(
            "UPDATE posthog_tiles SET layouts = ?, color = ? WHERE id = ?", json.dumps(layouts), color, key
        )

    def set_text(self, key: int, text: int) -> None:
        """Let a tile show another text."""
        self._store.change("UPDATE posthog_tiles SET text_id = ? WHERE id = ?", text, key)

    def remove_tile(self, key: int, *, removed: bool = True) -> None:
        """Remove a tile from its dashboard, or put it back."""
        self._store.change("UPDATE posthog_tiles SET deleted = ? WHERE id = ?", removed, key)

    def move_tile(self, key: int, dashboard: int) -> None:
        """Move a tile to another dashboard."""
        self._store.change("UPDATE posthog_tiles SET dashboard_id = ? WHERE id = ?", dashboard, key)

    def add_text(self, owner: str | None, body: str, editor: str | None = None) -> int:
        """Add a text and return its id.

        :param editor: the member who changed it last.
        """
        return self._store.insert(
            "INSERT INTO posthog_texts (owner, last_modified_by, last_modified_at, body) VALUES (?, ?, ?, ?)",
            owner,
            editor,
            now(),
            body,
        )

    def change_text(self, key: int, owner: str | None, editor: str | None, body: str) -> None:
        """Replace a text, its owner and its editor."""
        self._store.change(
            "UPDATE posthog_texts SET body = ?, owner = ?, last_modified_by = ?, last_modified_at = ? WHERE id = ?",
            body,
            owner,
            editor,
            now(),
            key,
        )

    def _tiles(self, where: str, *values: object) -> list[TileRow]:
        rows = self._store.rows(
            f"{_TILES} WHERE {where} ORDER BY t.id",
            *values,
        )
        return [
            TileRow(
                id=key,
                dashboard_id=dashboard,
                insight_id=insight,
                text=None if text[0] is None else TextRow(*text),
                layouts=json.loads(layouts),
                color=color,
            )
            for key, dashboard, insight, layouts, color, *text in rows
        ]


def _position(layout: object) -> tuple[float, ...]:
    places = [layout.get(axis) for axis in "yx"] if isinstance(layout, dict) else [None, None]
    return tuple(place if isinstance(place, int | float) else _LAST for place in places)
