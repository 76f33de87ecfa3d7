"""How an update of a dashboard changes its tiles in the emulated PostHog."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.emulator.posthog.checks import invalid, not_found, number
from airflow_provider_databrain.emulator.posthog.contents import Contents, TileRow

LONGEST_TEXT = 4000


def edit_tiles(contents: Contents, dashboard: int, member: str, items: object) -> None:
    """Add text tiles, change tiles and remove tiles.

    :param items: the request's ``tiles``. An item without ``id`` is a new text; an item with ``id`` is a change.
    """
    if items is None:
        return
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("Tiles must be a list of dictionaries", "tiles")
    for item in items:
        _check_text(item.get("text"))
    for item in items:
        if item.get("id") is not None:
            _change(contents, dashboard, member, item)
        elif item.get("text"):
            key = contents.add_text(member, item["text"]["body"])
            contents.add_tile(dashboard, text=key, layouts=item.get("layouts"), color=item.get("color"))


def _change(contents: Contents, dashboard: int, member: str, item: dict[str, Any]) -> None:
    tile: TileRow | None = contents.tile(number("id", item["id"]), dashboard)
    if tile is None:
        raise not_found()
    if item.get("deleted"):
        contents.remove_tile(tile.id)
        return
    layouts = item.get("layouts")
    contents.arrange_tile(
        tile.id,
        layouts=layouts if isinstance(layouts, dict) else tile.layouts,
        color=item.get("color", tile.color),
    )
    text = item.get("text")
    # The text has its own id. Without it, the text does not change.
    if text and tile.text and text.get("id") == tile.text.id:
        contents.change_text(tile.text.id, member, text["body"])


def _check_text(text: object) -> None:
    if text is None:
        return
    if not isinstance(text, dict) or not isinstance(text.get("body"), str):
        raise invalid("This field is required.", "text__body", "required")
    if len(text["body"]) > LONGEST_TEXT:
        detail = f"Ensure this field has no more than {LONGEST_TEXT} characters."
        raise invalid(detail, "text__body", "max_length")
