"""Decompressing an answer. Both transports read the bytes as they came and decompress them here.

What always holds:

- The result does not depend on the version of an HTTP library. These differ: some decompress all that they received at
  once, some limit it and report another error, and some accept data that is cut.
- A piece has at most ``PIECE`` bytes, so a small answer that decompresses to a huge one never is in memory as a whole.
- The request names the encodings in ``ACCEPTED``. The bytes of an answer in another one stay as they are: some servers
  name an encoding and compress nothing.
- The status of an error counts, whatever its body: broken, cut, too large or in another encoding. Only the body of a
  success must be complete.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from airflow_provider_databrain.client.errors import ApiError, TransportError, too_large

ACCEPTED = "gzip, deflate"
"""The value of the Accept-Encoding header."""
CLEAR_STATUSES = (401, 403, 407, 429)
"""Client errors that are clear without the code in the body. What a 400 or a 404 means, the code says."""
PIECE = 64 * 1024
"""Maximum bytes that are decompressed at a time."""
MOST_ENCODINGS = 4
"""Maximum encodings of one answer, one in the other."""
# The words with an empty value are not encodings. Some servers send them, and compress nothing.
_NAMES = dict.fromkeys(("", "identity", "none", "binary", "utf-8", "utf8"), "") | {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
}


def not_accepted(encoding: str | None) -> str:
    """Say that the request does not accept this value of a Content-Encoding header; empty if it does."""
    if _encodings(encoding) is not None:
        return ""
    return (
        f"the answer has the encoding {(encoding or '')[:40]!r}, and the request accepts only gzip and deflate; check "
        "the server or the proxy before it"
    )


def _encodings(value: str | None) -> list[str] | None:
    """The encodings in a Content-Encoding header, in the order in which the server used them; None if unknown."""
    names = [_NAMES.get(part.strip().lower()) for part in (value or "").split(",")]
    known = [name for name in names if name]
    return None if None in names or len(known) > MOST_ENCODINGS else known


class Decompressor:
    """Decompresses one answer.

    :param encoding: the value of the Content-Encoding header. Bytes in an unknown encoding stay as they are.
    """

    def __init__(self, encoding: str | None) -> None:
        # What the server did last comes off first.
        self._layers = [_Layer(name) for name in reversed(_encodings(encoding) or [])]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decompress to, in pieces. Read all of them before feeding more bytes.

        :raises TransportError: the data is broken.
        """
        return self._through(self._layers, data)

    def close(self) -> None:
        """Check the end of the data. An answer without any bytes is complete.

        :raises TransportError: the data is cut.
        """
        for layer in self._layers:
            layer.close()

    def _through(self, layers: list[_Layer], data: bytes) -> Iterator[bytes]:
        if not layers:
            yield data
            return
        for piece in layers[0].feed(data):
            yield from self._through(layers[1:], piece)


class _Layer:
    """Decompresses one encoding.

    :param name: gzip or deflate.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._zlib: zlib._Decompress | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
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

    If the body of an error cannot be read to its end, what came before is kept.

    :param encoding: the value of the Content-Encoding header.
    :param limit: maximum bytes after decompression.
    :param status: the answer's status.
    """

    def __init__(self, encoding: str | None, limit: int, *, status: int) -> None:
        self._decompressor = Decompressor(encoding)
        self._not_accepted = not_accepted(encoding)
        self._limit = limit
        self._success = 200 <= status < 300
        self._clear = status in CLEAR_STATUSES or not 400 <= status < 500
        self._stopped: ApiError | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> bool:
        """Add bytes as they came. False if the rest is not needed.

        :raises MalformedAnswerError: the body of a success is too large.
        :raises TransportError: the data of a success is broken.
        """
        try:
            for piece in self._decompressor.feed(data):
                space = self._limit - len(self._body)
                self._body += piece[:space]
                if len(piece) > space:
                    raise too_large(self._limit)
        except ApiError as error:
            self.stop(error)
        return self._stopped is None

    def stop(self, error: ApiError) -> None:
        """Note that the rest of the body cannot be read. If the status is a success, raise the error."""
        if self._success:
            raise error from None
        self._stopped = error

    def break_off(self, error: TransportError) -> None:
        """Note that the network failed. If only the body says what the status means, raise the error for a new try."""
        if not self._clear:
            raise error from None
        self.stop(error)

    def finish(self) -> bytes:
        """The body.

        :raises TransportError: the data of a success is cut.
        """
        if self._stopped is None:
            try:
                self._decompressor.close()
            except TransportError as error:
                self.stop(error)
        return bytes(self._body)

    @property
    def unread(self) -> str:
        """Why the body may not be what the server meant; empty if it is. Ask after ``finish``."""
        if self._stopped is not None:
            return self._stopped.message
        return self._not_accepted if self._body else ""
