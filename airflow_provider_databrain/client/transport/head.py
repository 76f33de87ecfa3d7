"""The head of an answer (status line and headers), made plain before an HTTP library reads it.

The two libraries disagree about heads that are odd but legal, or that gateways send anyway. Both transports pass each
head through ``plain``, so both accept the same ones:

- Interim answers (100 to 199, but not 101) are left out, also several.
- A head has at most ``MAX_BYTES``. No other limit counts: a header that is longer than ``MAX_VALUE`` is left out, and
  so is a header beyond the first ``MOST_OTHERS`` that no transport needs.
- With ``Transfer-Encoding: chunked``, a ``Content-Length`` does not count. Several equal lengths are one; if they
  differ, or one is no number, the head is refused.
- Folded lines are one line. A line that is no header is left out. Control characters become blanks.
"""

from __future__ import annotations

import re
from typing import Protocol

from airflow_provider_databrain.client.waits import RATE_LIMIT_HEADERS

MAX_BYTES = 256 * 1024
"""Maximum bytes of a head, and of all interim answers before it together."""
MAX_VALUE = 8000
"""Maximum bytes of a header. aiohttp refuses 8190."""
MOST_OTHERS = 50
"""Maximum number of headers that no transport needs. http.client refuses more than 100 headers."""
NEEDED = frozenset(
    name.encode()
    for name in (
        *("connection", "content-encoding", "content-type", "date", "keep-alive", "location", "proxy-connection"),
        *("retry-after", "upgrade", *RATE_LIMIT_HEADERS),
    )
)
"""Headers that are kept among any number of others."""
END = re.compile(rb"\r?\n\r?\n")
"""The end of a head."""

_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\n]*)?\r?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Source(Protocol):
    """Where bytes come from."""

    def readline(self, size: int = -1, /) -> bytes:
        """The next line, or a part of it that has ``size`` bytes; nothing at the end."""
        ...


def too_long() -> ValueError:
    """The error for more than ``MAX_BYTES``."""
    return ValueError(f"the head of the answer has more than {MAX_BYTES // 1024} KiB")


def read_head(source: Source) -> bytes:
    """Read the head of a final answer; it is plain. Empty if the source ends before it.

    :raises ValueError: the head is too long, cut, or has lengths that contradict each other.
    """
    left = MAX_BYTES
    head = b""
    while True:
        line = source.readline(left + 1)
        left -= len(line)
        if left < 0:
            raise too_long()
        if not line:
            if head:
                raise ValueError("the head of the answer is cut")
            return b""
        if not head and not line.strip(b"\r\n"):
            continue
        head += line
        if not head.startswith(b"HTTP/"):
            return head
        if line in (b"\n", b"\r\n"):
            if (final := plain(head)) is not None:
                return final
            head = b""


def plain(head: bytes) -> bytes | None:
    """A head as both libraries read it; None if it is an interim one. What is no HTTP/1 head stays as it is.

    :raises ValueError: it has lengths that contradict each other.
    """
    first, _, rest = head.lstrip(b"\r\n").partition(b"\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        return head
    if status[2].startswith(b"1") and status[2] != b"101":
        return None
    lines = [b"HTTP/1.%d %s " % (status[1] != b"0", status[2])]
    lengths: set[bytes] = set()
    encodings: list[bytes] = []
    others = 0
    for line in _FOLD.sub(b" ", rest).split(b"\n"):
        name, colon, value = line.partition(b":")
        name, value = name.strip(), _CONTROL.sub(b" ", value).strip()
        key = name.lower()
        if not colon or not _NAME.fullmatch(name):
            continue
        if key == b"content-length":
            lengths.update(part.strip() for part in value.split(b","))
        elif key == b"transfer-encoding":
            encodings += [part for part in value.lower().replace(b" ", b"").split(b",") if part != b"identity"]
        elif len(value) <= MAX_VALUE and (key in NEEDED or others < MOST_OTHERS):
            others += key not in NEEDED
            lines.append(name + b": " + value)
    if encodings:
        lines.append(b"Transfer-Encoding: " + b", ".join(encodings))
    elif len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise ValueError("the answer has a Content-Length that is not one number")
    else:
        lines += [b"Content-Length: " + length for length in lengths]
    return b"\r\n".join([*lines, b"", b""])
