"""Removing secrets from what a server, a proxy or an HTTP library says.

Theory of operation
===================

A server may repeat a secret as it is, in part, or in another form: escaped, encoded, wrapped over lines. The forms
cannot be listed. So the rule is about pieces: no text may contain ``RUN`` characters of a secret in a row.

1. A secret or a piece that the text itself contains is replaced by ``***``. The case of letters does not count.
2. The text is also read in other ways: without escapes, without blanks and invisible characters, backwards, decoded
   from base64 and from hexadecimal digits. If one of these readings contains more of a secret, nothing of the text is
   shown. The same is done with what remains after the first step.

What always holds:

- A secret of less than ``RUN`` characters is searched as a whole. One of less than ``SHORT`` characters is a secret
  only where it stands alone: else a password such as "to" would blacken parts of other words, and so give itself away.
- At the end of a text, ``SHORT`` characters of a secret's beginning are enough; at the start of a text, ``SHORT``
  characters of its end. There a server or a limit may have cut the secret.
- At most ``WINDOW`` characters of a text are read, and the rest is dropped. So cut a text only after this.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from base64 import b64decode
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from urllib.parse import unquote

RUN = 8
"""Characters of a secret in a row that no text may contain."""
SHORT = 6
"""See the module's docstring."""
WINDOW = 1500
"""Characters of a text that are read."""
ROUNDS = 4
"""How often an escaped text is unescaped at most: it may be escaped several times."""
STARS = "***"
NOT_SHOWN = "[not shown: it repeats a credential]"
"""Stands for a text that contains a secret in another form."""

_ESCAPED = re.compile(r"\\u\{?([0-9a-fA-F]{4,6})\}?|\\U([0-9a-fA-F]{8})|\\x([0-9a-fA-F]{2})")
_QUOTED_PRINTABLE = re.compile(r"=([0-9a-fA-F]{2})")
_BLANK = re.compile(r"\\[nrtbf]")
_BACKSLASHED = re.compile(r"\\([^\w\s])")
_TAG = re.compile(r"<[^<>]{0,200}>")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"[0-9a-fA-F]{12,}")
_BETWEEN_DIGITS = re.compile(r"\\x|0x|[^0-9a-zA-Z]")
_AROUND = " \t\r\n'\"`.…,;:)(>]<[}{"
"""What may stand around a quoted text."""


def redact(text: str, secrets: Collection[str]) -> str:
    """The text without any secret, and without a piece of one.

    :param secrets: what must not be shown; an empty string is ignored.
    """
    wanted = tuple(sorted({secret for secret in secrets if secret}))
    return _search(wanted)(text) if wanted else text[:WINDOW]


