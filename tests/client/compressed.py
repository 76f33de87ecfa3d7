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


COMPRESS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "old name": ("X-GZip", gzip.compress),
    "gzip in parts": ("gzip", lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:])),
    "gzip and padding": ("gzip", lambda body: gzip.compress(body) + bytes(10)),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", without_header),
    "deflate and padding": ("deflate", lambda body: zlib.compress(body) + bytes(10)),
    "none": ("identity", bytes),
}
"""Name to the header's value and a function that compresses."""
compressions = pytest.mark.parametrize(("encoding", "compress"), COMPRESS.values(), ids=COMPRESS)
CUT = pytest.mark.parametrize(
    ("encoding", "compress"),
    [COMPRESS[name] for name in ("gzip", "gzip in parts", "deflate", "deflate without header")],
)
"""Each kind of data whose end can be missing."""
