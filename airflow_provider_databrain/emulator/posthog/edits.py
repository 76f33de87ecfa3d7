"""How an update of a dashboard changes its tiles in the emulated PostHog."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.emulator.posthog.checks import invalid, is_storable, server_error
from airflow_provider_databrain.emulator.posthog.contents import TileRow
from airflow_provider_databrain.emulator.posthog.state import PostHogState

LONGEST_TEXT = 4000


class Edits:
    """Adds text tiles, changes tiles and removes tiles.

    :param version: the server's ``PostHogVersion``. Before 2026-07, mistakes in a tile are server errors.
    """

    def __init__(self, state: PostHogState, dashboard: int, member: str, version: str) -> None:
        self._contents = state.contents
        self._members = state.members()
        self._dashboard = dashboard
        self._member = member
        self._checks = version >= "2026-07"

    def apply(self, items: object) -> None:
        """Apply the request's ``tiles`` one after the other. If one fails, those before it stay changed.

        An item with ``text`` and without ``id`` is a new tile; an item with ``id`` is a change.
        """
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise server_error()
        for item in items:
            if item.get("text"):
                self._write(item)
            elif item.keys() & {"deleted", "color", "layouts"}:
                self._place(item)

    def _write(self, item: dict[str, Any]) -> None:
        text = self._body(item["text"])
        owner, editor = self._people(item["text"])
        key, tile = item["text"].get("id"), self._tile(item)
        if key is None:
            # A text without its own id is a new one, on an existing tile too.
            key = self._contents.add_text(owner, text, editor)
        elif tile is None or tile.text is None or tile.text.id != key:
            raise server_error() if not self._checks else invalid("Text tile not found.", "text")
        else:
            self._contents.change_text(key, owner, editor, text)
        if tile is None and item.get("id") is not None:
            raise server_error()
        if tile is None:
            self._contents.add_tile(self._dashboard, text=key, layouts=item.get("layouts"), color=item.get("color"))
            return
        self._contents.set_text(tile.id, key)
        self._arrange(tile, item)

    def _people(self, text: dict[str, Any]) -> tuple[str, str | None]:
        """Return who wrote a text and who changed it last, which only a request with ``created_by`` sets."""
        sent = text.get("created_by")
        if not sent:
            return self._member, None
        key = sent.get("id") if isinstance(sent, dict) else None
        names = [member.name for member in self._members if member.id == key]
        if not names:
            raise invalid("User not found in this organization.") if self._checks else server_error()
        return names[0], self._member

    def _place(self, item: dict[str, Any]) -> None:
        tile = self._tile(item)
        if tile is not None:
            self._arrange(tile, item)
        elif not self._checks:
            raise server_error()

    def _arrange(self, tile: TileRow, item: dict[str, Any]) -> None:
        layouts = item.get("layouts")
        self._contents.arrange_tile(
            tile.id,
            layouts=layouts if isinstance(layouts, dict) else tile.layouts,
            color=item.get("color", tile.color),
        )
        if "deleted" in item:
            self._contents.remove_tile(tile.id, removed=bool(item["deleted"]))

    def _tile(self, item: dict[str, Any]) -> TileRow | None:
        key = item.get("id")
        if key is None:
            return None
        if not isinstance(key, int | str) or not str(key).isdecimal():
            raise server_error()
        return self._contents.tile(int(key), self._dashboard, removed=True)

    def _body(self, text: object) -> str:
        if not isinstance(text, dict):
            raise server_error()
        body = text.get("body") or ""
        if not self._checks:
            if not isinstance(body, str) or len(body) > LONGEST_TEXT or not is_storable(body):
                raise server_error()
            return body
        if not isinstance(body, str | int | float) or isinstance(body, bool):
            raise invalid("Not a valid string.", "text__body")
        if "\0" in str(body):
            raise invalid("Null characters are not allowed.", "text__body", "null_characters_not_allowed")
        if len(str(body).strip()) > LONGEST_TEXT:
            raise invalid(f"Text body cannot exceed {LONGEST_TEXT} characters", "text__body", "max_length")
        return str(body).strip()
