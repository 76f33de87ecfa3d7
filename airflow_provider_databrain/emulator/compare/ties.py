"""Puts an answer into the recorded order where the server's order is not fixed: rows that sort equally."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from airflow_provider_databrain.emulator.compare.ids import Ids

_Key = Callable[[dict[str, Any]], object]


def break_ties(recorded: Any, answered: Any, ids: Ids) -> None:
    """Reorder an answer's lists of dashboards and of tiles in place, within rows that sort equally."""
    if not isinstance(recorded, dict) or not isinstance(answered, dict):
        return
    for one, other in ((recorded, answered), (recorded.get("dashboard"), answered.get("dashboard"))):
        if isinstance(one, dict) and isinstance(other, dict):
            _reorder(one.get("results"), other.get("results"), "dashboard", ids, _sorted_by)
            _reorder(one.get("tiles"), other.get("tiles"), "tile", ids, _place)


def _sorted_by(row: dict[str, Any]) -> object:
    return row.get("pinned"), row.get("name")


def _place(tile: dict[str, Any]) -> object:
    place = (tile.get("layouts") or {}).get("sm", {})
    return place.get("y"), place.get("x")


def _same(tile: dict[str, Any]) -> object:
    text, insight = tile.get("text"), tile.get("insight")
    return text and text.get("body"), insight and insight.get("name")


def _reorder(recorded: Any, answered: Any, kind: str, ids: Ids, key: _Key) -> None:
    if not _are_rows(recorded) or not _are_rows(answered):
        return
    slots: dict[object, list[int]] = defaultdict(list)
    for number, row in enumerate(answered):
        slots[key(row)].append(number)
    wanted: dict[object, list[dict[str, Any]]] = defaultdict(list)
    for row in recorded:
        wanted[key(row)].append(row)
    for value, numbers in slots.items():
        rows = _matched(wanted[value], [answered[number] for number in numbers], kind, ids)
        orders = [answered[number].get("order") for number in numbers]
        for number, row, order in zip(numbers, rows, orders, strict=True):
            answered[number] = row | {"order": order} if "order" in row else row


def _matched(recorded: list[dict[str, Any]], answered: list[dict[str, Any]], kind: str, ids: Ids) -> list[Any]:
    """Return the answered rows in recorded order: by known id, else by content, else as answered."""
    left = list(answered)
    found: list[dict[str, Any] | None] = []
    for row in recorded:
        known = [other for other in left if ids.knows(kind, row["id"]) and other["id"] == ids.of(kind, row["id"])]
        found.append(known[0] if known else None)
        left = [other for other in left if other is not found[-1]]
    for number, row in enumerate(recorded):
        alike = [other for other in left if kind == "tile" and _same(other) == _same(row)]
        if found[number] is None and alike and not ids.knows(kind, row["id"]):
            found[number] = alike[0]
            left = [other for other in left if other is not alike[0]]
    rest = iter(left)
    filled = [row if row is not None else next(rest, None) for row in found]
    return [*(row for row in filled if row is not None), *rest]


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and "id" in row for row in rows)
