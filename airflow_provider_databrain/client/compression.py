"""Decompressing an answer. Both transports read the bytes as they came and decompress them here.

What always holds:

- The result does not depend on the version of an HTTP library. These differ: some decompress all that they received at
  once, some limit it and report another error, and some accept data that is cut.
- A piece has at most ``PIECE`` bytes, so a small answer that decompresses to a huge one never is in memory as a whole.
- The request names the encodings in ``ACCEPTED``. An answer in another one cannot be read. Its status still counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from airflow_provider_databrain.client.errors import MalformedAnswerError, TransportError, too_large

ACCEPTED = "gzip, deflate"
"""The value of the Accept-Encoding header."""
PIECE = 64 * 1024
"""Maximum bytes that are decompressed at a time."""
_NAMES = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


def unknown_encoding(value: str | None) -> str | None:
    """The value of a Content-Encoding header if it cannot be read; None if it can."""
    return None if (value or "").strip().lower() in _NAMES else value


def not_accepted(encoding: str, status: int) -> MalformedAnswerError:
    """The error for an answer in an encoding that the request does not accept."""
    return MalformedAnswerError(
        f"the answer has the encoding {encoding[:40]!r}, and the request accepts only gzip and deflate; check the "
        "server or the proxy before it",
        status=status,
        transient=False,
    )


class Decompressor:
    """Decompresses one answer.

    :param encoding: the value of the Content-Encoding header. Bytes in an unknown encoding stay as they are.
    """

    def __init__(self, encoding: str | None) -> None:
        self._name = _NAMES.get((encoding or "").strip().lower(), "")
        self._zlib: zlib._Decompress | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decompress to, in pieces. Read all of them before feeding more bytes.

        :raises TransportError: the data is broken.
        """
        if not self._name:
            yield data
            return
        while data:
            if self._zlib is None:
                # Gzip data may have several parts, each with this first byte. Other bytes after the end are padding.
                if self._ended and not (self._name == "gzip" and data[0] == 0x1F):
                    return
                self._zlib = zlib.decompressobj(self._window(data[0]))
            yield from self._pieces(self._zlib, data)
            if not self._zlib.eof:
                return
            data, self._zlib, self._ended = self._zlib.unused_data, None, True

    def close(self) -> None:
        """Check the end of the data. An answer without any bytes is complete.

        :raises TransportError: the data is cut.
        """
        if self._zlib is not None:
            raise TransportError(f"the {self._name} data of the answer is cut")

    def _pieces(self, decompress: zlib._Decompress, data: bytes) -> Iterator[bytes]:
        full = True
        # After a full piece, zlib may hold more bytes although it has taken all data.
        while (data or full) and not decompress.eof:
            try:
                piece = decompress.decompress(data, PIECE)
            except zlib.error as error:
                raise TransportError(f"the {self._name} data of the answer is broken: {error}") from None
            data, full = decompress.unconsumed_tail, len(piece) == PIECE
            if piece:
                yield piece

    def _window(self, first: int) -> int:
        """The argument of zlib that names the format."""
        if self._name == "gzip":
            return 31
        # Some servers leave out the header, whose first byte ends in 8.
        return 15 if first & 15 == 8 else -15


class Body:
    """Collects the body of an answer, decompressed.

    :param encoding: the value of the Content-Encoding header.
    :param limit: maximum bytes after decompression.
    """

    def __init__(self, encoding: str | None, limit: int) -> None:
        self._decompressor = Decompressor(encoding)
        self._limit = limit
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes as they came.

        :raises MalformedAnswerError: the body is too large.
        :raises TransportError: the data is broken.
        """
        for piece in self._decompressor.feed(data):
            self._body += piece
            if len(self._body) > self._limit:
                raise too_large(self._limit)

    def finish(self) -> bytes:
        """The whole body.

        :raises TransportError: the data is cut.
        """
        self._decompressor.close()
        return bytes(self._body)
