"""Showing what a server, a database or a row says, so that it cannot forge a line of a log.

``printable`` is the one place that decides which characters are shown as they are. ``Portable`` uses it for the text of
each exception of this package, and each log line that shows foreign text uses it or ``%r``.
"""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are printable by their category and show nothing."""


def printable(text: str, *, keep_lines: bool = False) -> str:
    r"""The text with an escape, such as ``\x1b`` or ``\u202e``, for each character that is not shown as one.

    Escaped are: line breaks, tabs and other control characters, characters that change the direction of text, invisible
    characters, halves of surrogate pairs. Letters, emoji and blanks of all languages stay. A text that was escaped
    before does not change.

    :param keep_lines: line feeds stay; for a text whose lines are ours.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if _is_shown(character) or (keep_lines and character == "\n") else _escape(character)
        for character in text
    )


def _is_shown(character: str) -> bool:
    if character.isprintable():
        return character not in _INVISIBLE and not "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode() if character not in _INVISIBLE else f"\\u{ord(character):04x}"
