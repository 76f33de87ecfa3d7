"""How the emulated PostHog as version ``2026-07`` searches its list of dashboards.

It was written from the source of a real PostHog. There are two versions of that source: one returns exact and similar
matches together, a later one returns similar matches only if there is no exact one. This one returns both, so that a
client must look at each match itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from airflow_provider_databrain.emulator.posthog.checks import invalid
from airflow_provider_databrain.emulator.posthog.state import DashboardRow

LONGEST = 200
GENERATED = "Generated Dashboard"
"""How the names of the dashboards begin that ``exclude_generated`` leaves out."""
_SHARES = {"name": 0.3, "description": 0.4}
"""The part of the term's trigrams that a field must have to be similar. The real server compares more strictly."""


def wants_search(query: Mapping[str, str]) -> bool:
    """Whether a list's query has ``search`` or ``exclude_generated``."""
    return bool(query.get("search")) or query.get("exclude_generated") == "true"


def search(rows: Iterable[DashboardRow], query: Mapping[str, str]) -> list[tuple[DashboardRow, str | None]]:
    """Return the dashboards that a list's query asks for, exact matches first, each with how it matches.

    How it matches is ``exact`` (the term is in the name, the description or a tag, in any case), ``similar``, or None
    if the query has no term.
    """
    term = query.get("search", "")
    if len(term) > LONGEST:
        raise invalid(f"Search query must be {LONGEST} characters or fewer.", "search")
    wanted = term.replace("\0", "").strip().casefold()
    if query.get("exclude_generated") == "true":
        rows = [row for row in rows if not (row.fields["name"] or "").startswith(GENERATED)]
    if not wanted:
        return [(row, None) for row in rows]
    found = [(row, _match(row, wanted)) for row in rows]
    return [(row, kind) for wanted_kind in ("exact", "similar") for row, kind in found if kind == wanted_kind]


def _match(row: DashboardRow, term: str) -> str | None:
    texts = {name: (row.fields[name] or "").casefold() for name in _SHARES}
    if any(term in text for text in (*texts.values(), *map(str.casefold, row.fields["tags"]))):
        return "exact"
    parts = _trigrams(term)
    similar = any(parts and len(parts & _trigrams(text)) / len(parts) > _SHARES[name] for name, text in texts.items())
    return "similar" if similar else None


def _trigrams(text: str) -> set[str]:
    """Return the trigrams of a text, as PostgreSQL makes them: each word with two blanks before it and one after it."""
    padded = [f"  {word} " for word in re.findall(r"[^\W_]+", text)]
    return {word[start : start + 3] for word in padded for start in range(len(word) - 2)}