class _Search:
    """Finds some secrets in any text."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        folded = {_lower(form) for secret in secrets for form in (secret, _visible(secret)) if form}
        # By their length: the pieces that give a secret away.
        self._pieces: dict[int, set[str]] = {}
        for secret in folded:
            size = min(RUN, len(secret))
            if size >= SHORT:
                starts = range(len(secret) - size + 1)
                self._pieces.setdefault(size, set()).update(secret[start : start + size] for start in starts)
        wholes = sorted((secret for secret in folded if len(secret) >= SHORT), key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, wholes)) or r"(?!)", re.IGNORECASE)
        long = [secret for secret in folded if len(secret) > SHORT]
        self._beginnings = {secret[:size] for secret in long for size in range(SHORT, min(RUN, len(secret)))}
        self._ends = {secret[-size:] for secret in long for size in range(SHORT, min(RUN, len(secret)))}
        words = "|".join(re.escape(secret) for secret in sorted(folded, key=len, reverse=True) if len(secret) < SHORT)
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None

    def __call__(self, text: str) -> str:
        text = self._whole.sub(STARS, text[:WINDOW])
        found = self._found(text)
        blackened = self._blacken(text)
        if any(self._found(reading) > found for reading in _readings(text)):
            return NOT_SHOWN
        rest = blackened.replace(STARS, "\n\n\n")
        if blackened != text and any(self._found(reading) for reading in _readings(rest)):
            return NOT_SHOWN
        for _ in range(ROUNDS if self._words else 0):
            if self._words and self._words.search(_lower(rest)):
                return NOT_SHOWN
            rest = _unescape(rest)
        return blackened

    def _blacken(self, text: str) -> str:
        """``***`` in place of each piece."""
        lower = _lower(text)
        parts: list[str] = []
        at = 0
        for start, end in sorted([*self._spans(lower), *self._short_spans(lower)]):
            if not parts or start > at:
                parts += [text[at:start], STARS]
            at = max(at, end)
        return "".join([*parts, text[at:]])

    def _found(self, text: str) -> int:
        """How many characters of the text are in pieces."""
        return len({at for span in self._spans(_lower(text)) for at in range(*span)})

    def _spans(self, lower: str) -> Iterator[tuple[int, int]]:
        """Where pieces begin and end."""
        for size, pieces in self._pieces.items():
            if pieces.isdisjoint(lower[start : start + size] for start in range(len(lower) - size + 1)):
                continue
            for start in range(len(lower) - size + 1):
                if lower[start : start + size] in pieces:
                    yield start, start + size
        first, last = len(lower) - len(lower.lstrip(_AROUND)), len(lower.rstrip(_AROUND))
        for size in range(SHORT, RUN):
            if lower[max(0, last - size) : last] in self._beginnings:
                yield last - size, last
            if lower[first : first + size] in self._ends:
                yield first, first + size

    def _short_spans(self, lower: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._words.finditer(lower)] if self._words else []


_search: Callable[[tuple[str, ...]], _Search] = lru_cache(maxsize=8)(_Search)


def _lower(text: str) -> str:
    """The text in lower case, with the same length."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(low if len(low := c.lower()) == 1 else c for c in text)


def _visible(text: str) -> str:
    """The text without blanks, control characters and invisible ones, and in its plain form: ASCII if it has one."""
    if text.isascii() and text.isprintable():
        return text.replace(" ", "")
    plain = unicodedata.normalize("NFKC", text)
    return "".join(
        character for character in plain if unicodedata.category(character)[0] not in "ZC" and character != "\u034f"
    )


def _unescape(text: str) -> str:
    """The text with one level of escapes undone: of URLs, HTML, JSON and Python."""
    text = html.unescape(unquote(text, errors="replace"))
    return _BLANK.sub(" ", _ESCAPED.sub(_character, _BACKSLASHED.sub(r"\1", text)))


def _character(escape: re.Match[str]) -> str:
    number = int(next(group for group in escape.groups() if group), 16)
    return chr(number) if number < 0x110000 else "\ufffd"


def _readings(text: str) -> Iterator[str]:
    """The other texts that somebody can read in a text."""
    for _ in range(ROUNDS):
        yield text
        visible = _visible(text)
        yield visible
        yield visible[::-1]
        yield _TAG.sub("", visible)
        yield _QUOTED_PRINTABLE.sub(_character, visible)
        # Wrapped over lines, base64 is one run only without blanks; between words it is one only with them.
        for form in (text, visible):
            yield from _decoded(form)
        unescaped = _unescape(text)
        if unescaped == text:
            return
        text = unescaped


def _decoded(text: str) -> Iterator[str]:
    """What base64 and hexadecimal digits in a text stand for."""
    for run in _BASE64.findall(text):
        plain = run.replace("-", "+").replace("_", "/")
        # The encoded text need not begin where the run begins.
        for start in range(4):
            part = plain[start:]
            part = part[: len(part) // 4 * 4] if len(part) % 4 == 1 else part + "=" * (-len(part) % 4)
            yield _visible(b64decode(part).decode("latin-1"))
    for run in _HEX.findall(_BETWEEN_DIGITS.sub("", text)):
        for start in (0, 1):
            part = run[start:]
            yield _visible(binascii.unhexlify(part[: len(part) // 2 * 2]).decode("latin-1"))
