"""Ways in which a server compresses an answer."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

Compress = Callable[[bytes], bytes]


def without_header(body: bytes) -> bytes:
    """Compress without the header that the encoding ``deflate`` demands. Some servers do that."""
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(body) + squeeze.flush()


def twice(body: bytes) -> bytes:
    """Compress what is compressed already."""
    return gzip.compress(gzip.compress(body))


COMPRESS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "old name": ("X-GZip", gzip.compress),
    "gzip in parts": ("gzip", lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:])),
    "gzip and padding": ("gzip", lambda body: gzip.compress(body) + bytes(10)),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", without_header),
    "deflate and padding": ("deflate", lambda body: zlib.compress(body) + bytes(10)),
    "none": ("identity", bytes),
    "twice": ("gzip, gzip", twice),
    "deflate in gzip": ("Deflate,GZip", lambda body: gzip.compress(zlib.compress(body))),
    "gzip in deflate": ("gzip , deflate", lambda body: without_header(gzip.compress(body))),
    "four times": ("gzip, gzip, deflate, gzip", lambda body: gzip.compress(zlib.compress(twice(body)))),
    "gzip and identity": ("gzip, identity", gzip.compress),
    "identity and gzip": ("identity, gzip", gzip.compress),
    "gzip and nothing": ("gzip,", gzip.compress),
    "nothing": (" , ,", bytes),
    "the word none": ("None", bytes),
    "the word binary": ("binary", bytes),
    "a character set": ("UTF-8", bytes),
}
"""Name to the header's value and a function that compresses."""
compressions = pytest.mark.parametrize(("encoding", "compress"), COMPRESS.values(), ids=COMPRESS)
CUT = pytest.mark.parametrize(
    ("encoding", "compress"),
    [COMPRESS[name] for name in ("gzip", "gzip in parts", "deflate", "deflate without header")],
)
"""Each kind of data whose end can be missing."""
